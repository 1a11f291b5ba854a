#include "striate/report/look_page.h"

#include <stdexcept>

namespace striate {
namespace {

constexpr std::string_view kPlaceholder = "/*REPORT*/";

// JSON as the text of a script element: "</script>" in a name must not end it.
void append_for_script(std::string& out, const std::string& json) {
  for (char character : json) {
    if (character == '<') {
      out += "\\u003c";
    } else {
      out += character;
    }
  }
}

}  // namespace

std::string look_page_html(const Json& report) {
  const std::string_view page = page_template();
  if (page.empty())
    throw Error("this build of striate has no page for reports",
                "install Node.js and npm, run tools/setup.sh, and configure and build again");
  const size_t at = page.find(kPlaceholder);
  if (at == std::string_view::npos) throw std::logic_error("the page has no place for a report");
  const std::string json =
      report.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  std::string out;
  out.reserve(page.size() + json.size());
  out += page.substr(0, at);
  append_for_script(out, json);
  out += page.substr(at + kPlaceholder.size());
  return out;
}

}  // namespace striate
