// Poličar, Stražar, Zupan, "Embedding to reference t-SNE space addresses batch effects in
// single-cell classification", 2023, https://doi.org/10.1007/s10994-021-06043-1

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <stdexcept>

#include "kernels/map_forces.h"
#include "striate/base/error.h"
#include "striate/visualization/neighbours.h"
#include "striate/visualization/tsne.h"
#include "visualization/affinities.h"
#include "visualization/features.h"
#include "visualization/gains.h"
#include "visualization/quad_tree.h"

namespace striate {

namespace {

struct NewPoint {
  const int32_t* columns;  // neighbours in the map, the nearest first
  const float* values;     // their probabilities
  int64_t count;
};

float median(std::vector<float>& values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

std::array<float, 2> median_of(const NewPoint& point, int64_t neighbours, const float* map) {
  std::array<float, 2> result;
  std::vector<float> values(static_cast<size_t>(neighbours));
  for (int64_t axis = 0; axis < 2; ++axis) {
    for (int64_t i = 0; i < neighbours; ++i) {
      values[static_cast<size_t>(i)] = map[2 * int64_t{point.columns[i]} + axis];
    }
    result[static_cast<size_t>(axis)] = median(values);
  }
  return result;
}

// The gradient of one point's divergence, whose probabilities have the sum 1.
std::array<float, 2> gradient(const NewPoint& point, const std::array<float, 2>& at,
                              const float* map, const QuadTree& tree, QuadTree::Bodies& bodies,
                              float exaggeration) {
  const std::array<int64_t, 2> row = {0, point.count};
  std::array<float, 2> attracting;
  kernels::attract({row.data(), point.columns, point.values}, 0, 1, at.data(), map,
                   attracting.data());
  tree.collect({at[0], at[1], at[0], at[1]}, bodies);
  float sum;
  std::array<float, 2> repelling;
  kernels::repel({bodies.x.data(), bodies.y.data(), bodies.mass.data(), bodies.count},
                 {at.data(), at.data() + 1, 1, &sum, repelling.data(), repelling.data() + 1});
  return {exaggeration * attracting[0] - repelling[0] / sum,
          exaggeration * attracting[1] - repelling[1] / sum};
}

std::array<float, 2> descend(const NewPoint& point, std::array<float, 2> at, const float* map,
                             const QuadTree& tree, QuadTree::Bodies& bodies,
                             const TsnePlaceOptions& options) {
  std::array<float, 2> update = {0, 0};
  std::array<float, 2> gains = {1, 1};
  for (int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    std::array<float, 2> g =
        gradient(point, at, map, tree, bodies, static_cast<float>(options.exaggeration));
    const auto largest = static_cast<float>(options.largest_gradient);
    const float length = std::sqrt(g[0] * g[0] + g[1] * g[1]);
    const float scale = length > largest ? largest / length : 1;
    for (size_t axis = 0; axis < 2; ++axis) {
      g[axis] *= scale;
      gains[axis] = next_gain(gains[axis], g[axis], update[axis]);
      update[axis] = static_cast<float>(options.momentum) * update[axis] -
                     static_cast<float>(options.learning_rate) * gains[axis] * g[axis];
      at[axis] += update[axis];
    }
  }
  return at;
}

void check(const TsnePlaceOptions& options, int64_t points) {
  const auto require = [](bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument("placing new points needs " + what);
  };
  require(options.perplexity >= 1 && 3 * options.perplexity <= static_cast<double>(points),
          fmt::format("a perplexity of 1 to a third of the map's {} points", points));
  require(options.neighbours >= 1 && options.neighbours <= points,
          fmt::format("1 to {} neighbours", points));
  require(options.iterations >= 0, "iterations >= 0");
  require(options.theta >= 0 && options.theta <= 1, "theta in [0, 1]");
}

}  // namespace

at::Tensor tsne_place(const at::Tensor& queries, const at::Tensor& features, const at::Tensor& map,
                      const TsnePlaceOptions& options) {
  const at::Tensor points = checked_features(map, "points of a map");
  const int64_t n = points.size(0);
  if (points.size(1) != 2 || (features.defined() && features.dim() == 2 && features.size(0) != n)) {
    throw ShapeError(fmt::format("a map of {} features needs the shape (N, 2), got ({}, {})",
                                 features.defined() && features.dim() == 2 ? features.size(0) : 0,
                                 n, points.size(1)));
  }
  check(options, n);
  const auto near = static_cast<int64_t>(3 * options.perplexity);
  const int64_t count = std::max(near, options.neighbours);
  const Neighbours neighbours = nearest_neighbours(queries, features, {.count = count});
  const at::Tensor columns = neighbours.indices.to(at::kInt);
  const int64_t m = columns.size(0);
  const float* places = points.const_data_ptr<float>();
  QuadTree tree;
  tree.build(places, n, options.theta);
  at::Tensor result = at::empty({m, 2}, at::kFloat);
  at::parallel_for(0, m, 1, [&](int64_t begin, int64_t end) {
    QuadTree::Bodies bodies;
    std::vector<float> probabilities(static_cast<size_t>(near));
    for (int64_t i = begin; i < end; ++i) {
      conditional_probabilities(neighbours.distances.const_data_ptr<float>() + i * count, near,
                                options.perplexity, probabilities.data());
      const NewPoint point{columns.const_data_ptr<int32_t>() + i * count, probabilities.data(),
                           near};
      const std::array<float, 2> at = descend(point, median_of(point, options.neighbours, places),
                                              places, tree, bodies, options);
      std::copy(at.begin(), at.end(), result.data_ptr<float>() + 2 * i);
    }
  });
  return result;
}

}  // namespace striate
