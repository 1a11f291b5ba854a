#include "striate/runtime/memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace striate {
namespace {

// Tensors of many sizes, freed in another order than they were made: their values stay their own.
TEST(Memory, OfThePoolIsGivenToOneTensorAtATime) {
  pool_memory();
  std::vector<at::Tensor> tensors;
  for (int64_t i = 0; i < 40; ++i) {
    tensors.push_back(at::full({100000 + 7919 * i}, static_cast<double>(i), at::kFloat));
    if (i % 3 == 2) tensors[static_cast<size_t>(i - 1)].reset();
  }
  for (int64_t i = 0; i < 40; ++i) {
    const at::Tensor& t = tensors[static_cast<size_t>(i)];
    EXPECT_TRUE(!t.defined() || t.eq(i).all().item<bool>()) << i;
  }
}

// A step that repeats gets the memory that the last one freed, neighbours as one.
TEST(Memory, OfThePoolIsUsedAgain) {
  pool_memory();
  const auto addresses = [] {
    const at::Tensor a = at::empty({1 << 20});
    const at::Tensor b = at::empty({1 << 18});
    const at::Tensor c = at::empty({1 << 19});
    return std::vector<void*>{a.data_ptr(), b.data_ptr(), c.data_ptr()};
  };
  const std::vector<void*> first = addresses();
  EXPECT_EQ(addresses(), first);
  const at::Tensor all = at::empty({(1 << 20) + (1 << 18) + (1 << 19)});
  EXPECT_EQ(all.data_ptr(), first[0]);
}

TEST(Memory, TooLargeForThePoolIsAnErrorAndNoCrash) {
  pool_memory();
  EXPECT_THROW(at::empty({int64_t{1} << 46}, at::kFloat), c10::Error);
}

}  // namespace
}  // namespace striate
