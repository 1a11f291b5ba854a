// Linderman, Rachh, Hoskins, Steinerberger, Kluger, "Fast interpolation-based t-SNE for improved
// visualization of single-cell RNA-seq data", 2019, https://arxiv.org/abs/1712.09005
//
// Departures: a point's nodes are the four around it along each axis, wherever it lies, instead of
// the three of its interval, which at an interval's ends are further off. Both kernels are even, so
// that their transforms are real: one complex transform serves two real grids, 5 in all instead of
// 9. The grid's spacing takes few values, so that the kernels' transform is kept from one iteration
// to the next.

#include <ATen/Functions.h>

#include <array>
#include <cmath>
#include <complex>
#include <numeric>

#include "visualization/features.h"
#include "visualization/repulsion.h"

namespace striate {

namespace {

using Complex = std::complex<float>;

constexpr int64_t kNodes = 4;                // of a point, along each axis
constexpr int64_t kFewestSpacings = 150;     // across the map
constexpr double kLargestSpacing = 1.0 / 3;  // section 2.4: three nodes to an interval of length 1
constexpr double kSpacingsPerOctave = 8;
constexpr int64_t kBandRows = 8;  // of nodes: no fewer than a point has
constexpr int64_t kTransformChunks = 16;

Complex* data(const at::Tensor& grid) {
  return static_cast<Complex*>(grid.data_ptr());
}

// The next length that has no factors but 2, 3 and 5.
int64_t fast_length(int64_t length) {
  for (;; ++length) {
    int64_t rest = length;
    for (const int64_t factor : {2, 3, 5}) {
      while (rest % factor == 0) rest /= factor;
    }
    if (rest == 1) return length;
  }
}

struct Grid {
  double left = 0;  // of the first node
  double top = 0;
  double spacing = 0;
  int64_t size = 0;  // nodes along each axis

  int64_t length() const { return fast_length(2 * size); }
  int64_t bands() const { return (size - 1) / kBandRows + 1; }
};

// A square around the points.
Grid make_grid(const float* points, int64_t count) {
  std::array<float, 2> low = {points[0], points[1]};
  std::array<float, 2> high = low;
  for (int64_t i = 0; i < count; ++i) {
    for (size_t axis = 0; axis < 2; ++axis) {
      low[axis] = std::min(low[axis], points[2 * i + static_cast<int64_t>(axis)]);
      high[axis] = std::max(high[axis], points[2 * i + static_cast<int64_t>(axis)]);
    }
  }
  const double side = std::max({double{high[0]} - low[0], double{high[1]} - low[1], 1e-20});
  const double wanted = std::min(kLargestSpacing, side / kFewestSpacings);
  const double spacing =
      std::exp2(std::floor(std::log2(wanted) * kSpacingsPerOctave) / kSpacingsPerOctave);
  const int64_t size = static_cast<int64_t>(std::floor(side / spacing)) + kNodes;
  const double over = (static_cast<double>(size - 1) * spacing - side) / 2;
  return {low[0] - over, low[1] - over, spacing, size};
}

// The transform of each row, filled up with zeros: column i of the result is row i's, cut to
// `kept`.
at::Tensor transform_rows(const at::Tensor& grid, int64_t length, int64_t kept, bool inverse) {
  const int64_t rows = grid.size(0);
  at::Tensor result = at::empty({kept, rows}, at::kComplexFloat);
  at::parallel_for(0, kTransformChunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t begin = rows * i / kTransformChunks;
      const int64_t end = rows * (i + 1) / kTransformChunks;
      if (begin == end) continue;
      const at::Tensor some = grid.slice(0, begin, end);
      const at::Tensor done = inverse ? at::fft_ifft(some, length) : at::fft_fft(some, length);
      result.slice(1, begin, end).copy_(done.slice(1, 0, kept).t());
    }
  });
  return result;
}

at::Tensor transform(const at::Tensor& grid, int64_t length) {
  return transform_rows(transform_rows(grid, length, length, false), length, length, false);
}

