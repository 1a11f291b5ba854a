#pragma once

#include "models/family.h"

namespace striate::models {

enum class Shortcuts { kResidual, kNone };
enum class StrideIn { k3x3, kFirst1x1 };
enum class Stem { k7x7AndPool, k3x3 };

/// What distinguishes the ResNets of stages that start at 64 channels, and their wide and grouped
/// kin.
struct ResNetDesign {
  std::vector<int64_t> blocks;  // in each stage
  bool bottleneck = false;
  Shortcuts shortcuts = Shortcuts::kResidual;
  StrideIn stride_in = StrideIn::k3x3;
  int64_t groups = 1;
  int64_t width_per_group = 64;  // of the first stage's 3x3
  Stem stem = Stem::k7x7AndPool;
};

Graph resnet(const char* name, const ResNetDesign& design, const ModelOptions& options);

/// For CIFAR, with the shortcuts of huang2016.
Graph resnet110_pooled(const char* name, const ModelOptions& options);

}  // namespace striate::models
