// Deep Residual Learning for Image Recognition, section 4.2: the networks for CIFAR-10
// K. He, X. Zhang, S. Ren, J. Sun, 2016
// https://arxiv.org/abs/1512.03385
//
// 6n+2 layers, shortcuts of option A: subsampled identity with zero channels, no parameters. The
// paper leaves open where the zero channels go; half before and half after, as the published
// weights have it. `plain20` and its deeper kin are the same networks without shortcuts.
#include "models/resnet.h"

namespace striate::models {

namespace {

enum class Shortcut { kSubsampled, kPooled, kNone };

Value conv_bn(Scope s, int64_t index, Value x, int64_t width, int64_t stride) {
  const std::string number = std::to_string(index);
  x = s.conv2d(
      "conv" + number, x,
      {.out_channels = width, .kernel_size = 3, .stride = stride, .padding = 1, .bias = false});
  return s.batch_norm2d("bn" + number, x);
}

// Section 3.3, option (A).
Value option_a(Scope s, Value x, int64_t width, int64_t stride) {
  if (stride != 1) x = s.subsample(x, {.stride = stride});
  const int64_t missing = width - s.channels(x);
  if (missing == 0) return x;
  return s.pad_channels(x, {.before = missing / 2, .after = missing - missing / 2});
}

// huang2016, section 4: an average in place of the subsampling, and all zeros after.
Value pooled(Scope s, Value x, int64_t width, int64_t stride) {
  if (stride != 1) x = s.avg_pool2d(x, {.kernel_size = stride, .ceil_mode = true});
  const int64_t missing = width - s.channels(x);
  return missing == 0 ? x : s.pad_channels(x, {.after = missing});
}

Value block(Scope s, Value x, int64_t width, int64_t stride, Shortcut kind) {
  Value y = s.relu(conv_bn(s, 1, x, width, stride));
  y = conv_bn(s, 2, y, width, 1);
  if (kind == Shortcut::kNone) return s.relu(y);
  const auto shortcut = kind == Shortcut::kPooled ? pooled : option_a;
  return s.relu(s.add(y, shortcut(s / "shortcut", x, width, stride)));
}

// The table of section 4.2.
Graph network(const char* name, int64_t depth, Shortcut kind, const ModelOptions& options) {
  Graph graph(name, options.input);
  Scope s(graph);
  const int64_t n = (depth - 2) / 6;
  Value x = s.relu(conv_bn(s, 1, graph.input(), 16, 1));
  for (int64_t stage = 0; stage < 3; ++stage) {
    for (int64_t i = 0; i < n; ++i) {
      const Scope b = s / ("layer" + std::to_string(stage + 1)) / i;
      x = block(b, x, int64_t{16} << stage, i == 0 && stage > 0 ? 2 : 1, kind);
    }
  }
  x = s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1}));
  graph.set_output("logits", s.linear("linear", x, {.out_features = options.classes}));
  graph.initialization.conv_weight = {.kind = Initializer::Kind::kKaimingFanIn};
  graph.initialization.linear_weight = {.kind = Initializer::Kind::kKaimingFanIn};
  return graph;
}

}  // namespace

Graph resnet110_pooled(const char* name, const ModelOptions& options) {
  return network(name, 110, Shortcut::kPooled, options);
}

std::vector<ModelEntry> resnet_cifar_family() {
  const Family f{"he2016", kCifar, "resnet-cifar", "cifar10"};
  const auto entry = [&](const char* name, int64_t depth, Shortcut kind, const char* form) {
    return f.entry(name, form,
                   [=](const ModelOptions& o) { return network(name, depth, kind, o); });
  };
  const auto residual = [&](const char* name, int64_t depth) {
    return entry(name, depth, Shortcut::kSubsampled, "for CIFAR, option A shortcuts");
  };
  const auto plain = [&](const char* name, int64_t depth) {
    return entry(name, depth, Shortcut::kNone, "for CIFAR, without shortcuts");
  };
  return {residual("resnet20", 20), residual("resnet32", 32),   residual("resnet44", 44),
          residual("resnet56", 56), residual("resnet110", 110), residual("resnet1202", 1202),
          plain("plain20", 20),     plain("plain32", 32),       plain("plain44", 44),
          plain("plain56", 56),     plain("plain110", 110)};
}

}  // namespace striate::models
