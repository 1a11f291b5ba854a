#include "kernels/lstm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/lstm.cpp"
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
HWY_INLINE void step_rows(const LstmStep<T>& s, int64_t row_begin, int64_t row_end) {
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
HWY_INLINE void gradient_rows(const LstmGradient<T>& s, int64_t row_begin, int64_t row_end) {
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

void StepFloat(const LstmStep<float>& s, int64_t begin, int64_t end) {
  step_rows(s, begin, end);
}
void StepDouble(const LstmStep<double>& s, int64_t begin, int64_t end) {
  step_rows(s, begin, end);
}
void GradientFloat(const LstmGradient<float>& s, int64_t begin, int64_t end) {
  gradient_rows(s, begin, end);
}
void GradientDouble(const LstmGradient<double>& s, int64_t begin, int64_t end) {
  gradient_rows(s, begin, end);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(StepFloat);
HWY_EXPORT(StepDouble);
HWY_EXPORT(GradientFloat);
HWY_EXPORT(GradientDouble);

template <>
void lstm_step(const LstmStep<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(StepFloat)(step, row_begin, row_end);
}
template <>
void lstm_step(const LstmStep<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(StepDouble)(step, row_begin, row_end);
}
template <>
void lstm_gradient(const LstmGradient<float>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(GradientFloat)(step, row_begin, row_end);
}
template <>
void lstm_gradient(const LstmGradient<double>& step, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(GradientDouble)(step, row_begin, row_end);
}

}  // namespace striate::kernels
#endif
