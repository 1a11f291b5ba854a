#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/region.h"

namespace striate::kernels {

namespace {

// Where one sample reads along one axis, and how much of each value.
template <typename T>
struct Tap {
  int64_t low = 0;
  int64_t high = 0;
  T low_share = 0;
  T high_share = 0;
  bool inside = false;
};

template <typename T>
Tap<T> tap_at(T place, int64_t size) {
  if (!(place >= -1 && place <= static_cast<T>(size))) return {};
  place = std::max(place, T{0});
  Tap<T> tap{.low = static_cast<int64_t>(place), .inside = true};
  if (tap.low >= size - 1) {
    tap.low = tap.high = size - 1;
    tap.low_share = 1;
    return tap;
  }
  tap.high = tap.low + 1;
  tap.high_share = place - static_cast<T>(tap.low);
  tap.low_share = 1 - tap.high_share;
  return tap;
}

// All samples of a region along one axis.
template <typename T>
struct Axis {
  int64_t samples = 0;  // of a bin
  std::vector<Tap<T>> taps;
};

template <typename T>
struct Extent {
  T begin;
  T end;
  int64_t bins;
  int64_t size;  // of the map
};

template <typename T>
Axis<T> sample(const Extent<T>& extent, const RegionGrid& grid) {
  const T offset = grid.aligned ? T{0.5} : T{0};
  const T scale = static_cast<T>(grid.scale);
  const T begin = extent.begin * scale - offset;
  T length = extent.end * scale - offset - begin;
  if (!grid.aligned) length = std::max(length, T{1});
  const T bin = length / static_cast<T>(extent.bins);
  Axis<T> axis{.samples = grid.samples > 0 ? grid.samples
                                           : static_cast<int64_t>(std::ceil(std::max(bin, T{0}))),
               .taps = {}};
  for (int64_t b = 0; b < extent.bins; ++b) {
    for (int64_t i = 0; i < axis.samples; ++i) {
      const T within = (static_cast<T>(i) + T{0.5}) * bin / static_cast<T>(axis.samples);
      axis.taps.push_back(tap_at(begin + static_cast<T>(b) * bin + within, extent.size));
    }
  }
  return axis;
}

// The four values around a sample.
template <typename T>
struct Corners {
  int64_t places[4];  // y * W + x
  T shares[4];
};

// For each bin and each of its samples inside the map: the corners; and how many samples count.
template <typename T>
class RegionSamples {
 public:
  RegionSamples(const Regions<T>& from, int64_t region, const RegionGrid& grid)
      : width_(from.width) {
    const T* roi = from.regions + 5 * region;
    rows_ = sample(Extent<T>{roi[2], roi[4], grid.rows, from.height}, grid);
    columns_ = sample(Extent<T>{roi[1], roi[3], grid.columns, from.width}, grid);
    map = static_cast<int64_t>(roi[0]);
    count = static_cast<T>(std::max<int64_t>(rows_.samples * columns_.samples, 1));
  }

  template <typename Use>
  void of_bin(int64_t row, int64_t column, const Use& use) const {
    for (int64_t i = 0; i < rows_.samples; ++i) {
      const Tap<T>& y = rows_.taps[static_cast<size_t>(row * rows_.samples + i)];
      if (!y.inside) continue;
      for (int64_t j = 0; j < columns_.samples; ++j) {
        const Tap<T>& x = columns_.taps[static_cast<size_t>(column * columns_.samples + j)];
        if (!x.inside) continue;
        use(Corners<T>{{y.low * width_ + x.low, y.low * width_ + x.high, y.high * width_ + x.low,
                        y.high * width_ + x.high},
                       {y.low_share * x.low_share, y.low_share * x.high_share,
                        y.high_share * x.low_share, y.high_share * x.high_share}});
      }
    }
  }

  int64_t map = 0;
  T count = 1;

 private:
  int64_t width_;
  Axis<T> rows_;
  Axis<T> columns_;
};

}  // namespace

template <typename T>
void align_regions(const Regions<T>& from, const RegionGrid& grid, T* to, int64_t begin,
                   int64_t end) {
  const int64_t channels = from.channels;
  for (int64_t r = begin; r < end; ++r) {
    const RegionSamples<T> samples(from, r, grid);
    const T* map = from.values + samples.map * from.height * from.width * channels;
    T* value = to + r * grid.rows * grid.columns * channels;
    for (int64_t bin = 0; bin < grid.rows * grid.columns; ++bin, value += channels) {
      std::fill_n(value, channels, T{0});
      samples.of_bin(bin / grid.columns, bin % grid.columns, [&](const Corners<T>& corners) {
        const T* const a = map + corners.places[0] * channels;
        const T* const b = map + corners.places[1] * channels;
        const T* const c = map + corners.places[2] * channels;
        const T* const d = map + corners.places[3] * channels;
        T* __restrict sum = value;
        for (int64_t k = 0; k < channels; ++k) {
          sum[k] += corners.shares[0] * a[k] + corners.shares[1] * b[k] + corners.shares[2] * c[k] +
                    corners.shares[3] * d[k];
        }
      });
      for (int64_t k = 0; k < channels; ++k) value[k] /= samples.count;
    }
  }
}

template <typename T>
void align_regions_gradient(const Regions<T>& from, int64_t count, const RegionGrid& grid,
                            const T* gradient, T* to, int64_t begin, int64_t end) {
  const int64_t channels = from.channels;
  for (int64_t r = 0; r < count; ++r) {
    const RegionSamples<T> samples(from, r, grid);
    T* map = to + samples.map * from.height * from.width * channels;
    const T* own = gradient + r * grid.rows * grid.columns * channels;
    for (int64_t bin = 0; bin < grid.rows * grid.columns; ++bin, own += channels) {
      samples.of_bin(bin / grid.columns, bin % grid.columns, [&](const Corners<T>& corners) {
        for (int corner = 0; corner < 4; ++corner) {
          const T share = corners.shares[corner] / samples.count;
          T* __restrict sum = map + corners.places[corner] * channels;
          for (int64_t k = begin; k < end; ++k) sum[k] += share * own[k];
        }
      });
    }
  }
}

template void align_regions(const Regions<float>&, const RegionGrid&, float*, int64_t, int64_t);
template void align_regions(const Regions<double>&, const RegionGrid&, double*, int64_t, int64_t);
template void align_regions_gradient(const Regions<float>&, int64_t, const RegionGrid&,
                                     const float*, float*, int64_t, int64_t);
template void align_regions_gradient(const Regions<double>&, int64_t, const RegionGrid&,
                                     const double*, double*, int64_t, int64_t);

}  // namespace striate::kernels
