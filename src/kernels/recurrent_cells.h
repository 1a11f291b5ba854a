#pragma once

#include <cstdint>

namespace striate::kernels {

// One time step of recurrent cells, of float or double: all but its matrix products. A row is a
// sequence's: its gates, one after the other, or H values.

/// h = tanh(sums). (elman1990)
template <typename T>
struct RnnStep {
  int64_t hidden_size;
  const T* sums;
  T* h;
};
template <typename T>
void rnn_step(const RnnStep<T>& step, int64_t row_begin, int64_t row_end);

template <typename T>
struct RnnGradient {
  int64_t hidden_size;
  const T* h;
  const T* dh;       ///< by h, from above
  const T* dh_next;  ///< by h, from the step after
  T* dsums;
};
template <typename T>
void rnn_gradient(const RnnGradient<T>& step, int64_t row_begin, int64_t row_end);

/// Gates: input, forget, cell, output. (hochreiter1997, gers2000)
template <typename T>
struct LstmStep {
  int64_t hidden_size;
  T* gates;         ///< the gates' sums, which become their values
  const T* c_past;  ///< of the step before
  T* c;
  T* h;
};
template <typename T>
void lstm_step(const LstmStep<T>& step, int64_t row_begin, int64_t row_end);

template <typename T>
struct LstmGradient {
  int64_t hidden_size;
  const T* gates;  ///< their values
  const T* c_past;
  const T* c;
  const T* dh;       ///< by h, from above
  const T* dh_next;  ///< by h, from the step after
  T* dc;             ///< by c, which becomes that by c_past
  T* dgates;         ///< by the gates' sums
};
template <typename T>
void lstm_gradient(const LstmGradient<T>& step, int64_t row_begin, int64_t row_end);

/// Gates: reset, update, new. The new one's sum is x_sums + reset * (h_sums + bias).
/// (cho2014, with the reset gate after the product)
template <typename T>
struct GruStep {
  int64_t hidden_size;
  T* gates;         ///< the sums over x and all biases but `bias`, which become the gates' values
  const T* h_sums;  ///< the sums over the past h
  const T* bias;    ///< of the new gate's h_sums
  const T* h_past;
  T* h_new;  ///< h_sums + bias of the new gate: what its gradient needs
  T* h;
};
template <typename T>
void gru_step(const GruStep<T>& step, int64_t row_begin, int64_t row_end);

template <typename T>
struct GruGradient {
  int64_t hidden_size;
  const T* gates;  ///< their values
  const T* h_new;
  const T* h_past;
  const T* dh;  ///< by h, from above
  T* dh_next;   ///< by h, from the step after; becomes what reaches the past h beside `dh_sums`
  T* dgates;    ///< by the sums over x
  T* dh_sums;   ///< by the sums over the past h
};
template <typename T>
void gru_gradient(const GruGradient<T>& step, int64_t row_begin, int64_t row_end);

}  // namespace striate::kernels
