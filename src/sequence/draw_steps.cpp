#include "sequence/draw_steps.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <tuple>
#include <type_traits>

#include "kernels/attention_window.h"
#include "kernels/recurrent_cells.h"
#include "runtime/first_derivative.h"
#include "sequence/rows.h"

namespace striate {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kNumbers = 5;  // of a window

std::vector<at::Tensor> in_order(const DrawWeights& w) {
  return {w.encoder.w_ih, w.encoder.w_hh, w.encoder.b_ih, w.encoder.b_hh,  w.decoder.w_ih,
          w.decoder.w_hh, w.decoder.b_ih, w.decoder.b_hh, w.latent,        w.latent_bias,
          w.output,       w.output_bias,  w.canvas,       w.encoder_state, w.decoder_state};
}

DrawWeights from_order(const variable_list& t, size_t i) {
  return {.encoder = {.w_ih = t[i], .w_hh = t[i + 1], .b_ih = t[i + 2], .b_hh = t[i + 3]},
          .decoder = {.w_ih = t[i + 4], .w_hh = t[i + 5], .b_ih = t[i + 6], .b_hh = t[i + 7]},
          .latent = t[i + 8],
          .latent_bias = t[i + 9],
          .output = t[i + 10],
          .output_bias = t[i + 11],
          .canvas = t[i + 12],
          .encoder_state = t[i + 13],
          .decoder_state = t[i + 14]};
}

// One cell at every step. Each tensor is (T, N, ...), h and c have the first state before.
struct CellSteps {
  at::Tensor input;  // (T, N, I + H): what goes in and the h before, for one product
  at::Tensor gates;
  at::Tensor h;
  at::Tensor c;
};

// What the forward pass leaves for the backward one.
struct Steps {
  CellSteps encoder;  // without attention its input is the two cells' h only
  CellSteps decoder;
  at::Tensor latent;  // (T, N, 2 Z): mu, log sigma
  at::Tensor sigma;   // (T, N, Z)
  at::Tensor output;  // (T + 1, N, O), with attention
  at::Tensor mean;    // (T + 1, N, P): the canvas' sigmoid
  at::Tensor canvas;  // (N, P): the last one
};

// Sizes of a pass.
struct Sizes {
  DrawOptions o;
  int64_t steps, n, hidden, latent, pixels;
  int64_t read;  // values in the encoder's input that an attention window read

  Sizes(const DrawOptions& options, const at::Tensor& noise)
      : o(options),
        steps(noise.size(0)),
        n(noise.size(1)),
        hidden(o.hidden_size),
        latent(o.latent_size),
        pixels(o.channels * o.height * o.width),
        read(o.attention() ? 2 * o.channels * o.read_size * o.read_size : 0) {}

  kernels::Window window(int64_t size) const {
    return {.size = size, .channels = o.channels, .height = o.height, .width = o.width};
  }
};

template <typename T>
kernels::Rows<T> rows_of(const at::Tensor& x) {
  using Value = std::remove_const_t<T>;
  return {.values = x.data_ptr<Value>(), .stride = x.stride(0)};
}

// The weights of one product for all that a cell sees. Without attention the encoder sees the
// image and its error by products of their own.
struct Products {
  at::Tensor encoder;  // (4 H, read + 2 H)
  at::Tensor error;    // (4 H, P), without attention
  at::Tensor decoder;  // (4 H, Z + H)

