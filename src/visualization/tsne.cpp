// Van der Maaten, Hinton, "Visualizing data using t-SNE", 2008,
// https://jmlr.org/papers/v9/vandermaaten08a.html
//
// Departures, as in later programs of the authors and of others: the factor 4 of eq. 5 is part of
// the learning rate; the start is PCA (kobak2019); the learning rate grows with the number of
// points (belkina2019); a point moves by at most 5 in an iteration (policar2024).

#include "striate/visualization/tsne.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <stdexcept>

#include "kernels/map_forces.h"
#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/visualization/pca.h"
#include "visualization/features.h"
#include "visualization/gains.h"
#include "visualization/repulsion.h"

namespace striate {

namespace {

constexpr int64_t kExactPoints = 1000;
constexpr int64_t kBarnesHutPoints = 200000;
constexpr double kStartDeviation = 1e-4;
constexpr double kJitter = 0.01;  // of the start's deviation
constexpr double kSmallestRate = 200;
constexpr float kLargestStep = 5;

TsneMethod choose(TsneMethod method, int64_t points) {
  if (method != TsneMethod::kAuto) return method;
  if (points <= kExactPoints) return TsneMethod::kExact;
  return points < kBarnesHutPoints ? TsneMethod::kBarnesHut : TsneMethod::kInterpolation;
}

// What eq. 2 has of each pair with a probability: sum p log(p / w).
double attraction_cost(const Affinities& p, const float* points) {
  std::vector<double> parts(static_cast<size_t>(chunk_count(p.size())));
  for_chunks(p.size(), [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t e = p.begins[static_cast<size_t>(i)]; e < p.begins[static_cast<size_t>(i) + 1];
           ++e) {
        const float value = p.values[static_cast<size_t>(e)];
        if (value <= 0) continue;
        const int64_t j = p.columns[static_cast<size_t>(e)];
        const double dx = double{points[2 * i]} - points[2 * j];
        const double dy = double{points[2 * i + 1]} - points[2 * j + 1];
        sum += value * std::log(value * (1 + dx * dx + dy * dy));
      }
    }
    parts[static_cast<size_t>(begin / kChunkRows)] = sum;
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

double divergence(const Affinities& p, const float* points, Repulsion& repulsion) {
  std::vector<float> forces(static_cast<size_t>(2 * p.size()));
  const double sum = repulsion.compute(points, p.size(), forces.data());
  return attraction_cost(p, points) + std::log(sum);
}

struct Phase {
  int64_t iterations;
  double exaggeration;
  double momentum;
  double learning_rate;
};

// Gradient descent on a map.
class Descent {
 public:
  Descent(const Affinities& affinities, const at::Tensor& initial,
          std::unique_ptr<Repulsion> repulsion)
      : p_(affinities),
        repulsion_(std::move(repulsion)),
        map_(initial.clone()),
        next_(at::empty_like(map_)),
        repelling_(floats()),
        update_(floats()),
        gains_(floats(1)) {}

  const at::Tensor& map() const { return map_; }
  Repulsion& repulsion() { return *repulsion_; }

  void step(const Phase& phase) {
    const float* points = map_.const_data_ptr<float>();
    const double sum = repulsion_->compute(points, p_.size(), repelling_.data());
    for_chunks(p_.size(), [&](int64_t begin, int64_t end) { move(phase, sum, begin, end); });
    std::swap(map_, next_);
  }

 private:
  std::vector<float> floats(float value = 0) const {
    return std::vector<float>(static_cast<size_t>(2 * p_.size()), value);
  }

  void move(const Phase& phase, double sum, int64_t begin, int64_t end) {
    const float* points = map_.const_data_ptr<float>();
    float* to = next_.data_ptr<float>();
    std::array<float, 2 * kChunkRows> attracting;
    kernels::attract({p_.begins.data(), p_.columns.data(), p_.values.data()}, begin, end,
                     points + 2 * begin, points, attracting.data());
    const auto exaggeration = static_cast<float>(phase.exaggeration);
    const auto inverse_sum = static_cast<float>(1 / sum);
    const auto momentum = static_cast<float>(phase.momentum);
    const auto learning_rate = static_cast<float>(phase.learning_rate);
    for (int64_t i = 2 * begin; i < 2 * end; i += 2) {
      std::array<float, 2> step;
      for (int64_t k = i; k < i + 2; ++k) {
        const auto at = static_cast<size_t>(k);
        // Eq. 5.
        const float gradient = exaggeration * attracting[at - static_cast<size_t>(2 * begin)] -
                               repelling_[at] * inverse_sum;
        gains_[at] = next_gain(gains_[at], gradient, update_[at]);
        step[at & 1] = momentum * update_[at] - learning_rate * gains_[at] * gradient;
      }
      const float length = std::sqrt(step[0] * step[0] + step[1] * step[1]);
      const float scale = length > kLargestStep ? kLargestStep / length : 1;
      for (int64_t k = i; k < i + 2; ++k) {
        const float moved = scale * step[static_cast<size_t>(k & 1)];
        update_[static_cast<size_t>(k)] = moved;
        to[k] = points[k] + moved;
      }
    }
  }

  const Affinities& p_;
  std::unique_ptr<Repulsion> repulsion_;
  at::Tensor map_;
  at::Tensor next_;
  std::vector<float> repelling_;
  std::vector<float> update_;
  std::vector<float> gains_;
};

std::vector<Phase> phases(const TsneOptions& options, int64_t points) {
  const auto rate = [&](double exaggeration) {
    if (options.learning_rate > 0) return options.learning_rate;
    return std::max(static_cast<double>(points), kSmallestRate) / exaggeration;
  };
  return {{options.early_iterations, options.early_exaggeration, options.early_momentum,
           rate(options.early_exaggeration)},
          {options.iterations, 1, options.momentum, rate(1)}};
}

void check(const TsneOptions& options) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("t-SNE needs ") + what);
  };
  require(options.early_exaggeration >= 1, "early_exaggeration >= 1");
  require(options.early_iterations >= 0 && options.iterations >= 0, "iterations >= 0");
  require(options.early_momentum >= 0 && options.early_momentum < 1 && options.momentum >= 0 &&
              options.momentum < 1,
          "momenta in [0, 1)");
  require(options.learning_rate >= 0 && std::isfinite(options.learning_rate),
          "a learning_rate that is positive, or 0");
  require(options.theta >= 0 && options.theta <= 1, "theta in [0, 1]");
  require(options.observe_every >= 1, "observe_every >= 1");
}

