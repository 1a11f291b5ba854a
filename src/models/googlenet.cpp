// Going Deeper with Convolutions
// C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke,
// A. Rabinovich, 2015
// https://arxiv.org/abs/1409.4842
//
// `googlenet@paper` is Table 1. Open in the paper: the normalisation's constants (here those of
// krizhevsky2012), the rounding of pools (here up, which gives the table's sizes), and what weights
// start from (here He's rule). The last average is over the whole map, which at 224 is the
// table's 7x7.
//
// `googlenet` is the form of the published weights: batch-norm, a 3x3 where the table says 5x5, and
// a 2x2 fourth pool.
//
// `inception_naive` and `inception_reduced` are Fig. 2 (a) and (b) alone, for comparison.
#include "models/family.h"

namespace striate::models {

namespace {

// A row of Table 1.
struct Inception {
  const char* name;
  int64_t one;           // #1x1
  int64_t three_reduce;  // #3x3 reduce
  int64_t three;         // #3x3
  int64_t five_reduce;   // #5x5 reduce
  int64_t five;          // #5x5
  int64_t pool;          // pool proj
};

constexpr Inception k3[] = {{"inception3a", 64, 96, 128, 16, 32, 32},
                            {"inception3b", 128, 128, 192, 32, 96, 64}};
constexpr Inception k4[] = {{"inception4a", 192, 96, 208, 16, 48, 64},
                            {"inception4b", 160, 112, 224, 24, 64, 64},
                            {"inception4c", 128, 128, 256, 24, 64, 64},
                            {"inception4d", 112, 144, 288, 32, 64, 64},
                            {"inception4e", 256, 160, 320, 32, 128, 128}};
constexpr Inception k5[] = {{"inception5a", 256, 160, 320, 32, 128, 128},
                            {"inception5b", 384, 192, 384, 48, 128, 128}};

const MaxPool2d kHalve{.kernel_size = 3, .stride = 2, .ceil_mode = true};
const MaxPool2d kKeep{.kernel_size = 3, .stride = 1, .padding = 1, .ceil_mode = true};
constexpr LocalResponseNorm kNorm{.size = 5, .alpha = 5 * 1e-4, .beta = 0.75, .k = 2};

// Appends the auxiliary heads that the options ask for, or says that they are left out.
class Heads {
 public:
  Heads(Graph& graph, const ModelOptions& options, Value (*head)(Scope, Value, int64_t))
      : graph_(graph), options_(options), head_(head) {
    if (!options.auxiliary_heads) graph.left_out = {"aux1.", "aux2."};
  }

  void append(const char* name, Value x) {
    if (!options_.auxiliary_heads) return;
    heads_.emplace_back(name, head_(Scope(graph_) / name, x, options_.classes));
  }

  // The main output is the first.
  void finish(Value logits) {
    graph_.set_output("logits", logits);
    for (const auto& [name, value] : heads_) graph_.set_output(name, value);
  }

 private:
  Graph& graph_;
  const ModelOptions& options_;
  Value (*head_)(Scope, Value, int64_t);
  std::vector<std::pair<std::string, Value>> heads_;
};

using Module = Value (*)(Scope, Value, const Inception&);

// The modules from the third stage on: the same in both forms.
Value inceptions(Scope s, Value x, Heads& heads, Module module, const MaxPool2d& fourth_pool) {
  for (const Inception& row : k3) x = module(s / row.name, x, row);
  x = s.max_pool2d(x, kHalve, "maxpool3");
  for (const Inception& row : k4) {
    x = module(s / row.name, x, row);
    // "On top of the output of the Inception (4a) and (4d) modules", section 5.
    if (row.name == k4[0].name) heads.append("aux1", x);
    if (row.name == k4[3].name) heads.append("aux2", x);
  }
  x = s.max_pool2d(x, fourth_pool, "maxpool4");
  for (const Inception& row : k5) x = module(s / row.name, x, row);
  return x;
}

Value conv(Scope s, const std::string& name, Value x, const Conv2d& op) {
  return s.relu(s.conv2d(name, x, op), name + "_relu");
}

// Fig. 2(b).
Value module_paper(Scope s, Value x, const Inception& m) {
  const Value one = conv(s, "1x1", x, {.out_channels = m.one, .kernel_size = 1});
  Value three = conv(s, "3x3_reduce", x, {.out_channels = m.three_reduce, .kernel_size = 1});
  three = conv(s, "3x3", three, {.out_channels = m.three, .kernel_size = 3, .padding = 1});
  Value five = conv(s, "5x5_reduce", x, {.out_channels = m.five_reduce, .kernel_size = 1});
  five = conv(s, "5x5", five, {.out_channels = m.five, .kernel_size = 5, .padding = 2});
  Value pool = s.max_pool2d(x, kKeep, "pool");
  pool = conv(s, "pool_proj", pool, {.out_channels = m.pool, .kernel_size = 1});
  return s.concat({one, three, five, pool}, "output");
}

// Section 5, the list before Fig. 3.
Value head_paper(Scope s, Value x, int64_t classes) {
  x = s.avg_pool2d(x, {.kernel_size = 5, .stride = 3}, "pool");
  x = conv(s, "conv", x, {.out_channels = 128, .kernel_size = 1});
  x = s.relu(s.linear("fc1", s.flatten(x), {.out_features = 1024}));
  return s.linear("fc2", s.dropout(x, {.p = 0.7}), {.out_features = classes});
}

// Table 1.
Graph googlenet_paper(const ModelOptions& options) {
  Graph graph("googlenet@paper", options.input);
  Scope s(graph);
  Heads heads(graph, options, head_paper);
  Value x = conv(s, "conv1", graph.input(),
                 {.out_channels = 64, .kernel_size = 7, .stride = 2, .padding = 3});
  x = s.local_response_norm(s.max_pool2d(x, kHalve, "maxpool1"), kNorm, "norm1");
  x = conv(s, "conv2_reduce", x, {.out_channels = 64, .kernel_size = 1});
  x = conv(s, "conv2", x, {.out_channels = 192, .kernel_size = 3, .padding = 1});
  x = s.max_pool2d(s.local_response_norm(x, kNorm, "norm2"), kHalve, "maxpool2");
  x = inceptions(s, x, heads, module_paper, kHalve);
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}));
  x = s.dropout(x, {.p = 0.4});
  heads.finish(s.linear("fc", x, {.out_features = options.classes}));
  const Initializer zero{.kind = Initializer::Kind::kConstant, .value = 0};
  graph.initialization = {.conv_weight = {.kind = Initializer::Kind::kKaimingFanIn},
                          .conv_bias = zero,
                          .linear_weight = {.kind = Initializer::Kind::kXavierUniform},
                          .linear_bias = zero};
  return graph;
}

