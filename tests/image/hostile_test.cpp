#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>

#include "reference.h"
#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes sample_file(const std::string& name) {
  return read_file(Reference::folder() / "pillow_codec" / name);
}

// The message of the FormatError that decoding must end in.
std::string failure(const Bytes& bytes) {
  try {
    decode_image(bytes, "some/picture");
  } catch (const FormatError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("some/picture: ")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_FALSE(error.hint().empty());
    return message;
  }
  ADD_FAILURE() << "decoded without an error";
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void put_big_endian(Bytes& bytes, size_t at, uint32_t value) {
  for (int i = 0; i < 4; ++i) bytes.at(at + i) = static_cast<uint8_t>(value >> (24 - 8 * i));
}

// Width and height of a PNG's header, with a checksum that fits.
Bytes with_png_size(Bytes bytes, uint32_t width, uint32_t height) {
  put_big_endian(bytes, 16, width);
  put_big_endian(bytes, 20, height);
  put_big_endian(bytes, 29, static_cast<uint32_t>(crc32(0, bytes.data() + 12, 17)));
  return bytes;
}

Bytes with_jpeg_size(Bytes bytes, uint16_t width, uint16_t height) {
  const Bytes marker = {0xFF, 0xC0, 0x00, 0x11};
  const auto found = std::search(bytes.begin(), bytes.end(), marker.begin(), marker.end());
  const auto at = static_cast<size_t>(found - bytes.begin());
  bytes.at(at + 5) = static_cast<uint8_t>(height >> 8);
  bytes.at(at + 6) = static_cast<uint8_t>(height);
  bytes.at(at + 7) = static_cast<uint8_t>(width >> 8);
  bytes.at(at + 8) = static_cast<uint8_t>(width);
  return bytes;
}

TEST(Hostile, AnEmptyFileIsSaidToBeEmpty) {
  EXPECT_TRUE(contains(failure({}), "empty"));
}

TEST(Hostile, AnotherFormatIsNamedByItsFirstBytes) {
  EXPECT_TRUE(contains(failure({'G', 'I', 'F', '8', '9', 'a'}), "47 49 46 38"));
  EXPECT_TRUE(contains(failure({'x'}), "78"));
}

TEST(Hostile, AMissingFileIsAnIoError) {
  EXPECT_THROW(read_image("/no/such/picture.jpg"), IoError);
  EXPECT_THROW(read_image_size("/no/such/picture.jpg"), IoError);
}

TEST(Hostile, AJpegCutInHalfIsAnErrorThatSaysWhere) {
  const Image image = formula_image(320, 240, 3);
  Bytes bytes = encode_jpeg(image, 90);
  bytes.resize(bytes.size() / 2);
  const std::string message = failure(bytes);
  EXPECT_TRUE(contains(message, "at byte " + std::to_string(bytes.size()))) << message;
  EXPECT_TRUE(contains(message, " of 240")) << message;
  // A cut file that some program has ended properly has the end marker, but still half the data.
  bytes.push_back(0xFF);
  bytes.push_back(0xD9);
  EXPECT_TRUE(contains(failure(bytes), " of 240"));
}

TEST(Hostile, EveryCutOfEveryFileIsAnError) {
  for (const auto& entry :
       std::filesystem::directory_iterator(Reference::folder() / "pillow_codec")) {
    const Bytes bytes = read_file(entry.path());
    for (size_t size = 0; size < bytes.size(); size += 13) {
      EXPECT_THROW(decode_image(std::span(bytes).first(size), "cut"), FormatError)
          << entry.path() << " cut to " << size;
    }
  }
}

TEST(Hostile, APngWithAWrongChecksumOrDataIsAnError) {
  const Bytes good = sample_file("rgb.png");
  const Bytes marker = {'I', 'D', 'A', 'T'};
  const auto found = std::search(good.begin(), good.end(), marker.begin(), marker.end());
  const auto data = static_cast<size_t>(found - good.begin()) + 4;
  Bytes bytes = good;
  bytes[data + 40] ^= 0x10;
  EXPECT_TRUE(contains(failure(bytes), "damaged PNG"));
  // The same with a checksum that fits: now zlib has to notice.
  const size_t length = (size_t{good[data - 6]} << 8) + good[data - 5];
  put_big_endian(
      bytes, data + length,
      static_cast<uint32_t>(crc32(0, bytes.data() + data - 4, static_cast<uInt>(length + 4))));
  EXPECT_TRUE(contains(failure(bytes), "damaged PNG"));
}

TEST(Hostile, GiantSizesAreRefusedBeforeAnythingIsAllocated) {
  const Bytes png = sample_file("rgb.png");
  EXPECT_TRUE(contains(failure(with_png_size(png, 0x7FFFFFFF, 0x7FFFFFFF)), "damaged PNG"));
  EXPECT_TRUE(contains(failure(with_png_size(png, 100000, 100000)), "declares 100000x100000"));
  EXPECT_TRUE(contains(failure(with_png_size(png, 16000, 16000)), "too few"));
  const Bytes jpeg = sample_file("rgb_420.jpg");
  EXPECT_TRUE(contains(failure(with_jpeg_size(jpeg, 65000, 65000)), "declares 65000x65000"));
  EXPECT_TRUE(contains(failure(with_jpeg_size(jpeg, 16000, 16000)), "too few"));
  EXPECT_TRUE(contains(failure(with_jpeg_size(jpeg, 0, 16)), "damaged JPEG"));
}

TEST(Hostile, AJpegOfThousandsOfScansIsRefused) {
  // The first scan of a progressive file, made to be complete by itself, over and over.
  const Bytes good = sample_file("grey_progressive.jpg");
  const Bytes start_of_scan = {0xFF, 0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x00};
  const auto find_scan = [&](Bytes::const_iterator from) {
    return std::search(from, good.end(), start_of_scan.begin(), start_of_scan.begin() + 2);
  };
  const auto first =
      std::search(good.begin(), good.end(), start_of_scan.begin(), start_of_scan.end());
  ASSERT_NE(first, good.end());
  Bytes scan(first, find_scan(first + 2));
  scan[9] = 0;  // no bits are left for a later scan
  Bytes bytes(good.begin(), first);
  for (int i = 0; i < 5000; ++i) bytes.insert(bytes.end(), scan.begin(), scan.end());
  bytes.insert(bytes.end(), {0xFF, 0xD9});
  EXPECT_TRUE(contains(failure(bytes), "scans"));
}

// Flips up to eight bits of a file at a time.
void decode_mutations(const std::string& name) {
  const Bytes good = sample_file(name);
  Random random({hash_name(name.c_str())});
  const PixelFormat formats[] = {PixelFormat::kAsStored, PixelFormat::kGrey, PixelFormat::kRgb};
  int decoded = 0;
  for (int i = 0; i < 2000; ++i) {
    Bytes bytes = good;
    for (int64_t flips = 1 + random.below(8); flips > 0; --flips) {
      const auto bit = random.below(static_cast<int64_t>(8 * bytes.size()));
      bytes[static_cast<size_t>(bit / 8)] ^= static_cast<uint8_t>(1 << (bit % 8));
    }
    try {
      const Image image = decode_image(bytes, name, formats[i % 3]);
      ASSERT_EQ(image.pixels.size(),
                static_cast<size_t>(image.width * image.height * image.channels));
      ++decoded;
    } catch (const Error&) {
    }
  }
  EXPECT_LT(decoded, 2000);
}

class Mutations : public testing::TestWithParam<const char*> {};

TEST_P(Mutations, AreAnErrorOrAnImage) {
  decode_mutations(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Hostile, Mutations,
                         testing::Values("rgb_420.jpg", "rgb_progressive.jpg", "grey.jpg",
                                         "rgb_restarts.jpg", "cmyk.jpg", "rgb.png",
                                         "rgb_interlaced.png", "palette_transparent.png",
                                         "rgba_16.png"));

// A PNG's checksums stop most mutations early: here they are made to fit.
TEST(Hostile, MutatedPngsWhoseChecksumsFitAreAnErrorOrAnImage) {
  for (const char* name : {"rgb.png", "rgb_interlaced.png", "palette_4.png", "grey_16.png"}) {
    const Bytes good = sample_file(name);
    Random random({hash_name(name), 1});
    for (int i = 0; i < 2000; ++i) {
      Bytes bytes = good;
      for (int64_t flips = 1 + random.below(4); flips > 0; --flips) {
        const int64_t at = 8 + random.below(static_cast<int64_t>(bytes.size()) - 8);
        bytes[static_cast<size_t>(at)] ^= static_cast<uint8_t>(1 << random.below(8));
      }
      for (size_t at = 8; at + 12 <= bytes.size();) {
        const size_t length = (size_t{bytes[at]} << 24) + (size_t{bytes[at + 1]} << 16) +
                              (size_t{bytes[at + 2]} << 8) + bytes[at + 3];
        if (length > bytes.size() - at - 12) break;
        const auto sum = crc32(0, bytes.data() + at + 4, static_cast<uInt>(length + 4));
        put_big_endian(bytes, at + 8 + length, static_cast<uint32_t>(sum));
        at += length + 12;
      }
      try {
        decode_image(bytes, name, PixelFormat::kAsStored);
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace striate
