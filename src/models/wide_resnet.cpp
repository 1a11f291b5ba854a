// Wide Residual Networks
// S. Zagoruyko, N. Komodakis, 2016
// https://arxiv.org/abs/1605.07146
//
// `wrn_28_10` is the network of Table 1 with N = 4 and k = 10, without dropout. The ImageNet forms
// are ResNet's bottlenecks with a 3x3 twice as wide (section 3.4), as published weights have them.
#include "models/resnet.h"

namespace striate::models {

namespace {

Value conv3x3(Scope s, const char* name, Value x, int64_t width, int64_t stride = 1) {
  return s.conv2d(
      name, x,
      {.out_channels = width, .kernel_size = 3, .stride = stride, .padding = 1, .bias = false});
}

// Fig. 1(c): normalisation and ReLU before each convolution.
Value block(Scope s, Value x, int64_t width, int64_t stride) {
  const Value a = s.relu(s.batch_norm2d("bn1", x));
  Value y = conv3x3(s, "conv1", a, width, stride);
  y = conv3x3(s, "conv2", s.relu(s.batch_norm2d("bn2", y)), width);
  if (s.channels(x) != width || stride != 1) {
    x = s.conv2d("downsample", a,
                 {.out_channels = width, .kernel_size = 1, .stride = stride, .bias = false});
  }
  return s.add(y, x);
}

// Table 1.
Graph wrn(const char* name, int64_t depth, int64_t k, const ModelOptions& options) {
  Graph graph(name, options.input);
  Scope s(graph);
  const int64_t n = (depth - 4) / 6;
  Value x = conv3x3(s, "conv1", graph.input(), 16);
  for (int64_t stage = 0; stage < 3; ++stage) {
    for (int64_t i = 0; i < n; ++i) {
      const Scope b = s / ("layer" + std::to_string(stage + 1)) / i;
      x = block(b, x, (16 * k) << stage, i == 0 && stage > 0 ? 2 : 1);
    }
  }
  x = s.relu(s.batch_norm2d("bn1", x));
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}));
  graph.set_output("logits", s.linear("fc", x, {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kKaimingFanIn};
  return graph;
}

}  // namespace

std::vector<ModelEntry> wide_resnet_family() {
  const Family f{"zagoruyko2016", kImageNet, "resnet-paper", "imagenet"};
  const auto wide = [&](const char* name, std::vector<int64_t> blocks) {
    const ResNetDesign design{
        .blocks = std::move(blocks), .bottleneck = true, .width_per_group = 128};
    return f.entry(name, "bottlenecks with a 3x3 twice as wide",
                   [=](const ModelOptions& o) { return resnet(name, design, o); });
  };
  const Family c{"zagoruyko2016", kCifar, "wide-resnet", "cifar10"};
  const auto cifar = [&](const char* name, int64_t depth, int64_t k) {
    return c.entry(name, "for CIFAR, pre-activation blocks",
                   [=](const ModelOptions& o) { return wrn(name, depth, k, o); });
  };
  return {wide("wide_resnet50_2", {3, 4, 6, 3}), wide("wide_resnet101_2", {3, 4, 23, 3}),
          cifar("wrn_16_4", 16, 4), cifar("wrn_28_10", 28, 10)};
}

}  // namespace striate::models
