#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace striate {

enum class Distance {
  kEuclidean,
  kCosine,  ///< 1 - cosine of the angle; 1 to a vector of zeros
};

struct NeighbourOptions {
  int64_t count = 10;  ///< neighbours of each point
  Distance distance = Distance::kEuclidean;
};

/// The nearest first; of equally distant ones the lower index.
struct Neighbours {
  at::Tensor indices;    ///< (N, count) int64
  at::Tensor distances;  ///< (N, count) float32
};

/// Each point's nearest among the others, exactly: all distances are computed, in blocks. The same
/// bytes come out for any number of threads.
/// @param features  (N, D) float32, finite.
/// @throws ShapeError             features of another form, type or device.
/// @throws std::invalid_argument  count not in [1, N - 1], or what is not a number.
/// Error: candidates are chosen in float32 and sorted in float64.
Neighbours nearest_neighbours(const at::Tensor& features, const NeighbourOptions& options);

/// The same for points that are not among those that are searched.
/// @param queries  (M, D) float32; count is in [1, N].
Neighbours nearest_neighbours(const at::Tensor& queries, const at::Tensor& features,
                              const NeighbourOptions& options);

struct TrustworthinessOptions {
  int64_t neighbours = 12;
  Distance distance = Distance::kEuclidean;  ///< of the features
};

/// How far the neighbours in a map are neighbours in the features: 1 where all are, about 0.5 for a
/// random map.
/// @param features  (N, D) float32.
/// @param map       (N, K) float32.
/// @return          in [0, 1].
/// @throws std::invalid_argument  neighbours not in [1, N / 2).
/// Source: venna2001, eq. 1.
double trustworthiness(const at::Tensor& features, const at::Tensor& map,
                       const TrustworthinessOptions& options = {});

}  // namespace striate