// The form of the published weights.

Value conv_bn(Scope s, Value x, Conv2d op) {
  op.bias = false;
  return s.relu(s.batch_norm2d("bn", s.conv2d("conv", x, op), {.eps = 0.001}));
}

Value module_bn(Scope s, Value x, const Inception& m) {
  const Value one = conv_bn(s / "branch1", x, {.out_channels = m.one, .kernel_size = 1});
  Value three = conv_bn(s / "branch2" / 0, x, {.out_channels = m.three_reduce, .kernel_size = 1});
  three =
      conv_bn(s / "branch2" / 1, three, {.out_channels = m.three, .kernel_size = 3, .padding = 1});
  Value five = conv_bn(s / "branch3" / 0, x, {.out_channels = m.five_reduce, .kernel_size = 1});
  five = conv_bn(s / "branch3" / 1, five, {.out_channels = m.five, .kernel_size = 3, .padding = 1});
  Value pool = (s / "branch4").max_pool2d(x, kKeep, "0");
  pool = conv_bn(s / "branch4" / 1, pool, {.out_channels = m.pool, .kernel_size = 1});
  return s.concat({one, three, five, pool}, "output");
}

Value head_bn(Scope s, Value x, int64_t classes) {
  x = s.adaptive_avg_pool2d(x, {.output_size = 4}, "pool");
  x = conv_bn(s / "conv", x, {.out_channels = 128, .kernel_size = 1});
  x = s.relu(s.linear("fc1", s.flatten(x), {.out_features = 1024}));
  return s.linear("fc2", s.dropout(x, {.p = 0.7}), {.out_features = classes});
}

Graph googlenet(const ModelOptions& options) {
  Graph graph("googlenet", options.input);
  Scope s(graph);
  Heads heads(graph, options, head_bn);
  Value x = conv_bn(s / "conv1", graph.input(),
                    {.out_channels = 64, .kernel_size = 7, .stride = 2, .padding = 3});
  x = s.max_pool2d(x, kHalve, "maxpool1");
  x = conv_bn(s / "conv2", x, {.out_channels = 64, .kernel_size = 1});
  x = conv_bn(s / "conv3", x, {.out_channels = 192, .kernel_size = 3, .padding = 1});
  x = s.max_pool2d(x, kHalve, "maxpool2");
  x = inceptions(s, x, heads, module_bn, {.kernel_size = 2, .stride = 2, .ceil_mode = true});
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}));
  x = s.dropout(x, {.p = 0.2});
  heads.finish(s.linear("fc", x, {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kKaimingFanOut};
  return graph;
}

// Fig. 2(a): every convolution sees all channels, and the pool keeps them.
Value module_naive(Scope s, Value x, const Inception& m) {
  const Value one = conv(s, "1x1", x, {.out_channels = m.one, .kernel_size = 1});
  const Value three = conv(s, "3x3", x, {.out_channels = m.three, .kernel_size = 3, .padding = 1});
  const Value five = conv(s, "5x5", x, {.out_channels = m.five, .kernel_size = 5, .padding = 2});
  return s.concat({one, three, five, s.max_pool2d(x, kKeep, "pool")}, "output");
}

// One module with a classifier on top.
Graph inception(const char* name, Module module, const ModelOptions& options) {
  // Widths that lectures compare: on 256 channels, 1x1 in front of 64.
  constexpr Inception kWidths{"inception", 128, 64, 192, 64, 96, 64};
  Graph graph(name, options.input);
  Scope s(graph);
  const Value x = module(s / "inception", graph.input(), kWidths);
  graph.set_output("logits", s.linear("fc", s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1})),
                                      {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kKaimingFanIn};
  return graph;
}

}  // namespace

std::vector<ModelEntry> googlenet_family() {
  const Family f{"szegedy2015", kImageNet, "googlenet", "imagenet-half"};
  const Family module{
      "szegedy2015", {.input = {256, 28, 28}, .classes = 10}, "resnet-cifar", "imagenet"};
  return {f.entry("googlenet", "with batch-norm, 3x3 for 5x5", googlenet),
          f.entry("googlenet@paper", "the paper's: 5x5, response normalisation, no batch-norm",
                  googlenet_paper),
          module.entry(
              "inception_naive", "one module without bottlenecks, for comparison",
              [](const ModelOptions& o) { return inception("inception_naive", module_naive, o); }),
          module.entry("inception_reduced", "one module with bottlenecks, for comparison",
                       [](const ModelOptions& o) {
                         return inception("inception_reduced", module_paper, o);
                       })};
}

}  // namespace striate::models
