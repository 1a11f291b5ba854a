#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "striate/base/file.h"
#include "striate/base/random.h"

namespace striate {

/// Writes an IDX data set of 28x28 images that can be learnt: a bright bar whose place is the
/// class, on noise. The same images every time.
inline void write_tiny_data(const std::filesystem::path& folder, int64_t train, int64_t test,
                            int64_t classes) {
  const auto write = [&](const std::string& prefix, int64_t count, uint64_t seed) {
    Random random({seed});
    std::string images("\0\0\x08\x03", 4);
    std::string labels("\0\0\x08\x01", 4);
    const auto append = [](std::string& text, int64_t value) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        text += static_cast<char>((value >> shift) & 0xFF);
      }
    };
    for (const int64_t size : {count, int64_t{28}, int64_t{28}}) append(images, size);
    append(labels, count);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t label = i % classes;
      labels += static_cast<char>(label);
      for (int64_t y = 0; y < 28; ++y) {
        for (int64_t x = 0; x < 28; ++x) {
          const bool bar = y / (28 / classes) == label && x > 3 && x < 24;
          images += static_cast<char>(random.below(90) + (bar ? 150 : 0));
        }
      }
    }
    write_file_atomically(folder / (prefix + "-images-idx3-ubyte"), images);
    write_file_atomically(folder / (prefix + "-labels-idx1-ubyte"), labels);
  };
  write("train", train, 1);
  write("t10k", test, 2);
}

}  // namespace striate
