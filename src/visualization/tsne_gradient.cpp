// Van der Maaten, Hinton, "Visualizing data using t-SNE", 2008,
// https://jmlr.org/papers/v9/vandermaaten08a.html, section 3 and appendix A.

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "striate/base/error.h"
#include "striate/visualization/tsne.h"
#include "visualization/features.h"

namespace striate {

namespace {

struct Pair {
  double dx;
  double dy;
  double w;  // 1 / (1 + distance²)
};

Pair pair(const double* y, int64_t i, int64_t j) {
  const double dx = y[2 * i] - y[2 * j];
  const double dy = y[2 * i + 1] - y[2 * j + 1];
  return {dx, dy, 1 / (1 + dx * dx + dy * dy)};
}

// What a point's pairs add up to.
struct Sums {
  double weight = 0;
  double cost = 0;
  double attracting[2] = {0, 0};
  double repelling[2] = {0, 0};
};

Sums sums(const Affinities& affinities, const double* y, int64_t i) {
  Sums sums;
  for (int64_t j = 0; j < affinities.size(); ++j) {
    if (j == i) continue;
    const Pair q = pair(y, i, j);
    sums.weight += q.w;
    sums.repelling[0] += q.w * q.w * q.dx;
    sums.repelling[1] += q.w * q.w * q.dy;
  }
  const auto row = static_cast<size_t>(i);
  for (int64_t e = affinities.begins[row]; e < affinities.begins[row + 1]; ++e) {
    const double p = affinities.values[static_cast<size_t>(e)];
    if (p <= 0) continue;
    const Pair q = pair(y, i, affinities.columns[static_cast<size_t>(e)]);
    sums.cost += p * std::log(p / q.w);
    sums.attracting[0] += p * q.w * q.dx;
    sums.attracting[1] += p * q.w * q.dy;
  }
  return sums;
}

}  // namespace

TsneGradient tsne_gradient(const Affinities& affinities, const at::Tensor& map) {
  const int64_t n = affinities.size();
  if (!map.defined() || !map.is_floating_point() || map.dim() != 2 || map.size(0) != n ||
      map.size(1) != 2) {
    throw ShapeError(fmt::format("a map of {} points needs the shape ({}, 2)", n, n));
  }
  const at::Tensor points = map.detach().to(at::kDouble).contiguous();
  std::vector<Sums> all(static_cast<size_t>(n));
  for_chunks(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      all[static_cast<size_t>(i)] = sums(affinities, points.const_data_ptr<double>(), i);
    }
  });
  double weight = 0;
  double cost = 0;
  double total = 0;  // of the probabilities, which float32 lets be a little off 1
  for (const Sums& s : all) {
    weight += s.weight;
    cost += s.cost;
  }
  for (const float p : affinities.values) total += p;
  TsneGradient result{cost + total * std::log(weight), at::empty({n, 2}, at::kDouble)};
  double* gradient = result.gradient.data_ptr<double>();
  for (int64_t i = 0; i < n; ++i) {
    const Sums& s = all[static_cast<size_t>(i)];
    for (int64_t axis = 0; axis < 2; ++axis) {
      // Eq. 5.
      gradient[2 * i + axis] = 4 * (s.attracting[axis] - total * s.repelling[axis] / weight);
    }
  }
  return result;
}

}  // namespace striate
