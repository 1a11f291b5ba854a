#include <algorithm>
#include <cmath>

#include "kernels/region.h"

namespace striate::kernels {

namespace {

struct Bin {
  int64_t begin;
  int64_t end;
};

// The values of one bin along one axis. `begin` and `last` are whole values of the map.
template <typename T>
Bin bin_of(int64_t begin, int64_t last, int64_t bins, int64_t index, int64_t size) {
  const int64_t length = std::max<int64_t>(last - begin + 1, 1);
  const T bin = static_cast<T>(length) / static_cast<T>(bins);
  const auto from = static_cast<int64_t>(std::floor(static_cast<T>(index) * bin)) + begin;
  const auto to = static_cast<int64_t>(std::ceil(static_cast<T>(index + 1) * bin)) + begin;
  return {std::clamp<int64_t>(from, 0, size), std::clamp<int64_t>(to, 0, size)};
}

template <typename T>
int64_t whole(T pixel, const RegionGrid& grid) {
  return static_cast<int64_t>(std::round(pixel * static_cast<T>(grid.scale)));
}

}  // namespace

template <typename T>
void pool_regions(const Regions<T>& from, const RegionGrid& grid, T* to, int32_t* places,
                  int64_t begin, int64_t end) {
  const int64_t channels = from.channels;
  for (int64_t r = begin; r < end; ++r) {
    const T* roi = from.regions + 5 * r;
    const T* map = from.values + static_cast<int64_t>(roi[0]) * from.height * from.width * channels;
    for (int64_t bin = 0; bin < grid.rows * grid.columns; ++bin) {
      const Bin rows = bin_of<T>(whole(roi[2], grid), whole(roi[4], grid), grid.rows,
                                 bin / grid.columns, from.height);
      const Bin columns = bin_of<T>(whole(roi[1], grid), whole(roi[3], grid), grid.columns,
                                    bin % grid.columns, from.width);
      T* value = to + (r * grid.rows * grid.columns + bin) * channels;
      int32_t* place = places + (value - to);
      std::fill_n(value, channels, T{0});
      std::fill_n(place, channels, -1);
      for (int64_t y = rows.begin; y < rows.end; ++y) {
        for (int64_t x = columns.begin; x < columns.end; ++x) {
          const auto here = static_cast<int32_t>(y * from.width + x);
          const T* seen = map + here * channels;
          for (int64_t k = 0; k < channels; ++k) {
            const bool larger = place[k] < 0 || seen[k] > value[k];
            value[k] = larger ? seen[k] : value[k];
            place[k] = larger ? here : place[k];
          }
        }
      }
    }
  }
}

template <typename T>
void pool_regions_gradient(const Regions<T>& from, int64_t count, const RegionGrid& grid,
                           const int32_t* places, const T* gradient, T* to, int64_t begin,
                           int64_t end) {
  const int64_t channels = from.channels;
  const int64_t bins = grid.rows * grid.columns;
  for (int64_t r = 0; r < count; ++r) {
    const auto index = static_cast<int64_t>(from.regions[5 * r]);
    T* map = to + index * from.height * from.width * channels;
    for (int64_t bin = 0; bin < bins; ++bin) {
      const int64_t at = (r * bins + bin) * channels;
      for (int64_t k = begin; k < end; ++k) {
        if (places[at + k] >= 0) map[places[at + k] * channels + k] += gradient[at + k];
      }
    }
  }
}

template void pool_regions(const Regions<float>&, const RegionGrid&, float*, int32_t*, int64_t,
                           int64_t);
template void pool_regions(const Regions<double>&, const RegionGrid&, double*, int32_t*, int64_t,
                           int64_t);
template void pool_regions_gradient(const Regions<float>&, int64_t, const RegionGrid&,
                                    const int32_t*, const float*, float*, int64_t, int64_t);
template void pool_regions_gradient(const Regions<double>&, int64_t, const RegionGrid&,
                                    const int32_t*, const double*, double*, int64_t, int64_t);

}  // namespace striate::kernels
