#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "striate/image/image.h"

namespace striate {

/// RFC 4648, section 4, with padding.
std::string base64(std::span<const uint8_t> bytes);

/// An `<img>` that holds its picture: a small one is shown enlarged with square pixels, a large one
/// is stored reduced. @param alt  already escaped.
/// @throws std::invalid_argument  the pixels do not fit the image's size.
std::string picture_markup(const Image& image, const std::string& alt);

}  // namespace striate
