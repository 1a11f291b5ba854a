// ImageNet Classification with Deep Convolutional Neural Networks
// A. Krizhevsky, I. Sutskever, G. E. Hinton, 2012
// https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks
//
// `alexnet@paper` is the network of Fig. 2: its two towers are two groups. Departure: an input of
// 227x227, as the 224 of the text does not give the 55x55 of the figure. The normalisation's alpha
// is 5e-4 as our operator divides it by the 5 channels, which the paper's formula does not.
//
// `alexnet` is the network of "One weird trick for parallelizing convolutional neural networks"
// (A. Krizhevsky, 2014, https://arxiv.org/abs/1404.5997): one tower, no normalisation. Published
// weights are of this form. For other inputs its features are averaged to 6x6.
#include "models/family.h"

namespace striate::models {

namespace {

// Section 3.3.
constexpr LocalResponseNorm kNorm{.size = 5, .alpha = 5 * 1e-4, .beta = 0.75, .k = 2};
// Section 3.4: overlapping.
const MaxPool2d kPool{.kernel_size = 3, .stride = 2};

Initializer constant(double value) {
  return {.kind = Initializer::Kind::kConstant, .value = value};
}

// Fig. 2.
Graph alexnet_paper(const ModelOptions& options) {
  Graph graph("alexnet@paper", options.input);
  Scope s(graph);
  Value x = graph.input();
  x = s.relu(s.conv2d("conv1", x, {.out_channels = 96, .kernel_size = 11, .stride = 4}));
  x = s.max_pool2d(s.local_response_norm(x, kNorm), kPool);
  x = s.relu(
      s.conv2d("conv2", x, {.out_channels = 256, .kernel_size = 5, .padding = 2, .groups = 2}));
  x = s.max_pool2d(s.local_response_norm(x, kNorm), kPool);
  x = s.relu(s.conv2d("conv3", x, {.out_channels = 384, .kernel_size = 3, .padding = 1}));
  x = s.relu(
      s.conv2d("conv4", x, {.out_channels = 384, .kernel_size = 3, .padding = 1, .groups = 2}));
  x = s.relu(
      s.conv2d("conv5", x, {.out_channels = 256, .kernel_size = 3, .padding = 1, .groups = 2}));
  x = s.flatten(s.max_pool2d(x, kPool));
  x = s.dropout(s.relu(s.linear("fc6", x, {.out_features = 4096})));
  x = s.dropout(s.relu(s.linear("fc7", x, {.out_features = 4096})));
  graph.set_output("logits", s.linear("fc8", x, {.out_features = options.classes}));

  // Section 5.
  const Initializer normal{.kind = Initializer::Kind::kNormal, .value = 0.01};
  graph.initialization = {.conv_weight = normal,
                          .conv_bias = constant(0),
                          .linear_weight = normal,
                          .linear_bias = constant(1),
                          .exceptions = {{"conv2.bias", constant(1)},
                                         {"conv4.bias", constant(1)},
                                         {"conv5.bias", constant(1)},
                                         {"fc8.bias", constant(0)}}};
  return graph;
}

Graph alexnet(const ModelOptions& options) {
  Graph graph("alexnet", options.input);
  Scope s(graph);
  const Scope f = s / "features";
  Value x = f.conv2d("0", graph.input(),
                     {.out_channels = 64, .kernel_size = 11, .stride = 4, .padding = 2});
  x = f.max_pool2d(f.relu(x, "1"), kPool, "2");
  x = f.relu(f.conv2d("3", x, {.out_channels = 192, .kernel_size = 5, .padding = 2}), "4");
  x = f.max_pool2d(x, kPool, "5");
  x = f.relu(f.conv2d("6", x, {.out_channels = 384, .kernel_size = 3, .padding = 1}), "7");
  x = f.relu(f.conv2d("8", x, {.out_channels = 256, .kernel_size = 3, .padding = 1}), "9");
  x = f.relu(f.conv2d("10", x, {.out_channels = 256, .kernel_size = 3, .padding = 1}), "11");
  x = f.max_pool2d(x, kPool, "12");
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 6}));
  const Scope c = s / "classifier";
  x = c.dropout(x, {}, "0");
  x = c.dropout(c.relu(c.linear("1", x, {.out_features = 4096}), "2"), {}, "3");
  x = c.relu(c.linear("4", x, {.out_features = 4096}), "5");
  graph.set_output("logits", c.linear("6", x, {.out_features = options.classes}));
  return graph;
}

}  // namespace

std::vector<ModelEntry> alexnet_family() {
  const Family f{"krizhevsky2012", kImageNet, "alexnet", "imagenet"};
  Family paper = f;
  paper.defaults.input = {3, 227, 227};
  paper.recipe = "alexnet-paper";
  paper.preprocess = "imagenet-227";
  return {f.entry("alexnet", "one tower (krizhevsky2014)", alexnet),
          paper.entry("alexnet@paper", "the paper's: two towers, response normalisation",
                      alexnet_paper)};
}

}  // namespace striate::models
