#include "sequence/recurrent_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/recurrent_cells.h"
#include "runtime/first_derivative.h"
#include "sequence/rows.h"
#include "sequence/step_product.h"

namespace striate {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What a layer keeps of its steps.
struct Steps {
  Cell cell;
  at::Tensor gates;  // (T, N, gates H)
  at::Tensor hs;     // (T + 1, N, H): also the state before the first step
  at::Tensor cs;     // (T + 1, N, H), for LSTM
  at::Tensor h_new;  // (T, N, H), for GRU: the new gate's sum over the past h, with its bias

  int64_t count() const { return gates.size(0); }
  int64_t rows() const { return gates.size(1); }
  int64_t size() const { return hs.size(2); }
};

template <typename Body>
void for_rows_between(int64_t begin, int64_t end, int64_t size, const Body& body) {
  at::parallel_for(begin, end, std::max<int64_t>(1, kValuesWorthAThread / size), body);
}

// All steps. `gates` holds the sums over x, and all biases but the GRU's new gate's over h.
template <typename T>
void forward_steps(const Steps& s, const at::Tensor& w_hh, const at::Tensor& new_bias) {
  const int64_t size = s.size();
  const StepProduct product(w_hh, s.count() * s.rows());
  const bool gru = s.cell == Cell::kGru;
  const at::Tensor h_sums = gru ? at::empty({s.rows(), 3 * size}, s.gates.options()) : at::Tensor();
  const auto cells = [&](int64_t t, int64_t begin, int64_t end) {
    T* const gates = at_step<T>(s.gates, t);
    T* const h_past = at_step<T>(s.hs, t);
    T* const h = at_step<T>(s.hs, t + 1);
    switch (s.cell) {
      case Cell::kRnn:
        return kernels::rnn_step<T>({.hidden_size = size, .sums = gates, .h = h}, begin, end);
      case Cell::kLstm:
        return kernels::lstm_step<T>({.hidden_size = size,
                                      .gates = gates,
                                      .c_past = at_step<T>(s.cs, t),
                                      .c = at_step<T>(s.cs, t + 1),
                                      .h = h},
                                     begin, end);
      case Cell::kGru:
        return kernels::gru_step<T>({.hidden_size = size,
                                     .gates = gates,
                                     .h_sums = h_sums.data_ptr<T>(),
                                     .bias = new_bias.const_data_ptr<T>(),
                                     .h_past = h_past,
                                     .h_new = at_step<T>(s.h_new, t),
                                     .h = h},
                                    begin, end);
    }
  };
  product.for_independent_rows(s.rows(), [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < s.count(); ++t) {
      if (gru) {
        product.put(at_step<T>(s.hs, t), h_sums.data_ptr<T>(), begin, end);
      } else {
        product.add(at_step<T>(s.hs, t), at_step<T>(s.gates, t), begin, end);
      }
      for_rows_between(begin, end, size, [&](int64_t from, int64_t to) { cells(t, from, to); });
    }
  });
}

// Gradients by what a layer computes on the way.
struct StepGradients {
  at::Tensor dgates;   // (T, N, gates H): by the sums over x
  at::Tensor dh_sums;  // (T, N, gates H): by the sums over h; the same but for GRU
  at::Tensor dh;       // (N, H): by the state before the first step
  at::Tensor dc;       // (N, H), for LSTM
};

// @param dh  (T, N, H): by y. `gradients.dh` and `dc` begin as those by the last state.
template <typename T>
void backward_steps(const Steps& s, const at::Tensor& w_hh, const at::Tensor& dh,
                    const StepGradients& gradients) {
  const int64_t size = s.size();
  const StepProduct product(w_hh.t().contiguous(), s.count() * s.rows());
  T* const dh_next = gradients.dh.data_ptr<T>();
  const auto cells = [&](int64_t t, int64_t begin, int64_t end) {
    T* const dgates = at_step<T>(gradients.dgates, t);
    T* const above = at_step<T>(dh, t);
    switch (s.cell) {
      case Cell::kRnn:
        return kernels::rnn_gradient<T>({.hidden_size = size,
                                         .h = at_step<T>(s.hs, t + 1),
                                         .dh = above,
                                         .dh_next = dh_next,
                                         .dsums = dgates},
                                        begin, end);
      case Cell::kLstm:
        return kernels::lstm_gradient<T>({.hidden_size = size,
                                          .gates = at_step<T>(s.gates, t),
                                          .c_past = at_step<T>(s.cs, t),
                                          .c = at_step<T>(s.cs, t + 1),
                                          .dh = above,
                                          .dh_next = dh_next,
                                          .dc = gradients.dc.data_ptr<T>(),
                                          .dgates = dgates},
                                         begin, end);
      case Cell::kGru:
        return kernels::gru_gradient<T>({.hidden_size = size,
                                         .gates = at_step<T>(s.gates, t),
                                         .h_new = at_step<T>(s.h_new, t),
                                         .h_past = at_step<T>(s.hs, t),
                                         .dh = above,
                                         .dh_next = dh_next,
                                         .dgates = dgates,
                                         .dh_sums = at_step<T>(gradients.dh_sums, t)},
                                        begin, end);
    }
  };
  product.for_independent_rows(s.rows(), [&](int64_t begin, int64_t end) {
    for (int64_t t = s.count() - 1; t >= 0; --t) {
      for_rows_between(begin, end, size, [&](int64_t from, int64_t to) { cells(t, from, to); });
      if (s.cell == Cell::kGru) {
        product.add(at_step<T>(gradients.dh_sums, t), dh_next, begin, end);
      } else {
        product.put(at_step<T>(gradients.dgates, t), dh_next, begin, end);
      }
    }
  });
}

