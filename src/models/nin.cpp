// Network In Network
// M. Lin, Q. Chen, S. Yan, 2014
// https://arxiv.org/abs/1312.4400
//
// The paper gives the layers, not their sizes; those are of the authors' models for CIFAR-10 and
// ImageNet, with their names: "cccp" is a 1x1 convolution over channels. Pools let their last
// window hang over, as the authors' framework does, and average what is inside the image. Weights
// start by He's rule, which is later than the paper: the authors' constants hardly start to learn.
// The scores pass a ReLU, so the last biases start at 1, as krizhevsky2012 has it for "positive
// inputs": a class whose map starts below zero would never learn.
#include "models/family.h"
#include "striate/graph/analysis.h"

namespace striate::models {

namespace {

const MaxPool2d kMaxPool{.kernel_size = 3, .stride = 2, .ceil_mode = true};
const AvgPool2d kAvgPool{
    .kernel_size = 3, .stride = 2, .ceil_mode = true, .count_include_pad = false};

Value conv(Scope s, const std::string& name, Value x, const Conv2d& op) {
  return s.relu(s.conv2d(name, x, op), name + "_relu");
}

struct MlpConv {
  int64_t index;  // conv1
  Conv2d conv;
  int64_t cccp;  // cccp1, cccp2
  int64_t widths[2];
};

// Fig. 1(b): a convolution whose kernels are small networks.
Value mlpconv(Scope s, Value x, const MlpConv& m) {
  x = conv(s, "conv" + std::to_string(m.index), x, m.conv);
  for (int64_t i = 0; i < 2; ++i) {
    x = conv(s, "cccp" + std::to_string(m.cccp + i), x,
             {.out_channels = m.widths[i], .kernel_size = 1});
  }
  return x;
}

// Section 3.2: each class has a map, and its score is the average of the map.
Graph with_scores(Graph graph, Value maps) {
  Scope s(graph);
  const std::string last = graph.node(last_weighted(graph, maps)).name;
  graph.set_output("logits", s.flatten(s.adaptive_avg_pool2d(maps, {.output_size = 1})));
  const auto constant = [](double value) {
    return Initializer{.kind = Initializer::Kind::kConstant, .value = value};
  };
  const Initializer small{.kind = Initializer::Kind::kNormal, .value = 0.01};
  graph.initialization = {.conv_weight = {.kind = Initializer::Kind::kKaimingFanIn},
                          .conv_bias = constant(0),
                          .exceptions = {{last + ".weight", small}, {last + ".bias", constant(1)}}};
  return graph;
}

Graph nin(const ModelOptions& options) {
  Graph graph("nin", options.input);
  Scope s(graph);
  Value x = mlpconv(s, graph.input(),
                    {1, {.out_channels = 96, .kernel_size = 11, .stride = 4}, 1, {96, 96}});
  x = s.max_pool2d(x, kMaxPool);
  x = mlpconv(s, x, {2, {.out_channels = 256, .kernel_size = 5, .padding = 2}, 3, {256, 256}});
  x = s.max_pool2d(x, kMaxPool);
  x = mlpconv(s, x, {3, {.out_channels = 384, .kernel_size = 3, .padding = 1}, 5, {384, 384}});
  x = s.dropout(s.max_pool2d(x, kMaxPool));
  x = mlpconv(
      s, x,
      {4, {.out_channels = 1024, .kernel_size = 3, .padding = 1}, 7, {1024, options.classes}});
  return with_scores(std::move(graph), x);
}

// Fig. 2.
Graph nin_cifar(const ModelOptions& options) {
  Graph graph("nin_cifar", options.input);
  Scope s(graph);
  Value x = mlpconv(s, graph.input(),
                    {1, {.out_channels = 192, .kernel_size = 5, .padding = 2}, 1, {160, 96}});
  x = s.dropout(s.max_pool2d(x, kMaxPool));
  x = mlpconv(s, x, {2, {.out_channels = 192, .kernel_size = 5, .padding = 2}, 3, {192, 192}});
  x = s.dropout(s.avg_pool2d(x, kAvgPool));
  x = mlpconv(
      s, x, {3, {.out_channels = 192, .kernel_size = 3, .padding = 1}, 5, {192, options.classes}});
  return with_scores(std::move(graph), x);
}

}  // namespace

std::vector<ModelEntry> nin_family() {
  const Family imagenet{"lin2014", kImageNet, "nin", "imagenet"};
  const Family cifar{"lin2014", kCifar, "nin-cifar", "cifar10"};
  return {imagenet.entry("nin", "for ImageNet, four mlpconv layers", nin),
          cifar.entry("nin_cifar", "for CIFAR, three mlpconv layers", nin_cifar)};
}

}  // namespace striate::models
