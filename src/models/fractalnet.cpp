// FractalNet: Ultra-Deep Neural Networks without Residuals
// G. Larsson, M. Maire, G. Shakhnarovich, 2017
// https://arxiv.org/abs/1605.07648
//
// Five blocks of C columns, joined by means, with local and global drop-path; `fractalnet20` has
// three columns, `fractalnet40` four. Open in the paper: where dropout goes (here between
// convolution and batch-norm, as in a model of the author), and the widths of the 40 layers (here
// half of the 20 layers'). Its tables count 38.6 M and 22.9 M parameters, this file 33.7 M and
// 19.0 M: the paper does not say what else it counts.
#include "models/family.h"

namespace striate::models {

namespace {

// Section 4: dropout rises from block to block.
constexpr double kDropout[] = {0, 0.1, 0.2, 0.3, 0.4};

struct Block {
  int64_t width;
  int64_t columns;
  double dropout;
};

// The caption of Fig. 1: a convolution, with batch-norm and ReLU.
Value layer(Scope s, Value x, const Block& b) {
  x = s.conv2d("conv", x, {.out_channels = b.width, .kernel_size = 3, .padding = 1, .bias = false});
  if (b.dropout > 0) x = s.dropout(x, {.p = b.dropout});
  return s.relu(s.batch_norm2d("bn", x));
}

// Fig. 1, the expansion rule of eq. 1 and 2 unrolled: column c has 2^c layers, and the columns that
// end at one depth are joined there and go on from the join.
Value fractal(Scope s, Value x, const Block& b) {
  const int64_t steps = int64_t{1} << (b.columns - 1);
  std::vector<Value> columns(static_cast<size_t>(b.columns), x);
  for (int64_t step = 1; step <= steps; ++step) {
    std::vector<int64_t> ending;
    std::vector<Value> ends;
    for (int64_t c = 0; c < b.columns; ++c) {
      const int64_t period = steps >> c;  // steps that one layer of the column spans
      if (step % period != 0) continue;
      Value& column = columns[static_cast<size_t>(c)];
      column = layer(s / ("column" + std::to_string(c)) / (step / period - 1), column, b);
      ending.push_back(c);
      ends.push_back(column);
    }
    if (ends.size() < 2) continue;
    const Value joined = s.fractal_join(ends, {.columns = ending});
    for (const int64_t c : ending) columns[static_cast<size_t>(c)] = joined;
  }
  return columns.back();
}

struct Design {
  const char* name;
  int64_t columns;
  std::vector<int64_t> widths;
};

Graph fractalnet(const Design& design, const ModelOptions& options) {
  Graph graph(design.name, options.input);
  Scope s(graph);
  Value x = graph.input();
  for (size_t i = 0; i < design.widths.size(); ++i) {
    const Block block{.width = design.widths[i], .columns = design.columns, .dropout = kDropout[i]};
    x = fractal(s / ("block" + std::to_string(i + 1)), x, block);
    x = s.max_pool2d(x, {.kernel_size = 2});
  }
  graph.set_output("logits", s.linear("fc", s.flatten(x), {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kXavierUniform};
  graph.initialization.linear_weight = {.kind = Initializer::Kind::kXavierUniform};
  return graph;
}

}  // namespace

std::vector<ModelEntry> fractalnet_family() {
  const Family f{"larsson2017", kCifar, "fractalnet", "cifar10"};
  return {
      f.entry("fractalnet20", "for CIFAR, three columns, 20 layers deep",
              [](const ModelOptions& o) {
                return fractalnet({"fractalnet20", 3, {64, 128, 256, 512, 512}}, o);
              }),
      f.entry("fractalnet40", "for CIFAR, four columns, 40 layers deep", [](const ModelOptions& o) {
        return fractalnet({"fractalnet40", 4, {32, 64, 128, 256, 256}}, o);
      })};
}

}  // namespace striate::models
