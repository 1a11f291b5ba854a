// Packed data sets: 8 bytes "STRPACK1", the header's length (8 bytes, little-endian), the header
// (JSON), a label of 4 bytes (little-endian) for each image, training images first, and at the next
// multiple of 64 bytes the images, one after the other, as `Image` has them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "data/kinds.h"
#include "data/prepare.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/base/json.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr std::array<uint8_t, 8> kMagic = {'S', 'T', 'R', 'P', 'A', 'C', 'K', '1'};
constexpr int64_t kPrefixBytes = 16;
constexpr int64_t kLabelBytes = 4;
constexpr int64_t kAlignment = 64;

template <size_t kBytes>
std::array<uint8_t, kBytes> little_endian(uint64_t value) {
  std::array<uint8_t, kBytes> bytes{};
  for (size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
  return bytes;
}

uint64_t read_little_endian(std::span<const uint8_t> bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | bytes[i - 1];
  return value;
}

int64_t aligned(int64_t position) {
  return (position + kAlignment - 1) / kAlignment * kAlignment;
}

struct Header {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 0;
  int64_t training_images = 0;
  int64_t test_images = 0;  // 0: both splits are the training images
  std::vector<std::string> class_names;

  int64_t images() const { return training_images + test_images; }
  int64_t image_bytes() const { return width * height * channels; }
};

FormatError damaged_pack(const fs::path& path, const std::string& problem) {
  return FormatError(fmt::format("{}: {}", path.string(), problem),
                     "make the file again: striate data pack SOURCE FILE");
}

Header parse_header(const std::string& text, const fs::path& path) {
  const std::string where = path.string() + ": header";
  const Json json = parse_json(text, where);
  JsonReader reader(json, where);
  Header header{.width = reader.get<int64_t>("width"),
                .height = reader.get<int64_t>("height"),
                .channels = reader.get<int64_t>("channels"),
                .training_images = reader.get<int64_t>("training_images"),
                .test_images = reader.get<int64_t>("test_images"),
                .class_names = reader.get<std::vector<std::string>>("class_names")};
  reader.finish();
  const bool has_channels = header.channels == 1 || header.channels == 3 || header.channels == 4;
  if (header.width < 1 || header.height < 1 || header.width > kMaxImagePixels / header.height ||
      !has_channels) {
    throw damaged_pack(path, fmt::format("the header declares images of {}x{} with {} channels",
                                         header.width, header.height, header.channels));
  }
  constexpr int64_t kMostImages = int64_t{1} << 31;
  if (header.training_images < 1 || header.training_images > kMostImages ||
      header.test_images < 0 || header.test_images > kMostImages) {
    throw damaged_pack(path, fmt::format("the header declares {} training and {} test images",
                                         header.training_images, header.test_images));
  }
  return header;
}

std::string to_text(const Header& header) {
  const Json json = {{"width", header.width},
                     {"height", header.height},
                     {"channels", header.channels},
                     {"training_images", header.training_images},
                     {"test_images", header.test_images},
                     {"class_names", header.class_names}};
  // Names of folders need not be UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// A mapped file whose header fits its length.
class PackFile {
 public:
  explicit PackFile(const fs::path& path) : path_(path), file_(path) {
    const auto size = static_cast<int64_t>(bytes().size());
    if (size < kPrefixBytes || !std::equal(kMagic.begin(), kMagic.end(), bytes().begin())) {
      throw FormatError(
          fmt::format("{} is no packed data set: it does not start with STRPACK1", path.string()),
          "striate data pack SOURCE FILE makes one");
    }
    const uint64_t header_bytes = read_little_endian(bytes().subspan(8, 8));
    if (header_bytes > static_cast<uint64_t>(size - kPrefixBytes)) {
      throw damaged_pack(path, fmt::format("the header of {} bytes does not fit the file's {}",
                                           header_bytes, size));
    }
    labels_start_ = kPrefixBytes + static_cast<int64_t>(header_bytes);
    const auto text = bytes().subspan(kPrefixBytes, header_bytes);
    header_ = parse_header({text.begin(), text.end()}, path);
    pixels_start_ = aligned(labels_start_ + header_.images() * kLabelBytes);
    // Divided, since the product may not fit 64 bits.
    const int64_t rest = size - pixels_start_;
    if (rest < 0 || rest / header_.image_bytes() != header_.images() ||
        rest % header_.image_bytes() != 0) {
      throw damaged_pack(
          path, fmt::format("{} images of {} bytes and their labels do not make the file's {} "
                            "bytes: it is cut short or damaged",
                            header_.images(), header_.image_bytes(), size));
    }
  }

  const Header& header() const { return header_; }
  const fs::path& path() const { return path_; }

  int64_t label(int64_t image) const {
    const int64_t start = labels_start_ + image * kLabelBytes;
    return static_cast<int64_t>(
        read_little_endian(bytes().subspan(static_cast<size_t>(start), kLabelBytes)));
  }

  const uint8_t* pixels(int64_t image) const {
    return bytes().data() + pixels_start_ + image * header_.image_bytes();
  }

 private:
  std::span<const uint8_t> bytes() const { return file_.bytes(); }

  fs::path path_;
  MappedFile file_;
  Header header_;
  int64_t labels_start_ = 0;
  int64_t pixels_start_ = 0;
};

class Pack final : public Dataset {
 public:
  Pack(const fs::path& path, Split split) : file_(path) {
    const Header& header = file_.header();
    const bool is_test = split == Split::kTest && header.test_images > 0;
    first_ = is_test ? header.training_images : 0;
    const int64_t count = is_test ? header.test_images : header.training_images;
    const auto classes = static_cast<int64_t>(header.class_names.size());
    for (int64_t i = 0; i < count; ++i) {
      labels_.push_back(file_.label(first_ + i));
      if (labels_.back() < classes) continue;
      throw damaged_pack(path, fmt::format("image {} has a label {}, there are {} classes",
                                           first_ + i, labels_.back(), classes));
    }
  }

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }

  Sample sample(int64_t index) const override {
    const PendingSample undecoded = pending(index);
    const ImageSize size = undecoded.image.size();
    return {.image = undecoded.image.decode({.width = size.width, .height = size.height}),
            .label = undecoded.label};
  }

  PendingSample pending(int64_t index) const override {
    const Header& header = file_.header();
    const int64_t class_number = label(index);
    const ImageView view{.pixels = file_.pixels(first_ + index),
                         .width = header.width,
                         .height = header.height,
                         .channels = header.channels};
    return {.image = view, .label = class_number};
  }

  int64_t label(int64_t index) const override { return labels_.at(static_cast<size_t>(index)); }
  std::string origin(int64_t index) const override {
    return fmt::format("{} image {}", file_.path().string(), first_ + index);
  }
  const std::vector<std::string>& class_names() const override {
    return file_.header().class_names;
  }

 private:
  PackFile file_;
  int64_t first_ = 0;
  std::vector<int64_t> labels_;
};

// The data sets of a source in the order of the file.
std::vector<std::unique_ptr<Dataset>> open_splits(const std::string& spelling) {
  std::vector<std::unique_ptr<Dataset>> splits;
  splits.push_back(open_dataset(spelling, Split::kTrain));
  if (has_test_images(spelling)) splits.push_back(open_dataset(spelling, Split::kTest));
  return splits;
}

std::vector<uint8_t> labels_of(const std::vector<std::unique_ptr<Dataset>>& splits) {
  std::vector<uint8_t> bytes;
  for (const auto& split : splits) {
    for (int64_t i = 0; i < split->size(); ++i) {
      const auto label = little_endian<kLabelBytes>(static_cast<uint64_t>(split->label(i)));
      bytes.insert(bytes.end(), label.begin(), label.end());
    }
  }
  return bytes;
}

Image read_for_pack(const Dataset& data, int64_t index, const Preparation& preparation) {
  Random unused({0});
  return preparation.prepare(data.pending(index).image, unused).images.front().image();
}

void check_shape(const Image& image, const Header& header, const std::string& origin) {
  if (image.width == header.width && image.height == header.height &&
      image.channels == header.channels) {
    return;
  }
  throw ShapeError(fmt::format("{} is {}x{} with {} channels, the first image {}x{} with {}",
                               origin, image.width, image.height, image.channels, header.width,
                               header.height, header.channels),
                   "a pack has images of one size: give --size N to scale and crop them to NxN");
}

}  // namespace

