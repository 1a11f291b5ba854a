#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace striate {

/// A matrix of features as the functions of this room take them: contiguous, no gradient.
/// @throws ShapeError             it is not (N, D) float32 on the CPU with D >= 1.
/// @throws std::invalid_argument  a value is not finite.
at::Tensor checked_features(const at::Tensor& features, const std::string& name);

/// Rows of a matrix that are worked on together. Parts that do not depend on the number of threads
/// make sums that don't either.
constexpr int64_t kChunkRows = 1024;

inline int64_t chunk_count(int64_t rows) {
  return (rows + kChunkRows - 1) / kChunkRows;
}

/// Calls `work(begin, end)` for every chunk of rows, by all threads. Matrix products inside are
/// each computed by one thread.
template <typename Work>
void for_chunks(int64_t rows, const Work& work) {
  at::parallel_for(0, chunk_count(rows), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      work(i * kChunkRows, std::min(rows, (i + 1) * kChunkRows));
    }
  });
}

/// Calls `work` where libraries use one thread, whatever the number of ours.
template <typename Work>
void on_one_thread(const Work& work) {
  at::parallel_for(0, std::max(2, at::get_num_threads()), 1, [&](int64_t begin, int64_t) {
    if (begin == 0) work();
  });
}

}  // namespace striate
