#pragma once

#include "striate/image/image.h"

namespace striate {

// The colour changes of torchvision.transforms.functional on Pillow images, bit-equal to them. They
// apply to grey, RGB and RGBA; alpha stays. A factor of 1 (hue: 0) changes nothing but for hue's
// rounding in 8-bit HSV.

/// Every value times `factor`: 0 is black. @throws std::invalid_argument  factor < 0 or not finite.
Image adjust_brightness(const Image& image, double factor);

/// Moves every value away from the mean of the image's luma: 0 is a flat grey.
/// @throws std::invalid_argument  factor < 0 or not finite.
Image adjust_contrast(const Image& image, double factor);

/// Moves every pixel away from its own luma: 0 is a grey picture. A grey image stays as it is.
/// @throws std::invalid_argument  factor < 0 or not finite.
Image adjust_saturation(const Image& image, double factor);

/// Turns the hue by `turns` of the colour circle, through 8-bit HSV. A grey image stays as it is.
/// @throws std::invalid_argument  turns not in [-0.5, 0.5].
Image adjust_hue(const Image& image, double turns);

}  // namespace striate
