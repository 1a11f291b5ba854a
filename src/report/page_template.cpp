#include <cstddef>

#include "striate/report/look_page.h"

namespace striate {

#ifdef STRIATE_PAGE_FILE

// The assembler reads the file: a string literal of this length takes the compiler many seconds.
__asm__(
    ".pushsection .rodata\n"
    "striate_page_begin:\n"
    ".incbin \"" STRIATE_PAGE_FILE
    "\"\n"
    "striate_page_end:\n"
    ".popsection\n");

extern "C" const char striate_page_begin[];
extern "C" const char striate_page_end[];

std::string_view page_template() {
  return {striate_page_begin, static_cast<size_t>(striate_page_end - striate_page_begin)};
}

#else

std::string_view page_template() {
  return "";
}

#endif

}  // namespace striate
