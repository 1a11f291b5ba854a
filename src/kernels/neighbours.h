#pragma once

#include <cstdint>

namespace striate::kernels {

/// Columns that a panel of packed rows has.
int64_t distance_panel();

/// Packs rows [0, count) of (count, width) for `distance_keys`: (panels, width, panel), 0 past the
/// last.
void pack_distance_panels(const float* rows, int64_t count, int64_t width, float* packed);

/// Keys of a block of distances: offsets[c] - (row . column c). With half the squared length of the
/// column as its offset, a key is half the squared distance, but for what all keys of the row
/// share.
struct DistanceBlock {
  const float* rows;  ///< (row_count, width)
  int64_t row_count;
  int64_t width;
  const float* packed;   ///< columns, from `pack_distance_panels`
  const float* offsets;  ///< for each column of the panels
  int64_t panels;
  float* keys;  ///< (row_count, panels * panel)
};
/// A key's value depends on its row, its column and its offset alone, not on the block.
void distance_keys(const DistanceBlock& block);

/// The positions of values below a limit, in their order. @return  how many.
int64_t find_below(const float* values, int64_t count, float limit, int32_t* positions);

/// How many values are below a limit, or equal to it.
struct Counts {
  int64_t below = 0;
  int64_t equal = 0;
};
Counts count_below(const float* values, int64_t count, float limit);

}  // namespace striate::kernels
