#pragma once

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>

#include <cmath>
#include <vector>

#include "kernels/neighbours.h"
#include "striate/visualization/neighbours.h"

namespace striate {

/// All distances from rows of one matrix to rows of another, in blocks: never all at once.
class Distances {
 public:
  /// @param rows, columns  (M, D) and (N, D) float32, contiguous.
  Distances(const at::Tensor& rows, const at::Tensor& columns, Distance distance);

  int64_t rows() const { return rows_.size(0); }
  int64_t columns() const { return columns_.size(0); }

  /// In float64, of the rows as they were given.
  double exact(int64_t row, int64_t column) const;

  /// Calls `use(row, first, keys, count)` for rows [begin, end) and blocks of columns in their
  /// order: keys of columns [first, first + count), which order a row's distances.
  template <typename Use>
  void for_blocks(int64_t begin, int64_t end, const Use& use) const {
    const int64_t panel = kernels::distance_panel();
    // Columns that stay in a core's cache.
    const int64_t block = std::max<int64_t>(1, kBlockFloats / (panel * width_)) * panel;
    std::vector<float> packed(static_cast<size_t>(block * width_));
    std::vector<float> offsets(static_cast<size_t>(block));
    std::vector<float> keys(static_cast<size_t>(block * (end - begin)));
    for (int64_t first = 0; first < columns(); first += block) {
      const int64_t count = std::min(block, columns() - first);
      const int64_t panels = (count + panel - 1) / panel;
      kernels::pack_distance_panels(columns_.const_data_ptr<float>() + first * width_, count,
                                    width_, packed.data());
      std::copy_n(offsets_.data() + first, count, offsets.data());
      kernels::distance_keys({.rows = rows_.const_data_ptr<float>() + begin * width_,
                              .row_count = end - begin,
                              .width = width_,
                              .packed = packed.data(),
                              .offsets = offsets.data(),
                              .panels = panels,
                              .keys = keys.data()});
      for (int64_t row = begin; row < end; ++row) {
        use(row, first, keys.data() + (row - begin) * panels * panel, count);
      }
    }
  }

 private:
  static constexpr int64_t kBlockFloats = 32768;

  Distance distance_;
  int64_t width_;
  at::Tensor given_rows_;
  at::Tensor given_columns_;
  at::Tensor rows_;  // moved to the middle, or of length 1
  at::Tensor columns_;
  std::vector<float> offsets_;  // half the squared lengths, or 0
};

}  // namespace striate
