#pragma once

#include <ATen/core/Tensor.h>

#include "striate/detection/instance.h"
#include "striate/image/image.h"

namespace striate {

/// The proposals of selective search for an image, (P, 4), the likeliest first.
at::Tensor searched_proposals(const Image& image, int64_t count);

/// The same, kept in the cache: every epoch asks for them, and they take a second to find.
/// @param pixels  what `image.path` holds
at::Tensor kept_proposals(const AnnotatedImage& image, const Image& pixels, int64_t count);

}  // namespace striate
