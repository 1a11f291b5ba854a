// Aggregated Residual Transformations for Deep Neural Networks
// S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He, 2017
// https://arxiv.org/abs/1611.05431
//
// Blocks in the form of Fig. 3(c): a grouped convolution. For ImageNet they are ResNet's
// bottlenecks with another width and groups (Table 1); departures: none. For CIFAR (section 5.2):
// shortcuts are option B.
#include "models/resnet.h"

namespace striate::models {

std::vector<ModelEntry> resnext_family() {
  const Family f{"xie2017", kImageNet, "resnext", "imagenet"};
  const auto imagenet = [&](const char* name, const char* form, const ResNetDesign& design) {
    return f.entry(name, form, [=](const ModelOptions& o) { return resnet(name, design, o); });
  };
  const Family c{"xie2017", kCifar, "resnext-cifar", "cifar10"};
  const auto cifar = [&](const char* name, const char* form, int64_t cardinality) {
    const ResNetDesign design{
        .blocks = {3, 3, 3}, .bottleneck = true, .groups = cardinality, .stem = Stem::k3x3};
    return c.entry(name, form, [=](const ModelOptions& o) { return resnet(name, design, o); });
  };
  return {
      imagenet("resnext50_32x4d", "32 groups of 4 channels",
               {.blocks = {3, 4, 6, 3}, .bottleneck = true, .groups = 32, .width_per_group = 4}),
      imagenet("resnext101_32x8d", "32 groups of 8 channels",
               {.blocks = {3, 4, 23, 3}, .bottleneck = true, .groups = 32, .width_per_group = 8}),
      imagenet("resnext101_64x4d", "64 groups of 4 channels",
               {.blocks = {3, 4, 23, 3}, .bottleneck = true, .groups = 64, .width_per_group = 4}),
      cifar("resnext29_8x64d", "for CIFAR, 8 groups of 64 channels", 8),
      cifar("resnext29_16x64d", "for CIFAR, 16 groups of 64 channels", 16)};
}

}  // namespace striate::models
