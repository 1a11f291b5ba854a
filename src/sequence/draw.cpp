// DRAW: A Recurrent Neural Network For Image Generation. K. Gregor, I. Danihelka, A. Graves,
// D. J. Rezende, D. Wierstra, 2015. https://arxiv.org/abs/1502.04623
// Departures: the cells' first c is 0 and only their first h is learned; one product gives both
// windows and the patch; a filter's row is normalised as a softmax, which has no 0 / 0.
#include "striate/sequence/draw.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "sequence/draw_steps.h"
#include "striate/base/error.h"
#include "striate/runtime/initialize.h"

namespace striate {

namespace {

constexpr int64_t kWindowNumbers = 5;

int64_t pixels(const DrawOptions& o) {
  return o.channels * o.height * o.width;
}

int64_t read_values(const DrawOptions& o) {
  return 2 * (o.attention() ? o.channels * o.read_size * o.read_size : pixels(o));
}

int64_t output_values(const DrawOptions& o) {
  return o.attention() ? 2 * kWindowNumbers + o.channels * o.write_size * o.write_size : pixels(o);
}

// The middle of each filter: mu_i = g + (i - N/2 - 0.5) delta, i = 1 ... N.  Eqs. 19, 20
at::Tensor middles(const at::Tensor& center, const at::Tensor& stride, int64_t size) {
  const double half = static_cast<double>(size) / 2;
  const at::Tensor steps = at::arange(1, size + 1, center.options()) - half - 0.5;
  return center.unsqueeze(1) + stride.unsqueeze(1) * steps;
}

// Eqs. 25, 26
at::Tensor filters(const at::Tensor& middles, const at::Tensor& variance, int64_t extent) {
  const at::Tensor a = at::arange(1, extent + 1, middles.options());
  const at::Tensor distance = a - middles.unsqueeze(2);  // (N, size, extent)
  return at::softmax(-distance.square() / (2 * variance.view({-1, 1, 1})), 2);
}

at::Tensor for_each(const at::Tensor& per_item) {
  return per_item.view({-1, 1, 1, 1});
}

// What an LSTM begins with.
RecurrentState first_state(const at::Tensor& h, int64_t n) {
  return {.h = h.expand({n, h.size(0)}), .c = at::zeros({n, h.size(0)}, h.options())};
}

}  // namespace

AttentionWindow attention_window(const at::Tensor& numbers, int64_t size, int64_t height,
                                 int64_t width) {
  const auto column = [&](int64_t i) { return numbers.select(1, i); };
  const auto across = [](int64_t extent, const at::Tensor& g) {
    return (static_cast<double>(extent) + 1) / 2 * (g + 1);  // Eqs. 22, 23
  };
  const auto longest = static_cast<double>(std::max(width, height) - 1);
  const auto gaps = static_cast<double>(std::max<int64_t>(size - 1, 1));
  return {.center_x = across(width, column(0)),
          .center_y = across(height, column(1)),
          .variance = column(2).exp(),
          .stride = longest / gaps * column(3).exp(),  // Eq. 24
          .gamma = column(4).exp()};
}

FilterBank filter_bank(const at::Tensor& numbers, int64_t size, int64_t height, int64_t width) {
  const AttentionWindow w = attention_window(numbers, size, height, width);
  return {.fx = filters(middles(w.center_x, w.stride, size), w.variance, width),
          .fy = filters(middles(w.center_y, w.stride, size), w.variance, height),
          .gamma = w.gamma};
}

at::Tensor read_window(const at::Tensor& images, const FilterBank& bank) {
  const at::Tensor rows = at::matmul(bank.fy.unsqueeze(1), images);
  return for_each(bank.gamma) * at::matmul(rows, bank.fx.unsqueeze(1).mT());
}

at::Tensor write_window(const at::Tensor& patches, const FilterBank& bank) {
  const at::Tensor rows = at::matmul(bank.fy.unsqueeze(1).mT(), patches);
  return at::matmul(rows, bank.fx.unsqueeze(1)) / for_each(bank.gamma);
}

at::Tensor latent_loss(const at::Tensor& mu, const at::Tensor& log_sigma) {
  return 0.5 * (mu.square() + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(-1);
}

void check_draw_options(const DrawOptions& o) {
  const auto wrong = [](const std::string& what) { throw std::invalid_argument(what); };
  if (o.channels < 1 || o.height < 1 || o.width < 1) {
    wrong(fmt::format("DRAW needs an image, got {}x{}x{}", o.channels, o.height, o.width));
  }
  if (o.hidden_size < 1 || o.latent_size < 1 || o.steps < 1) {
    wrong(fmt::format("DRAW needs sizes of at least 1, got hidden {}, latent {}, steps {}",
                      o.hidden_size, o.latent_size, o.steps));
  }
  const int64_t side = std::min(o.height, o.width);
  if (o.read_size < 0 || o.write_size < 0 || o.read_size > side || o.write_size > side) {
    wrong(fmt::format("windows of {} and {} do not fit an image of {}x{}", o.read_size,
                      o.write_size, o.height, o.width));
  }
  if ((o.read_size > 0) != (o.write_size > 0)) {
    wrong(fmt::format("attention needs both windows, got read {} and write {}", o.read_size,
                      o.write_size));
  }
}

std::vector<std::pair<std::string, std::vector<int64_t>>> draw_shapes(const DrawOptions& o) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  const int64_t h = o.hidden_size;
  for (const auto& [cell, input] :
       {std::pair{"encoder", read_values(o) + h}, std::pair{"decoder", o.latent_size}}) {
    shapes.emplace_back(fmt::format("{}.weight_ih", cell), Shape{4 * h, input});
    shapes.emplace_back(fmt::format("{}.weight_hh", cell), Shape{4 * h, h});
    shapes.emplace_back(fmt::format("{}.bias_ih", cell), Shape{4 * h});
    shapes.emplace_back(fmt::format("{}.bias_hh", cell), Shape{4 * h});
  }
  shapes.emplace_back("latent.weight", Shape{2 * o.latent_size, h});
  shapes.emplace_back("latent.bias", Shape{2 * o.latent_size});
  shapes.emplace_back("output.weight", Shape{output_values(o), h});
  shapes.emplace_back("output.bias", Shape{output_values(o)});
  shapes.emplace_back("first.canvas", Shape{pixels(o)});
  shapes.emplace_back("first.encoder", Shape{h});
  shapes.emplace_back("first.decoder", Shape{h});
  return shapes;
}

Draw::Draw(const DrawOptions& options, uint64_t seed) : options_(options) {
  check_draw_options(options);
  const double range = 1 / std::sqrt(static_cast<double>(options.hidden_size));
  for (const auto& [key, shape] : draw_shapes(options)) {
    const bool first = key.starts_with("first.");
    std::string name = key;
    std::ranges::replace(name, '.', '_');
    tensors_.emplace_back(
        key, register_parameter(name, uniform_parameter(key, shape, first ? 0 : range, seed)));
  }
  size_t i = 0;
  const auto next = [&] { return tensors_.at(i++).second; };
  for (CellWeights* const cell : {&weights_.encoder, &weights_.decoder}) {
    for (at::Tensor* const tensor : {&cell->w_ih, &cell->w_hh, &cell->b_ih, &cell->b_hh}) {
      *tensor = next();
    }
  }
  at::NoGradGuard no_grad;
  for (const CellWeights* const cell : {&weights_.encoder, &weights_.decoder}) {
    cell->b_ih.slice(0, options.hidden_size, 2 * options.hidden_size).add_(1);  // forget gates
  }
  for (at::Tensor* const tensor :
       {&weights_.latent, &weights_.latent_bias, &weights_.output, &weights_.output_bias,
        &weights_.canvas, &weights_.encoder_state, &weights_.decoder_state}) {
    *tensor = next();
  }
}

namespace {

// The three parts of the decoder's output.
at::Tensor read_numbers(const at::Tensor& output) {
  return output.slice(1, 0, kWindowNumbers);
}
at::Tensor write_numbers(const at::Tensor& output) {
  return output.slice(1, kWindowNumbers, 2 * kWindowNumbers);
}
at::Tensor write_patch(const at::Tensor& output, const DrawOptions& o) {
  return output.slice(1, 2 * kWindowNumbers).view({-1, o.channels, o.write_size, o.write_size});
}

// Eqs. 17 and 27
at::Tensor read(const at::Tensor& x, const at::Tensor& error, const at::Tensor& output,
                const DrawOptions& o) {
  if (!o.attention()) return at::cat({x.flatten(1), error.flatten(1)}, 1);
  const FilterBank bank = filter_bank(read_numbers(output), o.read_size, o.height, o.width);
  return at::cat({read_window(x, bank).flatten(1), read_window(error, bank).flatten(1)}, 1);
}

// Eqs. 18 and 29
at::Tensor write(const at::Tensor& output, const DrawOptions& o) {
  if (!o.attention()) return output.view({-1, o.channels, o.height, o.width});
  const FilterBank bank = filter_bank(write_numbers(output), o.write_size, o.height, o.width);
  return write_window(write_patch(output, o), bank);
}

// Left, top, width and height of what the outer filters' middles and their deviation reach.
at::Tensor written_frame(const at::Tensor& output, const DrawOptions& o) {
  const AttentionWindow w =
      attention_window(write_numbers(output), o.write_size, o.height, o.width);
  const at::Tensor side = static_cast<double>(o.write_size - 1) * w.stride + 2 * w.variance.sqrt();
  // The first pixel's middle is at 1, its left edge at 0.
  return at::stack({w.center_x - 0.5 - side / 2, w.center_y - 0.5 - side / 2, side, side}, 1);
}

at::Tensor first_canvas(const DrawWeights& w, const DrawOptions& o, int64_t n) {
  return w.canvas.view({1, o.channels, o.height, o.width}).expand({n, -1, -1, -1});
}

}  // namespace

DrawBound draw_by_equations(const at::Tensor& images, const at::Tensor& noise, const DrawWeights& w,
                            const DrawOptions& o) {
  const int64_t n = images.size(0);
  RecurrentState encoder = first_state(w.encoder_state, n);
  RecurrentState decoder = first_state(w.decoder_state, n);
  at::Tensor canvas = first_canvas(w, o, n);
  at::Tensor output = at::linear(decoder.h, w.output, w.output_bias);
  at::Tensor latent = at::zeros({n}, images.options());
  for (int64_t t = 0; t < noise.size(0); ++t) {
    const at::Tensor error = images - at::sigmoid(canvas);                // Eq. 3
    const at::Tensor r = read(images, error, output, o);                  // Eq. 4
    encoder = lstm_step(at::cat({r, decoder.h}, 1), encoder, w.encoder);  // Eq. 5
    const std::vector<at::Tensor> q = at::linear(encoder.h, w.latent, w.latent_bias).chunk(2, 1);
    const at::Tensor z = q[0] + q[1].exp() * noise[t];  // Eq. 6
    decoder = lstm_step(z, decoder, w.decoder);         // Eq. 7
    output = at::linear(decoder.h, w.output, w.output_bias);
    canvas = canvas + write(output, o);  // Eq. 8
    latent = latent + latent_loss(q[0], q[1]);
  }
  return {.reconstruction =
              at::binary_cross_entropy_with_logits(canvas, images, {}, {}, at::Reduction::None)
                  .sum({1, 2, 3}),
          .latent = latent};
}

DrawBound Draw::forward(const at::Tensor& images, const at::Tensor& noise) {
  const DrawOptions& o = options_;
  if (images.dim() != 4 || images.size(0) < 1 || images.size(1) != o.channels ||
      images.size(2) != o.height || images.size(3) != o.width) {
    throw ShapeError(fmt::format("DRAW of {}x{}x{} takes (N, C, H, W), got {}", o.channels,
                                 o.height, o.width, to_string(images.sizes().vec())));
  }
  if (noise.dim() != 3 || noise.size(0) < 1 || noise.size(1) != images.size(0) ||
      noise.size(2) != o.latent_size) {
    throw ShapeError(fmt::format("DRAW takes noise (T, {}, {}), got {}", images.size(0),
                                 o.latent_size, to_string(noise.sizes().vec())));
  }
  return has_draw_steps(images) ? draw_steps(images, noise, weights_, o)
                                : draw_by_equations(images, noise, weights_, o);
}

Drawing Draw::draw(const at::Tensor& z) {
  const DrawOptions& o = options_;
  if (z.dim() != 3 || z.size(0) < 1 || z.size(1) < 1 || z.size(2) != o.latent_size) {
    throw ShapeError(
        fmt::format("DRAW draws z (T, N, {}), got {}", o.latent_size, to_string(z.sizes().vec())));
  }
  at::NoGradGuard no_grad;
  const int64_t n = z.size(1);
  RecurrentState decoder = first_state(weights_.decoder_state, n);
  at::Tensor canvas = first_canvas(weights_, o, n);
  std::vector<at::Tensor> canvases;
  std::vector<at::Tensor> windows;
  for (int64_t t = 0; t < z.size(0); ++t) {
    decoder = lstm_step(z[t], decoder, weights_.decoder);
    const at::Tensor output = at::linear(decoder.h, weights_.output, weights_.output_bias);
    canvas = canvas + write(output, o);
    canvases.push_back(at::sigmoid(canvas));
    if (o.attention()) windows.push_back(written_frame(output, o));
  }
  return {.canvases = at::stack(canvases),
          .windows = windows.empty() ? at::Tensor() : at::stack(windows)};
}

}  // namespace striate
