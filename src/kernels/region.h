#pragma once

#include <cstdint>

namespace striate::kernels {

/// Feature maps (N, H, W, C) and regions of them, (R, 5): the map's index, x1, y1, x2, y2 in
/// pixels of the image. T is float or double.
template <typename T>
struct Regions {
  const T* values;
  int64_t channels;
  int64_t height;
  int64_t width;
  const T* regions;
};

/// How a region becomes a grid of values.
struct RegionGrid {
  int64_t rows;
  int64_t columns;
  double scale;          ///< values of the map for each pixel of the image
  int64_t samples = 0;   ///< of RoI align, along a side of a bin; 0: one for each value of the map
  bool aligned = false;  ///< of RoI align: values lie in the middle of their pixels
};

/// RoI align of regions begin … end-1: `to` is (R, rows, columns, C).
template <typename T>
void align_regions(const Regions<T>& from, const RegionGrid& grid, T* to, int64_t begin,
                   int64_t end);
/// Adds the gradient of all regions to that of the maps, for channels begin … end-1.
/// @param gradient  (R, rows, columns, C)    @param to  (N, H, W, C)
template <typename T>
void align_regions_gradient(const Regions<T>& from, int64_t count, const RegionGrid& grid,
                            const T* gradient, T* to, int64_t begin, int64_t end);

/// RoI pooling likewise. @param places  (R, rows, columns, C): where in its map (y * W + x) each
/// largest value is; -1 where a bin is empty.
template <typename T>
void pool_regions(const Regions<T>& from, const RegionGrid& grid, T* to, int32_t* places,
                  int64_t begin, int64_t end);
template <typename T>
void pool_regions_gradient(const Regions<T>& from, int64_t count, const RegionGrid& grid,
                           const int32_t* places, const T* gradient, T* to, int64_t begin,
                           int64_t end);

}  // namespace striate::kernels