  Products(const DrawWeights& w, const Sizes& s)
      : decoder(at::cat({w.decoder.w_ih, w.decoder.w_hh}, 1)) {
    const int64_t seen = s.o.attention() ? 0 : 2 * s.pixels;
    encoder = at::cat({w.encoder.w_ih.slice(1, seen), w.encoder.w_hh}, 1);
    if (!s.o.attention()) error = w.encoder.w_ih.slice(1, s.pixels, 2 * s.pixels);
  }
};

void cell_step(const CellSteps& cell, int64_t t, int64_t hidden) {
  with_type(cell.gates, [&](auto type) {
    using T = decltype(type);
    const kernels::LstmStep<T> step{.hidden_size = hidden,
                                    .gates = at_step<T>(cell.gates, t),
                                    .c_past = at_step<T>(cell.c, t),
                                    .c = at_step<T>(cell.c, t + 1),
                                    .h = at_step<T>(cell.h, t + 1)};
    for_rows(cell.gates.size(1), hidden,
             [&](int64_t begin, int64_t end) { kernels::lstm_step(step, begin, end); });
  });
}

class Forward {
 public:
  Forward(const Sizes& sizes, const at::Tensor& x, const at::Tensor& noise, const DrawWeights& w)
      : s_(sizes), x_(x), noise_(noise), w_(w), products_(w, sizes) {
    const auto empty = [&](int64_t steps, int64_t values) {
      return at::empty({steps, s_.n, values}, x.options());
    };
    for (const auto& [cell, input, first] :
         {std::tuple{&kept_.encoder, s_.read + s_.hidden, w.encoder_state},
          std::tuple{&kept_.decoder, s_.latent, w.decoder_state}}) {
      cell->input = empty(s_.steps, input + s_.hidden);
      cell->gates = empty(s_.steps, 4 * s_.hidden);
      cell->h = empty(s_.steps + 1, s_.hidden);
      cell->c = empty(s_.steps + 1, s_.hidden);
      cell->h[0].copy_(first.expand({s_.n, s_.hidden}));
      cell->c[0].zero_();
    }
    kept_.latent = empty(s_.steps, 2 * s_.latent);
    kept_.sigma = empty(s_.steps, s_.latent);
    kept_.mean = empty(s_.steps + 1, s_.pixels);
    kept_.canvas = w.canvas.expand({s_.n, s_.pixels}).contiguous();
    if (s_.o.attention()) kept_.output = empty(s_.steps + 1, w.output.size(0));
    encoder_bias_ = w.encoder.b_ih + w.encoder.b_hh;
    decoder_bias_ = w.decoder.b_ih + w.decoder.b_hh;
    if (!s_.o.attention()) {
      // W x + V (x - mean) = (W + V) x - V mean, whose first part is the same at every step.
      const at::Tensor both = w.encoder.w_ih.slice(1, 0, s_.pixels) + products_.error;
      encoder_bias_ = at::addmm(encoder_bias_, x, both.t());
    }
  }

  Steps run() {
    at::Tensor first_mean = kept_.mean[0];
    at::sigmoid_out(first_mean, kept_.canvas);
    if (s_.o.attention()) put_output(0);
    for (int64_t t = 0; t < s_.steps; ++t) {
      encode(t);
      decode(t);
      if (s_.o.attention()) {
        put_output(t + 1);
        write(t + 1);
      } else {
        at::Tensor changed = kept_.canvas.add_(w_.output_bias);
        changed.addmm_(kept_.decoder.h[t + 1], w_.output.t());
      }
      at::Tensor mean = kept_.mean[t + 1];
      at::sigmoid_out(mean, kept_.canvas);
    }
    return kept_;
  }

 private:
  void put_output(int64_t t) {
    at::Tensor output = kept_.output[t];
    at::addmm_out(output, w_.output_bias, kept_.decoder.h[t], w_.output.t());
  }

  void encode(int64_t t) {
    const at::Tensor input = kept_.encoder.input[t];
    if (s_.o.attention()) read(t);
    input.slice(1, s_.read, s_.read + s_.hidden).copy_(kept_.decoder.h[t]);
    input.slice(1, s_.read + s_.hidden).copy_(kept_.encoder.h[t]);
    at::Tensor gates = kept_.encoder.gates[t];
    at::addmm_out(gates, encoder_bias_, input, products_.encoder.t());
    if (!s_.o.attention()) gates.addmm_(kept_.mean[t], products_.error.t(), 1, -1);
    cell_step(kept_.encoder, t, s_.hidden);
  }

  void decode(int64_t t) {
    at::Tensor latent = kept_.latent[t];
    at::addmm_out(latent, w_.latent_bias, kept_.encoder.h[t + 1], w_.latent.t());
    at::Tensor sigma = kept_.sigma[t];
    at::exp_out(sigma, latent.slice(1, s_.latent));
    const at::Tensor input = kept_.decoder.input[t];
    at::Tensor z = input.slice(1, 0, s_.latent);
    at::addcmul_out(z, latent.slice(1, 0, s_.latent), sigma, noise_[t]);
    input.slice(1, s_.latent).copy_(kept_.decoder.h[t]);
    at::Tensor gates = kept_.decoder.gates[t];
    at::addmm_out(gates, decoder_bias_, input, products_.decoder.t());
    cell_step(kept_.decoder, t, s_.hidden);
  }

