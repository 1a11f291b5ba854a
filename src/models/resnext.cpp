// Aggregated Residual Transformations for Deep Neural Networks
// S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He, 2017
// https://arxiv.org/abs/1611.05431
//
// Blocks in the form of Fig. 3(c): a grouped convolution. For ImageNet they are ResNet's
// bottlenecks with another width and groups (Table 1); departures: none. For CIFAR (section 5.2):
// shortcuts are option B.
#include "models/resnet.h"

namespace striate::models {

namespace {

Value conv_bn(Scope s, int64_t index, Value x, Conv2d conv) {
  conv.bias = false;
  const std::string number = std::to_string(index);
  return s.batch_norm2d("bn" + number, s.conv2d("conv" + number, x, conv));
}

struct Block {
  int64_t cardinality;
  int64_t inner;  // channels of the grouped convolution, all groups together
  int64_t width;
  int64_t stride;
};

// Fig. 3(c).
Value block(Scope s, Value x, const Block& b) {
  Value y = s.relu(conv_bn(s, 1, x, {.out_channels = b.inner, .kernel_size = 1}));
  y = s.relu(conv_bn(s, 2, y,
                     {.out_channels = b.inner,
                      .kernel_size = 3,
                      .stride = b.stride,
                      .padding = 1,
                      .groups = b.cardinality}));
  y = conv_bn(s, 3, y, {.out_channels = b.width, .kernel_size = 1});
  if (s.channels(x) != b.width || b.stride != 1) {
    const Scope d = s / "downsample";
    x = d.conv2d("0", x,
                 {.out_channels = b.width, .kernel_size = 1, .stride = b.stride, .bias = false});
    x = d.batch_norm2d("1", x);
  }
  return s.relu(s.add(y, x));
}

// Section 5.2: three stages of three blocks; 64, 128 and 256 channels in each group's place.
Graph resnext29(const char* name, int64_t cardinality, const ModelOptions& options) {
  Graph graph(name, options.input);
  Scope s(graph);
  Value x =
      s.relu(conv_bn(s, 1, graph.input(), {.out_channels = 64, .kernel_size = 3, .padding = 1}));
  for (int64_t stage = 0; stage < 3; ++stage) {
    for (int64_t i = 0; i < 3; ++i) {
      x = block(s / ("layer" + std::to_string(stage + 1)) / i, x,
                {.cardinality = cardinality,
                 .inner = (cardinality * 64) << stage,
                 .width = int64_t{256} << stage,
                 .stride = i == 0 && stage > 0 ? 2 : 1});
    }
  }
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}));
  graph.set_output("logits", s.linear("fc", x, {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kKaimingFanOut};
  return graph;
}

}  // namespace

std::vector<ModelEntry> resnext_family() {
  const Family f{"xie2017", kImageNet, "resnext", "imagenet"};
  const auto imagenet = [&](const char* name, const char* form, const ResNetDesign& design) {
    return f.entry(name, form, [=](const ModelOptions& o) { return resnet(name, design, o); });
  };
  const Family c{"xie2017", kCifar, "resnext-cifar", "cifar10"};
  const auto cifar = [&](const char* name, const char* form, int64_t cardinality) {
    return c.entry(name, form,
                   [=](const ModelOptions& o) { return resnext29(name, cardinality, o); });
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
