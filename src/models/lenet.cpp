// Gradient-Based Learning Applied to Document Recognition
// Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, 1998
// https://doi.org/10.1109/5.726791
//
// `lenet5@paper` is the network of II.B. Departures:
// * The target codes of the output units are ten digits drawn on 7x12 cells in the style of Fig. 3
//   (the paper shows its bitmaps as a picture only). For another number of classes they are random
//   signs, which II.B names as the alternative.
// * The coefficients of S2 and S4 start at 1/4 (an average); the paper gives no rule for them.
// * F_i in the initialisation of C3 counts all six maps, for every unit.
//
// `lenet5` is the form in use today: ReLU, max-pooling, all of S2 seen by all of C3, linear output.
#include "models/family.h"
#include "striate/base/random.h"

namespace striate::models {

namespace {

// Table I: for each of C3's sixteen maps, the maps of S2 that it sees.
const std::vector<std::vector<int64_t>> kTable1 = {
    {0, 1, 2},    {1, 2, 3},    {2, 3, 4},    {3, 4, 5},         {0, 4, 5},    {0, 1, 5},
    {0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {0, 3, 4, 5},      {0, 1, 4, 5}, {0, 1, 2, 5},
    {0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, {0, 1, 2, 3, 4, 5}};

constexpr int64_t kCodeWidth = 7;
constexpr int64_t kCodeHeight = 12;
constexpr int64_t kCodeSize = kCodeWidth * kCodeHeight;

// Fig. 3, its row of digits.
constexpr const char* kDigits[10][kCodeHeight] = {
    {".......", "..###..", ".##.##.", "##...##", "##...##", "##...##", "##...##", "##...##",
     "##...##", ".##.##.", "..###..", "......."},
    {".......", "...##..", "..###..", ".####..", "...##..", "...##..", "...##..", "...##..",
     "...##..", "...##..", ".######", "......."},
    {".......", ".#####.", "##...##", ".....##", ".....##", "....##.", "...##..", "..##...",
     ".##....", "##.....", "#######", "......."},
    {".......", ".#####.", "##...##", ".....##", ".....##", "..####.", ".....##", ".....##",
     ".....##", "##...##", ".#####.", "......."},
    {".......", "....##.", "...###.", "..####.", ".##.##.", "##..##.", "#######", "....##.",
     "....##.", "....##.", "....##.", "......."},
    {".......", "#######", "##.....", "##.....", "##.....", "######.", ".....##", ".....##",
     ".....##", "##...##", ".#####.", "......."},
    {".......", "..####.", ".##....", "##.....", "##.....", "######.", "##...##", "##...##",
     "##...##", "##...##", ".#####.", "......."},
    {".......", "#######", "##...##", ".....##", "....##.", "....##.", "...##..", "...##..",
     "..##...", "..##...", "..##...", "......."},
    {".......", ".#####.", "##...##", "##...##", "##...##", ".#####.", "##...##", "##...##",
     "##...##", "##...##", ".#####.", "......."},
    {".......", ".#####.", "##...##", "##...##", "##...##", "##...##", ".######", ".....##",
     ".....##", "....##.", ".####..", "......."}};

// -1 and +1, the states between which the squashing function is not yet saturated. (classes, 84)
std::vector<float> target_codes(int64_t classes) {
  std::vector<float> codes;
  Random random({hash_name("lenet5 codes")});
  for (int64_t k = 0; k < classes; ++k) {
    for (int64_t i = 0; i < kCodeSize; ++i) {
      const bool set =
          classes == 10 ? kDigits[k][i / kCodeWidth][i % kCodeWidth] == '#' : random.chance(0.5);
      codes.push_back(set ? 1.0F : -1.0F);
    }
  }
  return codes;
}

// "The four inputs to a unit in S2 are added, then multiplied by a trainable coefficient, and added
// to a trainable bias", then squashed.
Value subsampling(Scope s, const std::string& name, Value x) {
  x = s.avg_pool2d(x, {.kernel_size = 2, .divisor_override = 1}, name + "_sum");
  return s.scaled_tanh(s.channel_affine(name, x), {}, name + "_tanh");
}

// Fig. 2.
Graph lenet5_paper(const ModelOptions& options) {
  Graph graph("lenet5@paper", options.input);
  Scope s(graph);
  Value x = s.conv2d("c1", graph.input(), {.out_channels = 6, .kernel_size = 5});
  x = subsampling(s, "s2", s.scaled_tanh(x, {}, "c1_tanh"));
  x = s.conv2d("c3", x, {.out_channels = 16, .kernel_size = 5, .connections = kTable1});
  x = subsampling(s, "s4", s.scaled_tanh(x, {}, "c3_tanh"));
  x = s.scaled_tanh(s.conv2d("c5", x, {.out_channels = 120, .kernel_size = 5}), {}, "c5_tanh");
  x = s.scaled_tanh(s.linear("f6", s.flatten(x), {.out_features = kCodeSize}), {}, "f6_tanh");
  x = s.negative_squared_distance("output", x, {.out_features = options.classes});
  graph.set_output("logits", x);

  // Appendix A: uniform in ±2.4 / F_i.
  const Initializer spread{.kind = Initializer::Kind::kFanInUniform, .value = 2.4};
  graph.initialization = {
      .conv_weight = spread, .conv_bias = spread, .linear_weight = spread, .linear_bias = spread};
  const Initializer average{.kind = Initializer::Kind::kConstant, .value = 0.25};
  graph.initialization.exceptions = {
      {"s2.weight", average},
      {"s4.weight", average},
      {"output.weight",
       {.kind = Initializer::Kind::kTable, .table = target_codes(options.classes)}}};
  return graph;
}

Graph lenet5(const ModelOptions& options) {
  Graph graph("lenet5", options.input);
  Scope s(graph);
  Value x = s.relu(s.conv2d("conv1", graph.input(), {.out_channels = 6, .kernel_size = 5}));
  x = s.max_pool2d(x, {.kernel_size = 2});
  x = s.relu(s.conv2d("conv2", x, {.out_channels = 16, .kernel_size = 5}));
  x = s.max_pool2d(x, {.kernel_size = 2});
  x = s.relu(s.linear("fc1", s.flatten(x), {.out_features = 120}));
  x = s.relu(s.linear("fc2", x, {.out_features = 84}));
  graph.set_output("logits", s.linear("fc3", x, {.out_features = options.classes}));
  return graph;
}

}  // namespace

std::vector<ModelEntry> lenet_family() {
  const Family f{"lecun1998", {.input = {1, 32, 32}, .classes = 10}, "lenet5", "unit-32"};
  Family paper = f;
  paper.recipe = "lenet5-paper";
  return {f.entry("lenet5", "modern: ReLU, max-pooling, linear output", lenet5),
          paper.entry("lenet5@paper", "the paper's: subsampling, table of connections, RBF output",
                      lenet5_paper)};
}

}  // namespace striate::models