  void read(int64_t t) {
    with_type(x_, [&](auto type) {
      using T = decltype(type);
      const kernels::WindowRead<T> read{.window = s_.window(s_.o.read_size),
                                        .numbers = rows_of<const T>(kept_.output[t]),
                                        .image = rows_of<const T>(x_),
                                        .mean = rows_of<const T>(kept_.mean[t]),
                                        .patches = rows_of<T>(kept_.encoder.input[t])};
      for_rows(s_.n, s_.pixels,
               [&](int64_t begin, int64_t end) { kernels::read_window(read, begin, end); });
    });
  }

  void write(int64_t t) {
    const at::Tensor output = kept_.output[t];
    with_type(x_, [&](auto type) {
      using T = decltype(type);
      const kernels::WindowWrite<T> write{.window = s_.window(s_.o.write_size),
                                          .numbers = rows_of<const T>(output.slice(1, kNumbers)),
                                          .patch = rows_of<const T>(output.slice(1, 2 * kNumbers)),
                                          .canvas = rows_of<T>(kept_.canvas)};
      for_rows(s_.n, s_.pixels,
               [&](int64_t begin, int64_t end) { kernels::write_window(write, begin, end); });
    });
  }

  const Sizes& s_;
  const at::Tensor& x_;
  const at::Tensor& noise_;
  const DrawWeights& w_;
  const Products products_;
  at::Tensor encoder_bias_;  // (4 H), without attention (N, 4 H)
  at::Tensor decoder_bias_;
  Steps kept_;
};

// (T, N, V) as (T N, V).
at::Tensor flat(const at::Tensor& steps) {
  return steps.view({-1, steps.size(2)});
}

class Backward {
 public:
  Backward(const Sizes& sizes, const at::Tensor& x, const at::Tensor& noise, const DrawWeights& w,
           const Steps& kept)
      : s_(sizes), x_(x), noise_(noise), w_(w), kept_(kept), products_(w, sizes) {
    const auto empty = [&](at::IntArrayRef shape) { return at::empty(shape, x.options()); };
    dencoder_ = empty(kept.encoder.gates.sizes());
    ddecoder_ = empty(kept.decoder.gates.sizes());
    dlatent_ = empty(kept.latent.sizes());
    // By the output of every step, the first of which is only read by. Without attention it is
    // the gradient by the canvas.
    doutput_ = at::zeros({s_.steps + 1, s_.n, w.output.size(0)}, x.options());
    for (at::Tensor* const state : {&dh_encoder_, &dc_encoder_, &dh_decoder_, &dc_decoder_}) {
      *state = at::zeros({s_.n, s_.hidden}, x.options());
    }
    dh_ = empty({s_.n, s_.hidden});
    encoder_input_ = empty({s_.n, products_.encoder.size(1)});
    decoder_input_ = empty({s_.n, products_.decoder.size(1)});
  }

  /// @param reconstruction, latent  (N): of the two parts of the bound.
  variable_list run(const at::Tensor& reconstruction, const at::Tensor& latent) {
    dcanvas_ = (kept_.mean[s_.steps] - x_) * reconstruction.unsqueeze(1);
    for (int64_t t = s_.steps - 1; t >= 0; --t) {
      if (s_.o.attention()) {
        write(t + 1);
      } else {
        doutput_[t + 1].copy_(dcanvas_);
      }
      at::mm_out(dh_, doutput_[t + 1], w_.output);
      step_back(kept_.decoder, t, {dh_, dh_decoder_, dc_decoder_, ddecoder_[t]});
      at::mm_out(decoder_input_, ddecoder_[t], products_.decoder);
      latent_back(t, latent.unsqueeze(1));
      at::mm_out(dh_, dlatent_[t], w_.latent);
      step_back(kept_.encoder, t, {dh_, dh_encoder_, dc_encoder_, dencoder_[t]});
      at::mm_out(encoder_input_, dencoder_[t], products_.encoder);
      const int64_t h = s_.read + s_.hidden;
      at::add_out(dh_decoder_, decoder_input_.slice(1, s_.latent),
                  encoder_input_.slice(1, s_.read, h));
      dh_encoder_.copy_(encoder_input_.slice(1, h));
      s_.o.attention() ? read(t) : error_back(t);
    }
    if (s_.o.attention()) dh_decoder_.addmm_(doutput_[0], w_.output);
    return gradients();
  }

 private:
  struct CellGradient {
    at::Tensor dh, dh_next, dc, dgates;
  };

