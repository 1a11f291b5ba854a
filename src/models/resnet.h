#pragma once

#include "models/family.h"

namespace striate::models {

enum class Shortcuts { kResidual, kNone };
enum class StrideIn { k3x3, kFirst1x1 };

/// What distinguishes the ResNets for ImageNet, and their wide and grouped kin.
struct ResNetDesign {
  std::vector<int64_t> blocks;  // in each of the four stages
  bool bottleneck = false;
  Shortcuts shortcuts = Shortcuts::kResidual;
  StrideIn stride_in = StrideIn::k3x3;
  int64_t groups = 1;
  int64_t width_per_group = 64;  // of the first stage's 3x3
};

Graph resnet(const char* name, const ResNetDesign& design, const ModelOptions& options);

/// For CIFAR, with the shortcuts of huang2016.
Graph resnet110_pooled(const char* name, const ModelOptions& options);

}  // namespace striate::models
