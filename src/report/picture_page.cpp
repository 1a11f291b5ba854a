#include "striate/report/picture_page.h"

#include "report/html.h"
#include "report/page_style.h"
#include "report/picture.h"

namespace striate {

namespace {

constexpr const char* kPicturesStyle =
    ".pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(11em,1fr));gap:0.8em}"
    ".pictures figure{margin:0}.pictures img{width:100%;height:auto;border-radius:4px}"
    ".pictures figcaption{text-align:center}";

}  // namespace

std::string picture_page_html(const std::string& title,
                              const std::vector<LabeledPicture>& pictures) {
  std::string out = page_head(title, kPicturesStyle);
  out += "<div class=\"pictures\">\n";
  for (const LabeledPicture& picture : pictures) {
    const std::string label = escape(picture.label);
    append(out, "<figure>{}<figcaption>{}</figcaption></figure>\n",
           picture_markup(picture.image, label), label);
  }
  return out + "</div>\n" + kPageEnd;
}

}  // namespace striate
