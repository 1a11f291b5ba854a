#include "kernels/recurrent_cells.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent_cells.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// exp must stay finite.
constexpr double kSaturated = 80;

template <typename D, typename V = hn::Vec<D>>
HWY_INLINE V sigmoid(D d, V x) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1));
  const V bounded = hn::Max(x, hn::Set(d, T(-kSaturated)));
  return hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(bounded))));
}

// Calls `body(d, i)` for vectors of values from i on, up to `count`, and for the rest one by one.
template <typename T, typename Body>
HWY_INLINE void for_vectors(int64_t count, const Body& body) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) body(d, i);
  const hn::CappedTag<T, 1> one;
  for (; i < count; ++i) body(one, i);
}

template <typename T>
HWY_INLINE void rnn_rows(const RnnStep<T>& s, int64_t row_begin, int64_t row_end) {
  const int64_t begin = row_begin * s.hidden_size;
  for_vectors<T>((row_end - row_begin) * s.hidden_size, [&](auto d, int64_t k) HWY_ATTR {
    hn::StoreU(hn::Tanh(d, hn::LoadU(d, s.sums + begin + k)), d, s.h + begin + k);
  });
}

template <typename T>
HWY_INLINE void rnn_gradient_rows(const RnnGradient<T>& s, int64_t row_begin, int64_t row_end) {
  const int64_t begin = row_begin * s.hidden_size;
  for_vectors<T>((row_end - row_begin) * s.hidden_size, [&](auto d, int64_t k) HWY_ATTR {
    const int64_t at = begin + k;
    const auto h = hn::LoadU(d, s.h + at);
    const auto dh = hn::Add(hn::LoadU(d, s.dh + at), hn::LoadU(d, s.dh_next + at));
    hn::StoreU(hn::Mul(dh, hn::NegMulAdd(h, h, hn::Set(d, T(1)))), d, s.dsums + at);
  });
}

template <typename T>
HWY_INLINE void lstm_rows(const LstmStep<T>& s, int64_t row_begin, int64_t row_end) {
  const int64_t size = s.hidden_size;
  for (int64_t row = row_begin; row < row_end; ++row) {
    T* const gates = s.gates + row * 4 * size;
    const int64_t at = row * size;
    for_vectors<T>(size, [&](auto d, int64_t k) HWY_ATTR {
      const auto i = sigmoid(d, hn::LoadU(d, gates + k));
      const auto f = sigmoid(d, hn::LoadU(d, gates + size + k));
      const auto g = hn::Tanh(d, hn::LoadU(d, gates + 2 * size + k));
      const auto o = sigmoid(d, hn::LoadU(d, gates + 3 * size + k));
      const auto c = hn::MulAdd(f, hn::LoadU(d, s.c_past + at + k), hn::Mul(i, g));
      hn::StoreU(i, d, gates + k);
      hn::StoreU(f, d, gates + size + k);
      hn::StoreU(g, d, gates + 2 * size + k);
      hn::StoreU(o, d, gates + 3 * size + k);
      hn::StoreU(c, d, s.c + at + k);
      hn::StoreU(hn::Mul(o, hn::Tanh(d, c)), d, s.h + at + k);
    });
  }
}

