#include "striate/report/text_page.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "report/html.h"
#include "report/page_style.h"

namespace striate {

namespace {

constexpr int kLevels = 8;  // of each colour

constexpr const char* kTextStyle =
    ".text{font-family:ui-monospace,monospace;font-size:13px;line-height:1.55;white-space:pre-wrap;"
    "overflow-wrap:anywhere;padding:0.8em;border:1px solid "
    "rgba(128,128,128,.35);border-radius:6px}";

// A colour through which the text is seen, in light and dark.
std::string color_rules() {
  std::string rules;
  for (int level = 1; level <= kLevels; ++level) {
    const double opacity = 0.75 * level / kLevels;
    append(rules,
           ".b{}{{background:rgba(40,110,230,{:.3f})}}.r{}{{background:rgba(225,60,40,{:.3f})}}",
           level, opacity, level, opacity);
  }
  return rules;
}

int level_of(float value) {
  const float bounded = std::isfinite(value) ? std::clamp(value, -1.0F, 1.0F) : 0.0F;
  return static_cast<int>(std::lround(bounded * kLevels));
}

// Escaped, with its lines kept.
std::string escape_lines(std::string_view text) {
  std::string out;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    out += escape(text.substr(0, end)) + "\n";
    text.remove_prefix(end + 1);
  }
  return out + escape(text);
}

void add_text(std::string& out, const ColoredText& text) {
  if (text.tokens.size() != text.values.size()) {
    throw std::invalid_argument("a coloured text needs one value for each token");
  }
  append(out, "<section>\n<h2>{}</h2>\n<p class=\"note\">{}</p>\n<div class=\"text\">",
         escape(text.title), escape(text.note));
  for (size_t i = 0; i < text.tokens.size();) {
    const int level = level_of(text.values[i]);
    std::string run;
    for (; i < text.tokens.size() && level_of(text.values[i]) == level; ++i) run += text.tokens[i];
    if (level == 0) {
      out += escape_lines(run);
    } else {
      append(out, "<span class=\"{}{}\">{}</span>", level > 0 ? 'b' : 'r', std::abs(level),
             escape_lines(run));
    }
  }
  out += "</div>\n</section>\n";
}

}  // namespace

std::string text_page_html(const std::string& title, const std::vector<ColoredText>& texts) {
  std::string out = page_head(title, kTextStyle + color_rules());
  for (const ColoredText& text : texts) add_text(out, text);
  return out + kPageEnd;
}

}  // namespace striate
