#pragma once

#include <cstdint>

namespace striate::kernels {

/// One time step of LSTM cells, of float or double: all but its matrix products. A row is a
/// sequence's: 4 H gates (input, forget, cell, output), or H values. (hochreiter1997, gers2000)
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

/// Its backward step.
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

}  // namespace striate::kernels
