// Written GIFs, read by giflib.
#include <gif_lib.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "striate/image/codec.h"

namespace striate {
namespace {

struct Source {
  const std::vector<uint8_t>& bytes;
  size_t position = 0;
};

int take_bytes(GifFileType* file, GifByteType* out, int count) {
  auto* source = static_cast<Source*>(file->UserData);
  const size_t left = source->bytes.size() - source->position;
  const size_t taken = std::min(left, static_cast<size_t>(count));
  std::memcpy(out, source->bytes.data() + source->position, taken);
  source->position += taken;
  return static_cast<int>(taken);
}

struct Decoded {
  std::vector<Image> frames;
  std::vector<int> centiseconds;
};

Decoded decode(const std::vector<uint8_t>& bytes) {
  Source source{bytes};
  GifFileType* const file = DGifOpen(&source, take_bytes, nullptr);
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(DGifSlurp(file), GIF_OK);
  Decoded decoded;
  for (int k = 0; k < file->ImageCount; ++k) {
    const SavedImage& saved = file->SavedImages[k];
    Image image = make_image(saved.ImageDesc.Width, saved.ImageDesc.Height, 3);
    for (size_t i = 0; i < image.pixels.size() / 3; ++i) {
      const GifColorType color = saved.ImageDesc.ColorMap->Colors[saved.RasterBits[i]];
      image.pixels[3 * i] = color.Red;
      image.pixels[3 * i + 1] = color.Green;
      image.pixels[3 * i + 2] = color.Blue;
    }
    decoded.frames.push_back(image);
    GraphicsControlBlock control{};
    EXPECT_EQ(DGifSavedExtensionToGCB(file, k, &control), GIF_OK);
    decoded.centiseconds.push_back(control.DelayTime);
  }
  DGifCloseFile(file, nullptr);
  return decoded;
}

TEST(EncodeGif, KeepsFramesOfFewColorsAsTheyAre) {
  std::vector<Image> frames;
  for (int k = 0; k < 3; ++k) {
    Image frame = make_image(16, 16, 3);
    for (size_t i = 0; i < 256; ++i) {
      for (size_t c = 0; c < 3; ++c) frame.pixels[3 * i + c] = static_cast<uint8_t>(i);
    }
    frame.pixels[0] = static_cast<uint8_t>(100 * k);  // in place of the only black
    frames.push_back(frame);
  }
  const Decoded decoded = decode(encode_gif(frames, 20));
  ASSERT_EQ(decoded.frames.size(), 3U);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(decoded.frames[k].pixels, frames[k].pixels) << k;
    EXPECT_EQ(decoded.centiseconds[k], 20);
  }
}

TEST(EncodeGif, OfOneColorOrGreyIsPossible) {
  const Decoded black = decode(encode_gif(std::vector{make_image(3, 2, 3)}, 1));
  EXPECT_EQ(black.frames.at(0).pixels, make_image(3, 2, 3).pixels);
  Image grey = make_image(2, 1, 1);
  grey.pixels = {7, 250};
  EXPECT_EQ(decode(encode_gif(std::vector{grey}, 1)).frames.at(0).pixels,
            (std::vector<uint8_t>{7, 7, 7, 250, 250, 250}));
}

TEST(EncodeGif, DropsAsFewBitsAsManyColorsTake) {
  Image frame = make_image(20, 20, 3);
  for (size_t i = 0; i < 400; ++i) {
    const auto value = static_cast<uint8_t>(i % 256);
    frame.pixels[3 * i] = value;
    frame.pixels[3 * i + 1] = value;
    frame.pixels[3 * i + 2] = i < 256 ? value : static_cast<uint8_t>(255 - value);
  }
  const Image got = decode(encode_gif(std::vector{frame}, 1)).frames.at(0);
  int largest = 0;
  for (size_t i = 0; i < got.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(int{got.pixels[i]} - int{frame.pixels[i]}));
  }
  EXPECT_EQ(largest, 1);
  EXPECT_EQ(got.pixels[0], 0);
  EXPECT_EQ(got.pixels[3 * 255], 255);
}

TEST(EncodeGif, RefusesWhatIsNoAnimation) {
  EXPECT_THROW(encode_gif({}, 10), std::invalid_argument);
  EXPECT_THROW(encode_gif(std::vector{make_image(2, 2, 3), make_image(2, 3, 3)}, 10),
               std::invalid_argument);
  EXPECT_THROW(encode_gif(std::vector{make_image(2, 2, 3)}, 0), std::invalid_argument);
  EXPECT_THROW(encode_gif(std::vector{make_image(2, 2, 3)}, 65536), std::invalid_argument);
  EXPECT_THROW(encode_gif(std::vector{Image{4, 4, 3, {1, 2, 3}}}, 10), std::invalid_argument);
  EXPECT_THROW(encode_gif(std::vector{make_image(65536, 1, 1)}, 10), std::invalid_argument);
}

}  // namespace
}  // namespace striate
