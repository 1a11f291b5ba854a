// Deep Residual Learning for Image Recognition
// K. He, X. Zhang, S. Ren, J. Sun, 2016
// https://arxiv.org/abs/1512.03385
//
// `resnet50@paper` and its deeper kin have the paper's bottleneck, with the stride in the first 1x1
// convolution. `resnet50` has it in the 3x3, as the published (torchvision) weights need; this is
// the only departure. Shortcuts are option B: a 1x1 convolution where the shape changes.
// `plain18` and `plain34` are the same networks without shortcuts (Fig. 3, middle).
#include "models/resnet.h"

namespace striate::models {

namespace {

struct Convolution {
  int64_t width;
  int64_t kernel_size;
  int64_t stride;
  int64_t groups = 1;
};

Value conv_bn(Scope s, int64_t index, Value x, const Convolution& c) {
  const std::string number = std::to_string(index);
  x = s.conv2d("conv" + number, x,
               {.out_channels = c.width,
                .kernel_size = c.kernel_size,
                .stride = c.stride,
                .padding = c.kernel_size / 2,
                .groups = c.groups,
                .bias = false});
  return s.batch_norm2d("bn" + number, x);
}

// Eq. 1 where the shape stays, eq. 2 where it changes.
Value shortcut(Scope s, Value x, int64_t width, int64_t stride) {
  if (s.channels(x) == width && stride == 1) return x;
  x = s.conv2d("0", x, {.out_channels = width, .kernel_size = 1, .stride = stride, .bias = false});
  return s.batch_norm2d("1", x);
}

// Fig. 5, left.
Value basic_block(Scope s, Value x, int64_t width, int64_t stride, const ResNetDesign& design) {
  Value y = s.relu(conv_bn(s, 1, x, {width, 3, stride}));
  y = conv_bn(s, 2, y, {width, 3, 1});
  if (design.shortcuts == Shortcuts::kNone) return s.relu(y);
  return s.relu(s.add(y, shortcut(s / "downsample", x, width, stride)));
}

// Fig. 5, right. Its 3x3 is wider by the factor of a wide ResNet, or grouped in a ResNeXt.
Value bottleneck(Scope s, Value x, int64_t width, int64_t stride, const ResNetDesign& design) {
  const bool first = design.stride_in == StrideIn::kFirst1x1;
  const int64_t inner = width * design.width_per_group / 64 * design.groups;
  Value y = s.relu(conv_bn(s, 1, x, {inner, 1, first ? stride : 1}));
  y = s.relu(conv_bn(s, 2, y, {inner, 3, first ? 1 : stride, design.groups}));
  y = conv_bn(s, 3, y, {4 * width, 1, 1});
  return s.relu(s.add(y, shortcut(s / "downsample", x, 4 * width, stride)));
}

}  // namespace

// Table 1.
Graph resnet(const char* name, const ResNetDesign& design, const ModelOptions& options) {
  Graph graph(name, options.input);
  Scope s(graph);
  Value x = graph.input();
  if (design.stem == Stem::k3x3) {
    x = s.relu(conv_bn(s, 1, x, {64, 3, 1}));
  } else {
    x = s.relu(conv_bn(s, 1, x, {64, 7, 2}));
    x = s.max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1});
  }
  for (size_t stage = 0; stage < design.blocks.size(); ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int64_t block = 0; block < design.blocks[stage]; ++block) {
      const Scope b = s / ("layer" + std::to_string(stage + 1)) / block;
      const int64_t stride = block == 0 && stage > 0 ? 2 : 1;
      x = design.bottleneck ? bottleneck(b, x, width, stride, design)
                            : basic_block(b, x, width, stride, design);
    }
  }
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}));
  graph.set_output("logits", s.linear("fc", x, {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kKaimingFanOut};
  return graph;
}

std::vector<ModelEntry> resnet_family() {
  const Family f{"he2016", kImageNet, "resnet-paper", "imagenet"};
  const auto entry = [&](const char* name, const char* form, ResNetDesign design) {
    return f.entry(name, form, [=](const ModelOptions& o) { return resnet(name, design, o); });
  };
  const auto basic = [&](const char* name, std::vector<int64_t> blocks) {
    return entry(name, "basic blocks", {.blocks = std::move(blocks)});
  };
  const auto deep = [&](const char* name, std::vector<int64_t> blocks) {
    return entry(name, "bottlenecks, stride in the 3x3",
                 {.blocks = std::move(blocks), .bottleneck = true});
  };
  const auto paper = [&](const char* name, std::vector<int64_t> blocks) {
    return entry(
        name, "the paper's: stride in the first 1x1",
        {.blocks = std::move(blocks), .bottleneck = true, .stride_in = StrideIn::kFirst1x1});
  };
  const auto plain = [&](const char* name, std::vector<int64_t> blocks) {
    return entry(name, "without shortcuts",
                 {.blocks = std::move(blocks), .shortcuts = Shortcuts::kNone});
  };
  return {basic("resnet18", {2, 2, 2, 2}),         basic("resnet34", {3, 4, 6, 3}),
          deep("resnet50", {3, 4, 6, 3}),          deep("resnet101", {3, 4, 23, 3}),
          deep("resnet152", {3, 8, 36, 3}),        paper("resnet50@paper", {3, 4, 6, 3}),
          paper("resnet101@paper", {3, 4, 23, 3}), paper("resnet152@paper", {3, 8, 36, 3}),
          plain("plain18", {2, 2, 2, 2}),          plain("plain34", {3, 4, 6, 3})};
}

}  // namespace striate::models
