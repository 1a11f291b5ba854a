#pragma once

#include "striate/sequence/recurrent.h"

namespace striate {

/// Whether `recurrent_layer` can compute with this tensor: on the CPU, in float32 or float64.
bool has_recurrent_layer(const at::Tensor& x);

/// One layer in one direction, as `rnn_step`, `lstm_step` or `gru_step` for every t: the inputs of
/// all steps are one product, and so are the gradients of each weight; between them a step is a
/// product with w_hh and one pass over the gates.
/// @param x      (T, N, I)
/// @param state  (N, H) each; c for LSTM
/// @return y (T, N, H), and the last state, (N, H) each
RecurrentOutput recurrent_layer(Cell cell, const at::Tensor& x, const RecurrentState& state,
                                const CellWeights& weights);

}  // namespace striate
