#include "striate/runtime/memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace striate {
namespace {

// Tensors of many sizes, freed in another order than they were made: their values stay their own,
// and what is freed is given out again.
TEST(Memory, OfThePoolIsUsedAgain) {
  pool_memory();
  const auto fill = [] {
    std::vector<at::Tensor> tensors;
    for (int64_t i = 0; i < 40; ++i) {
      tensors.push_back(at::full({100000 + 7919 * i}, static_cast<double>(i), at::kFloat));
      if (i % 3 == 2) tensors[static_cast<size_t>(i - 1)].reset();
    }
    for (int64_t i = 0; i < 40; ++i) {
      const at::Tensor& t = tensors[static_cast<size_t>(i)];
      EXPECT_TRUE(!t.defined() || t.eq(i).all().item<bool>()) << i;
    }
  };
  fill();
  const int64_t peak = pooled_peak_bytes();
  EXPECT_GT(peak, 40 * 100000 * 2);
  for (int i = 0; i < 5; ++i) fill();
  EXPECT_EQ(pooled_peak_bytes(), peak);
}

TEST(Memory, TooLargeForThePoolIsAnErrorAndNoCrash) {
  pool_memory();
  EXPECT_THROW(at::empty({int64_t{1} << 46}, at::kFloat), c10::Error);
}

}  // namespace
}  // namespace striate