bool pack_has_test_images(const fs::path& file) {
  return PackFile(file).header().test_images > 0;
}

std::unique_ptr<Dataset> open_pack(const fs::path& file, Split split) {
  return std::make_unique<Pack>(file, split);
}

void write_pack(const std::string& spelling, const fs::path& file, const PackOptions& options) {
  std::vector<Transform> transforms;
  if (options.size != 0) {
    transforms = {transforms::Resize{.size = options.size},
                  transforms::CenterCrop{.size = options.size}};
  }
  const Preparation preparation(Preprocessing(transforms).transforms());
  const std::vector<std::unique_ptr<Dataset>> splits = open_splits(spelling);
  const Image first = read_for_pack(*splits[0], 0, preparation);
  const Header header{.width = first.width,
                      .height = first.height,
                      .channels = first.channels,
                      .training_images = splits[0]->size(),
                      .test_images = splits.size() > 1 ? splits[1]->size() : 0,
                      .class_names = splits[0]->class_names()};
  const std::string text = to_text(header);
  write_file_atomically(file, [&](const Append& append) {
    append(kMagic);
    append(little_endian<8>(text.size()));
    append({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    append(labels_of(splits));
    const int64_t labels_end =
        kPrefixBytes + static_cast<int64_t>(text.size()) + header.images() * kLabelBytes;
    append(std::vector<uint8_t>(static_cast<size_t>(aligned(labels_end) - labels_end)));
    for (const auto& split : splits) {
      for (int64_t i = 0; i < split->size(); ++i) {
        const Image image = read_for_pack(*split, i, preparation);
        check_shape(image, header, split->origin(i));
        append(image.pixels);
      }
    }
  });
}

}  // namespace striate
