// Decoding a part of a file, decoding it smaller, and resizing a part.
#include <gtest/gtest.h>
// jpeglib.h uses FILE and size_t without including what declares them.
#include <cstdio>
#include <cstdlib>
//
#include <jpeglib.h>

#include <stdexcept>

#include "reference.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"
#include "striate/image/pending.h"
#include "striate/image/resize.h"

namespace striate {
namespace {

struct JpegKind {
  const char* name;
  int horizontal = 1;  // how many luma samples there are for one of colour
  int vertical = 1;
  int channels = 3;
  bool is_progressive = false;
  bool is_arithmetic = false;
};

const JpegKind kKinds[] = {
    {.name = "4:4:4"},
    {.name = "4:2:2", .horizontal = 2},
    {.name = "4:2:0", .horizontal = 2, .vertical = 2},
    {.name = "4:4:0", .vertical = 2},
    {.name = "4:1:1", .horizontal = 4},
    {.name = "4:1:0", .horizontal = 4, .vertical = 2},
    {.name = "grey", .channels = 1},
    {.name = "4:2:0 progressive", .horizontal = 2, .vertical = 2, .is_progressive = true},
    {.name = "4:2:2 progressive", .horizontal = 2, .is_progressive = true},
    {.name = "grey progressive", .channels = 1, .is_progressive = true},
    {.name = "4:2:0 arithmetic", .horizontal = 2, .vertical = 2, .is_arithmetic = true},
};

// Colours that change everywhere, with noise.
Image busy_image(int64_t width, int64_t height, int64_t channels) {
  Image image = make_image(width, height, channels);
  Random random({static_cast<uint64_t>(width), static_cast<uint64_t>(height)});
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t i = 0; i < width * channels; ++i) {
      const int64_t x = i / channels;
      const int64_t value = (i % channels + 1) * x * 2 + (3 - i % channels) * y + random.below(60);
      image.row(y)[i] = static_cast<uint8_t>(value % 256);
    }
  }
  return image;
}

std::vector<uint8_t> encode(const Image& image, const JpegKind& kind) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size_bytes = 0;
  jpeg_mem_dest(&info, &buffer, &size_bytes);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = static_cast<int>(image.channels);
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 90, TRUE);
  if (image.channels == 3) {
    info.comp_info[0].h_samp_factor = kind.horizontal;
    info.comp_info[0].v_samp_factor = kind.vertical;
  }
  info.arith_code = kind.is_arithmetic ? TRUE : FALSE;
  if (kind.is_progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(image.row(info.next_scanline));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  const std::vector<uint8_t> bytes(buffer, buffer + size_bytes);
  jpeg_destroy_compress(&info);
  std::free(buffer);
  return bytes;
}

Rectangle random_rectangle(const ImageSize& size, Random& random) {
  Rectangle part;
  part.width = 1 + random.below(size.width);
  part.height = 1 + random.below(size.height);
  part.x = random.below(size.width - part.width + 1);
  part.y = random.below(size.height - part.height + 1);
  return part;
}

// Whole, corners, single pixels and rows, and random parts.
std::vector<Rectangle> parts_of(const ImageSize& size, int64_t random_parts) {
  const auto [w, h] = size;
  std::vector<Rectangle> parts = {{0, 0, w, h},         {0, 0, 1, 1},         {w - 1, h - 1, 1, 1},
                                  {w / 2, h / 2, 1, 1}, {0, h - 1, w, 1},     {w - 1, 0, 1, h},
                                  {0, h / 2, w, 1},     {1, 1, w - 2, h - 2}, {w / 2, 0, w / 2, h}};
  Random random({static_cast<uint64_t>(w * h)});
  for (int64_t i = 0; i < random_parts; ++i) parts.push_back(random_rectangle(size, random));
  return parts;
}

std::string name_of(const Rectangle& part) {
  return std::to_string(part.width) + "x" + std::to_string(part.height) + " at " +
         std::to_string(part.x) + "," + std::to_string(part.y);
}

