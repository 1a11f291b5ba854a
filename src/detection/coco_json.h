#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/detection/mask.h"

namespace striate {

/// Where a mask is told: polygons, or run lengths as numbers or as text; nothing where all are
/// empty.
struct CocoSegmentation {
  std::vector<Polygon> polygons;
  std::vector<int64_t> counts;
  std::string text;
  std::vector<int64_t> size;  // height, width

  bool present() const { return !polygons.empty() || !counts.empty() || !text.empty(); }
  /// @throws std::invalid_argument, FormatError  it is no mask of that size.
  RunLengthMask mask(const ImageSize& image) const;
};

/// An image, annotation, category or detection of one of COCO's files: what of it was written.
struct CocoItem {
  std::optional<int64_t> id;
  std::optional<int64_t> image_id;
  std::optional<int64_t> category_id;
  std::optional<int64_t> width;
  std::optional<int64_t> height;
  std::optional<int64_t> crowd;
  std::optional<double> area;
  std::optional<double> score;
  std::string name;
  std::string file_name;
  std::vector<double> box;  // x, y, width, height
  CocoSegmentation segmentation;
};

/// Where an item stands, for messages: `FILE: annotations[12]`.
struct CocoPlace {
  std::string file;
  std::string section;  ///< images, annotations or categories; empty in a list of detections
  int64_t index = 0;

  std::string text() const;
};

/// Reads one of COCO's files once, from its beginning to its end, and keeps nothing of it.
/// @param visit  gets each item as soon as it has been read; it may take it apart.
/// @throws IoError, FormatError  it can't be read, is no JSON, or has a field of the wrong type.
void read_coco_items(const std::filesystem::path& file,
                     const std::function<void(const CocoPlace&, CocoItem&)>& visit);

/// The value of a field. @throws FormatError  it is missing.
int64_t needed(const std::optional<int64_t>& field, const char* name, const CocoPlace& place);

/// The corners of an item's box. @throws FormatError  it has not four numbers.
Box corners(const CocoItem& item, const CocoPlace& place);

}  // namespace striate
