// Halko, Martinsson, Tropp, "Finding structure with randomness: probabilistic algorithms for
// constructing approximate matrix decompositions", 2011, https://arxiv.org/abs/0909.4061
//
// Departure: the subspace iteration (algorithm 4.4) is on the product of the features with their
// transpose, so that only matrices of D rows are orthonormalised.

#include "striate/visualization/pca.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <stdexcept>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "visualization/features.h"

namespace striate {

namespace {

constexpr int64_t kWideFeatures = 1000;
constexpr int64_t kOversampling = 10;  // halko2011, section 4.2
constexpr int64_t kIterations = 7;     // as scikit-learn for few components
constexpr int64_t kSums = 8;           // at most so many threads add at once
constexpr int64_t kSumsBytes = int64_t{1} << 28;

at::Tensor zeros(at::IntArrayRef sizes) {
  return at::zeros(sizes, at::kDouble);
}

// The sum over all chunks of rows of what `add(sum, begin, end)` adds, in a fixed order.
template <typename Add>
at::Tensor sum_of_chunks(int64_t rows, at::IntArrayRef sizes, const Add& add) {
  int64_t bytes = 8;
  for (const int64_t size : sizes) bytes *= size;
  const int64_t count = std::clamp<int64_t>(kSumsBytes / bytes, 1, kSums);
  std::vector<at::Tensor> sums;
  for (int64_t i = 0; i < count; ++i) sums.push_back(zeros(sizes));
  at::parallel_for(0, count, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      for (int64_t chunk = i; chunk < chunk_count(rows); chunk += count) {
        const int64_t begin = chunk * kChunkRows;
        add(sums[static_cast<size_t>(i)], begin, std::min(rows, begin + kChunkRows));
      }
    }
  });
  for (int64_t i = 1; i < count; ++i) sums[0].add_(sums[static_cast<size_t>(i)]);
  return sums[0];
}

struct Centred {
  at::Tensor features;  // (N, D) float32, as given
  at::Tensor mean;      // (D) float64

  int64_t rows() const { return features.size(0); }
  int64_t width() const { return features.size(1); }
  at::Tensor chunk(int64_t begin, int64_t end) const {
    return features.slice(0, begin, end).to(at::kDouble).sub_(mean);
  }
};

Centred centre(const at::Tensor& features) {
  const at::Tensor sum = sum_of_chunks(
      features.size(0), {features.size(1)}, [&](at::Tensor& sum, int64_t begin, int64_t end) {
        sum.add_(features.slice(0, begin, end).to(at::kDouble).sum(0));
      });
  return {features, sum.div(static_cast<double>(features.size(0)))};
}

// Columns of length 1 (D, K), and the sums of squares along them, both by falling sum.
struct Axes {
  at::Tensor vectors;
  at::Tensor squares;
};

Axes eigenvectors(const at::Tensor& symmetric, int64_t count) {
  Axes axes;
  on_one_thread([&] {
    const auto [values, vectors] = at::linalg_eigh(symmetric);
    axes.squares = values.flip(0).slice(0, 0, count).clamp_min(0);
    axes.vectors = vectors.flip(1).slice(1, 0, count).contiguous();
  });
  return axes;
}

Axes by_covariance(const Centred& x, int64_t components) {
  const at::Tensor sum = sum_of_chunks(x.rows(), {x.width(), x.width()},
                                       [&](at::Tensor& sum, int64_t begin, int64_t end) {
                                         const at::Tensor chunk = x.chunk(begin, end);
                                         sum.addmm_(chunk.t(), chunk);
                                       });
  return eigenvectors(sum, components);
}

// Few rows of many features: the eigenvectors of X Xᵀ are those of Xᵀ X, seen from the other side.
Axes by_gram_matrix(const Centred& x, int64_t components) {
  Axes axes;
  on_one_thread([&] {
    const at::Tensor rows = x.chunk(0, x.rows());
    const Axes sides = eigenvectors(at::mm(rows, rows.t()), components);
    // A direction without variance is any that is orthogonal to the others.
    axes.vectors = std::get<0>(at::linalg_qr(at::mm(rows.t(), sides.vectors)));
    axes.squares = sides.squares;
  });
  return axes;
}