  void step_back(const CellSteps& cell, int64_t t, const CellGradient& g) {
    with_type(x_, [&](auto type) {
      using T = decltype(type);
      const kernels::LstmGradient<T> step{.hidden_size = s_.hidden,
                                          .gates = at_step<T>(cell.gates, t),
                                          .c_past = at_step<T>(cell.c, t),
                                          .c = at_step<T>(cell.c, t + 1),
                                          .dh = g.dh.data_ptr<T>(),
                                          .dh_next = g.dh_next.data_ptr<T>(),
                                          .dc = g.dc.data_ptr<T>(),
                                          .dgates = g.dgates.data_ptr<T>()};
      for_rows(s_.n, s_.hidden,
               [&](int64_t begin, int64_t end) { kernels::lstm_gradient(step, begin, end); });
    });
  }

  // z = mu + sigma noise, and the latent loss: d/dmu = mu, d/dlog sigma = sigma² - 1.
  void latent_back(int64_t t, const at::Tensor& weight) {
    const at::Tensor dz = decoder_input_.slice(1, 0, s_.latent);
    const at::Tensor mu = kept_.latent[t].slice(1, 0, s_.latent);
    const at::Tensor sigma = kept_.sigma[t];
    at::Tensor dmu = dlatent_[t].slice(1, 0, s_.latent);
    at::Tensor dlog_sigma = dlatent_[t].slice(1, s_.latent);
    at::addcmul_out(dmu, dz, mu, weight);
    at::mul_out(dlog_sigma, sigma.square().sub_(1), weight);
    dlog_sigma.addcmul_(dz, sigma * noise_[t]);
  }

  void error_back(int64_t t) {
    const at::Tensor mean = kept_.mean[t];
    const at::Tensor derror = at::mm(dencoder_[t], products_.error);
    dcanvas_.addcmul_(derror, mean.square().sub_(mean));
  }

  void write(int64_t t) {
    const at::Tensor output = kept_.output[t];
    const at::Tensor doutput = doutput_[t];
    with_type(x_, [&](auto type) {
      using T = decltype(type);
      const kernels::WindowWriteGradient<T> gradient{
          .window = s_.window(s_.o.write_size),
          .numbers = rows_of<const T>(output.slice(1, kNumbers)),
          .patch = rows_of<const T>(output.slice(1, 2 * kNumbers)),
          .dcanvas = rows_of<const T>(dcanvas_),
          .dnumbers = rows_of<T>(doutput.slice(1, kNumbers)),
          .dpatch = rows_of<T>(doutput.slice(1, 2 * kNumbers))};
      for_rows(s_.n, s_.pixels, [&](int64_t begin, int64_t end) {
        kernels::write_window_gradient(gradient, begin, end);
      });
    });
  }

  void read(int64_t t) {
    with_type(x_, [&](auto type) {
      using T = decltype(type);
      const kernels::WindowReadGradient<T> gradient{
          .window = s_.window(s_.o.read_size),
          .numbers = rows_of<const T>(kept_.output[t]),
          .image = rows_of<const T>(x_),
          .mean = rows_of<const T>(kept_.mean[t]),
          .patches = rows_of<const T>(kept_.encoder.input[t]),
          .dpatches = rows_of<const T>(encoder_input_),
          .dnumbers = rows_of<T>(doutput_[t]),
          .dcanvas = rows_of<T>(dcanvas_)};
      for_rows(s_.n, s_.pixels, [&](int64_t begin, int64_t end) {
        kernels::read_window_gradient(gradient, begin, end);
      });
    });
  }

  // In the order of `in_order`.
  variable_list gradients() const {
    const at::Tensor dencoder = flat(dencoder_);
    const at::Tensor ddecoder = flat(ddecoder_);
    const at::Tensor dlatent = flat(dlatent_);
    const at::Tensor seen = at::mm(dencoder.t(), flat(kept_.encoder.input));
    const at::Tensor of_decoder = at::mm(ddecoder.t(), flat(kept_.decoder.input));
    at::Tensor w_ih = seen.slice(1, 0, s_.read + s_.hidden);
    if (!s_.o.attention()) {
      const at::Tensor image = at::mm(dencoder_.sum(0).t(), x_);
      const at::Tensor mean = kept_.mean.slice(0, 0, s_.steps);
      w_ih = at::cat({image, at::addmm(image, dencoder.t(), flat(mean), 1, -1), w_ih}, 1);
    }
    const at::Tensor encoder_bias = dencoder.sum(0);
    const at::Tensor decoder_bias = ddecoder.sum(0);
    // With attention the first h has an output too, without it has none.
    const int64_t first = s_.o.attention() ? 0 : 1;
    const at::Tensor doutput = flat(doutput_.slice(0, first));
    return {w_ih,
            seen.slice(1, s_.read + s_.hidden),
            encoder_bias,
            encoder_bias.clone(),
            of_decoder.slice(1, 0, s_.latent),
            of_decoder.slice(1, s_.latent),
            decoder_bias,
            decoder_bias.clone(),
            at::mm(dlatent.t(), flat(kept_.encoder.h.slice(0, 1))),
            dlatent.sum(0),
            at::mm(doutput.t(), flat(kept_.decoder.h.slice(0, first))),
            doutput.sum(0),
            dcanvas_.sum(0),
            dh_encoder_.sum(0),
            dh_decoder_.sum(0)};
  }

