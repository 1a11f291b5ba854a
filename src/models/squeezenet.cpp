// SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size
// F. N. Iandola, S. Han, M. W. Moskewicz, K. Ashraf, W. J. Dally, K. Keutzer, 2016
// https://arxiv.org/abs/1602.07360
//
// `squeezenet1_0` is the paper's (Table 1), `_bypass` its form with shortcuts (Fig. 2, middle), and
// `squeezenet1_1` the authors' later form with 2.4 times less computation. Departure: weights start
// by He's rule, and the last biases at 1, so that no class starts below the ReLU of the scores.
// Keys are those of the published weights.
#include <algorithm>

#include "models/family.h"

namespace striate::models {

namespace {

const MaxPool2d kPool{.kernel_size = 3, .stride = 2, .ceil_mode = true};

// A row of Table 1.
struct Fire {
  int64_t squeeze;
  int64_t expand;  // of each size of kernel
};

// Fig. 1.
Value fire(Scope s, Value x, const Fire& f) {
  x = s.relu(s.conv2d("squeeze", x, {.out_channels = f.squeeze, .kernel_size = 1}),
             "squeeze_activation");
  const Value one = s.relu(s.conv2d("expand1x1", x, {.out_channels = f.expand, .kernel_size = 1}),
                           "expand1x1_activation");
  const Value three =
      s.relu(s.conv2d("expand3x3", x, {.out_channels = f.expand, .kernel_size = 3, .padding = 1}),
             "expand3x3_activation");
  return s.concat({one, three});
}

Value classifier(Scope s, Value x, int64_t classes) {
  x = s.dropout(x, {}, "0");
  x = s.relu(s.conv2d("1", x, {.out_channels = classes, .kernel_size = 1}), "2");
  return s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}, "3"));
}

constexpr Fire kPoolHere{0, 0};

struct Design {
  Conv2d stem;
  std::vector<Fire> modules;          // from features.3 on
  std::vector<size_t> bypasses = {};  // indices of modules around which the input is added
};

Graph squeezenet(const char* name, const Design& design, const ModelOptions& options) {
  Graph graph(name, options.input);
  Scope s(graph);
  const Scope features = s / "features";
  Value x = features.relu(features.conv2d("0", graph.input(), design.stem), "1");
  x = features.max_pool2d(x, kPool, "2");
  for (size_t i = 0; i < design.modules.size(); ++i) {
    const std::string number = std::to_string(i + 3);
    if (design.modules[i].squeeze == 0) {
      x = features.max_pool2d(x, kPool, number);
      continue;
    }
    const Value y = fire(features / number, x, design.modules[i]);
    const bool bypassed = std::ranges::find(design.bypasses, i) != design.bypasses.end();
    x = bypassed ? (features / number).add(y, x) : y;
  }
  graph.set_output("logits", classifier(s / "classifier", x, options.classes));
  const auto constant = [](double value) {
    return Initializer{.kind = Initializer::Kind::kConstant, .value = value};
  };
  const Initializer small{.kind = Initializer::Kind::kNormal, .value = 0.01};
  graph.initialization = {
      .conv_weight = {.kind = Initializer::Kind::kKaimingFanIn},
      .conv_bias = constant(0),
      .exceptions = {{"classifier.1.weight", small}, {"classifier.1.bias", constant(1)}}};
  return graph;
}

const Conv2d kStem{.out_channels = 96, .kernel_size = 7, .stride = 2};
const std::vector<Fire> kTable1 = {{16, 64},  {16, 64},  {32, 128}, kPoolHere, {32, 128},
                                   {48, 192}, {48, 192}, {64, 256}, kPoolHere, {64, 256}};

Graph squeezenet1_0(const ModelOptions& options) {
  return squeezenet("squeezenet1_0", {.stem = kStem, .modules = kTable1}, options);
}

// Around fire3, fire5, fire7 and fire9.
Graph squeezenet1_0_bypass(const ModelOptions& options) {
  return squeezenet("squeezenet1_0_bypass",
                    {.stem = kStem, .modules = kTable1, .bypasses = {1, 4, 6, 9}}, options);
}

Graph squeezenet1_1(const ModelOptions& options) {
  return squeezenet("squeezenet1_1",
                    {.stem = {.out_channels = 64, .kernel_size = 3, .stride = 2},
                     .modules = {{16, 64},
                                 {16, 64},
                                 kPoolHere,
                                 {32, 128},
                                 {32, 128},
                                 kPoolHere,
                                 {48, 192},
                                 {48, 192},
                                 {64, 256},
                                 {64, 256}}},
                    options);
}

}  // namespace

std::vector<ModelEntry> squeezenet_family() {
  const Family f{"iandola2016", kImageNet, "squeezenet", "imagenet"};
  return {f.entry("squeezenet1_0", "the paper's", squeezenet1_0),
          f.entry("squeezenet1_0_bypass", "the paper's with simple bypass", squeezenet1_0_bypass),
          f.entry("squeezenet1_1", "the authors' lighter form", squeezenet1_1)};
}

}  // namespace striate::models
