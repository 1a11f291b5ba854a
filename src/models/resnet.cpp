// Deep Residual Learning for Image Recognition
// K. He, X. Zhang, S. Ren, J. Sun, 2016
// https://arxiv.org/abs/1512.03385
//
// `resnet50@paper` and its deeper kin have the paper's bottleneck, with the stride in the first 1x1
// convolution. `resnet50` has it in the 3x3, as the published (torchvision) weights need; this is
// the only departure. Shortcuts are option B: a 1x1 convolution where the shape changes.
// `plain18` and `plain34` are the same networks without shortcuts (Fig. 3, middle).
#include "models/builders.h"

namespace striate::models {

namespace {

enum class Shortcut { kResidual, kPlain };
enum class StrideIn { k3x3, kFirst1x1 };

struct Design {
  const char* name;
  std::vector<int64_t> blocks;  // in each of the four stages
  bool bottleneck = false;
  Shortcut shortcut = Shortcut::kResidual;
  StrideIn stride_in = StrideIn::k3x3;
};

struct Convolution {
  int64_t width;
  int64_t kernel_size;
  int64_t stride;
};

Value conv_bn(Scope s, int64_t index, Value x, const Convolution& c) {
  const std::string number = std::to_string(index);
  x = s.conv2d("conv" + number, x,
               {.out_channels = c.width,
                .kernel_size = c.kernel_size,
                .stride = c.stride,
                .padding = c.kernel_size / 2,
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
Value basic_block(Scope s, Value x, int64_t width, int64_t stride, Shortcut kind) {
  Value y = s.relu(conv_bn(s, 1, x, {width, 3, stride}));
  y = conv_bn(s, 2, y, {width, 3, 1});
  if (kind == Shortcut::kPlain) return s.relu(y);
  return s.relu(s.add(y, shortcut(s / "downsample", x, width, stride)));
}

// Fig. 5, right.
Value bottleneck(Scope s, Value x, int64_t width, int64_t stride, StrideIn stride_in) {
  const bool first = stride_in == StrideIn::kFirst1x1;
  Value y = s.relu(conv_bn(s, 1, x, {width, 1, first ? stride : 1}));
  y = s.relu(conv_bn(s, 2, y, {width, 3, first ? 1 : stride}));
  y = conv_bn(s, 3, y, {4 * width, 1, 1});
  return s.relu(s.add(y, shortcut(s / "downsample", x, 4 * width, stride)));
}

// Table 1.
Graph resnet(const Design& design, const ModelOptions& options) {
  Graph graph(design.name, options.input);
  Scope s(graph);
  Value x = s.relu(conv_bn(s, 1, graph.input(), {64, 7, 2}));
  x = s.max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1});
  for (size_t stage = 0; stage < design.blocks.size(); ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int64_t block = 0; block < design.blocks[stage]; ++block) {
      const Scope b = s / ("layer" + std::to_string(stage + 1)) / block;
      const int64_t stride = block == 0 && stage > 0 ? 2 : 1;
      x = design.bottleneck ? bottleneck(b, x, width, stride, design.stride_in)
                            : basic_block(b, x, width, stride, design.shortcut);
    }
  }
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}));
  graph.set_output("logits", s.linear("fc", x, {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kKaimingFanOut};
  return graph;
}

Graph basic(const char* name, std::vector<int64_t> blocks, const ModelOptions& options,
            Shortcut kind = Shortcut::kResidual) {
  return resnet({.name = name, .blocks = std::move(blocks), .shortcut = kind}, options);
}

Graph deep(const char* name, std::vector<int64_t> blocks, StrideIn stride_in,
           const ModelOptions& options) {
  return resnet(
      {.name = name, .blocks = std::move(blocks), .bottleneck = true, .stride_in = stride_in},
      options);
}

}  // namespace

Graph resnet18(const ModelOptions& o) {
  return basic("resnet18", {2, 2, 2, 2}, o);
}
Graph resnet34(const ModelOptions& o) {
  return basic("resnet34", {3, 4, 6, 3}, o);
}
Graph plain18(const ModelOptions& o) {
  return basic("plain18", {2, 2, 2, 2}, o, Shortcut::kPlain);
}
Graph plain34(const ModelOptions& o) {
  return basic("plain34", {3, 4, 6, 3}, o, Shortcut::kPlain);
}

Graph resnet50(const ModelOptions& o) {
  return deep("resnet50", {3, 4, 6, 3}, StrideIn::k3x3, o);
}
Graph resnet101(const ModelOptions& o) {
  return deep("resnet101", {3, 4, 23, 3}, StrideIn::k3x3, o);
}
Graph resnet152(const ModelOptions& o) {
  return deep("resnet152", {3, 8, 36, 3}, StrideIn::k3x3, o);
}
Graph resnet50_paper(const ModelOptions& o) {
  return deep("resnet50@paper", {3, 4, 6, 3}, StrideIn::kFirst1x1, o);
}
Graph resnet101_paper(const ModelOptions& o) {
  return deep("resnet101@paper", {3, 4, 23, 3}, StrideIn::kFirst1x1, o);
}
Graph resnet152_paper(const ModelOptions& o) {
  return deep("resnet152@paper", {3, 8, 36, 3}, StrideIn::kFirst1x1, o);
}

}  // namespace striate::models
