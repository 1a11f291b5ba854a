#pragma once

#include <span>

#include "striate/sequence/caption_metrics.h"

namespace striate {

/// @throws std::invalid_argument  there are no captions, or one has no reference.
void check_cases(std::span<const CaptionCase> cases);

}  // namespace striate
