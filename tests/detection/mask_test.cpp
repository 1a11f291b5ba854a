#include "striate/detection/mask.h"

#include <limits>

#include "data/made_data.h"
#include "detection/detection_reference.h"
#include "striate/base/error.h"

namespace striate {
namespace {

using Counts = std::vector<uint32_t>;

Image bitmap_of(const std::vector<std::string>& rows) {
  Image bitmap = make_image(std::ssize(rows[0]), std::ssize(rows), 1);
  for (size_t y = 0; y < rows.size(); ++y) {
    for (size_t x = 0; x < rows[y].size(); ++x) bitmap.row(y)[x] = rows[y][x] == '1';
  }
  return bitmap;
}

RunLengthMask mask_of(const std::vector<std::string>& rows) {
  return encode_mask(bitmap_of(rows));
}

TEST(Mask, RunsDownTheColumns) {
  EXPECT_EQ(mask_of({"011", "010"}).counts, (Counts{2, 3, 1}));
  EXPECT_EQ(mask_of({"10", "00"}).counts, (Counts{0, 1, 3}));
  EXPECT_EQ(mask_of({"00", "00"}).counts, Counts{4});
}

TEST(Mask, OfABitmapGivesTheBitmapBack) {
  const Image bitmap = bitmap_of({"0110", "1111", "0001"});
  EXPECT_EQ(decode_mask(encode_mask(bitmap)).pixels, bitmap.pixels);
}

TEST(Mask, OfAPartIsThatOfTheWholePicture) {
  const Image part = bitmap_of({"101", "110"});
  EXPECT_EQ(encode_mask(part, 1, 2, {5, 4}), mask_of({"00000", "00000", "01010", "01100"}));
  EXPECT_THROW(encode_mask(part, 3, 2, {5, 4}), std::invalid_argument);
  EXPECT_THROW(encode_mask(part, 1, -1, {5, 4}), std::invalid_argument);
}

TEST(Mask, ThatIsNotFilledIsNotDecoded) {
  EXPECT_THROW(decode_mask({.height = 2, .width = 2, .counts = {1, 2}}), std::invalid_argument);
}

TEST(Mask, OfPolygonsEqualsPycocotools) {
  for (const Json& made : detection_reference().at("polygons")) {
    const ImageSize size{made.at("width"), made.at("height")};
    const auto polygons = made.at("polygons").get<std::vector<Polygon>>();
    const RunLengthMask mask = polygon_mask(polygons, size);
    EXPECT_EQ(mask_to_string(mask), made.at("text")) << made.dump();
    EXPECT_EQ(mask, mask_from_string(made.at("text"), size));
    EXPECT_EQ(decode_mask(mask).pixels,
              bitmap_of(made.at("rows").get<std::vector<std::string>>()).pixels);
    EXPECT_EQ(mask_area(mask), made.at("area"));
    const auto box = made.at("box").get<std::array<double, 4>>();
    if (mask_area(mask) == 0) continue;
    EXPECT_EQ(mask_box(mask), (Box{box[0], box[1], box[0] + box[2], box[1] + box[3]}));
  }
}

TEST(Mask, OverlapsEqualPycocotools) {
  const Json& made = detection_reference().at("overlaps");
  std::vector<RunLengthMask> masks;
  for (const Json& text : made.at("texts")) {
    masks.push_back(mask_from_string(text, {made.at("width"), made.at("height")}));
  }
  for (size_t i = 0; i < masks.size(); ++i) {
    for (size_t j = 0; j < masks.size(); ++j) {
      const double shared = static_cast<double>(shared_mask_area(masks[i], masks[j]));
      const double area = static_cast<double>(std::max<int64_t>(mask_area(masks[i]), 1));
      const double overlap = made.at("crowd")[j] == 1
                                 ? shared / area
                                 : mask_intersection_over_union(masks[i], masks[j]);
      EXPECT_DOUBLE_EQ(overlap, made.at("overlaps")[i][j].get<double>());
    }
  }
}

TEST(Mask, WithoutPixelsHasAnEmptyBox) {
  const RunLengthMask empty{.height = 3, .width = 3, .counts = {9}};
  EXPECT_EQ(mask_box(empty), Box{});
  EXPECT_EQ(mask_area(empty), 0);
  EXPECT_EQ(mask_intersection_over_union(empty, empty), 0);
}

TEST(Mask, BoxSpansAColumnThatARunPasses) {
  EXPECT_EQ(mask_box(mask_of({"010", "010", "100"})), (Box{0, 0, 2, 3}));
  EXPECT_EQ(mask_box(mask_of({"000", "001", "000"})), (Box{2, 1, 3, 2}));
}

TEST(Mask, MergedCoversWhatAnyCovers) {
  EXPECT_EQ(
      merge_masks({mask_of({"100", "000"}), mask_of({"010", "010"}), mask_of({"000", "001"})}),
      mask_of({"110", "011"}));
  EXPECT_THROW(merge_masks({mask_of({"1"}), mask_of({"10"})}), ShapeError);
}

TEST(Mask, FlipsLeftAndRight) {
  EXPECT_EQ(flip_horizontally(mask_of({"100", "110"})), mask_of({"001", "011"}));
}

TEST(Mask, ResizedTakesTheNearestPixel) {
  EXPECT_EQ(resize_mask(mask_of({"10", "01"}), {4, 4}), mask_of({"1100", "1100", "0011", "0011"}));
  EXPECT_EQ(resize_mask(mask_of({"1100", "1100", "0011", "0011"}), {2, 2}), mask_of({"10", "01"}));
}

TEST(Mask, TextsThatAreNoneAreRefused) {
  const auto refused = [](const std::string& text, const std::string& part) {
    const Problem problem =
        problem_of<FormatError>([&] { mask_from_string(text, {.width = 2, .height = 2}); });
    EXPECT_TRUE(has(problem.message, part));
  };
  refused("3", "don't fill 2x2");
  refused("\x7f", "wrong byte 1");
  refused("PPPPPPPPPPPP", "wrong byte 8");
  refused("P", "middle of a number");
  refused("4N", "hold -2");
}

TEST(Mask, PolygonsThatAreNoneAreRefused) {
  const ImageSize size{4, 4};
  EXPECT_THROW(polygon_mask({}, size), std::invalid_argument);
  EXPECT_THROW(polygon_mask({{1, 1, 2, 2}}, size), std::invalid_argument);
  EXPECT_THROW(polygon_mask({{1, 1, 2, 2, 3, 3, 4}}, size), std::invalid_argument);
  EXPECT_THROW(polygon_mask({{1, 1, 1e9, 2, 3, 3}}, size), std::invalid_argument);
  const double none = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(polygon_mask({{1, 1, none, 2, 3, 3}}, size), std::invalid_argument);
}

}  // namespace
}  // namespace striate
