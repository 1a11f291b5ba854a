#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "striate/base/random.h"

namespace striate {

/// Sentences as numbers, in one batch.
struct SentenceBatch {
  at::Tensor tokens;             ///< (T, N) int64; behind a sentence's end `<pad>`
  std::vector<int64_t> lengths;  ///< (N)
};
/// @param sentences  each with its `<eos>`, none empty.
SentenceBatch make_sentence_batch(std::span<const std::vector<int64_t>> sentences);

/// What examples are sorted by: the second number where the first is equal.
using Lengths = std::array<int64_t, 2>;
/// The batches of an epoch, indices of examples of these lengths: those of a batch are of similar
/// length, and what is too few for a batch is left out.
std::vector<std::vector<int64_t>> batches_of_similar_length(std::span<const Lengths> lengths,
                                                            int64_t batch_size, Random& random);

}  // namespace striate
