#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace striate {

/// A cell's state after a time step: (N, H), or of all layers and directions (L * D, N, H).
struct RecurrentState {
  at::Tensor h;
  at::Tensor c;  ///< LSTM only

  /// The same numbers, cut off from what they were computed from.
  RecurrentState detach() const;
};

/// The weights of one layer in one direction, as torch.nn keeps them: G is 1 for the plain cell, 4
/// for the LSTM (input, forget, cell, output), 3 for the GRU (reset, update, new).
struct CellWeights {
  at::Tensor w_ih;  ///< (G * H, I)
  at::Tensor w_hh;  ///< (G * H, H)
  at::Tensor b_ih;  ///< (G * H)
  at::Tensor b_hh;  ///< (G * H)
};

/// h(t) = tanh(W_hh h(t-1) + W_xh x(t) + b_h), b_h being b_ih + b_hh. (elman1990)
/// @param x  (N, I)    @param h  (N, H)    @return (N, H)
at::Tensor rnn_step(const at::Tensor& x, const at::Tensor& h, const CellWeights& weights);

/// i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b); c = f c + i g; h = o tanh(c).
/// (hochreiter1997; the forget gate f is of gers2000)
RecurrentState lstm_step(const at::Tensor& x, const RecurrentState& state,
                         const CellWeights& weights);

/// r, z = sigmoid(W x + U h + b), n = tanh(W x + b + r (U h + b)); h = (1 - z) n + z h.
/// (cho2014, where z is 1 - z and r multiplies h before U; this is PyTorch's form)
at::Tensor gru_step(const at::Tensor& x, const at::Tensor& h, const CellWeights& weights);
/// The same, from products that are there already: W x + b_ih and U h + b_hh, (N, 3 H) each.
at::Tensor gru_gates(const at::Tensor& of_x, const at::Tensor& of_h, const at::Tensor& h);

enum class Cell { kRnn, kLstm, kGru };

struct RecurrentOptions {
  Cell cell = Cell::kLstm;
  int64_t input_size = 0;
  int64_t hidden_size = 0;
  int64_t layers = 1;
  bool bidirectional = false;
  double dropout = 0;  ///< of what a layer gives to the next, in training; in [0, 1)
};

/// The key and shape of each weight, in PyTorch's order.
std::vector<std::pair<std::string, std::vector<int64_t>>> recurrent_shapes(
    const RecurrentOptions& options);

struct RecurrentOutput {
  at::Tensor y;  ///< (T, N, D * H): of the last layer at every step, D = 2 if bidirectional
  RecurrentState state;
};

/// Stacked recurrent layers. Parameters have the names and shapes of torch.nn's RNN, LSTM and GRU
/// (`weight_ih_l0`, `bias_hh_l1_reverse`), so that their files load.
class Recurrent final : public torch::nn::Module {
 public:
  /// Weights start uniform in ±1 / sqrt(hidden_size); the same seed gives the same.
  /// @throws std::invalid_argument  a size below 1, or dropout outside [0, 1).
  Recurrent(const RecurrentOptions& options, uint64_t seed);

  /// @param x      (T, N, I)
  /// @param state  what a call before returned; undefined tensors are zeros.
  /// @throws ShapeError  x or the state does not fit.
  RecurrentOutput forward(const at::Tensor& x, const RecurrentState& state = {});

  /// Sequences of several lengths in one batch: what lies behind a sequence's end is not read, its
  /// output there is zero, and its state is that of its last step.
  /// @param lengths  (N), each in [1, T], in any order.
  RecurrentOutput forward(const at::Tensor& x, const std::vector<int64_t>& lengths,
                          const RecurrentState& state = {});

  const RecurrentOptions& options() const { return options_; }
  /// @param reverse  the direction that reads from the end.
  CellWeights weights(int64_t layer, bool reverse = false) const;
  /// Zeros for a batch of n.
  RecurrentState zero_state(int64_t n) const;

 private:
  RecurrentOutput forward_layers(const at::Tensor& x, const RecurrentState& state);
  RecurrentOutput forward_packed(const at::Tensor& data, const at::Tensor& batch_sizes,
                                 const RecurrentState& state);
  RecurrentState checked(const at::Tensor& x, const RecurrentState& state) const;

  RecurrentOptions options_;
  std::vector<at::Tensor> weights_;  // in PyTorch's order
};

}  // namespace striate