  const Sizes& s_;
  const at::Tensor& x_;
  const at::Tensor& noise_;
  const DrawWeights& w_;
  const Steps& kept_;
  const Products products_;
  at::Tensor dencoder_, ddecoder_;  // by the gates' sums
  at::Tensor dlatent_, doutput_;
  at::Tensor dcanvas_;                                            // by the canvas so far
  at::Tensor dh_encoder_, dc_encoder_, dh_decoder_, dc_decoder_;  // by the states so far
  at::Tensor dh_, encoder_input_, decoder_input_;                 // of one step
};

class DrawSteps : public torch::autograd::Function<DrawSteps> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& images,
                               const at::Tensor& noise, const DrawOptions& options,
                               at::TensorList list) {
    const variable_list weights = list.vec();
    const Sizes sizes(options, noise);
    const at::Tensor x = images.contiguous().view({sizes.n, sizes.pixels});
    const Steps kept = Forward(sizes, x, noise, from_order(weights, 0)).run();
    context->saved_data["sizes"] = std::vector<int64_t>{
        options.channels,   options.height,      options.width,      options.read_size,
        options.write_size, options.hidden_size, options.latent_size};
    variable_list saved = {x,
                           noise,
                           kept.encoder.input,
                           kept.encoder.gates,
                           kept.encoder.h,
                           kept.encoder.c,
                           kept.decoder.input,
                           kept.decoder.gates,
                           kept.decoder.h,
                           kept.decoder.c,
                           kept.latent,
                           kept.sigma,
                           kept.output,
                           kept.mean};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(saved);
    const at::Tensor reconstruction =
        at::binary_cross_entropy_with_logits(kept.canvas, x, {}, {}, at::Reduction::None).sum(1);
    const at::Tensor latent =
        latent_loss(kept.latent.slice(2, 0, sizes.latent), kept.latent.slice(2, sizes.latent))
            .sum(0);
    return {reconstruction, latent};
  }

  static variable_list backward(AutogradContext* context, const variable_list& above) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const std::vector<int64_t> v = context->saved_data["sizes"].toIntVector();
    const Sizes sizes({.channels = v[0],
                       .height = v[1],
                       .width = v[2],
                       .read_size = v[3],
                       .write_size = v[4],
                       .hidden_size = v[5],
                       .latent_size = v[6]},
                      saved[1]);
    const auto cell = [&](size_t i) {
      return CellSteps{
          .input = saved[i], .gates = saved[i + 1], .h = saved[i + 2], .c = saved[i + 3]};
    };
    const Steps kept{.encoder = cell(2),
                     .decoder = cell(6),
                     .latent = saved[10],
                     .sigma = saved[11],
                     .output = saved[12],
                     .mean = saved[13],
                     .canvas = {}};
    const DrawWeights weights = from_order(saved, 14);
    const auto of_part = [&](const at::Tensor& part) {
      return part.defined() ? part : at::zeros({sizes.n}, saved[0].options());
    };
    variable_list gradients = {{}, {}, {}};  // of the images, the noise and the options
    const variable_list by_weight = Backward(sizes, saved[0], saved[1], weights, kept)
                                        .run(of_part(above[0]), of_part(above[1]));
    gradients.insert(gradients.end(), by_weight.begin(), by_weight.end());
    return gradients;
  }
};

}  // namespace

bool has_draw_steps(const at::Tensor& images) {
  return images.is_cpu() && !images.requires_grad() &&
         (images.scalar_type() == at::kFloat || images.scalar_type() == at::kDouble);
}

DrawBound draw_steps(const at::Tensor& images, const at::Tensor& noise, const DrawWeights& weights,
                     const DrawOptions& options) {
  const variable_list list = in_order(weights);
  const variable_list out =
      DrawSteps::apply(images, noise.contiguous(), options, at::TensorList(list));
  return {.reconstruction = out[0], .latent = out[1]};
}

}  // namespace striate