at::Tensor transform_back(const at::Tensor& grid, int64_t length, int64_t size) {
  return transform_rows(transform_rows(grid, length, size, true), length, size, true);
}

// The transform of 1 / (1 + d²) in the real part, of its square in the imaginary one.
at::Tensor transformed_kernels(double spacing, int64_t length) {
  at::Tensor kernels = at::empty({length, length}, at::kComplexFloat);
  for (int64_t row = 0; row < length; ++row) {
    for (int64_t column = 0; column < length; ++column) {
      const double dy = spacing * static_cast<double>(std::min(row, length - row));
      const double dx = spacing * static_cast<double>(std::min(column, length - column));
      const double w = 1 / (1 + dx * dx + dy * dy);
      data(kernels)[row * length + column] = {static_cast<float>(w), static_cast<float>(w * w)};
    }
  }
  return transform(kernels, length);
}

// The first of a point's nodes, and its weights on them (Lagrange's polynomials).
struct Place {
  int64_t column = 0;
  int64_t row = 0;
  std::array<float, kNodes> x{};
  std::array<float, kNodes> y{};
};

// @param t  from the first node, in spacings.
std::array<float, kNodes> weights(double t) {
  const double a = t - 1;
  const double b = t - 2;
  const double c = t - 3;
  return {static_cast<float>(a * b * c / -6), static_cast<float>(t * b * c / 2),
          static_cast<float>(t * a * c / -2), static_cast<float>(t * a * b / 6)};
}

// @param offset  from the grid's first node, in spacings.
int64_t first_node(const Grid& grid, double offset) {
  return std::clamp<int64_t>(static_cast<int64_t>(offset) - (kNodes / 2 - 1), 0,
                             grid.size - kNodes);
}

int64_t row_of(const Grid& grid, const float* point) {
  return first_node(grid, (point[1] - grid.top) / grid.spacing);
}

Place place(const Grid& grid, const float* point) {
  const double x = (point[0] - grid.left) / grid.spacing;
  const double y = (point[1] - grid.top) / grid.spacing;
  const int64_t column = first_node(grid, x);
  const int64_t row = first_node(grid, y);
  return {column, row, weights(x - static_cast<double>(column)),
          weights(y - static_cast<double>(row))};
}

class Interpolation final : public Repulsion {
 public:
  double compute(const float* points, int64_t count, float* forces) override {
    const Grid grid = make_grid(points, count);
    if (grid.length() != length_ || grid.spacing != spacing_) {
      length_ = grid.length();
      spacing_ = grid.spacing;
      kernels_ = transformed_kernels(spacing_, length_);
    }
    sort_by_bands(grid, points, count);
    at::Tensor ones = at::zeros({grid.size, grid.size}, at::kComplexFloat);
    at::Tensor moments = at::zeros({grid.size, grid.size}, at::kComplexFloat);
    spread(grid, points, ones, moments);
    ones = transform(ones, length_);
    moments = transform(moments, length_);
    multiply(ones, moments);
    ones = transform_back(ones, length_, grid.size);
    moments = transform_back(moments, length_, grid.size);
    return gather(grid, points, ones, moments, forces);
  }

