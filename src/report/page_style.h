#pragma once

namespace striate {

/// The style sheet of a report's page, without that of its plots.
extern const char* const kPageStyle;

}  // namespace striate
