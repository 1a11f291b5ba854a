#pragma once

#include <string>
#include <vector>

#include "striate/image/image.h"

namespace striate {

struct LabeledPicture {
  std::string label;
  Image image;
};

/// A self-contained page of pictures with a text below each, in their order, right in light and
/// dark.
std::string picture_page_html(const std::string& title,
                              const std::vector<LabeledPicture>& pictures);

}  // namespace striate
