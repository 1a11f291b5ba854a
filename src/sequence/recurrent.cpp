// Finding Structure in Time. J. L. Elman, 1990. https://doi.org/10.1207/s15516709cog1402_1
// Long Short-Term Memory. S. Hochreiter, J. Schmidhuber, 1997.
// https://doi.org/10.1162/neco.1997.9.8.1735
// Learning to Forget. F. A. Gers, J. Schmidhuber, F. Cummins, 2000. Without its peepholes.
// Learning Phrase Representations using RNN Encoder-Decoder. K. Cho et al., 2014.
// https://arxiv.org/abs/1406.1078
// Departures are torch.nn's, whose weights these are: two biases where one would do, and the GRU's
// reset gate after its product.
#include "striate/sequence/recurrent.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_pack_padded_sequence.h>
#include <ATen/ops/_pad_packed_sequence.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gru.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/rnn_tanh.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "runtime/dropout.h"
#include "sequence/recurrent_layer.h"
#include "striate/base/error.h"
#include "striate/graph/graph.h"
#include "striate/runtime/initialize.h"

namespace striate {

RecurrentState RecurrentState::detach() const {
  return {.h = h.defined() ? h.detach() : h, .c = c.defined() ? c.detach() : c};
}

at::Tensor rnn_step(const at::Tensor& x, const at::Tensor& h, const CellWeights& w) {
  return at::tanh(at::linear(h, w.w_hh, w.b_hh) + at::linear(x, w.w_ih, w.b_ih));
}

RecurrentState lstm_step(const at::Tensor& x, const RecurrentState& state, const CellWeights& w) {
  const at::Tensor sums = at::linear(x, w.w_ih, w.b_ih) + at::linear(state.h, w.w_hh, w.b_hh);
  const std::vector<at::Tensor> gates = sums.chunk(4, 1);
  const at::Tensor i = at::sigmoid(gates[0]);
  const at::Tensor f = at::sigmoid(gates[1]);
  const at::Tensor g = at::tanh(gates[2]);
  const at::Tensor o = at::sigmoid(gates[3]);
  const at::Tensor c = f * state.c + i * g;
  return {.h = o * at::tanh(c), .c = c};
}

at::Tensor gru_step(const at::Tensor& x, const at::Tensor& h, const CellWeights& w) {
  return gru_gates(at::linear(x, w.w_ih, w.b_ih), at::linear(h, w.w_hh, w.b_hh), h);
}

at::Tensor gru_gates(const at::Tensor& of_x, const at::Tensor& of_h, const at::Tensor& h) {
  const std::vector<at::Tensor> xs = of_x.chunk(3, 1);
  const std::vector<at::Tensor> hs = of_h.chunk(3, 1);
  const at::Tensor r = at::sigmoid(xs[0] + hs[0]);
  const at::Tensor z = at::sigmoid(xs[1] + hs[1]);
  const at::Tensor n = at::tanh(xs[2] + r * hs[2]);
  return (1 - z) * n + z * h;
}

namespace {

int64_t gates_of(Cell cell) {
  switch (cell) {
    case Cell::kRnn:
      return 1;
    case Cell::kLstm:
      return 4;
    case Cell::kGru:
      return 3;
  }
  throw std::logic_error("a cell without gates");
}

int64_t directions(const RecurrentOptions& options) {
  return options.bidirectional ? 2 : 1;
}

void check_state(const at::Tensor& state, const Shape& wanted, const char* name) {
  if (state.sizes() != at::IntArrayRef(wanted)) {
    throw ShapeError(fmt::format("the state {} is {}, wanted is {}", name,
                                 to_string(state.sizes().vec()), to_string(wanted)));
  }
}

void check_lengths(const std::vector<int64_t>& lengths, const at::Tensor& x) {
  if (static_cast<int64_t>(lengths.size()) != x.size(1)) {
    throw ShapeError(fmt::format("{} lengths for a batch of {}", lengths.size(), x.size(1)));
  }
  for (const int64_t length : lengths) {
    if (length < 1 || length > x.size(0)) {
      throw ShapeError(
          fmt::format("a sequence of length {} in a batch of {} steps", length, x.size(0)));
    }
  }
}

// The batch's indices from the longest sequence to the shortest, as packed sequences want them.
std::vector<int64_t> longest_first(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](int64_t i) { return lengths[static_cast<size_t>(i)]; });
  return order;
}

RecurrentState reordered(const RecurrentState& state, const at::Tensor& order) {
  return {.h = state.h.index_select(1, order),
          .c = state.c.defined() ? state.c.index_select(1, order) : state.c};
}

}  // namespace

std::vector<std::pair<std::string, std::vector<int64_t>>> recurrent_shapes(
    const RecurrentOptions& options) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  const int64_t rows = gates_of(options.cell) * options.hidden_size;
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    const int64_t input =
        layer == 0 ? options.input_size : options.hidden_size * directions(options);
    for (int64_t direction = 0; direction < directions(options); ++direction) {
      const std::string end = fmt::format("_l{}{}", layer, direction == 1 ? "_reverse" : "");
      shapes.emplace_back("weight_ih" + end, Shape{rows, input});
      shapes.emplace_back("weight_hh" + end, Shape{rows, options.hidden_size});
      shapes.emplace_back("bias_ih" + end, Shape{rows});
      shapes.emplace_back("bias_hh" + end, Shape{rows});
    }
  }
  return shapes;
}

