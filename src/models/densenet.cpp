// Densely Connected Convolutional Networks
// G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, 2017
// https://arxiv.org/abs/1608.06993
//
// Departures: none in the layers; the dropout of 0.2 for data without augmentation (section 4.2) is
// left out. Keys are those of the published weights, also for the networks for CIFAR.
#include "models/family.h"

namespace striate::models {

namespace {

// What a DenseNet is but for its stem; k is the growth rate.
struct Design {
  int64_t k;
  std::vector<int64_t> layers;  // of each block
  bool bottleneck = true;       // B
  bool compression = true;      // C, with theta = 0.5
};

Value norm_relu(Scope s, const std::string& number, Value x) {
  return s.relu(s.batch_norm2d("norm" + number, x), "relu" + number);
}

// H_l of eq. 2; "Bottleneck layers" of section 3.
Value dense_layer(Scope s, Value x, const Design& d) {
  Value y = norm_relu(s, "1", x);
  std::string last = "conv1";
  if (d.bottleneck) {
    y = s.conv2d("conv1", y, {.out_channels = 4 * d.k, .kernel_size = 1, .bias = false});
    y = norm_relu(s, "2", y);
    last = "conv2";
  }
  return s.conv2d(last, y, {.out_channels = d.k, .kernel_size = 3, .padding = 1, .bias = false});
}

// Fig. 1.
Value dense_block(Scope s, Value x, int64_t layers, const Design& d) {
  for (int64_t i = 1; i <= layers; ++i) {
    const Scope layer = s / ("denselayer" + std::to_string(i));
    x = s.concat({x, dense_layer(layer, x, d)});
  }
  return x;
}

// "Pooling layers" and "Compression" of section 3.
Value transition(Scope s, Value x, const Design& d) {
  x = norm_relu(s, "", x);
  const int64_t width = d.compression ? s.channels(x) / 2 : s.channels(x);
  x = s.conv2d("conv", x, {.out_channels = width, .kernel_size = 1, .bias = false});
  return s.avg_pool2d(x, {.kernel_size = 2}, "pool");
}

Graph finish(Graph graph, Value x, const Design& d, int64_t classes) {
  Scope s(graph);
  const Scope f = s / "features";
  for (size_t b = 0; b < d.layers.size(); ++b) {
    const std::string number = std::to_string(b + 1);
    x = dense_block(f / ("denseblock" + number), x, d.layers[b], d);
    if (b + 1 < d.layers.size()) x = transition(f / ("transition" + number), x, d);
  }
  x = f.batch_norm2d("norm" + std::to_string(d.layers.size() + 1), x);
  x = s.flatten(s.adaptive_avg_pool2d(s.relu(x), {.output_size = 1}));
  graph.set_output("logits", s.linear("classifier", x, {.out_features = classes}));
  graph.initialization = {.conv_weight = {.kind = Initializer::Kind::kKaimingFanIn},
                          .linear_bias = {.kind = Initializer::Kind::kConstant, .value = 0}};
  return graph;
}

// Table 1.
Graph imagenet(const char* name, const Design& d, const ModelOptions& options) {
  Graph graph(name, options.input);
  const Scope f = Scope(graph) / "features";
  Value x = f.conv2d(
      "conv0", graph.input(),
      {.out_channels = 2 * d.k, .kernel_size = 7, .stride = 2, .padding = 3, .bias = false});
  x = norm_relu(f, "0", x);
  x = f.max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1}, "pool0");
  return finish(std::move(graph), x, d, options.classes);
}

// Section 3, "Implementation details": three blocks of equal depth.
Graph cifar(const char* name, int64_t depth, Design d, const ModelOptions& options) {
  Graph graph(name, options.input);
  const int64_t convolutions = (depth - 4) / 3;
  d.layers.assign(3, d.bottleneck ? convolutions / 2 : convolutions);
  const int64_t width = d.bottleneck && d.compression ? 2 * d.k : 16;
  const Value x =
      (Scope(graph) / "features")
          .conv2d("conv0", graph.input(),
                  {.out_channels = width, .kernel_size = 3, .padding = 1, .bias = false});
  return finish(std::move(graph), x, d, options.classes);
}

}  // namespace

std::vector<ModelEntry> densenet_family() {
  const Family large{"huang2017", kImageNet, "densenet-imagenet", "imagenet"};
  const auto imagenet_entry = [&](const char* name, int64_t k, std::vector<int64_t> layers) {
    const Design design{.k = k, .layers = std::move(layers)};
    return large.entry(name, "BC, for ImageNet",
                       [=](const ModelOptions& o) { return imagenet(name, design, o); });
  };
  const Family small{"huang2017", kCifar, "densenet", "cifar10"};
  const auto plain = [&](const char* name, int64_t depth, int64_t k) {
    const Design design{.k = k, .layers = {}, .bottleneck = false, .compression = false};
    return small.entry(name, "for CIFAR, no bottlenecks",
                       [=](const ModelOptions& o) { return cifar(name, depth, design, o); });
  };
  const auto bc = [&](const char* name, int64_t depth, int64_t k) {
    const Design design{.k = k, .layers = {}};
    return small.entry(name, "BC, for CIFAR",
                       [=](const ModelOptions& o) { return cifar(name, depth, design, o); });
  };
  return {imagenet_entry("densenet121", 32, {6, 12, 24, 16}),
          imagenet_entry("densenet161", 48, {6, 12, 36, 24}),
          imagenet_entry("densenet169", 32, {6, 12, 32, 32}),
          imagenet_entry("densenet201", 32, {6, 12, 48, 32}),
          plain("densenet40_12", 40, 12),
          plain("densenet100_12", 100, 12),
          plain("densenet100_24", 100, 24),
          bc("densenetbc100_12", 100, 12),
          bc("densenetbc250_24", 250, 24),
          bc("densenetbc190_40", 190, 40)};
}

}  // namespace striate::models
