#include "runtime/op_cases.h"

#include <ATen/ATen.h>

namespace striate {

namespace {

using Inputs = std::vector<at::Tensor>;
using Tensors = std::map<std::string, at::Tensor>;

// A convolution as a sum over its window's positions: slow, obvious, and not LibTorch's own.
at::Tensor naive_conv(const at::Tensor& x, const Conv2d& c, const Tensors& t) {
  const at::Tensor padded = at::constant_pad_nd(
      x, {c.padding.width, c.padding.width, c.padding.height, c.padding.height});
  const at::Tensor& w = t.at("weight");
  const int64_t height =
      (padded.size(2) - c.dilation.height * (c.kernel_size.height - 1) - 1) / c.stride.height + 1;
  const int64_t width =
      (padded.size(3) - c.dilation.width * (c.kernel_size.width - 1) - 1) / c.stride.width + 1;
  at::Tensor y = at::zeros({x.size(0), c.out_channels, height, width}, x.options());
  const int64_t in = w.size(1);
  const int64_t out = c.out_channels / c.groups;
  for (int64_t o = 0; o < c.out_channels; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      const int64_t channel = o / out * in + i;
      if (!c.connections.empty()) {
        const auto& row = c.connections[static_cast<size_t>(o)];
        if (std::find(row.begin(), row.end(), channel) == row.end()) continue;
      }
      for (int64_t ky = 0; ky < c.kernel_size.height; ++ky) {
        for (int64_t kx = 0; kx < c.kernel_size.width; ++kx) {
          const int64_t top = ky * c.dilation.height;
          const int64_t left = kx * c.dilation.width;
          const at::Tensor part =
              padded.select(1, channel)
                  .slice(1, top, top + (height - 1) * c.stride.height + 1, c.stride.height)
                  .slice(2, left, left + (width - 1) * c.stride.width + 1, c.stride.width);
          y.select(1, o) += part * w[o][i][ky][kx];
        }
      }
    }
    if (c.bias) y.select(1, o) += t.at("bias")[o];
  }
  return y;
}

OpCase conv(std::string name, const Conv2d& c, Shape input, int64_t batch = 2) {
  return {std::move(name), c, {std::move(input)}, batch, [c](const Inputs& x, const Tensors& t) {
            return naive_conv(x[0], c, t);
          }};
}

// Windows as a stack over their positions, then `reduce` over it.
at::Tensor windows(const at::Tensor& x, int64_t kernel, int64_t stride, int64_t padding,
                   double fill, int64_t out_height, int64_t out_width) {
  const int64_t extra = kernel + stride;  // room for ceil mode
  const at::Tensor padded =
      at::constant_pad_nd(x, {padding, padding + extra, padding, padding + extra}, fill);
  std::vector<at::Tensor> parts;
  for (int64_t ky = 0; ky < kernel; ++ky) {
    for (int64_t kx = 0; kx < kernel; ++kx) {
      parts.push_back(padded.slice(2, ky, ky + (out_height - 1) * stride + 1, stride)
                          .slice(3, kx, kx + (out_width - 1) * stride + 1, stride));
    }
  }
  return at::stack(parts);
}

std::vector<OpCase> convolutions() {
  return {
      conv("conv 3x3", {.out_channels = 4, .kernel_size = 3, .padding = 1}, {3, 7, 5}),
      conv("conv 3x3 batch 1", {.out_channels = 2, .kernel_size = 3, .padding = 1}, {1, 6, 6}, 1),
      conv("conv 1x1 no bias", {.out_channels = 5, .kernel_size = 1, .bias = false}, {3, 4, 4}),
      conv("conv 5x3 stride 2x1",
           {.out_channels = 2, .kernel_size = {5, 3}, .stride = {2, 1}, .padding = {2, 0}},
           {2, 9, 6}),
      conv("conv dilated", {.out_channels = 2, .kernel_size = 3, .padding = 2, .dilation = 2},
           {2, 7, 7}),
      conv("conv groups", {.out_channels = 6, .kernel_size = 3, .padding = 1, .groups = 2},
           {4, 5, 5}),
      conv("conv depthwise", {.out_channels = 4, .kernel_size = 3, .stride = 2, .groups = 4},
           {4, 7, 7}),
      // More channels than images have.
      conv("conv 1x1 stride 2x1", {.out_channels = 6, .kernel_size = 1, .stride = {2, 1}},
           {7, 5, 6}),
      conv("conv 5x3 padding 2x0", {.out_channels = 3, .kernel_size = {5, 3}, .padding = {2, 0}},
           {6, 7, 5}),
      conv("conv 2x2", {.out_channels = 5, .kernel_size = 2}, {6, 4, 5}),
      conv("conv 3x3 padding 3", {.out_channels = 5, .kernel_size = 3, .padding = 3}, {6, 4, 5}),
      conv("conv 3x3 dilation 2x1",
           {.out_channels = 5, .kernel_size = 3, .padding = {1, 1}, .dilation = {2, 1}}, {6, 7, 5}),
      conv("conv 3x3 stride 2", {.out_channels = 5, .kernel_size = 3, .stride = 2, .padding = 1},
           {6, 7, 8}),
      conv("conv table",
           {.out_channels = 3, .kernel_size = 3, .connections = {{0}, {1, 3}, {0, 1, 2, 3}}},
           {4, 5, 5}),
  };
}

std::vector<OpCase> pools() {
  const auto max = [](int64_t k, int64_t s, int64_t p) {
    return [=](const Inputs& x, const Tensors&) {
      const Shape shape =
          infer_shape(MaxPool2d{.kernel_size = k, .stride = s, .padding = p, .ceil_mode = true},
                      {x[0].sizes().slice(1).vec()}, "pool");
      return std::get<0>(windows(x[0], k, s, p, -1e30, shape[1], shape[2]).max(0));
    };
  };
  return {
      {"max pool 2", MaxPool2d{.kernel_size = 2}, {{3, 6, 8}}, 2, max(2, 2, 0)},
      {"max pool 3 stride 2 padding 1",
       MaxPool2d{.kernel_size = 3, .stride = 2, .padding = 1},
       {{2, 7, 9}},
       2,
       max(3, 2, 1)},
      {"max pool ceil",
       MaxPool2d{.kernel_size = 3, .stride = 2, .ceil_mode = true},
       {{2, 8, 6}},
       1,
       max(3, 2, 0)},
      {"avg pool 2 sum",
       AvgPool2d{.kernel_size = 2, .divisor_override = 1},
       {{2, 6, 4}},
       2,
       [](const Inputs& x, const Tensors&) {
         return windows(x[0], 2, 2, 0, 0, x[0].size(2) / 2, x[0].size(3) / 2).sum(0);
       }},
      {"avg pool 3 padding 1",
       AvgPool2d{.kernel_size = 3, .stride = 1, .padding = 1},
       {{2, 5, 6}},
       2,
       [](const Inputs& x, const Tensors&) {
         return windows(x[0], 3, 1, 1, 0, x[0].size(2), x[0].size(3)).mean(0);
       }},
      {"global average",
       AdaptiveAvgPool2d{.output_size = 1},
       {{3, 5, 7}},
       2,
       [](const Inputs& x, const Tensors&) {
         return x[0].mean({2, 3}, true);
       }},
      {"adaptive average",
       AdaptiveAvgPool2d{.output_size = 2},
       {{3, 6, 8}},
       2,
       [](const Inputs& x, const Tensors&) {
         return x[0].view({x[0].size(0), 3, 2, 3, 2, 4}).mean({3, 5});
       }},
  };
}

std::vector<OpCase> others() {
  const auto per_channel = [](const at::Tensor& t) { return t.view({1, -1, 1, 1}); };
  return {
      {"linear",
       Linear{.out_features = 4},
       {{6}},
       3,
       [](const Inputs& x, const Tensors& t) {
         return (x[0].unsqueeze(1) * t.at("weight").unsqueeze(0)).sum(2) + t.at("bias");
       }},
      {"linear no bias",
       Linear{.out_features = 2, .bias = false},
       {{5}},
       1,
       [](const Inputs& x, const Tensors& t) { return x[0].mm(t.at("weight").t()); }},
      {"batch norm",
       BatchNorm2d{},
       {{3, 4, 5}},
       3,
       [=](const Inputs& x, const Tensors& t) {
         const at::Tensor mean = x[0].mean({0, 2, 3}, true);
         const at::Tensor var = (x[0] - mean).square().mean({0, 2, 3}, true);
         return (x[0] - mean) / (var + 1e-5).sqrt() * per_channel(t.at("weight")) +
                per_channel(t.at("bias"));
       }},
      {"relu",
       ReLU{},
       {{3, 4, 5}},
       2,
       [](const Inputs& x, const Tensors&) { return x[0].clamp_min(0); }},
      {"scaled tanh",
       ScaledTanh{},
       {{3, 4, 5}},
       2,
       [](const Inputs& x, const Tensors&) {
         const at::Tensor e = (x[0] * (4.0 / 3.0)).exp();
         return 1.7159 * (e - 1) / (e + 1);
       }},
      {"channel affine",
       ChannelAffine{},
       {{3, 4, 5}},
       2,
       [=](const Inputs& x, const Tensors& t) {
         return x[0] * per_channel(t.at("weight")) + per_channel(t.at("bias"));
       }},
      {"local response norm",
       LocalResponseNorm{.size = 5, .alpha = 0.3, .beta = 0.75, .k = 2},
       {{7, 3, 4}},
       2,
       [](const Inputs& x, const Tensors&) {
         at::Tensor y = at::zeros_like(x[0]);
         for (int64_t i = 0; i < 7; ++i) {
           at::Tensor sum = at::zeros_like(x[0].select(1, 0));
           for (int64_t j = std::max<int64_t>(0, i - 2); j <= std::min<int64_t>(6, i + 2); ++j) {
             sum += x[0].select(1, j).square();
           }
           y.select(1, i) += x[0].select(1, i) / (2 + 0.3 / 5 * sum).pow(0.75);
         }
         return y;
       }},
      {"fractal join without drops",
       FractalJoin{.columns = {0, 1, 2}, .drop = 0, .global = 0},
       {{2, 3, 4}, {2, 3, 4}, {2, 3, 4}},
       2,
       [](const Inputs& x, const Tensors&) { return (x[0] + x[1] + x[2]) / 3; }},
      {"flatten",
       Flatten{},
       {{3, 4, 5}},
       2,
       [](const Inputs& x, const Tensors&) {
         return x[0].reshape({x[0].size(0), 60});
       }},
      {"add",
       Add{},
       {{3, 4, 5}, {3, 4, 5}},
       2,
       [](const Inputs& x, const Tensors&) { return x[0] + x[1]; }},
      {"concat",
       Concat{},
       {{3, 4, 5}, {2, 4, 5}, {1, 4, 5}},
       2,
       [](const Inputs& x, const Tensors&) {
         return at::cat({x[0], x[1], x[2]}, 1);
       }},
      {"subsample",
       Subsample{.stride = 2},
       {{3, 5, 6}},
       2,
       [](const Inputs& x, const Tensors&) {
         return x[0].index_select(2, at::tensor({0, 2, 4})).index_select(3, at::tensor({0, 2, 4}));
       }},
      {"pad channels",
       PadChannels{.before = 1, .after = 2},
       {{3, 4, 5}},
       2,
       [](const Inputs& x, const Tensors&) {
         const auto zeros = [&](int64_t n) {
           return at::zeros({x[0].size(0), n, 4, 5}, x[0].options());
         };
         return at::cat({zeros(1), x[0], zeros(2)}, 1);
       }},
      {"negative squared distance",
       NegativeSquaredDistance{.out_features = 4},
       {{6}},
       3,
       [](const Inputs& x, const Tensors& t) {
         return -(x[0].unsqueeze(1) - t.at("weight")).pow(2).sum(2);
       }},
  };
}

}  // namespace

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases = convolutions();
  for (auto& list : {pools(), others()}) cases.insert(cases.end(), list.begin(), list.end());
  return cases;
}

}  // namespace striate