Recurrent::Recurrent(const RecurrentOptions& options, uint64_t seed) : options_(options) {
  if (options.input_size < 1 || options.hidden_size < 1 || options.layers < 1) {
    throw std::invalid_argument(
        fmt::format("recurrent layers need sizes of at least 1, got input {}, hidden {}, layers {}",
                    options.input_size, options.hidden_size, options.layers));
  }
  if (!(options.dropout >= 0 && options.dropout < 1)) {
    throw std::invalid_argument(fmt::format("dropout {} is not in [0, 1)", options.dropout));
  }
  const double bound = 1 / std::sqrt(static_cast<double>(options.hidden_size));
  for (const auto& [key, shape] : recurrent_shapes(options)) {
    weights_.push_back(register_parameter(key, uniform_parameter(key, shape, bound, seed)));
  }
}

CellWeights Recurrent::weights(int64_t layer, bool reverse) const {
  const auto first = static_cast<size_t>(4 * (layer * directions(options_) + (reverse ? 1 : 0)));
  return {.w_ih = weights_.at(first),
          .w_hh = weights_.at(first + 1),
          .b_ih = weights_.at(first + 2),
          .b_hh = weights_.at(first + 3)};
}

RecurrentState Recurrent::zero_state(int64_t n) const {
  const auto zeros = [&] {
    return at::zeros({options_.layers * directions(options_), n, options_.hidden_size},
                     weights_.front().options().requires_grad(false));
  };
  return {.h = zeros(), .c = options_.cell == Cell::kLstm ? zeros() : at::Tensor()};
}

RecurrentState Recurrent::checked(const at::Tensor& x, const RecurrentState& state) const {
  if (x.dim() != 3 || x.size(0) < 1 || x.size(1) < 1 || x.size(2) != options_.input_size) {
    throw ShapeError(fmt::format("recurrent layers take (T, N, {}), got {}", options_.input_size,
                                 to_string(x.sizes().vec())));
  }
  if (!state.h.defined()) return zero_state(x.size(1));
  const Shape wanted = {options_.layers * directions(options_), x.size(1), options_.hidden_size};
  check_state(state.h, wanted, "h");
  if (options_.cell == Cell::kLstm) check_state(state.c, wanted, "c");
  return state;
}

RecurrentOutput Recurrent::forward(const at::Tensor& x, const RecurrentState& state) {
  const RecurrentState initial = checked(x, state);
  if (has_recurrent_layer(x)) return forward_layers(x, initial);
  const at::Tensor lengths = at::full({x.size(0)}, x.size(1), at::kLong);
  RecurrentOutput out = forward_packed(x.flatten(0, 1), lengths, initial);
  out.y = out.y.view({x.size(0), x.size(1), -1});
  return out;
}

RecurrentOutput Recurrent::forward_layers(const at::Tensor& x, const RecurrentState& state) {
  RecurrentOutput out{.y = x, .state = {}};
  const bool lstm = options_.cell == Cell::kLstm;
  std::vector<at::Tensor> hs;
  std::vector<at::Tensor> cs;
  for (int64_t layer = 0; layer < options_.layers; ++layer) {
    const at::Tensor input =
        layer == 0 ? x : striate::dropout(out.y, options_.dropout, is_training());
    std::vector<at::Tensor> ys;
    for (int64_t direction = 0; direction < directions(options_); ++direction) {
      const bool reverse = direction == 1;
      const auto index = static_cast<int64_t>(hs.size());
      const RecurrentOutput one =
          recurrent_layer(options_.cell, reverse ? input.flip(0) : input,
                          {.h = state.h[index], .c = lstm ? state.c[index] : at::Tensor()},
                          weights(layer, reverse));
      ys.push_back(reverse ? one.y.flip(0) : one.y);
      hs.push_back(one.state.h);
      if (lstm) cs.push_back(one.state.c);
    }
    out.y = ys.size() == 1 ? ys.front() : at::cat(ys, 2);
  }
  out.state = {.h = at::stack(hs), .c = lstm ? at::stack(cs) : at::Tensor()};
  return out;
}

RecurrentOutput Recurrent::forward_packed(const at::Tensor& data, const at::Tensor& batch_sizes,
                                          const RecurrentState& state) {
  const auto& o = options_;
  RecurrentOutput out;
  switch (o.cell) {
    case Cell::kRnn:
      std::tie(out.y, out.state.h) =
          at::rnn_tanh(data, batch_sizes, state.h, weights_, true, o.layers, o.dropout,
                       is_training(), o.bidirectional);
      break;
    case Cell::kGru:
      std::tie(out.y, out.state.h) = at::gru(data, batch_sizes, state.h, weights_, true, o.layers,
                                             o.dropout, is_training(), o.bidirectional);
      break;
    case Cell::kLstm:
      std::tie(out.y, out.state.h, out.state.c) =
          at::lstm(data, batch_sizes, {state.h, state.c}, weights_, true, o.layers, o.dropout,
                   is_training(), o.bidirectional);
      break;
  }
  return out;
}

RecurrentOutput Recurrent::forward(const at::Tensor& x, const std::vector<int64_t>& lengths,
                                   const RecurrentState& state) {
  const RecurrentState initial = checked(x, state);
  check_lengths(lengths, x);
  const at::Tensor order = at::tensor(longest_first(lengths), at::kLong);
  const at::Tensor sorted = at::tensor(lengths, at::kLong).index_select(0, order);
  const at::Tensor there = order.to(x.device());
  const auto [data, batch_sizes] =
      at::_pack_padded_sequence(x.index_select(1, there), sorted, /*batch_first=*/false);
  const RecurrentOutput packed = forward_packed(data, batch_sizes, reordered(initial, there));
  const at::Tensor padded = std::get<0>(at::_pad_packed_sequence(
      packed.y, batch_sizes, /*batch_first=*/false, /*padding_value=*/0.0, x.size(0)));
  const at::Tensor back = there.argsort();
  return {.y = padded.index_select(1, back), .state = reordered(packed.state, back)};
}

}  // namespace striate
