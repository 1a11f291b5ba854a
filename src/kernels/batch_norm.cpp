#include "kernels/batch_norm.h"

#include <algorithm>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Rows are read from their first channel to their last, as they lie in memory; a sum over rows
// takes several at once, so that its sums, which stay in the nearest cache, are not read and
// written for each.
constexpr int64_t kRowsAtOnce = 4;

// A vector of channels from the one on that the pointer shows; of a part, `left` exist.
struct Whole {
  static V load(const float* from, int64_t) { return hn::LoadU(D(), from); }
  static void store(V v, float* to, int64_t) { hn::StoreU(v, D(), to); }
  static V load(const BFloat16* from, int64_t) { return from_half(hn::LoadU(Half(), bits(from))); }
  static void store(V v, BFloat16* to, int64_t) { hn::StoreU(to_half(v), Half(), bits(to)); }
};
struct Part {
  static hn::Mask<D> mask(int64_t left) { return hn::FirstN(D(), static_cast<size_t>(left)); }
  static V load(const float* from, int64_t left) { return hn::MaskedLoad(mask(left), D(), from); }
  static void store(V v, float* to, int64_t left) { hn::BlendedStore(v, mask(left), D(), to); }
  static V load(const BFloat16* from, int64_t left) { return load_part(from, left); }
  static void store(V v, BFloat16* to, int64_t left) { store_part(v, to, left); }
};

template <typename Body>
void for_vectors(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(c, Whole());
  if (c < channels) body(c, Part());
}

// Calls body(row, count) with counts of kRowsAtOnce, then of 1.
template <typename Body>
void for_rows(int64_t rows, const Body& body) {
  int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce)
    body(row, std::integral_constant<int64_t, kRowsAtOnce>());
  for (; row < rows; ++row) body(row, std::integral_constant<int64_t, 1>());
}

// sums[c] += the sum over rows of term(row, c).
template <typename Term>
void add_rows(int64_t rows, int64_t channels, float* sums, const Term& term) {
  for_rows(rows, [&](int64_t row, auto count) {
    for_vectors(channels, [&](int64_t c, auto access) {
      V sum = term(row, c, access);
      for (int64_t r = 1; r < count; ++r) sum = hn::Add(sum, term(row + r, c, access));
      access.store(hn::Add(access.load(sums + c, channels - c), sum), sums + c, channels - c);
    });
  });
}

template <typename T>
void statistics(const T* x, int64_t rows, int64_t channels, float* mean,
                float* squared_deviations) {
  const auto at = [&](int64_t row, int64_t c, auto access) {
    return access.load(x + row * channels + c, channels - c);
  };
  std::fill_n(mean, channels, 0.0F);
  std::fill_n(squared_deviations, channels, 0.0F);
  add_rows(rows, channels, mean, at);
  const float share = 1.0F / static_cast<float>(rows);
  for (int64_t c = 0; c < channels; ++c) mean[c] *= share;
  add_rows(rows, channels, squared_deviations, [&](int64_t row, int64_t c, auto access) {
    const V deviation = hn::Sub(at(row, c, access), access.load(mean + c, channels - c));
    return hn::Mul(deviation, deviation);
  });
}

template <bool residual, bool with_relu, typename T>
void apply(const NormApply<T>& norm, int64_t rows, int64_t channels) {
  for (int64_t row = 0; row < rows; ++row) {
    for_vectors(channels, [&](int64_t c, auto access) {
      const int64_t at = row * channels + c;
      const int64_t left = channels - c;
      V y = hn::MulAdd(access.load(norm.x + at, left), access.load(norm.scale + c, left),
                       access.load(norm.shift + c, left));
      if (residual) y = hn::Add(y, access.load(norm.residual + at, left));
      if constexpr (with_relu) y = relu(y);
      access.store(y, norm.y + at, left);
    });
  }
}

template <typename T>
void apply_any(const NormApply<T>& norm, int64_t rows, int64_t channels) {
  if (norm.residual != nullptr) {
    norm.relu ? apply<true, true>(norm, rows, channels) : apply<true, false>(norm, rows, channels);
  } else {
    norm.relu ? apply<false, true>(norm, rows, channels)
              : apply<false, false>(norm, rows, channels);
  }
}

// The gradient behind the ReLU, if there is one.
template <bool relu, typename T, typename Access>
HWY_INLINE V gradient_at(const NormGradient<T>& norm, int64_t at, int64_t left, Access access) {
  const V g = access.load(norm.gradient + at, left);
  if (!relu) return g;
  return hn::IfThenElseZero(hn::Gt(access.load(norm.output + at, left), hn::Zero(D())), g);
}

template <bool relu, typename T>
void reduce_gradient(const NormGradient<T>& norm, int64_t rows, int64_t channels, float* sums,
                     float* products) {
  std::fill_n(sums, channels, 0.0F);
  std::fill_n(products, channels, 0.0F);
  for_rows(rows, [&](int64_t row, auto count) {
    for_vectors(channels, [&](int64_t c, auto access) {
      const int64_t left = channels - c;
      V sum = hn::Zero(D());
      V product = hn::Zero(D());
      const V mean = access.load(norm.mean + c, left);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t at = (row + r) * channels + c;
        const V g = gradient_at<relu>(norm, at, left, access);
        sum = hn::Add(sum, g);
        product = hn::MulAdd(g, hn::Sub(access.load(norm.x + at, left), mean), product);
      }
      access.store(hn::Add(access.load(sums + c, left), sum), sums + c, left);
      access.store(hn::Add(access.load(products + c, left), product), products + c, left);
    });
  });
}

