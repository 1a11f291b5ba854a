// The files of COCO, https://cocodataset.org/#format-data and #format-results.

#include "detection/coco_json.h"

#include <fmt/format.h>

#include <map>
#include <stdexcept>

#include "detection/mask_runs.h"
#include "striate/base/file.h"
#include "striate/base/json.h"

namespace striate {
namespace {

enum class Field {
  kOther,
  kId,
  kImageId,
  kCategoryId,
  kWidth,
  kHeight,
  kCrowd,
  kArea,
  kScore,
  kName,
  kFileName,
  kBox,
  kSegmentation,
};

const std::map<std::string, Field>& fields() {
  static const std::map<std::string, Field> names = {{"id", Field::kId},
                                                     {"image_id", Field::kImageId},
                                                     {"category_id", Field::kCategoryId},
                                                     {"width", Field::kWidth},
                                                     {"height", Field::kHeight},
                                                     {"iscrowd", Field::kCrowd},
                                                     {"area", Field::kArea},
                                                     {"score", Field::kScore},
                                                     {"name", Field::kName},
                                                     {"file_name", Field::kFileName},
                                                     {"bbox", Field::kBox},
                                                     {"segmentation", Field::kSegmentation}};
  return names;
}

// Levels of nesting, from the file's object on.
constexpr int kSections = 1;
constexpr int kItems = 2;
constexpr int kFields = 3;
constexpr int kList = 4;
constexpr int kInnerList = 5;

// What nlohmann's parser calls, event by event.
class Events {
 public:
  using Visit = std::function<void(const CocoPlace&, CocoItem&)>;

  Events(std::string file, const Visit& visit) : visit_(visit) { place_.file = std::move(file); }

  bool null() { return true; }
  bool boolean(bool value) { return whole(value ? 1 : 0); }
  bool number_integer(int64_t value) { return whole(value); }
  bool number_unsigned(uint64_t value) {
    if (!std::in_range<int64_t>(value)) return real(static_cast<double>(value));
    return whole(static_cast<int64_t>(value));
  }
  bool number_float(double value, const std::string&) { return real(value); }
  bool binary(Json::binary_t&) { return true; }

  bool string(std::string& value) {
    if (!listening()) return true;
    if (level_ == kFields && field_ == Field::kName) {
      item_.name = std::move(value);
    } else if (level_ == kFields && field_ == Field::kFileName) {
      item_.file_name = std::move(value);
    } else if (level_ == kList && field_ == Field::kSegmentation && part_ == "counts") {
      item_.segmentation.text = std::move(value);
    } else {
      refuse();
    }
    return true;
  }

  bool key(std::string& name) {
    if (level_ == kSections) {
      place_.section = name;
      wanted_ = name == "images" || name == "annotations" || name == "categories";
    } else if (level_ == kFields) {
      const auto found = fields().find(name);
      field_ = found == fields().end() ? Field::kOther : found->second;
      name_ = name;
    } else if (level_ == kList) {
      part_ = name;
    }
    return true;
  }

  bool start_object(size_t) {
    if (++level_ == kFields && wanted_) item_ = {};
    if (level_ == kList && field_ != Field::kSegmentation) refuse();
    if (level_ > kList) refuse();
    return true;
  }
  bool end_object() {
    if (level_-- == kFields && wanted_) {
      visit_(place_, item_);
      ++place_.index;
    }
    return true;
  }
  bool start_array(size_t) {
    if (level_ == 0) {  // a list of detections
      level_ = kSections;
      wanted_ = true;
    }
    ++level_;
    if (level_ == kItems) place_.index = 0;
    if (level_ == kList) part_.clear();
    if (level_ == kList && field_ != Field::kSegmentation && field_ != Field::kBox) refuse();
    if (level_ == kInnerList && field_ == Field::kBox) refuse();
    if (level_ > kInnerList) refuse();
    if (level_ == kInnerList && listening() && part_.empty()) {
      item_.segmentation.polygons.emplace_back();
    }
    return true;
  }
  bool end_array() {
    --level_;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    throw FormatError(
        fmt::format("{} is not JSON: parsing stops at byte {}", place_.file, position));
  }

