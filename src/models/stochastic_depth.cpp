// Deep Networks with Stochastic Depth
// G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Q. Weinberger, 2016
// https://arxiv.org/abs/1603.09382
//
// The rule itself is an operator and a rewrite of any residual network (`with_stochastic_depth`);
// the option `final_survival` applies it to every ResNet. This is the paper's network of section 4:
// ResNet-110 whose shortcuts average where the map shrinks, with the zero channels behind.
#include "models/resnet.h"

namespace striate::models {

std::vector<ModelEntry> stochastic_depth_family() {
  Family f{"huang2016", kCifar, "stochastic-depth", "cifar10"};
  f.defaults.final_survival = 0.5;
  return {f.entry("resnet110_sd", "ResNet-110 with pooled shortcuts; survival falls from 1 to 0.5",
                  [](const ModelOptions& o) { return resnet110_pooled("resnet110_sd", o); })};
}

}  // namespace striate::models