 private:
  void sort_by_bands(const Grid& grid, const float* points, int64_t count) {
    begins_.assign(static_cast<size_t>(grid.bands()) + 1, 0);
    bands_.resize(static_cast<size_t>(count));
    order_.resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t band = row_of(grid, points + 2 * i) / kBandRows;
      bands_[static_cast<size_t>(i)] = static_cast<int32_t>(band);
      ++begins_[static_cast<size_t>(band) + 1];
    }
    std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
    std::vector<int64_t> ends(begins_.begin(), begins_.end() - 1);
    for (int64_t i = 0; i < count; ++i) {
      const auto band = static_cast<size_t>(bands_[static_cast<size_t>(i)]);
      order_[static_cast<size_t>(ends[band]++)] = static_cast<int32_t>(i);
    }
  }

  // Calls `use(i, place)` for every point of a band.
  template <typename Use>
  void for_band(int64_t band, const Grid& grid, const float* points, const Use& use) const {
    const auto at = static_cast<size_t>(band);
    for (int64_t k = begins_[at]; k < begins_[at + 1]; ++k) {
      const int64_t i = order_[static_cast<size_t>(k)];
      use(i, place(grid, points + 2 * i));
    }
  }

  // Coordinates are from the middle: small numbers keep their digits in the transforms.
  Complex from_middle(const Grid& grid, const float* point) const {
    const double half = grid.spacing * static_cast<double>(grid.size - 1) / 2;
    return {static_cast<float>(point[0] - grid.left - half),
            static_cast<float>(point[1] - grid.top - half)};
  }

  void spread(const Grid& grid, const float* points, const at::Tensor& ones,
              const at::Tensor& moments) const {
    const auto add = [&](int64_t i, const Place& p) {
      const Complex position = from_middle(grid, points + 2 * i);
      for (size_t row = 0; row < kNodes; ++row) {
        const int64_t node = (p.row + static_cast<int64_t>(row)) * grid.size + p.column;
        for (size_t column = 0; column < kNodes; ++column) {
          const float weight = p.y[row] * p.x[column];
          data(ones)[node + static_cast<int64_t>(column)] += weight;
          data(moments)[node + static_cast<int64_t>(column)] += weight * position;
        }
      }
    };
    // A band's points reach into the next one, but not beyond: two threads never write to one node.
    for (const int64_t parity : {0, 1}) {
      at::parallel_for(0, (grid.bands() + 1 - parity) / 2, 1, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) for_band(2 * i + parity, grid, points, add);
      });
    }
  }

  // The potentials of the ones by both kernels, of the coordinates by the squared one.
  void multiply(const at::Tensor& ones, const at::Tensor& moments) const {
    const Complex* kernels = data(kernels_);
    Complex* one = data(ones);
    Complex* moment = data(moments);
    at::parallel_for(0, length_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * length_; i < end * length_; ++i) {
        const float w = kernels[i].real();
        const float squared = kernels[i].imag();
        one[i] = {one[i].real() * w - one[i].imag() * squared,
                  one[i].real() * squared + one[i].imag() * w};
        moment[i] *= squared;
      }
    });
  }

  double gather(const Grid& grid, const float* points, const at::Tensor& ones,
                const at::Tensor& moments, float* forces) {
    sums_.resize(order_.size());
    const auto collect = [&](int64_t i, const Place& p) {
      Complex one;
      Complex moment;
      for (size_t row = 0; row < kNodes; ++row) {
        const int64_t node = (p.row + static_cast<int64_t>(row)) * grid.size + p.column;
        for (size_t column = 0; column < kNodes; ++column) {
          const float weight = p.y[row] * p.x[column];
          one += weight * data(ones)[node + static_cast<int64_t>(column)];
          moment += weight * data(moments)[node + static_cast<int64_t>(column)];
        }
      }
      // sum_j w_ij² (y_i - y_j)
      const Complex force = from_middle(grid, points + 2 * i) * one.imag() - moment;
      forces[2 * i] = force.real();
      forces[2 * i + 1] = force.imag();
      sums_[static_cast<size_t>(i)] = one.real();
    };
    at::parallel_for(0, grid.bands(), 1, [&](int64_t first, int64_t last) {
      for (int64_t band = first; band < last; ++band) for_band(band, grid, points, collect);
    });
    double sum = 0;
    for (const float s : sums_) sum += s - 1.0;  // a point's weight on itself is 1
    return sum;
  }

  int64_t length_ = 0;
  double spacing_ = 0;
  at::Tensor kernels_;           // transformed
  std::vector<int64_t> begins_;  // of each band in the order
  std::vector<int32_t> order_;
  std::vector<int32_t> bands_;  // of each point
  std::vector<float> sums_;
};

}  // namespace

std::unique_ptr<Repulsion> make_interpolation() {
  return std::make_unique<Interpolation>();
}

}  // namespace striate
