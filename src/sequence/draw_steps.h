#pragma once

#include "striate/sequence/draw.h"

namespace striate {

/// Whether `draw_steps` can compute with these images: on the CPU, in float32 or float64, and no
/// gradient by them is wanted.
bool has_draw_steps(const at::Tensor& images);

/// `draw_by_equations` with a gradient of its own: a step is one product for each cell and each
/// linear layer and one pass over each image, a weight's gradient is one product for all steps.
DrawBound draw_steps(const at::Tensor& images, const at::Tensor& noise, const DrawWeights& weights,
                     const DrawOptions& options);

}  // namespace striate
