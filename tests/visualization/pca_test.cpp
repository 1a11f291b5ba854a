#include "striate/visualization/pca.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/base/error.h"
#include "visualization/embedding_data.h"

namespace striate {
namespace {

constexpr double kFloat32 = 1e-6;     // results are rounded to float32
constexpr double kRandomized = 1e-3;  // what the header promises where the spectrum falls

// Features whose variances fall by a quarter from one to the next.
at::Tensor falling_features(int64_t points, int64_t features) {
  return normal_points(points, features, 1) *
             at::pow(0.87, at::arange(features, at::kDouble)).to(at::kFloat) +
         5;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST(PcaTest, EqualsScikitLearnUpToSigns) {
  const Json& reference = embedding_reference();
  const at::Tensor x = matrix(reference["features"]).to(at::kFloat);
  const Pca pca = fit_pca(x, {.components = 3});
  const at::Tensor wanted = matrix(reference["pca"]["components"]);
  const at::Tensor signs = (wanted * pca.components.to(at::kDouble)).sum(1, true).sign();
  EXPECT_LT(largest_difference(pca.components, wanted * signs), kFloat32);
  EXPECT_LT(relative_error(pca.mean, matrix(Json::array({reference["pca"]["mean"]}))[0]), kFloat32);
  EXPECT_LT(relative_error(pca.explained_variance,
                           matrix(Json::array({reference["pca"]["explained_variance"]}))[0]),
            kFloat32);
  EXPECT_LT(relative_error(pca.explained_ratio,
                           matrix(Json::array({reference["pca"]["explained_ratio"]}))[0]),
            kFloat32);
}

TEST(PcaTest, TheLargestEntryOfEachComponentIsPositive) {
  const Pca pca = fit_pca(falling_features(200, 30), {.components = 10});
  const at::Tensor places = pca.components.abs().argmax(1, true);
  EXPECT_TRUE((pca.components.gather(1, places) > 0).all().item<bool>());
}

TEST(PcaTest, RandomizedComponentsAreNearTheExactOnes) {
  const at::Tensor x = falling_features(2000, 120);
  const Pca exact = fit_pca(x, {.components = 8, .method = PcaMethod::kExact});
  const Pca randomized = fit_pca(x, {.components = 8, .method = PcaMethod::kRandomized, .seed = 3});
  EXPECT_LT(largest_difference(randomized.components, exact.components), kRandomized);
  EXPECT_LT(relative_error(randomized.explained_variance, exact.explained_variance), kRandomized);
}

TEST(PcaTest, FewRowsOfManyFeaturesHaveTheSameComponents) {
  const at::Tensor x = falling_features(40, 60);
  const Pca few = fit_pca(x, {.components = 5, .method = PcaMethod::kExact});
  // With every row twice, there are more rows than features.
  const Pca many = fit_pca(at::cat({x, x}), {.components = 5, .method = PcaMethod::kExact});
  EXPECT_LT(largest_difference(few.components, many.components), 1e-5);
}

TEST(PcaTest, TransformedPointsHaveTheExplainedVariance) {
  const at::Tensor x = falling_features(500, 20);
  const Pca pca = fit_pca(x, {.components = 4});
  const at::Tensor points = transform(pca, x);
  EXPECT_LT(relative_error(points.var(0), pca.explained_variance), 1e-5);
  EXPECT_LT(points.mean(0).abs().max().item<double>(), 1e-5);
}

TEST(PcaTest, BytesAreTheSameForAnyNumberOfThreads) {
  const at::Tensor x = falling_features(5000, 90);
  for (const PcaMethod method : {PcaMethod::kExact, PcaMethod::kRandomized}) {
    EXPECT_TRUE(same_for_any_threads([&] {
      const Pca pca = fit_pca(x, {.components = 5, .method = method});
      return at::cat(
          {pca.components.flatten(), pca.explained_variance, transform(pca, x).flatten()});
    }));
  }
}

TEST(PcaTest, RefusesWhatHasNoComponents) {
  const at::Tensor x = falling_features(20, 5);
  EXPECT_THROW(fit_pca(x, {.components = 6}), std::invalid_argument);
  EXPECT_THROW(fit_pca(x, {.components = 0}), std::invalid_argument);
  EXPECT_THROW(fit_pca(x.slice(0, 0, 1), {.components = 1}), std::invalid_argument);
  EXPECT_THROW(fit_pca(at::zeros({20, 0}), {}), ShapeError);
  EXPECT_THROW(fit_pca(at::zeros({20}), {}), ShapeError);
  EXPECT_THROW(fit_pca(x.to(at::kDouble), {}), ShapeError);
  EXPECT_THROW(transform(fit_pca(x, {}), at::zeros({3, 4})), ShapeError);
  at::Tensor bad = x.clone();
  bad[3][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(fit_pca(bad, {}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
