#include "striate/visualization/tsne.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/error.h"
#include "striate/visualization/neighbours.h"
#include "visualization/embedding_data.h"
#include "visualization/repulsion.h"

namespace striate {
namespace {

// float32 affinities beside scikit-learn's float64 ones.
constexpr double kFloat32 = 1e-6;

Affinities reference_affinities() {
  const Json& reference = embedding_reference();
  return tsne_affinities(matrix(reference["features"]).to(at::kFloat),
                         {.perplexity = reference["perplexity"].get<double>(), .all_points = true});
}

Affinities scikit_learns_affinities() {
  const Json& pairs = embedding_reference()["affinities"];
  const auto points = static_cast<int32_t>(embedding_reference()["features"].size());
  Affinities p{.begins = {0}};
  for (int32_t i = 0; i < points; ++i) {
    for (int32_t j = 0; j < points; ++j) {
      if (i == j) continue;
      const int32_t low = std::min(i, j);
      const int32_t pair = low * points - low * (low + 1) / 2 + std::max(i, j) - low - 1;
      p.columns.push_back(j);
      p.values.push_back(pairs[static_cast<size_t>(pair)].get<float>());
    }
    p.begins.push_back(std::ssize(p.columns));
  }
  return p;
}

TEST(TsneTest, AffinitiesEqualScikitLearns) {
  const Affinities p = reference_affinities();
  const Affinities wanted = scikit_learns_affinities();
  ASSERT_EQ(p.begins, wanted.begins);
  ASSERT_EQ(p.columns, wanted.columns);
  double sum = 0;
  for (const float value : p.values) sum += value;
  EXPECT_NEAR(sum, 1, kFloat32);
  for (size_t e = 0; e < p.values.size(); ++e) {
    // scikit-learn finds the entropy to 1e-5.
    EXPECT_NEAR(p.values[e], wanted.values[e], 1e-4 * wanted.values[e] + 1e-9);
  }
}

TEST(TsneTest, GradientEqualsScikitLearns) {
  const Json& reference = embedding_reference();
  const TsneGradient found = tsne_gradient(scikit_learns_affinities(), matrix(reference["map"]));
  EXPECT_NEAR(found.divergence, reference["divergence"].get<double>(), kFloat32);
  EXPECT_LT(relative_error(found.gradient, matrix(reference["gradient"])), kFloat32);
}

TEST(TsneTest, GradientEqualsFiniteDifferences) {
  const Affinities p = reference_affinities();
  const at::Tensor map = matrix(embedding_reference()["map"]);
  const at::Tensor gradient = tsne_gradient(p, map).gradient;
  constexpr double kStep = 1e-5;
  at::Tensor differences = at::zeros_like(gradient);
  for (int64_t i = 0; i < map.numel(); ++i) {
    at::Tensor moved = map.clone();
    moved.view({-1})[i] += kStep;
    const double up = tsne_gradient(p, moved).divergence;
    moved.view({-1})[i] -= 2 * kStep;
    const double down = tsne_gradient(p, moved).divergence;
    differences.view({-1})[i] = (up - down) / (2 * kStep);
  }
  EXPECT_LT(relative_error(gradient, differences), kFloat32);
}

TEST(TsneTest, DivergenceEqualsThatOfFloat64) {
  const at::Tensor x = grouped_features(700, 10);
  const Affinities p = tsne_affinities(x, {.perplexity = 20});
  for (const double deviation : {1e-4, 1.0, 30.0}) {
    const at::Tensor map = normal_points(700, 2, deviation);
    EXPECT_NEAR(tsne_divergence(p, map), tsne_gradient(p, map).divergence, 1e-5);
  }
}

// Forces and their sum by float64, from affinities that are nowhere.
struct Repelling {
  at::Tensor forces;
  double sum;
};

Repelling repelling(const at::Tensor& map) {
  const at::Tensor y = map.to(at::kDouble);
  const at::Tensor differences = y.unsqueeze(1) - y.unsqueeze(0);
  const at::Tensor w = 1 / (1 + differences.square().sum(2));
  return {(w.square().unsqueeze(2) * differences).sum(1),
          w.sum().item<double>() - static_cast<double>(map.size(0))};
}

struct Accuracy {
  TsneMethod method;
  double forces;
  double sum;
};

// Barnes-Hut with theta 0.5 and three nodes to a length of 1.
const std::vector<Accuracy> kAccuracies = {{TsneMethod::kExact, 1e-5, 1e-6},
                                           {TsneMethod::kBarnesHut, 2e-2, 1e-2},
                                           {TsneMethod::kInterpolation, 1e-2, 3e-3}};

TEST(TsneTest, FastForcesAreNearTheExactOnes) {
  for (const double deviation : {1e-4, 0.3, 3.0, 20.0}) {
    const at::Tensor map = normal_points(1500, 2, deviation);
    const Repelling wanted = repelling(map);
    for (const Accuracy& accuracy : kAccuracies) {
      at::Tensor forces = at::empty({1500, 2});
      const double sum = make_repulsion(accuracy.method, /*theta=*/0.5)
                             ->compute(map.const_data_ptr<float>(), 1500, forces.data_ptr<float>());
      EXPECT_LT(relative_error(forces, wanted.forces), accuracy.forces)
          << static_cast<int>(accuracy.method) << " at " << deviation;
      EXPECT_NEAR(sum / wanted.sum, 1, accuracy.sum)
          << static_cast<int>(accuracy.method) << " at " << deviation;
    }
  }
}

TEST(TsneTest, BarnesHutWithoutFarCellsIsExact) {
  const at::Tensor map = normal_points(1000, 2, 5);
  at::Tensor forces = at::empty({1000, 2});
  make_repulsion(TsneMethod::kBarnesHut, /*theta=*/0)
      ->compute(map.const_data_ptr<float>(), 1000, forces.data_ptr<float>());
  EXPECT_LT(relative_error(forces, repelling(map).forces), 1e-5);
}

TEST(TsneTest, BytesAreTheSameForAnyNumberOfThreads) {
  const at::Tensor x = grouped_features(1200, 12);
  for (const TsneMethod method :
       {TsneMethod::kExact, TsneMethod::kBarnesHut, TsneMethod::kInterpolation}) {
    EXPECT_TRUE(same_for_any_threads([&] {
      return tsne(x, {.early_iterations = 10, .iterations = 10, .method = method}).map;
    })) << static_cast<int>(method);
  }
}

TEST(TsneTest, GroupsStayTogether) {
  const at::Tensor x = grouped_features(600, 20);
  const TsneResult result = tsne(x, {.perplexity = 15, .early_iterations = 100, .iterations = 200});
  EXPECT_EQ(result.iterations, 300);
  EXPECT_GT(trustworthiness(x, result.map), 0.9);
  const at::Tensor nearest = nearest_neighbours(result.map, {.count = 1}).indices.squeeze(1);
  const at::Tensor own = at::arange(600, at::kLong) % 10;
  EXPECT_GT((own.index_select(0, nearest) == own).to(at::kFloat).mean().item<double>(), 0.99);
}

TEST(TsneTest, FastMethodsEndAsLowAsTheExactOne) {
  const at::Tensor x = grouped_features(800, 10);
  TsneOptions options{
      .early_iterations = 100, .iterations = 100, .initial = normal_points(800, 2, 1e-4)};
  const Affinities p = tsne_affinities(x, {});
  options.method = TsneMethod::kExact;
  const double exact = tsne(p, options).divergence;
  for (const TsneMethod method : {TsneMethod::kBarnesHut, TsneMethod::kInterpolation}) {
    options.method = method;
    EXPECT_NEAR(tsne(p, options).divergence, exact, 0.1 * exact);
  }
}

TEST(TsneTest, EqualPointsArePartedAndDivergenceStaysFinite) {
  const TsneResult result = tsne(at::ones({200, 3}), {.perplexity = 10, .iterations = 50});
  EXPECT_TRUE(std::isfinite(result.divergence));
  EXPECT_TRUE(at::isfinite(result.map).all().item<bool>());
}

TEST(TsneTest, ObserverSeesTheDivergenceFallAndStopEnds) {
  std::vector<double> divergences;
  TsneOptions options{
      .perplexity = 10, .early_iterations = 50, .iterations = 100, .observe_every = 20};
  options.observer = [&](const TsneProgress& progress) {
    EXPECT_EQ(progress.iteration, 20 * static_cast<int64_t>(divergences.size() + 1));
    EXPECT_EQ(progress.iterations, 150);
    divergences.push_back(progress.divergence);
  };
  options.stop = [&] { return divergences.size() == 5; };
  const TsneResult result = tsne(grouped_features(300, 5), options);
  EXPECT_EQ(result.iterations, 100);
  ASSERT_EQ(divergences.size(), 5);
  EXPECT_LT(divergences[4], divergences[0]);
}

TEST(TsneTest, PlacesPointsAmongTheirGroup) {
  const at::Tensor x = grouped_features(1000, 20);
  const at::Tensor known = x.slice(0, 0, 900);
  const at::Tensor map =
      tsne(known, {.perplexity = 20, .early_iterations = 100, .iterations = 100}).map;
  const at::Tensor placed = tsne_place(x.slice(0, 900), known, map, {});
  const at::Tensor nearest = nearest_neighbours(placed, map, {.count = 1}).indices.squeeze(1);
  const at::Tensor own = at::arange(100, at::kLong) % 10;
  EXPECT_GT((nearest % 10 == own).to(at::kFloat).mean().item<double>(), 0.98);
  // A point's place does not depend on what else is placed.
  EXPECT_TRUE(at::equal(tsne_place(x.slice(0, 950, 960), known, map, {}), placed.slice(0, 50, 60)));
  EXPECT_TRUE(same_for_any_threads([&] { return tsne_place(x.slice(0, 980), known, map, {}); }));
}

TEST(TsneTest, RefusesWhatCannotBeMapped) {
  const at::Tensor x = grouped_features(100, 5);
  EXPECT_THROW(tsne(x.slice(0, 0, 90), {.perplexity = 30}), std::invalid_argument);
  EXPECT_THROW(tsne(x, {.perplexity = 0.5}), std::invalid_argument);
  EXPECT_THROW(tsne(x, {.perplexity = 10, .theta = 2}), std::invalid_argument);
  EXPECT_THROW(tsne(x, {.perplexity = 10, .momentum = 1}), std::invalid_argument);
  EXPECT_THROW(tsne(x, {.perplexity = 10, .initial = at::zeros({99, 2})}), ShapeError);
  EXPECT_THROW(tsne(at::zeros({100, 0}), {}), ShapeError);
  EXPECT_THROW(tsne(at::zeros({100}), {}), ShapeError);
  EXPECT_THROW(tsne(at::Tensor(), {}), ShapeError);
  EXPECT_THROW(tsne_divergence(tsne_affinities(x, {.perplexity = 5}), at::zeros({100, 3})),
               ShapeError);
  EXPECT_THROW(tsne_place(x, x, at::zeros({99, 2}), {}), ShapeError);
  at::Tensor bad = x.clone();
  bad[3][2] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(tsne(bad, {.perplexity = 10}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
