#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {

/// `masks:` data of twelve images, two of each size, with a bright square each.
inline void write_marked_squares(const std::filesystem::path& folder) {
  constexpr std::array<ImageSize, 2> kSizes = {{{48, 48}, {64, 40}}};
  for (int64_t i = 0; i < 12; ++i) {
    const ImageSize& size = kSizes[static_cast<size_t>(i % 2)];
    Image image = make_image(size.width, size.height, 3);
    Image mask = make_image(size.width, size.height, 1);
    const int64_t left = 4 + 3 * (i % 4);
    const int64_t top = 6 + 2 * (i % 3);
    for (int64_t y = top; y < top + 20; ++y) {
      for (int64_t x = left; x < left + 20; ++x) {
        for (int64_t c = 0; c < 3; ++c) image.row(y)[3 * x + c] = 230;
        mask.row(y)[x] = 255;
      }
    }
    const std::filesystem::path own = folder / ("square" + std::to_string(i));
    std::filesystem::create_directories(own / "images");
    std::filesystem::create_directories(own / "masks");
    write_file_atomically(own / "images" / "square.png", encode_png(image));
    write_file_atomically(own / "masks" / "0.png", encode_png(mask));
  }
}

}  // namespace striate
