#pragma once

#include <string>
#include <string_view>

#include "striate/base/json.h"

namespace striate {

/// The page that `look_page_html` fills: HTML with one place for a report. "" when the build had
/// no Node.js to make it.
std::string_view page_template();

/// The page that shows what is inside a network: one HTML file that needs no network and no other
/// file. web/README.md says what a report holds; the page leaves out what is missing. Bytes that
/// are not UTF-8 become U+FFFD.
/// @throws Error  this build has no page.
std::string look_page_html(const Json& report);

}  // namespace striate
