#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <vector>

namespace striate {

/// The instruction sets of this processor that kernels are compiled for.
inline std::vector<int64_t> kernel_targets() {
  std::vector<int64_t> targets;
  const int64_t compiled = HWY_BASELINE_TARGETS | HWY_AVX2 | HWY_AVX3;
  const int64_t both = compiled & hwy::SupportedTargets();
  for (int64_t bit = 1; bit > 0 && bit <= both; bit <<= 1) {
    if ((both & bit) != 0) targets.push_back(bit);
  }
  return targets;
}

/// While it lives, kernels run on one instruction set.
class OnlyTarget {
 public:
  explicit OnlyTarget(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ~OnlyTarget() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  OnlyTarget(const OnlyTarget&) = delete;
  OnlyTarget& operator=(const OnlyTarget&) = delete;
};

}  // namespace striate
