#include "sequence/lstm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/lstm.h"
#include "runtime/first_derivative.h"
#include "sequence/rows.h"

namespace striate {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class LstmLayer : public torch::autograd::Function<LstmLayer> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& input,
                               const at::Tensor& h, const at::Tensor& c, const at::Tensor& w_ih,
                               const at::Tensor& w_hh, const at::Tensor& b_ih,
                               const at::Tensor& b_hh) {
    const at::Tensor x = input.contiguous();
    const int64_t steps = x.size(0);
    const int64_t rows = x.size(1);
    const int64_t size = w_hh.size(1);
    const at::Tensor gates = at::addmm(b_ih + b_hh, x.view({steps * rows, x.size(2)}), w_ih.t())
                                 .view({steps, rows, 4 * size});
    // States, and those before the first step.
    const at::Tensor hs = at::empty({steps + 1, rows, size}, x.options());
    const at::Tensor cs = at::empty({steps + 1, rows, size}, x.options());
    hs[0].copy_(h);
    cs[0].copy_(c);
    const at::Tensor w_hh_t = w_hh.t();
    with_type(x, [&](auto type) {
      using T = decltype(type);
      for (int64_t t = 0; t < steps; ++t) {
        gates[t].addmm_(hs[t], w_hh_t);
        const kernels::LstmStep<T> step{.hidden_size = size,
                                        .gates = at_step<T>(gates, t),
                                        .c_past = at_step<T>(cs, t),
                                        .c = at_step<T>(cs, t + 1),
                                        .h = at_step<T>(hs, t + 1)};
        for_rows(rows, size, [&](int64_t begin, int64_t end) { lstm_step(step, begin, end); });
      }
    });
    context->save_for_backward({x, w_ih, w_hh, gates, hs, cs});
    return {hs.slice(0, 1), cs[steps]};
  }

  static variable_list backward(AutogradContext* context, const variable_list& above) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &w_ih = saved[1], &w_hh = saved[2];
    const at::Tensor &gates = saved[3], &hs = saved[4], &cs = saved[5];
    const int64_t steps = x.size(0);
    const int64_t rows = x.size(1);
    const int64_t size = w_hh.size(1);
    const at::Tensor dh =
        above[0].defined() ? above[0].contiguous() : at::zeros({steps, rows, size}, x.options());
    const at::Tensor dc = at::zeros({rows, size}, x.options());
    if (above[1].defined()) dc.copy_(above[1]);
    at::Tensor dh_next = at::zeros({rows, size}, x.options());
    const at::Tensor dgates = at::empty_like(gates);
    with_type(x, [&](auto type) {
      using T = decltype(type);
      for (int64_t t = steps - 1; t >= 0; --t) {
        const kernels::LstmGradient<T> step{.hidden_size = size,
                                            .gates = at_step<T>(gates, t),
                                            .c_past = at_step<T>(cs, t),
                                            .c = at_step<T>(cs, t + 1),
                                            .dh = at_step<T>(dh, t),
                                            .dh_next = dh_next.data_ptr<T>(),
                                            .dc = dc.data_ptr<T>(),
                                            .dgates = at_step<T>(dgates, t)};
        for_rows(rows, size, [&](int64_t begin, int64_t end) { lstm_gradient(step, begin, end); });
        at::mm_out(dh_next, dgates[t], w_hh);
      }
    });
    const at::Tensor sums = dgates.view({steps * rows, 4 * size});
    const at::Tensor sums_t = sums.t();
    const at::Tensor bias = sums.sum(0);
    const at::Tensor dx =
        context->needs_input_grad(0) ? at::mm(sums, w_ih).view_as(x) : at::Tensor();
    return {dx,
            dh_next,
            dc,
            at::mm(sums_t, x.view({steps * rows, x.size(2)})),
            at::mm(sums_t, hs.slice(0, 0, steps).view({steps * rows, size})),
            bias,
            bias.clone()};
  }
};

}  // namespace

bool has_lstm_layer(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble);
}

RecurrentOutput lstm_layer(const at::Tensor& x, const RecurrentState& state,
                           const CellWeights& weights) {
  const variable_list out =
      LstmLayer::apply(x, state.h, state.c, weights.w_ih, weights.w_hh, weights.b_ih, weights.b_hh);
  return {.y = out[0], .state = {.h = out[0][x.size(0) - 1], .c = out[1]}};
}

}  // namespace striate