template <typename T>
void reduce_any_gradient(const NormGradient<T>& norm, int64_t rows, int64_t channels, float* sums,
                         float* products) {
  norm.output != nullptr ? reduce_gradient<true>(norm, rows, channels, sums, products)
                         : reduce_gradient<false>(norm, rows, channels, sums, products);
}

template <bool relu, typename T>
void input_gradient(const NormGradient<T>& norm, const NormInputGradient<T>& to, int64_t rows,
                    int64_t channels) {
  for (int64_t row = 0; row < rows; ++row) {
    for_vectors(channels, [&](int64_t c, auto access) {
      const int64_t at = row * channels + c;
      const int64_t left = channels - c;
      const V g = gradient_at<relu>(norm, at, left, access);
      const V deviation = hn::Sub(access.load(norm.x + at, left), access.load(norm.mean + c, left));
      const V centred = hn::NegMulAdd(deviation, access.load(to.slope + c, left),
                                      hn::Sub(g, access.load(to.offset + c, left)));
      access.store(hn::Mul(centred, access.load(to.scale + c, left)), to.input_gradient + at, left);
      if (to.residual_gradient != nullptr) access.store(g, to.residual_gradient + at, left);
    });
  }
}

template <typename T>
void any_input_gradient(const NormGradient<T>& norm, const NormInputGradient<T>& to, int64_t rows,
                        int64_t channels) {
  norm.output != nullptr ? input_gradient<true>(norm, to, rows, channels)
                         : input_gradient<false>(norm, to, rows, channels);
}

// One of each type, for the dispatch.
void StatisticsFloat(const float* x, int64_t rows, int64_t channels, float* mean,
                     float* squared_deviations) {
  statistics(x, rows, channels, mean, squared_deviations);
}
void StatisticsBFloat16(const BFloat16* x, int64_t rows, int64_t channels, float* mean,
                        float* squared_deviations) {
  statistics(x, rows, channels, mean, squared_deviations);
}
void ApplyFloat(const NormApply<float>& norm, int64_t rows, int64_t channels) {
  apply_any(norm, rows, channels);
}
void ApplyBFloat16(const NormApply<BFloat16>& norm, int64_t rows, int64_t channels) {
  apply_any(norm, rows, channels);
}
void ReduceGradientFloat(const NormGradient<float>& norm, int64_t rows, int64_t channels,
                         float* sums, float* products) {
  reduce_any_gradient(norm, rows, channels, sums, products);
}
void ReduceGradientBFloat16(const NormGradient<BFloat16>& norm, int64_t rows, int64_t channels,
                            float* sums, float* products) {
  reduce_any_gradient(norm, rows, channels, sums, products);
}
void InputGradientFloat(const NormGradient<float>& norm, const NormInputGradient<float>& to,
                        int64_t rows, int64_t channels) {
  any_input_gradient(norm, to, rows, channels);
}
void InputGradientBFloat16(const NormGradient<BFloat16>& norm,
                           const NormInputGradient<BFloat16>& to, int64_t rows, int64_t channels) {
  any_input_gradient(norm, to, rows, channels);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(StatisticsFloat);
HWY_EXPORT(StatisticsBFloat16);
HWY_EXPORT(ApplyFloat);
HWY_EXPORT(ApplyBFloat16);
HWY_EXPORT(ReduceGradientFloat);
HWY_EXPORT(ReduceGradientBFloat16);
HWY_EXPORT(InputGradientFloat);
HWY_EXPORT(InputGradientBFloat16);

template <>
void norm_statistics(const float* x, int64_t rows, int64_t channels, float* mean,
                     float* squared_deviations) {
  HWY_DYNAMIC_DISPATCH(StatisticsFloat)(x, rows, channels, mean, squared_deviations);
}
template <>
void norm_statistics(const BFloat16* x, int64_t rows, int64_t channels, float* mean,
                     float* squared_deviations) {
  HWY_DYNAMIC_DISPATCH(StatisticsBFloat16)(x, rows, channels, mean, squared_deviations);
}

template <>
void norm_apply(const NormApply<float>& norm, int64_t rows, int64_t channels) {
  HWY_DYNAMIC_DISPATCH(ApplyFloat)(norm, rows, channels);
}
template <>
void norm_apply(const NormApply<BFloat16>& norm, int64_t rows, int64_t channels) {
  HWY_DYNAMIC_DISPATCH(ApplyBFloat16)(norm, rows, channels);
}

template <>
void norm_reduce_gradient(const NormGradient<float>& norm, int64_t rows, int64_t channels,
                          float* sums, float* products) {
  HWY_DYNAMIC_DISPATCH(ReduceGradientFloat)(norm, rows, channels, sums, products);
}
template <>
void norm_reduce_gradient(const NormGradient<BFloat16>& norm, int64_t rows, int64_t channels,
                          float* sums, float* products) {
  HWY_DYNAMIC_DISPATCH(ReduceGradientBFloat16)(norm, rows, channels, sums, products);
}

template <>
void norm_input_gradient(const NormGradient<float>& norm, const NormInputGradient<float>& to,
                         int64_t rows, int64_t channels) {
  HWY_DYNAMIC_DISPATCH(InputGradientFloat)(norm, to, rows, channels);
}
template <>
void norm_input_gradient(const NormGradient<BFloat16>& norm, const NormInputGradient<BFloat16>& to,
                         int64_t rows, int64_t channels) {
  HWY_DYNAMIC_DISPATCH(InputGradientBFloat16)(norm, to, rows, channels);
}

}  // namespace striate::kernels
#endif
