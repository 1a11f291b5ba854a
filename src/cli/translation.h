#pragma once

#include "striate/sequence/beam_search.h"

namespace striate::cli {

/// How sentences are translated unless something else is asked for. A sentence's score is the mean
/// of log p, so that short ones have no advantage.
inline constexpr BeamOptions kUsualSearch = {.beams = 5, .longest = 200, .length_exponent = 1};

}  // namespace striate::cli
