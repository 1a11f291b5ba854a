#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "striate/base/file.h"
#include "striate/image/codec.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/run.h"

namespace striate {

struct Square {
  int level = 250;   ///< the square's grey
  bool left = true;  ///< in the left half
  int ground = 0;    ///< the grey around it
};

inline void write_square(const std::filesystem::path& path, const Square& square) {
  constexpr int64_t kSide = 32;
  Image image{.width = kSide, .height = kSide, .channels = 1, .pixels = {}};
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      const bool inside = y > 8 && y < 24 && (x < kSide / 2) == square.left;
      image.pixels.push_back(static_cast<uint8_t>(inside ? square.level : square.ground));
    }
  }
  write_file_atomically(path, encode_png(image));
}

/// Twelve images with two equal captions each, in the form of captions.tsv: eight for training, two
/// for validation, two for the test. Beside them encoder.safetensors, a LeNet-5 that has learned
/// nothing.
inline void write_captioned_squares(const std::filesystem::path& folder) {
  std::string table = "split\timage\tcaption\n";
  for (int i = 0; i < 12; ++i) {
    const bool bright = i % 2 == 0;
    const bool left = i % 4 < 2;
    const std::string name = std::to_string(i) + ".png";
    write_square(folder / "images" / name, {.level = bright ? 250 : 90, .left = left, .ground = i});
    const std::string split = i < 8 ? "train" : i < 10 ? "val" : "test";
    const std::string caption = std::string(bright ? "a bright square" : "one dark box") +
                                (left ? " on the left" : " to its right");
    for (int twice = 0; twice < 2; ++twice) table += split + "\t" + name + "\t" + caption + "\n";
  }
  write_file_atomically(folder / "captions.tsv", table);
  const ModelEntry& lenet = find_model("lenet5");
  const Network network(lenet.build(lenet.defaults), 1);
  Weights weights = weights_of(network);
  weights.metadata = to_metadata({.model = lenet.name,
                                  .input = lenet.defaults.input,
                                  .class_names = std::vector<std::string>(10, "digit"),
                                  .preprocessing = named_preprocessing(lenet.preprocess)});
  write_safetensors(weights, folder / "encoder.safetensors");
}

}  // namespace striate