template <typename T>
HWY_INLINE void lstm_gradient_rows(const LstmGradient<T>& s, int64_t row_begin, int64_t row_end) {
  const int64_t size = s.hidden_size;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const T* const gates = s.gates + row * 4 * size;
    T* const dgates = s.dgates + row * 4 * size;
    const int64_t at = row * size;
    for_vectors<T>(size, [&](auto d, int64_t k) HWY_ATTR {
      const auto one = hn::Set(d, T(1));
      const auto i = hn::LoadU(d, gates + k);
      const auto f = hn::LoadU(d, gates + size + k);
      const auto g = hn::LoadU(d, gates + 2 * size + k);
      const auto o = hn::LoadU(d, gates + 3 * size + k);
      const auto tanh_c = hn::Tanh(d, hn::LoadU(d, s.c + at + k));
      const auto dh = hn::Add(hn::LoadU(d, s.dh + at + k), hn::LoadU(d, s.dh_next + at + k));
      const auto flat = hn::NegMulAdd(tanh_c, tanh_c, one);  // tanh' at c
      const auto dc = hn::MulAdd(hn::Mul(dh, o), flat, hn::LoadU(d, s.dc + at + k));
      const auto di = hn::Mul(hn::Mul(dc, g), hn::Mul(i, hn::Sub(one, i)));
      const auto df =
          hn::Mul(hn::Mul(dc, hn::LoadU(d, s.c_past + at + k)), hn::Mul(f, hn::Sub(one, f)));
      const auto dg = hn::Mul(hn::Mul(dc, i), hn::NegMulAdd(g, g, one));
      const auto dof = hn::Mul(hn::Mul(dh, tanh_c), hn::Mul(o, hn::Sub(one, o)));
      hn::StoreU(di, d, dgates + k);
      hn::StoreU(df, d, dgates + size + k);
      hn::StoreU(dg, d, dgates + 2 * size + k);
      hn::StoreU(dof, d, dgates + 3 * size + k);
      hn::StoreU(hn::Mul(dc, f), d, s.dc + at + k);
    });
  }
}

template <typename T>
HWY_INLINE void gru_rows(const GruStep<T>& s, int64_t row_begin, int64_t row_end) {
  const int64_t size = s.hidden_size;
  for (int64_t row = row_begin; row < row_end; ++row) {
    T* const gates = s.gates + row * 3 * size;
    const T* const h_sums = s.h_sums + row * 3 * size;
    const int64_t at = row * size;
    for_vectors<T>(size, [&](auto d, int64_t k) HWY_ATTR {
      const auto r = sigmoid(d, hn::Add(hn::LoadU(d, gates + k), hn::LoadU(d, h_sums + k)));
      const auto z =
          sigmoid(d, hn::Add(hn::LoadU(d, gates + size + k), hn::LoadU(d, h_sums + size + k)));
      const auto h_new = hn::Add(hn::LoadU(d, h_sums + 2 * size + k), hn::LoadU(d, s.bias + k));
      const auto n = hn::Tanh(d, hn::MulAdd(r, h_new, hn::LoadU(d, gates + 2 * size + k)));
      const auto h_past = hn::LoadU(d, s.h_past + at + k);
      hn::StoreU(r, d, gates + k);
      hn::StoreU(z, d, gates + size + k);
      hn::StoreU(n, d, gates + 2 * size + k);
      hn::StoreU(h_new, d, s.h_new + at + k);
      hn::StoreU(hn::MulAdd(z, hn::Sub(h_past, n), n), d, s.h + at + k);
    });
  }
}

template <typename T>
HWY_INLINE void gru_gradient_rows(const GruGradient<T>& s, int64_t row_begin, int64_t row_end) {
  const int64_t size = s.hidden_size;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const T* const gates = s.gates + row * 3 * size;
    T* const dgates = s.dgates + row * 3 * size;
    T* const dh_sums = s.dh_sums + row * 3 * size;
    const int64_t at = row * size;
    for_vectors<T>(size, [&](auto d, int64_t k) HWY_ATTR {
      const auto one = hn::Set(d, T(1));
      const auto r = hn::LoadU(d, gates + k);
      const auto z = hn::LoadU(d, gates + size + k);
      const auto n = hn::LoadU(d, gates + 2 * size + k);
      const auto dh = hn::Add(hn::LoadU(d, s.dh + at + k), hn::LoadU(d, s.dh_next + at + k));
      const auto dn = hn::Mul(hn::Mul(dh, hn::Sub(one, z)), hn::NegMulAdd(n, n, one));
      const auto dz = hn::Mul(hn::Mul(dh, hn::Sub(hn::LoadU(d, s.h_past + at + k), n)),
                              hn::Mul(z, hn::Sub(one, z)));
      const auto dr =
          hn::Mul(hn::Mul(dn, hn::LoadU(d, s.h_new + at + k)), hn::Mul(r, hn::Sub(one, r)));
      hn::StoreU(dr, d, dgates + k);
      hn::StoreU(dz, d, dgates + size + k);
      hn::StoreU(dn, d, dgates + 2 * size + k);
      hn::StoreU(dr, d, dh_sums + k);
      hn::StoreU(dz, d, dh_sums + size + k);
      hn::StoreU(hn::Mul(dn, r), d, dh_sums + 2 * size + k);
      hn::StoreU(hn::Mul(dh, z), d, s.dh_next + at + k);
    });
  }
}

