#include "striate/visualization/neighbours.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/base/error.h"
#include "visualization/embedding_data.h"

namespace striate {
namespace {

constexpr double kFloat32 = 1e-6;  // distances are rounded to float32

// By all distances in float64.
at::Tensor brute_force(const at::Tensor& queries, const at::Tensor& features, int64_t count,
                       bool among_themselves) {
  const at::Tensor from = queries.to(at::kDouble);
  const at::Tensor x = features.to(at::kDouble);
  at::Tensor distances = (from.unsqueeze(1) - x.unsqueeze(0)).square().sum(2);
  if (among_themselves) distances.fill_diagonal_(std::numeric_limits<double>::infinity());
  return at::argsort(distances, /*stable=*/true, /*dim=*/1, /*descending=*/false)
      .slice(1, 0, count);
}

TEST(NeighboursTest, AreThoseOfBruteForce) {
  for (const auto& [points, width] : {std::pair{7, 1}, {300, 3}, {777, 17}, {500, 64}}) {
    const at::Tensor x = grouped_features(points, width);
    const int64_t count = std::min(20, points - 1);
    EXPECT_TRUE(at::equal(nearest_neighbours(x, {.count = count}).indices,
                          brute_force(x, x, count, /*among_themselves=*/true)))
        << points << " points of " << width;
    const at::Tensor queries = grouped_features(50, width, 1);
    EXPECT_TRUE(at::equal(nearest_neighbours(queries, x, {.count = count}).indices,
                          brute_force(queries, x, count, /*among_themselves=*/false)));
  }
}

TEST(NeighboursTest, EqualScikitLearns) {
  const Json& reference = embedding_reference();
  const at::Tensor x = matrix(reference["features"]).to(at::kFloat);
  const auto count = reference["neighbours"].get<int64_t>();
  for (const auto& [name, distance] :
       {std::pair{"euclidean", Distance::kEuclidean}, {"cosine", Distance::kCosine}}) {
    const Neighbours found = nearest_neighbours(x, {.count = count, .distance = distance});
    EXPECT_TRUE(at::equal(found.indices, matrix(reference[name]["indices"]).to(at::kLong)));
    EXPECT_LT(relative_error(found.distances, matrix(reference[name]["distances"])), kFloat32);
  }
}

TEST(NeighboursTest, OfEquallyDistantOnesTheLowerIndexComesFirst) {
  const at::Tensor x = at::ones({500, 4});
  const at::Tensor indices = nearest_neighbours(x, {.count = 3}).indices;
  EXPECT_TRUE(at::equal(indices[0], at::tensor({1, 2, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(indices[2], at::tensor({0, 1, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(indices[499], at::tensor({0, 1, 2}, at::kLong)));
}

TEST(NeighboursTest, AreFoundFarFromTheOrigin) {
  const at::Tensor x = normal_points(400, 8, 1);
  const at::Tensor far = x + 1000;
  EXPECT_TRUE(at::equal(nearest_neighbours(far, {.count = 10}).indices,
                        brute_force(far, far, 10, /*among_themselves=*/true)));
}

TEST(NeighboursTest, ADirectionOfZerosIsAsFarFromAll) {
  at::Tensor x = normal_points(30, 4, 1);
  x[7].zero_();
  const Neighbours found = nearest_neighbours(x, {.count = 29, .distance = Distance::kCosine});
  EXPECT_TRUE((found.distances[7] == 1).all().item<bool>());
  EXPECT_EQ(found.indices[7][0].item<int64_t>(), 0);
}

TEST(NeighboursTest, BytesAreTheSameForAnyNumberOfThreads) {
  const at::Tensor x = grouped_features(1500, 20);
  EXPECT_TRUE(same_for_any_threads([&] {
    const Neighbours found = nearest_neighbours(x, {.count = 30});
    return at::cat({found.indices.to(at::kFloat), found.distances});
  }));
}

TEST(NeighboursTest, RefuseWhatCannotBe) {
  const at::Tensor x = normal_points(10, 3, 1);
  EXPECT_THROW(nearest_neighbours(x, {.count = 10}), std::invalid_argument);
  EXPECT_THROW(nearest_neighbours(x, {.count = 0}), std::invalid_argument);
  EXPECT_THROW(nearest_neighbours(at::zeros({10, 0}), {}), ShapeError);
  EXPECT_THROW(nearest_neighbours(at::zeros({4, 2}), x, {.count = 2}), ShapeError);
  EXPECT_THROW(nearest_neighbours(x * 1e30, {.count = 2}), std::invalid_argument);
}

TEST(TrustworthinessTest, EqualsScikitLearns) {
  const Json& reference = embedding_reference();
  EXPECT_NEAR(trustworthiness(matrix(reference["features"]).to(at::kFloat),
                              matrix(reference["map"]).to(at::kFloat),
                              {.neighbours = reference["neighbours"].get<int64_t>()}),
              reference["trustworthiness"].get<double>(), 1e-12);
}

TEST(TrustworthinessTest, OfTheFeaturesThemselvesIsOne) {
  const at::Tensor x = normal_points(300, 2, 1);
  EXPECT_EQ(trustworthiness(x, x), 1);
  EXPECT_LT(trustworthiness(x, normal_points(300, 2, 1, 9)), 0.6);
  EXPECT_THROW(trustworthiness(x, x, {.neighbours = 150}), std::invalid_argument);
  EXPECT_THROW(trustworthiness(x, x.slice(0, 1)), ShapeError);
}

}  // namespace
}  // namespace striate
