#pragma once

#include <cstdint>
#include <vector>

#include "striate/image/image.h"

namespace striate {

/// Weights are fixed-point numbers with this many bits behind the point, as Pillow's: a byte times
/// a sum of weights of up to 2 in absolute value fits 32 bits.
inline constexpr int kWeightBits = 22;

/// The source positions that one output position reads, and where their weights begin.
struct TapSpan {
  int64_t first = 0;
  int64_t count = 0;
  int64_t weights_offset = 0;
};

/// A linear map along one axis, as a sparse matrix.
struct Taps {
  std::vector<TapSpan> spans;  // one for each output position
  std::vector<int32_t> weights;
};

struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
};

/// Applies `taps` along the rows of a range of rows: (h, w) to (rows.count, taps.spans.size()).
Image resample_columns(const Image& image, const Taps& taps, const RowRange& rows);

/// Applies `taps` along the columns: (h, w) to (taps.spans.size(), w).
Image resample_rows(const Image& image, const Taps& taps);

}  // namespace striate
