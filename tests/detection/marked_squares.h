#pragma once

#include <filesystem>
#include <string>

#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {

inline constexpr int64_t kMarkedSquares = 12;

/// A square of 20 pixels and the size of its image.
struct MarkedSquare {
  ImageSize image;
  int64_t left = 0;
  int64_t top = 0;
};

inline MarkedSquare marked_square(int64_t i) {
  return {.image = i % 2 == 0 ? ImageSize{48, 48} : ImageSize{64, 40},
          .left = 4 + 3 * (i % 4),
          .top = 6 + 2 * (i % 3)};
}

/// `masks:` data of twelve images of two sizes, with a bright square each.
inline void write_marked_squares(const std::filesystem::path& folder) {
  for (int64_t i = 0; i < kMarkedSquares; ++i) {
    const MarkedSquare square = marked_square(i);
    Image image = make_image(square.image.width, square.image.height, 3);
    Image mask = make_image(square.image.width, square.image.height, 1);
    for (int64_t y = square.top; y < square.top + 20; ++y) {
      for (int64_t x = square.left; x < square.left + 20; ++x) {
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