TEST(Part, OfAJpegIsTheCropOfTheWholeForEverySamplingAndScale) {
  int64_t compared = 0;
  for (const JpegKind& kind : kKinds) {
    const Image source = busy_image(133, 101, kind.channels);
    const std::vector<uint8_t> file = encode(source, kind);
    for (const int64_t scale : {1, 2, 4, 8}) {
      const Image whole = decode_image(file, kind.name, DecodeOptions{.scale = scale});
      const ImageSize size = {whole.width, whole.height};
      EXPECT_EQ(size, (ImageSize{(133 + scale - 1) / scale, (101 + scale - 1) / scale}));
      for (const Rectangle& part : parts_of(size, 60)) {
        const Image decoded =
            decode_image(file, kind.name, DecodeOptions{.scale = scale, .part = part});
        ASSERT_EQ(decoded.pixels, crop(whole, part).pixels)
            << kind.name << ", 1/" << scale << ", " << name_of(part);
        ++compared;
      }
    }
  }
  EXPECT_EQ(compared, 11 * 4 * 69);
}

TEST(Part, OfEveryKindOfFileIsTheCropOfTheWhole) {
  for (const auto& entry :
       std::filesystem::directory_iterator(Reference::folder() / "pillow_codec")) {
    const std::vector<uint8_t> file = read_file(entry.path());
    for (const PixelFormat format :
         {PixelFormat::kRgb, PixelFormat::kGrey, PixelFormat::kAsStored}) {
      const Image whole = decode_image(file, entry.path().string(), format);
      for (const Rectangle& part : parts_of({whole.width, whole.height}, 4)) {
        const Image decoded = decode_image(file, entry.path().string(),
                                           DecodeOptions{.format = format, .part = part});
        EXPECT_EQ(decoded.channels, whole.channels);
        EXPECT_EQ(decoded.pixels, crop(whole, part).pixels) << entry.path() << name_of(part);
      }
    }
  }
}

// A smooth picture: the mean of the pixels that become one is what a smaller decode is about.
TEST(Part, AScaledJpegIsNearTheMeansOfTheWhole) {
  constexpr double kTolerance = 6;  // quantisation, and colours that are stored at half resolution
  Image source = make_image(160, 96, 3);
  for (int64_t y = 0; y < 96; ++y) {
    for (int64_t x = 0; x < 160; ++x) {
      uint8_t* pixel = source.row(y) + 3 * x;
      pixel[0] = static_cast<uint8_t>(x + y / 2);
      pixel[1] = static_cast<uint8_t>(255 - x);
      pixel[2] = static_cast<uint8_t>(2 * y);
    }
  }
  const std::vector<uint8_t> file = encode_jpeg(source, 95);
  for (const int64_t scale : {2, 4, 8}) {
    const Image small = decode_image(file, "made", DecodeOptions{.scale = scale});
    const Image means = resize(
        source, {.width = 160 / scale, .height = 96 / scale, .interpolation = Interpolation::kBox});
    EXPECT_LE(max_difference(small.pixels, means.pixels), kTolerance) << scale;
  }
}

TEST(Part, RefusesPartsOutsideAndOtherScales) {
  const std::vector<uint8_t> jpeg = encode_jpeg(make_image(20, 10, 3), 90);
  const std::vector<uint8_t> png = encode_png(make_image(20, 10, 3));
  const auto decode = [](const std::vector<uint8_t>& file, const DecodeOptions& options) {
    return decode_image(file, "made", options);
  };
  for (const Rectangle& part :
       {Rectangle{0, 0, 21, 1}, Rectangle{1, 0, 20, 10}, Rectangle{-1, 0, 5, 5},
        Rectangle{0, 0, 0, 5}, Rectangle{0, 10, 1, 1}, Rectangle{INT64_MAX, 0, 1, 1}}) {
    EXPECT_THROW(decode(jpeg, {.part = part}), std::invalid_argument) << name_of(part);
    EXPECT_THROW(decode(png, {.part = part}), std::invalid_argument) << name_of(part);
  }
  EXPECT_THROW(decode(jpeg, {.scale = 2, .part = Rectangle{0, 0, 11, 5}}), std::invalid_argument);
  for (const int64_t scale : {0, 3, 16, -1}) {
    EXPECT_THROW(decode(jpeg, {.scale = scale}), std::invalid_argument) << scale;
  }
  EXPECT_THROW(decode(png, {.scale = 2}), std::invalid_argument);
}

