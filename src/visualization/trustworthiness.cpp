// Venna, Kaski, "Neighborhood preservation in nonlinear projection methods: an experimental study",
// 2001, https://doi.org/10.1007/3-540-44668-0_68

#include <fmt/format.h>

#include <stdexcept>

#include "kernels/neighbours.h"
#include "striate/base/error.h"
#include "striate/visualization/neighbours.h"
#include "visualization/distances.h"
#include "visualization/features.h"

namespace striate {

namespace {

constexpr int64_t kRowsTogether = 28;

// All keys of a block of rows.
std::vector<float> all_keys(const Distances& distances, int64_t begin, int64_t end) {
  const int64_t n = distances.columns();
  std::vector<float> keys(static_cast<size_t>((end - begin) * n));
  distances.for_blocks(begin, end,
                       [&](int64_t row, int64_t first, const float* block, int64_t count) {
                         std::copy_n(block, count, keys.data() + (row - begin) * n + first);
                       });
  return keys;
}

// The place of a point among all others by their distance in the features, from 1. A point itself
// is the nearest, or one of its doubles is.
int64_t rank(const float* keys, int64_t count, int64_t index) {
  const kernels::Counts counts = kernels::count_below(keys, count, keys[index]);
  int64_t rank = counts.below;
  if (counts.equal > 1) {
    for (int64_t i = 0; i < index; ++i) rank += keys[i] == keys[index] ? 1 : 0;
  }
  return std::max<int64_t>(1, rank);
}

}  // namespace

double trustworthiness(const at::Tensor& features, const at::Tensor& map,
                       const TrustworthinessOptions& options) {
  const at::Tensor x = checked_features(features, "features");
  const int64_t n = x.size(0);
  const int64_t k = options.neighbours;
  if (map.defined() && map.dim() == 2 && map.size(0) != n) {
    throw ShapeError(fmt::format("{} features but {} points in the map", n, map.size(0)));
  }
  if (k < 1 || 2 * k >= n) {
    throw std::invalid_argument(fmt::format(
        "the trustworthiness of {} points takes 1 to {} neighbours, not {}", n, (n - 1) / 2, k));
  }
  const at::Tensor near = nearest_neighbours(map, {.count = k}).indices;
  const int64_t* neighbours = near.const_data_ptr<int64_t>();
  const Distances distances(x, x, options.distance);
  std::vector<int64_t> intrusions(static_cast<size_t>(n));
  const int64_t parts = (n + kRowsTogether - 1) / kRowsTogether;
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      const int64_t begin = part * kRowsTogether;
      const int64_t end = std::min(n, begin + kRowsTogether);
      const std::vector<float> keys = all_keys(distances, begin, end);
      for (int64_t row = begin; row < end; ++row) {
        for (int64_t i = 0; i < k; ++i) {
          const int64_t place = rank(keys.data() + (row - begin) * n, n, neighbours[row * k + i]);
          intrusions[static_cast<size_t>(row)] += std::max<int64_t>(0, place - k);
        }
      }
    }
  });
  int64_t sum = 0;
  for (const int64_t intrusion : intrusions) sum += intrusion;
  // Eq. 1.
  const double scale = 2.0 / (static_cast<double>(n) * static_cast<double>(k) *
                              static_cast<double>(2 * n - 3 * k - 1));
  return 1 - scale * static_cast<double>(sum);
}

}  // namespace striate