// One of each type, for the dispatch.
void RnnStepFloat(const RnnStep<float>& s, int64_t begin, int64_t end) {
  rnn_rows(s, begin, end);
}
void RnnStepDouble(const RnnStep<double>& s, int64_t begin, int64_t end) {
  rnn_rows(s, begin, end);
}
void RnnGradientFloat(const RnnGradient<float>& s, int64_t begin, int64_t end) {
  rnn_gradient_rows(s, begin, end);
}
void RnnGradientDouble(const RnnGradient<double>& s, int64_t begin, int64_t end) {
  rnn_gradient_rows(s, begin, end);
}
void LstmStepFloat(const LstmStep<float>& s, int64_t begin, int64_t end) {
  lstm_rows(s, begin, end);
}
void LstmStepDouble(const LstmStep<double>& s, int64_t begin, int64_t end) {
  lstm_rows(s, begin, end);
}
void LstmGradientFloat(const LstmGradient<float>& s, int64_t begin, int64_t end) {
  lstm_gradient_rows(s, begin, end);
}
void LstmGradientDouble(const LstmGradient<double>& s, int64_t begin, int64_t end) {
  lstm_gradient_rows(s, begin, end);
}
void GruStepFloat(const GruStep<float>& s, int64_t begin, int64_t end) {
  gru_rows(s, begin, end);
}
void GruStepDouble(const GruStep<double>& s, int64_t begin, int64_t end) {
  gru_rows(s, begin, end);
}
void GruGradientFloat(const GruGradient<float>& s, int64_t begin, int64_t end) {
  gru_gradient_rows(s, begin, end);
}
void GruGradientDouble(const GruGradient<double>& s, int64_t begin, int64_t end) {
  gru_gradient_rows(s, begin, end);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(RnnStepFloat);
HWY_EXPORT(RnnStepDouble);
HWY_EXPORT(RnnGradientFloat);
HWY_EXPORT(RnnGradientDouble);
HWY_EXPORT(LstmStepFloat);
HWY_EXPORT(LstmStepDouble);
HWY_EXPORT(LstmGradientFloat);
HWY_EXPORT(LstmGradientDouble);
HWY_EXPORT(GruStepFloat);
HWY_EXPORT(GruStepDouble);
HWY_EXPORT(GruGradientFloat);
HWY_EXPORT(GruGradientDouble);

template <>
void rnn_step(const RnnStep<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(RnnStepFloat)(step, row_begin, row_end);
}
template <>
void rnn_step(const RnnStep<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(RnnStepDouble)(step, row_begin, row_end);
}
template <>
void rnn_gradient(const RnnGradient<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(RnnGradientFloat)(step, row_begin, row_end);
}
template <>
void rnn_gradient(const RnnGradient<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(RnnGradientDouble)(step, row_begin, row_end);
}
template <>
void lstm_step(const LstmStep<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(LstmStepFloat)(step, row_begin, row_end);
}
template <>
void lstm_step(const LstmStep<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(LstmStepDouble)(step, row_begin, row_end);
}
template <>
void lstm_gradient(const LstmGradient<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(LstmGradientFloat)(step, row_begin, row_end);
}
template <>
void lstm_gradient(const LstmGradient<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(LstmGradientDouble)(step, row_begin, row_end);
}
template <>
void gru_step(const GruStep<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(GruStepFloat)(step, row_begin, row_end);
}
template <>
void gru_step(const GruStep<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(GruStepDouble)(step, row_begin, row_end);
}
template <>
void gru_gradient(const GruGradient<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(GruGradientFloat)(step, row_begin, row_end);
}
template <>
void gru_gradient(const GruGradient<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(GruGradientDouble)(step, row_begin, row_end);
}

}  // namespace striate::kernels
#endif