TEST(Part, ACutFileIsAnErrorWhereThePartIsMissingAndOnlyThere) {
  const std::vector<uint8_t> file = encode(busy_image(128, 256, 3), kKinds[2]);
  const std::span<const uint8_t> half = std::span(file).first(file.size() / 2);
  const auto decode = [&](const Rectangle& part) {
    return decode_image(half, "cut", DecodeOptions{.part = part});
  };
  EXPECT_EQ(decode({3, 5, 40, 40}).height, 40);
  EXPECT_THROW(decode({3, 200, 40, 40}), FormatError);
  EXPECT_THROW(decode({3, 5, 40, 240}), FormatError);
}

TEST(Part, APendingImageKnowsItsSizeAndGivesItsParts) {
  const Image source = busy_image(61, 47, 3);
  const Rectangle part = {5, 7, 31, 22};
  const Image expected = crop(source, part);
  const PendingImage kept(source);
  const PendingImage seen(
      ImageView{.pixels = source.pixels.data(), .width = 61, .height = 47, .channels = 3});
  const PendingImage file(encode_png(source), "made", PixelFormat::kRgb);
  for (const PendingImage* image : {&kept, &seen, &file}) {
    EXPECT_EQ(image->size(), (ImageSize{61, 47}));
    EXPECT_EQ(image->channels(), 3);
    EXPECT_EQ(image->decode(part).pixels, expected.pixels);
    EXPECT_FALSE(image->has_scales());
  }
  EXPECT_EQ(file.view().pixels, nullptr);
  EXPECT_EQ(seen.view().pixels, source.pixels.data());
  const PendingImage jpeg(encode_jpeg(source, 90), "made", PixelFormat::kGrey);
  EXPECT_TRUE(jpeg.has_scales());
  EXPECT_EQ(jpeg.channels(), 1);
  EXPECT_EQ(jpeg.decode({1, 2, 6, 4}, 8).pixels.size(), 24U);
  EXPECT_THROW(kept.decode(part, 2), std::invalid_argument);
  EXPECT_THROW(PendingImage({}, "made", PixelFormat::kRgb), FormatError);
  EXPECT_THROW(PendingImage(encode_png(source), "made", PixelFormat::kAsStored),
               std::invalid_argument);
}

TEST(Part, OfAResizeIsTheCropOfTheWholeResize) {
  const Image source = busy_image(61, 47, 4);
  for (const Interpolation interpolation :
       {Interpolation::kNearest, Interpolation::kBilinear, Interpolation::kBicubic,
        Interpolation::kLanczos, Interpolation::kBox}) {
    for (const ImageSize& size : {ImageSize{30, 23}, ImageSize{61, 20}, ImageSize{90, 47},
                                  ImageSize{100, 5}, ImageSize{61, 47}, ImageSize{7, 120}}) {
      for (const bool has_box : {false, true}) {
        ResizeOptions options{size.width, size.height, interpolation};
        if (has_box) options.box = SourceBox{3.5, 2.25, 50.75, 44};
        const Image whole = resize(source, options);
        for (const Rectangle& part : parts_of(size, 3)) {
          const PartialResize partial({61, 47}, options, part);
          const Image result = partial.apply(crop(source, partial.source_part()));
          ASSERT_EQ(result.pixels, crop(whole, part).pixels)
              << size.width << "x" << size.height << ", " << name_of(part);
        }
      }
    }
  }
  const PartialResize partial({61, 47}, {.width = 30, .height = 20}, {10, 5, 4, 4});
  EXPECT_LT(partial.source_part().width, 20);
  EXPECT_THROW(partial.apply(source), std::invalid_argument);
  EXPECT_THROW(PartialResize({61, 47}, {.width = 30, .height = 20}, {27, 5, 4, 4}),
               std::invalid_argument);
}

}  // namespace
}  // namespace striate