 private:
  // Whether the value is part of an item's field that is read.
  bool listening() const { return wanted_ && level_ >= kFields && field_ != Field::kOther; }

  void refuse() const {
    if (!listening()) return;
    throw FormatError(fmt::format("{}.{} has the wrong type", place_.text(), name_));
  }

  std::optional<int64_t>* whole_field() {
    switch (field_) {
      case Field::kId:
        return &item_.id;
      case Field::kImageId:
        return &item_.image_id;
      case Field::kCategoryId:
        return &item_.category_id;
      case Field::kWidth:
        return &item_.width;
      case Field::kHeight:
        return &item_.height;
      case Field::kCrowd:
        return &item_.crowd;
      default:
        return nullptr;
    }
  }

  bool whole(int64_t value) {
    if (!listening()) return true;
    if (level_ == kFields && whole_field() != nullptr) {
      *whole_field() = value;
    } else if (level_ == kInnerList && part_ == "counts") {
      item_.segmentation.counts.push_back(value);
    } else if (level_ == kInnerList && part_ == "size") {
      item_.segmentation.size.push_back(value);
    } else {
      real(static_cast<double>(value));
    }
    return true;
  }

  bool real(double value) {
    if (!listening()) return true;
    if (level_ == kFields && field_ == Field::kArea) {
      item_.area = value;
    } else if (level_ == kFields && field_ == Field::kScore) {
      item_.score = value;
    } else if (level_ == kList && field_ == Field::kBox) {
      item_.box.push_back(value);
    } else if (level_ == kInnerList && field_ == Field::kSegmentation && part_.empty()) {
      item_.segmentation.polygons.back().push_back(value);
    } else {
      refuse();
    }
    return true;
  }

  const Visit& visit_;
  CocoPlace place_;
  CocoItem item_;
  int level_ = 0;
  bool wanted_ = false;  // the section is read
  Field field_ = Field::kOther;
  std::string name_;  // the field's
  std::string part_;  // of a segmentation that is an object: counts or size
};

}  // namespace

std::string CocoPlace::text() const {
  return fmt::format("{}: {}[{}]", file, section, index);
}

RunLengthMask CocoSegmentation::mask(const ImageSize& image) const {
  if (!polygons.empty()) return polygon_mask(polygons, image);
  if (size.size() != 2 || size[0] != image.height || size[1] != image.width) {
    throw std::invalid_argument("the mask has another size than its image");
  }
  if (!text.empty()) return mask_from_string(text, image);
  RunLengthMask mask{.height = image.height, .width = image.width};
  for (const int64_t count : counts) {
    if (count < 0 || count > kMaxImagePixels) {
      throw std::invalid_argument(fmt::format("the mask has a run of {} pixels", count));
    }
    mask.counts.push_back(static_cast<uint32_t>(count));
  }
  if (!fills(mask.counts, image)) {
    throw std::invalid_argument("the counts of the mask don't fill its image");
  }
  return mask;
}

void read_coco_items(const std::filesystem::path& file,
                     const std::function<void(const CocoPlace&, CocoItem&)>& visit) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  Events events(file.string(), visit);
  Json::sax_parse(bytes.begin(), bytes.end(), &events);
}

int64_t needed(const std::optional<int64_t>& field, const char* name, const CocoPlace& place) {
  if (field) return *field;
  throw FormatError(fmt::format("{}.{} is missing", place.text(), name));
}

Box corners(const CocoItem& item, const CocoPlace& place) {
  if (item.box.size() == 4) {
    return {item.box[0], item.box[1], item.box[0] + item.box[2], item.box[1] + item.box[3]};
  }
  throw FormatError(fmt::format("{}.bbox must be x, y, width and height", place.text()));
}

}  // namespace striate
