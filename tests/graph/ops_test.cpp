#include "striate/graph/ops.h"

#include <gtest/gtest.h>

#include "striate/base/error.h"

namespace striate {
namespace {

TEST(InferShape, CeilModeAddsAWindowOnlyIfItStartsInside) {
  const MaxPool2d pool{.kernel_size = 3, .stride = 2, .ceil_mode = true};
  EXPECT_EQ(infer_shape(pool, {{1, 6, 6}}, "p"), (Shape{1, 3, 3}));
  EXPECT_EQ(infer_shape(pool, {{1, 7, 7}}, "p"), (Shape{1, 3, 3}));
  const MaxPool2d padded{.kernel_size = 2, .stride = 2, .padding = 1, .ceil_mode = true};
  EXPECT_EQ(infer_shape(padded, {{1, 3, 3}}, "p"), (Shape{1, 2, 2}));
}

TEST(InferShape, PoolingRefusesPaddingOverHalfTheKernel) {
  EXPECT_THROW(infer_shape(MaxPool2d{.kernel_size = 2, .padding = 2}, {{1, 8, 8}}, "p"),
               ShapeError);
}

TEST(InferShape, GroupsMustDivideTheChannels) {
  EXPECT_THROW(
      infer_shape(Conv2d{.out_channels = 4, .kernel_size = 1, .groups = 3}, {{4, 8, 8}}, "c"),
      ShapeError);
}

TEST(InferShape, ALinearLayerNeedsAFlatInput) {
  EXPECT_THROW(infer_shape(Linear{.out_features = 4}, {{4, 8, 8}}, "fc"), ShapeError);
}

TEST(InferShape, AConnectionTableMustFit) {
  EXPECT_THROW(infer_shape(Conv2d{.out_channels = 2, .kernel_size = 1, .connections = {{0}}},
                           {{4, 8, 8}}, "c"),
               ShapeError);
  EXPECT_THROW(infer_shape(Conv2d{.out_channels = 1, .kernel_size = 1, .connections = {{4}}},
                           {{4, 8, 8}}, "c"),
               ShapeError);
}

TEST(InferShape, ConcatNeedsEqualSizes) {
  EXPECT_EQ(infer_shape(Concat{}, {{1, 8, 8}, {3, 8, 8}}, "cat"), (Shape{4, 8, 8}));
  EXPECT_THROW(infer_shape(Concat{}, {{1, 8, 8}, {3, 4, 8}}, "cat"), ShapeError);
}

TEST(Describe, SaysWhatDiffersFromTheDefaults) {
  EXPECT_EQ(describe(Conv2d{.out_channels = 64, .kernel_size = 7, .stride = 2, .padding = 3}),
            "64, 7x7, stride 2, padding 3");
}

}  // namespace
}  // namespace striate
