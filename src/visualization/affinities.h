#pragma once

#include <cstdint>

namespace striate {

/// Probabilities of neighbours, p_j|i, whose entropy is that of the perplexity (vandermaaten2008,
/// eq. 1). `distances` and `probabilities` have `count` values; distances rise.
void conditional_probabilities(const float* distances, int64_t count, double perplexity,
                               float* probabilities);

}  // namespace striate
