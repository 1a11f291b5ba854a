#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>

#include "striate/base/file.h"
#include "striate/base/json.h"
#include "striate/image/image.h"

namespace striate {

/// What tools/reference/pillow.py wrote: cases in JSON and their bytes.
class Reference final {
 public:
  explicit Reference(const std::string& name)
      : json_(read_json(folder() / (name + ".json"))),
        bytes_(read_file(folder() / (name + ".bin"))) {}

  static std::filesystem::path folder() {
    return std::filesystem::path(STRIATE_SOURCE_DIR) / "tests" / "reference";
  }

  const Json& cases() const { return json_.at("cases"); }

  std::span<const uint8_t> blob(const Json& item, const char* name) const {
    const auto place = item.at(name).get<std::pair<size_t, size_t>>();
    return std::span(bytes_).subspan(place.first, place.second);
  }

 private:
  Json json_;
  std::vector<uint8_t> bytes_;
};

/// ((x x (3 + c) + 5 x y + 11 y y + 40 c) >> 3) mod 256, as in pillow.py.
inline Image formula_image(int64_t width, int64_t height, int64_t channels) {
  Image image = make_image(width, height, channels);
  auto out = image.pixels.begin();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < channels; ++c) {
        *out++ = static_cast<uint8_t>((x * x * (3 + c) + 5 * x * y + 11 * y * y + 40 * c) >> 3);
      }
    }
  }
  return image;
}

/// The greatest difference between bytes; 256 if there are not equally many.
inline int max_difference(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  if (a.size() != b.size()) return 256;
  int greatest = 0;
  for (size_t i = 0; i < a.size(); ++i) greatest = std::max(greatest, std::abs(a[i] - b[i]));
  return greatest;
}

inline uint32_t checksum(const Image& image) {
  return static_cast<uint32_t>(
      crc32(0, image.pixels.data(), static_cast<uInt>(image.pixels.size())));
}

/// Compares with a case that holds every 97th byte and a checksum: all bytes must be equal.
inline void expect_equal_to_case(const Reference& reference, const Json& item, const Image& image) {
  constexpr size_t kSampleStep = 97;
  std::vector<uint8_t> samples;
  for (size_t i = 0; i < image.pixels.size(); i += kSampleStep) samples.push_back(image.pixels[i]);
  EXPECT_EQ(max_difference(samples, reference.blob(item, "samples")), 0) << item;
  EXPECT_EQ(checksum(image), item.at("crc32").get<uint32_t>()) << item;
}

}  // namespace striate
