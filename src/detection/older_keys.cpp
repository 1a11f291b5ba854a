#include <fmt/format.h>

#include <string>
#include <utility>

#include "striate/detection/detector.h"

namespace striate {

namespace {

constexpr const char* kCounter = ".num_batches_tracked";
constexpr int kPyramidMaps = 4;
constexpr int kMaskLayers = 4;

}  // namespace

Weights with_newer_keys(Weights weights) {
  std::erase_if(weights.tensors, [](const auto& named) { return named.first.ends_with(kCounter); });
  const auto rename = [&](const std::string& older, const std::string& newer) {
    for (const char* name : {".weight", ".bias"}) {
      auto node = weights.tensors.extract(older + name);
      if (node.empty()) continue;
      node.key() = newer + name;
      weights.tensors.insert(std::move(node));
    }
  };
  rename("rpn.head.conv", "rpn.head.conv.0.0");
  for (int i = 0; i < kPyramidMaps; ++i) {
    for (const char* blocks : {"inner_blocks", "layer_blocks"}) {
      const std::string key = fmt::format("backbone.fpn.{}.{}", blocks, i);
      rename(key, key + ".0");
    }
  }
  for (int i = 0; i < kMaskLayers; ++i) {
    rename(fmt::format("roi_heads.mask_head.mask_fcn{}", i + 1),
           fmt::format("roi_heads.mask_head.{}.0", i));
  }
  return weights;
}

}  // namespace striate
