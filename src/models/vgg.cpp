// Very Deep Convolutional Networks for Large-Scale Image Recognition
// K. Simonyan, A. Zisserman, 2015
// https://arxiv.org/abs/1409.1556
//
// Departures: none in the layers. For inputs other than 224x224 the features are averaged to 7x7
// before the classifier (torchvision's rule; at 224 it changes nothing). Weights start from He's
// rule and N(0, 0.01), not from a trained configuration A. `_bn` puts batch-norm after each
// convolution; the paper predates it.
#include "models/family.h"

namespace striate::models {

namespace {

constexpr int64_t kPool = 0;  // a 2x2 max-pool with stride 2 in a configuration

// Table 1, columns A, B, D and E: output channels of the 3x3 convolutions.
const std::vector<int64_t> kA = {64,  kPool, 128,   kPool, 256, 256,  kPool,
                                 512, 512,   kPool, 512,   512, kPool};
const std::vector<int64_t> kB = {64,    64,  kPool, 128,   128, kPool, 256,  256,
                                 kPool, 512, 512,   kPool, 512, 512,   kPool};
const std::vector<int64_t> kD = {64,    64,  kPool, 128, 128,   kPool, 256, 256, 256,
                                 kPool, 512, 512,   512, kPool, 512,   512, 512, kPool};
const std::vector<int64_t> kE = {64,  64,  kPool, 128, 128,   kPool, 256, 256, 256, 256,  kPool,
                                 512, 512, 512,   512, kPool, 512,   512, 512, 512, kPool};

enum class Normalisation { kNone, kBatchNorm };

// Nodes are numbered in sequence, as the published keys are: features.0.weight.
Value features(Scope s, Value x, const std::vector<int64_t>& configuration,
               Normalisation normalisation) {
  int64_t next = 0;
  const auto name = [&] { return std::to_string(next++); };
  for (const int64_t channels : configuration) {
    if (channels == kPool) {
      x = s.max_pool2d(x, {.kernel_size = 2}, name());
      continue;
    }
    x = s.conv2d(name(), x, {.out_channels = channels, .kernel_size = 3, .padding = 1});
    if (normalisation == Normalisation::kBatchNorm) x = s.batch_norm2d(name(), x);
    x = s.relu(x, name());
  }
  return x;
}

Value classifier(Scope s, Value x, int64_t classes) {
  x = s.dropout(s.relu(s.linear("0", x, {.out_features = 4096}), "1"), {.p = 0.5}, "2");
  x = s.dropout(s.relu(s.linear("3", x, {.out_features = 4096}), "4"), {.p = 0.5}, "5");
  return s.linear("6", x, {.out_features = classes});
}

Graph vgg(const char* name, const std::vector<int64_t>& configuration, Normalisation normalisation,
          const ModelOptions& options) {
  Graph graph(name, options.input);
  Scope s(graph);
  Value x = features(s / "features", graph.input(), configuration, normalisation);
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 7}));
  graph.set_output("logits", classifier(s / "classifier", x, options.classes));
  const Initializer zero{.kind = Initializer::Kind::kConstant, .value = 0};
  graph.initialization = {.conv_weight = {.kind = Initializer::Kind::kKaimingFanOut},
                          .conv_bias = zero,
                          .linear_weight = {.kind = Initializer::Kind::kNormal, .value = 0.01},
                          .linear_bias = zero};
  return graph;
}

}  // namespace

std::vector<ModelEntry> vgg_family() {
  const Family f{"simonyan2015", kImageNet, "vgg", "imagenet"};
  const auto plain = Normalisation::kNone;
  const auto bn = Normalisation::kBatchNorm;
  const auto entry = [&](const char* name, const char* form, const auto& configuration, auto norm) {
    return f.entry(name, form, [=, &configuration](const ModelOptions& o) {
      return vgg(name, configuration, norm, o);
    });
  };
  return {entry("vgg11", "configuration A", kA, plain),
          entry("vgg13", "configuration B", kB, plain),
          entry("vgg16", "configuration D", kD, plain),
          entry("vgg19", "configuration E", kE, plain),
          entry("vgg11_bn", "configuration A with batch-norm", kA, bn),
          entry("vgg13_bn", "configuration B with batch-norm", kB, bn),
          entry("vgg16_bn", "configuration D with batch-norm", kD, bn),
          entry("vgg19_bn", "configuration E with batch-norm", kE, bn)};
}

}  // namespace striate::models
