#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace striate {

/// How the force that all points of a map have on each other is computed.
enum class TsneMethod {
  kAuto,           ///< exact up to 1000 points, then Barnes-Hut, interpolated from 200,000 on
  kExact,          ///< every pair of points; affinities between all points, too
  kBarnesHut,      ///< far points together: N log N
  kInterpolation,  ///< through a grid and Fourier transforms: N
};

/// Similarities of points in the features: symmetric, sparse, with the sum 1. Row i has columns and
/// values [begins[i], begins[i + 1]), by rising column.
struct Affinities {
  std::vector<int64_t> begins;
  std::vector<int32_t> columns;
  std::vector<float> values;

  int64_t size() const { return static_cast<int64_t>(begins.size()) - 1; }
};

struct AffinityOptions {
  double perplexity = 30;   ///< how many neighbours each point has, smoothly counted
  bool all_points = false;  ///< all others are neighbours; else the nearest 3 perplexity
};

/// Joint probabilities of vandermaaten2008, eq. 1 and section 3.1, over the nearest neighbours.
/// @param features  (N, D) float32, finite, N >= 3 perplexity + 1.
/// @throws ShapeError             features of another form, type or device.
/// @throws std::invalid_argument  too few points for the perplexity, or what is not a number.
Affinities tsne_affinities(const at::Tensor& features, const AffinityOptions& options);

/// Kullback and Leibler's divergence of a map from affinities, over all pairs of points.
/// @param map  (N, 2) float32.
/// @throws ShapeError  another number of points.
/// Error: within 1e-5 of the double-precision result.
/// Source: vandermaaten2008, eq. 2.
double tsne_divergence(const Affinities& affinities, const at::Tensor& map);

struct TsneGradient {
  double divergence;
  at::Tensor gradient;  ///< (N, 2) float64, by the map
};

/// The divergence and its gradient in float64, over all pairs of points: what the faster ways are
/// judged by.
/// @param map  (N, 2) float32 or float64.
/// @throws ShapeError  another number of points.
/// Source: vandermaaten2008, eqs. 2 and 5.
TsneGradient tsne_gradient(const Affinities& affinities, const at::Tensor& map);

struct TsneProgress {
  int64_t iteration;      ///< how many are done
  int64_t iterations;     ///< of how many
  double divergence;      ///< of the map so far, with the sum over all pairs as the method has it
  const at::Tensor& map;  ///< (N, 2) float32, valid during the call
};

struct TsneOptions {
  double perplexity = 30;
  double early_exaggeration = 12;  // belkina2019, linderman2019
  int64_t early_iterations = 250;
  int64_t iterations = 500;  ///< after the early ones
  double early_momentum = 0.5;
  double momentum = 0.8;     // vandermaaten2008, section 3.4
  double learning_rate = 0;  ///< 0: N / exaggeration, at least 200 / exaggeration (belkina2019)
  double theta = 0.5;        ///< Barnes-Hut: cells this many times smaller than far are one point
  TsneMethod method = TsneMethod::kAuto;
  uint64_t seed = 0;   ///< of the start's jitter, which parts equal points
  at::Tensor initial;  ///< (N, 2) float32; undefined: PCA, with a standard deviation of 1e-4
  std::function<void(const TsneProgress&)> observer;  ///< called every `observe_every` iterations
  int64_t observe_every = 50;
  std::function<bool()> stop;  ///< asked before each iteration; true ends with the map so far
};

struct TsneResult {
  at::Tensor map;      ///< (N, 2) float32
  double divergence;   ///< over all pairs of points, whatever the method
  int64_t iterations;  ///< that were done
};

/// t-SNE: a map of points in which neighbours in the features are neighbours. The same bytes come
/// out for the same seed, for any number of threads.
/// @param features  (N, D) float32, finite.
/// @throws ShapeError             features or a start of another form, type or device.
/// @throws std::invalid_argument  fewer than 3 perplexity + 1 points, what is not a number, or an
///                                option out of its range.
/// Source: vandermaaten2008; vandermaaten2014 (Barnes-Hut); linderman2019 (interpolation).
TsneResult tsne(const at::Tensor& features, const TsneOptions& options);

/// The same from affinities, which may be computed once for several maps.
/// @param options  `initial` must be defined; `perplexity` is not used.
TsneResult tsne(const Affinities& affinities, const TsneOptions& options);

struct TsnePlaceOptions {
  double perplexity = 5;    // this and what follows: policar2023
  int64_t neighbours = 25;  ///< whose median is a new point's start
  double exaggeration = 1.5;
  double learning_rate = 0.1;
  double momentum = 0.8;
  int64_t iterations = 250;
  double largest_gradient = 0.25;
  double theta = 0.5;
};

/// Places new points into a map whose points stay where they are. New points do not act on each
/// other: a point's place does not depend on what else is placed.
/// @param queries   (M, D) float32: the new points' features.
/// @param features  (N, D) float32: those of the map's points.
/// @param map       (N, 2) float32.
/// @return          (M, 2) float32.
/// @throws as `tsne`.
/// Source: policar2023.
at::Tensor tsne_place(const at::Tensor& queries, const at::Tensor& features, const at::Tensor& map,
                      const TsnePlaceOptions& options);

}  // namespace striate