Axes by_random_start(const Centred& x, const PcaOptions& options) {
  const int64_t width = std::min({options.components + kOversampling, x.width(), x.rows()});
  Random random({options.seed, hash_name("pca")});
  at::Tensor basis = zeros({x.width(), width});
  double* values = basis.data_ptr<double>();
  for (int64_t i = 0; i < basis.numel(); ++i) values[i] = random.normal();
  for (int64_t i = 0; i < kIterations; ++i) {
    const at::Tensor product =
        sum_of_chunks(x.rows(), basis.sizes(), [&](at::Tensor& sum, int64_t begin, int64_t end) {
          const at::Tensor chunk = x.chunk(begin, end);
          sum.addmm_(chunk.t(), at::mm(chunk, basis));
        });
    on_one_thread([&] { basis = std::get<0>(at::linalg_qr(product)); });
  }
  const at::Tensor inside =
      sum_of_chunks(x.rows(), {width, width}, [&](at::Tensor& sum, int64_t begin, int64_t end) {
        const at::Tensor projected = at::mm(x.chunk(begin, end), basis);
        sum.addmm_(projected.t(), projected);
      });
  Axes axes = eigenvectors(inside, options.components);
  on_one_thread([&] { axes.vectors = at::mm(basis, axes.vectors); });
  return axes;
}

Axes find_axes(const Centred& x, const PcaOptions& options) {
  const int64_t smaller = std::min(x.rows(), x.width());
  const bool randomized = options.method == PcaMethod::kRandomized ||
                          (options.method == PcaMethod::kAuto && smaller > kWideFeatures &&
                           options.components < smaller / 10);
  if (randomized) return by_random_start(x, options);
  return x.rows() < x.width() ? by_gram_matrix(x, options.components)
                              : by_covariance(x, options.components);
}

// Of a vector and its opposite, the one whose entry of the largest size is positive.
void fix_signs(at::Tensor& components) {
  double* values = components.data_ptr<double>();
  for (int64_t k = 0; k < components.size(0); ++k) {
    double* row = values + k * components.size(1);
    double* end = row + components.size(1);
    const double largest =
        *std::max_element(row, end, [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (largest >= 0) continue;
    for (double* value = row; value != end; ++value) *value = -*value;
  }
}

}  // namespace

Pca fit_pca(const at::Tensor& features, const PcaOptions& options) {
  const Centred x = centre(checked_features(features, "features of PCA"));
  const int64_t most = std::min(x.rows(), x.width());
  if (x.rows() < 2) throw std::invalid_argument("PCA needs at least 2 rows of features");
  if (options.components < 1 || options.components > most) {
    throw std::invalid_argument(
        fmt::format("PCA of ({}, {}) features has 1 to {} components, not {}", x.rows(), x.width(),
                    most, options.components));
  }
  const Axes axes = find_axes(x, options);
  at::Tensor components = axes.vectors.t().contiguous();
  fix_signs(components);
  const at::Tensor total =
      sum_of_chunks(x.rows(), {1}, [&](at::Tensor& sum, int64_t begin, int64_t end) {
        sum.add_(x.chunk(begin, end).square_().sum());
      });
  const double all = std::max(total.item<double>(), std::numeric_limits<double>::min());
  return {.mean = x.mean.to(at::kFloat),
          .components = components.to(at::kFloat),
          .explained_variance = axes.squares.div(static_cast<double>(x.rows() - 1)).to(at::kFloat),
          .explained_ratio = axes.squares.div(all).to(at::kFloat)};
}

at::Tensor transform(const Pca& pca, const at::Tensor& features) {
  const at::Tensor x = checked_features(features, "features of PCA");
  if (x.size(1) != pca.mean.size(0)) {
    throw ShapeError(fmt::format("PCA of {} features got {}", pca.mean.size(0), x.size(1)));
  }
  at::Tensor result = at::empty({x.size(0), pca.components.size(0)}, at::kFloat);
  const at::Tensor axes = pca.components.t().to(at::kDouble);
  const at::Tensor mean = pca.mean.to(at::kDouble);
  for_chunks(x.size(0), [&](int64_t begin, int64_t end) {
    const at::Tensor centred = x.slice(0, begin, end).to(at::kDouble).sub_(mean);
    result.slice(0, begin, end).copy_(at::mm(centred, axes));
  });
  return result;
}

}  // namespace striate
