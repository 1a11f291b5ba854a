#include "kernels/matrix_vector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

class MatrixVectorTest : public testing::TestWithParam<int64_t> {};

TEST_P(MatrixVectorTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const int64_t columns : {1, 7, 16, 33, 512}) {
    constexpr int64_t kRows = 11;
    const auto matrix = random_values(kRows * columns, 1);
    const auto vector = random_values(columns, 2);
    const auto bias = random_values(kRows, 3);
    for (const bool whole : {false, true}) {
      std::vector<float> result(kRows + 1, -7.0F);
      const kernels::MatrixVector product = {.matrix = matrix.data(),
                                             .columns = columns,
                                             .vector = vector.data(),
                                             .bias = whole ? bias.data() : nullptr,
                                             .relu = whole,
                                             .result = result.data()};
      kernels::multiply_vector(product, 0, 5);
      kernels::multiply_vector(product, 5, kRows);
      for (int64_t i = 0; i < kRows; ++i) {
        double sum = whole ? bias[static_cast<size_t>(i)] : 0.0F;
        for (int64_t c = 0; c < columns; ++c) {
          sum += static_cast<double>(matrix[static_cast<size_t>(i * columns + c)]) *
                 vector[static_cast<size_t>(c)];
        }
        if (whole) sum = std::max(sum, 0.0);
        EXPECT_NEAR(result[static_cast<size_t>(i)], sum,
                    2e-6 * std::sqrt(static_cast<double>(columns)));
      }
      EXPECT_EQ(result.back(), -7.0F);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, MatrixVectorTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
