#include "striate/detection/draw_detections.h"

#include <gtest/gtest.h>

#include <set>

namespace striate {
namespace {

std::array<uint8_t, 3> pixel(const Image& image, int64_t x, int64_t y) {
  const uint8_t* at = image.row(y) + 3 * x;
  return {at[0], at[1], at[2]};
}

const std::array<uint8_t, 3> kBlack = {0, 0, 0};

TEST(DrawDetections, FramesTheBoxAndLeavesItsInsideAlone) {
  const Image drawn =
      draw_detections(make_image(80, 60, 3), {{.box = {10, 20, 70, 50}, .score = 0.5}}, {"cell"});
  EXPECT_NE(pixel(drawn, 10, 20), kBlack);
  EXPECT_NE(pixel(drawn, 69, 49), kBlack);
  EXPECT_EQ(pixel(drawn, 70, 50), kBlack);
  EXPECT_EQ(pixel(drawn, 40, 40), kBlack);
  EXPECT_NE(pixel(drawn, 10, 12), kBlack);  // the label above
}

TEST(DrawDetections, TintsMasks) {
  Image bitmap = make_image(40, 40, 1);
  bitmap.row(30)[20] = 1;
  const Image drawn = draw_detections(
      make_image(40, 40, 3),
      {{.box = {10, 20, 39, 38}, .label = 1, .score = 0.5, .mask = encode_mask(bitmap)}},
      {"a", "b"});
  EXPECT_NE(pixel(drawn, 20, 30), kBlack);
  EXPECT_EQ(pixel(drawn, 21, 30), kBlack);
}

TEST(DrawDetections, PutsTheHigherScoreOnTop) {
  const std::vector<Detection> detections = {{.box = {0, 20, 30, 40}, .label = 0, .score = 0.9},
                                             {.box = {0, 20, 30, 40}, .label = 1, .score = 0.1}};
  const Image both = draw_detections(make_image(64, 64, 3), detections, {"a", "b"});
  const Image one = draw_detections(make_image(64, 64, 3), {detections[0]}, {"a", "b"});
  EXPECT_EQ(pixel(both, 0, 39), pixel(one, 0, 39));
}

TEST(DrawDetections, BearsBoxesOutsideAndNone) {
  const Image grey = make_image(5, 4, 1);
  EXPECT_EQ(draw_detections(grey, {}, {}).pixels, to_rgb(grey).pixels);
  const Image drawn = draw_detections(
      grey, {{.box = {-9, -9, -5, -5}, .score = 1}, {.box = {3, 3, 90, 90}, .score = 1}},
      {"a class with a long name"});
  EXPECT_EQ(drawn.width, 5);
}

TEST(DrawDetections, RefusesWhatDoesNotFit) {
  const Image image = make_image(8, 8, 3);
  EXPECT_THROW(draw_detections(image, {{.box = {0, 0, 1, 1}, .label = 1}}, {"a"}),
               std::invalid_argument);
  const RunLengthMask other{.height = 2, .width = 2, .counts = {4}};
  EXPECT_THROW(draw_detections(image, {{.box = {0, 0, 1, 1}, .mask = other}}, {"a"}),
               std::invalid_argument);
}

TEST(DrawInstances, GreysWhatIsIgnored) {
  const auto corner = [](bool ignored) {
    return pixel(draw_instances(make_image(64, 64, 3),
                                {{.box = {2, 30, 60, 60}, .ignored = ignored}}, {"a"}),
                 59, 59);
  };
  EXPECT_EQ(std::set<uint8_t>({corner(true)[0], corner(true)[1], corner(true)[2]}).size(), 1U);
  EXPECT_NE(corner(false), corner(true));
}

}  // namespace
}  // namespace striate