class RecurrentLayer : public torch::autograd::Function<RecurrentLayer> {
 public:
  static variable_list forward(AutogradContext* context, Cell cell, const at::Tensor& input,
                               const at::Tensor& h, const at::Tensor& c, const at::Tensor& w_ih,
                               const at::Tensor& w_hh, const at::Tensor& b_ih,
                               const at::Tensor& b_hh) {
    const at::Tensor x = input.contiguous();
    const int64_t count = x.size(0);
    const int64_t rows = x.size(1);
    const int64_t size = w_hh.size(1);
    const auto states = [&](const at::Tensor& first) {
      const at::Tensor all = at::empty({count + 1, rows, size}, x.options());
      all[0].copy_(first);
      return all;
    };
    const bool gru = cell == Cell::kGru;
    at::Tensor bias = b_ih + b_hh;
    if (gru) bias.slice(0, 2 * size).copy_(b_ih.slice(0, 2 * size));
    const Steps steps{.cell = cell,
                      .gates = StepProduct(w_ih.contiguous(), count * rows)
                                   .of_all(x.view({count * rows, x.size(2)}), bias)
                                   .view({count, rows, w_ih.size(0)}),
                      .hs = states(h),
                      .cs = cell == Cell::kLstm ? states(c) : at::Tensor(),
                      .h_new = gru ? at::empty({count, rows, size}, x.options()) : at::Tensor()};
    const at::Tensor new_bias = gru ? b_hh.slice(0, 2 * size) : at::Tensor();
    with_type(
        x, [&](auto type) { forward_steps<decltype(type)>(steps, w_hh.contiguous(), new_bias); });
    context->saved_data["cell"] = static_cast<int64_t>(cell);
    context->save_for_backward({x, w_ih, w_hh, steps.gates, steps.hs, steps.cs, steps.h_new});
    variable_list out = {steps.hs.slice(0, 1)};
    if (cell == Cell::kLstm) out.push_back(steps.cs[count]);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& above) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &w_ih = saved[1], &w_hh = saved[2];
    const Steps steps{.cell = static_cast<Cell>(context->saved_data["cell"].toInt()),
                      .gates = saved[3],
                      .hs = saved[4],
                      .cs = saved[5],
                      .h_new = saved[6]};
    const int64_t all_rows = steps.count() * steps.rows();
    const int64_t size = steps.size();
    const bool lstm = steps.cell == Cell::kLstm;
    const at::Tensor dy = above[0].defined()
                              ? above[0].contiguous()
                              : at::zeros({steps.count(), steps.rows(), size}, x.options());
    StepGradients gradients{
        .dgates = at::empty_like(steps.gates),
        .dh_sums = {},
        .dh = at::zeros({steps.rows(), size}, x.options()),
        .dc = lstm ? at::zeros({steps.rows(), size}, x.options()) : at::Tensor()};
    gradients.dh_sums = steps.cell == Cell::kGru ? at::empty_like(steps.gates) : gradients.dgates;
    if (lstm && above[1].defined()) gradients.dc.copy_(above[1]);
    with_type(x, [&](auto type) { backward_steps<decltype(type)>(steps, w_hh, dy, gradients); });
    const at::Tensor by_x = gradients.dgates.view({all_rows, steps.gates.size(2)});
    const at::Tensor by_h = gradients.dh_sums.view({all_rows, steps.gates.size(2)});
    const at::Tensor dx =
        context->needs_input_grad(0)
            ? StepProduct(w_ih.t().contiguous(), all_rows).of_all(by_x, {}).view_as(x)
            : at::Tensor();
    return {at::Tensor(),
            dx,
            gradients.dh,
            gradients.dc,
            at::mm(by_x.t(), x.view({all_rows, x.size(2)})),
            at::mm(by_h.t(), steps.hs.slice(0, 0, steps.count()).view({all_rows, size})),
            by_x.sum(0),
            by_h.sum(0)};
  }
};

}  // namespace

bool has_recurrent_layer(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble);
}

RecurrentOutput recurrent_layer(Cell cell, const at::Tensor& x, const RecurrentState& state,
                                const CellWeights& weights) {
  const bool lstm = cell == Cell::kLstm;
  // Functions of LibTorch take no undefined tensor.
  const at::Tensor c = lstm ? state.c : at::empty({0}, x.options().requires_grad(false));
  const variable_list out = RecurrentLayer::apply(cell, x, state.h, c, weights.w_ih, weights.w_hh,
                                                  weights.b_ih, weights.b_hh);
  return {.y = out[0], .state = {.h = out[0][x.size(0) - 1], .c = lstm ? out[1] : at::Tensor()}};
}

}  // namespace striate
