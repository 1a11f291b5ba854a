#pragma once

#include <string>

namespace striate {

/// The style sheet of a report's page, without that of its plots.
extern const char* const kPageStyle;

/// The beginning of a self-contained page, up to its title. @param style  what it adds.
std::string page_head(const std::string& title, const std::string& style);
inline constexpr const char* kPageEnd = "</main>\n</body>\n</html>\n";

}  // namespace striate