at::Tensor checked_map(const at::Tensor& map, int64_t points) {
  at::Tensor result = checked_features(map, "points of a map");
  if (result.size(0) != points || result.size(1) != 2) {
    throw ShapeError(fmt::format("a map of {} points needs the shape ({}, 2), got ({}, {})", points,
                                 points, result.size(0), result.size(1)));
  }
  return result;
}

// The two principal components, the first with a small deviation; equal points are parted.
at::Tensor start(const at::Tensor& features, uint64_t seed) {
  at::Tensor map = at::zeros({features.size(0), 2}, at::kFloat);
  const int64_t components = std::min<int64_t>(2, features.size(1));
  const Pca pca = fit_pca(features, {.components = components, .seed = seed});
  const double deviation = std::sqrt(pca.explained_variance[0].item<double>());
  if (deviation > 0) {
    map.slice(1, 0, components).copy_(transform(pca, features).mul_(kStartDeviation / deviation));
  }
  Random random({seed, hash_name("t-SNE")});
  float* values = map.data_ptr<float>();
  for (int64_t i = 0; i < map.numel(); ++i) {
    values[i] += static_cast<float>(kJitter * kStartDeviation * random.normal());
  }
  return map;
}

void centre(at::Tensor& map) {
  float* values = map.data_ptr<float>();
  for (int64_t axis = 0; axis < 2; ++axis) {
    double sum = 0;
    for (int64_t i = axis; i < map.numel(); i += 2) sum += values[i];
    const double mean = sum / static_cast<double>(map.size(0));
    for (int64_t i = axis; i < map.numel(); i += 2)
      values[i] = static_cast<float>(values[i] - mean);
  }
}

}  // namespace

double tsne_divergence(const Affinities& affinities, const at::Tensor& map) {
  const at::Tensor points = checked_map(map, affinities.size());
  return divergence(affinities, points.const_data_ptr<float>(),
                    *make_repulsion(TsneMethod::kExact, 0));
}

TsneResult tsne(const Affinities& affinities, const TsneOptions& options) {
  check(options);
  const int64_t points = affinities.size();
  Descent descent(affinities, checked_map(options.initial, points),
                  make_repulsion(choose(options.method, points), options.theta));
  TsneResult result{.iterations = 0};
  const int64_t total = options.early_iterations + options.iterations;
  const auto stopped = [&] { return options.stop && options.stop(); };
  for (const Phase& phase : phases(options, points)) {
    for (int64_t i = 0; i < phase.iterations && !stopped(); ++i) {
      descent.step(phase);
      ++result.iterations;
      if (options.observer && result.iterations % options.observe_every == 0) {
        options.observer(
            {result.iterations, total,
             divergence(affinities, descent.map().const_data_ptr<float>(), descent.repulsion()),
             descent.map()});
      }
    }
  }
  result.map = descent.map();
  centre(result.map);
  result.divergence = tsne_divergence(affinities, result.map);
  return result;
}

TsneResult tsne(const at::Tensor& features, const TsneOptions& options) {
  check(options);
  const at::Tensor x = checked_features(features, "features of t-SNE");
  const bool all_points = choose(options.method, x.size(0)) == TsneMethod::kExact;
  const Affinities affinities =
      tsne_affinities(x, {.perplexity = options.perplexity, .all_points = all_points});
  TsneOptions with_start = options;
  if (!with_start.initial.defined()) with_start.initial = start(x, options.seed);
  return tsne(affinities, with_start);
}

}  // namespace striate
