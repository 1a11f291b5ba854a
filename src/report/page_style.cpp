#include "report/page_style.h"

#include <fmt/format.h>

#include "report/html.h"

namespace striate {

const char* const kPageStyle = R"(
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1d21;--soft:#5c6370;--rule:#d5d9df;
--fill:#f3f5f7;--hit:31 95 168;--miss:196 84 26;--bar:#dbe6f3}
@media (prefers-color-scheme:dark){:root{--paper:#14161a;--ink:#e4e6ea;--soft:#9aa1ad;
--rule:#353a43;--fill:#1e2127;--hit:58 122 196;--miss:204 98 40;--bar:#23364d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:48px 32px 64px;background:var(--paper);
color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,
sans-serif;-webkit-text-size-adjust:100%}
h1,h2{font-family:Charter,"Bitstream Charter","Sitka Text",Cambria,Georgia,"Liberation Serif",serif;
font-weight:600;line-height:1.25;text-wrap:balance;overflow-wrap:anywhere}
h1{font-size:31px;margin:0 0 4px}
h2{font-size:21px;margin:52px 0 14px}
p{margin:0 0 12px}
.lead{color:var(--soft);font-size:16px;overflow-wrap:anywhere}
.note{color:var(--soft);font-size:13px}
.empty{color:var(--soft);font-style:italic}
.headline{display:flex;flex-wrap:wrap;gap:20px 56px;margin:26px 0 0;padding:20px 0;
border-top:2px solid var(--ink);border-bottom:1px solid var(--ink)}
.headline dt{color:var(--soft);font-size:13px}
.headline dd{margin:0}
.headline .value{font-size:30px;line-height:1.25;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{caption-side:top;text-align:left;color:var(--soft);font-size:13px;padding:0 0 8px}
th{font-weight:600;text-align:left}
.facts,.pairs,.scores,.log{border-top:2px solid var(--ink);border-bottom:1px solid var(--ink);
font-size:14px}
.facts th,.facts td,.pairs th,.pairs td,.scores th,.scores td,.log th,.log td{padding:4px 12px;
border-top:1px solid var(--rule);vertical-align:top}
.facts tr:first-child>*{border-top:0}
thead th{border-top:0!important;border-bottom:1px solid var(--ink)}
tbody tr:first-child>*{border-top:0}
.facts{width:100%}
.facts th{width:min(13em,32%);font-weight:400;color:var(--soft);padding-left:0}
.facts td{overflow-wrap:anywhere}
.pairs td,.scores td,.log td,.log th,.pairs th+th+th,.scores th+th{text-align:right}
.pairs th,.scores th,.pairs td.text{font-weight:400;text-align:left;padding-left:0;
max-width:22em;overflow-wrap:anywhere}
.pairs th+th+th,.scores th+th{padding-left:12px;text-align:right}
.pairs thead th,.scores thead th,.log thead th{font-weight:400;color:var(--soft);font-size:13px;
white-space:nowrap}
.log th{font-weight:400}
.scores td.bar,.pairs td.bar{min-width:7.5em;background:linear-gradient(var(--bar),var(--bar))
0 50%/calc((100% - 6px)*var(--s)) calc(100% - 6px) no-repeat}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:24px}
.plots figure{margin:0;padding:10px 8px 6px;border:1px solid var(--rule);border-radius:4px}
.plot{display:block;width:100%;height:auto}
.columns{display:flex;flex-wrap:wrap;gap:32px 48px;align-items:flex-start}
.plots+.columns{margin-top:24px}
.columns>*{min-width:0;max-width:100%}
.even{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr))}
.even table{width:100%}
.even td.bar{min-width:6em}
.scroll{overflow-x:auto;max-width:100%}
.matrix{font-size:12.5px;border-collapse:separate;border-spacing:2px}
.matrix thead th{height:1px;vertical-align:bottom;border:0;padding:0 0 4px;font-weight:400}
.matrix thead span{display:block;margin:0 auto;writing-mode:vertical-rl;transform:rotate(180deg);
white-space:nowrap;line-height:1.2}
.matrix tbody th{font-weight:400;text-align:right;white-space:nowrap;padding:0 8px 0 0;
position:sticky;left:0;background:var(--paper)}
.matrix tbody td{min-width:42px;height:32px;padding:0 4px;text-align:center;border-radius:2px;
background:var(--fill)}
.matrix td.none{color:var(--soft);opacity:.55}
.matrix td.hit{background:rgb(var(--hit)/calc(.06 + .86*var(--s)))}
.matrix td.miss{background:rgb(var(--miss)/calc(.05 + .9*var(--s)))}
.matrix td.strong{color:#fff}
.dense{font-size:10.5px;border-spacing:1px}
.dense tbody td{min-width:22px;height:21px;padding:0 2px}
.dense tbody th{padding-right:6px}
details{margin:18px 0 0}
summary{cursor:pointer;color:var(--soft);font-size:14px;margin-bottom:8px}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:22px 16px;
margin:0;padding:0;list-style:none}
.mistakes figure{margin:0}
.mistakes .frame{display:flex;align-items:center;justify-content:center;height:148px;
background:var(--fill);border-radius:4px}
.mistakes img{display:block}
.pixelated{image-rendering:pixelated}
.mistakes figcaption{margin-top:6px;font-size:13px;line-height:1.35;overflow-wrap:anywhere}
.mistakes .sure{white-space:nowrap;font-variant-numeric:tabular-nums}
@media (max-width:640px){body{padding:28px 16px 40px}}
@media print{body{max-width:none;padding:0;font-size:10.5pt}h2{margin-top:24pt;break-after:avoid}
.matrix td,.bar{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.scroll{overflow:visible}.plots figure,.mistakes li,tr{break-inside:avoid}
.plots{grid-template-columns:1fr 1fr}}
)";

std::string page_head(const std::string& title, const std::string& style) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<style>{1}{2}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n",
      escape(title), kPageStyle, style);
}

}  // namespace striate
