#include "kernels/batch_norm.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = hn::MaxLanes(D());
constexpr int64_t kVectors = 4;  // channels whose sums stay in registers

// Vectors of channels from `first` on; lanes past `channels` are zero and are not stored.
struct Whole {
  static V load(const float* from, int64_t) { return hn::LoadU(D(), from); }
  static void store(V v, float* to, int64_t) { hn::StoreU(v, D(), to); }
};
struct Part {
  static hn::Mask<D> mask(int64_t left) {
    return hn::FirstN(D(), static_cast<size_t>(std::clamp<int64_t>(left, 0, kLanes)));
  }
  static V load(const float* from, int64_t left) { return hn::MaskedLoad(mask(left), D(), from); }
  static void store(V v, float* to, int64_t left) { hn::BlendedStore(v, mask(left), D(), to); }
};

// Calls `body` with groups of vectors: `count` of whole ones, then single ones, the last in part.
template <typename Body>
void for_channels(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + kVectors * kLanes <= channels; c += kVectors * kLanes) {
    body.template operator()<kVectors, Whole>(c);
  }
  for (; c + kLanes <= channels; c += kLanes) body.template operator()<1, Whole>(c);
  if (c < channels) body.template operator()<1, Part>(c);
}

struct Statistics {
  const float* x;
  int64_t rows;
  int64_t channels;
  float* mean;
  float* squared_deviations;

  template <int64_t count, typename Access>
  void operator()(int64_t c) const {
    const D d;
    const int64_t left = channels - c;
    V sum[count];
    for (int64_t v = 0; v < count; ++v) sum[v] = hn::Zero(d);
    for (int64_t row = 0; row < rows; ++row) {
      const float* from = x + row * channels + c;
      for (int64_t v = 0; v < count; ++v) {
        sum[v] = hn::Add(sum[v], Access::load(from + v * kLanes, left));
      }
    }
    V center[count];
    for (int64_t v = 0; v < count; ++v) {
      center[v] = hn::Mul(sum[v], hn::Set(d, 1.0F / static_cast<float>(rows)));
      Access::store(center[v], mean + c + v * kLanes, left);
      sum[v] = hn::Zero(d);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const float* from = x + row * channels + c;
      for (int64_t v = 0; v < count; ++v) {
        const V deviation = hn::Sub(Access::load(from + v * kLanes, left), center[v]);
        sum[v] = hn::MulAdd(deviation, deviation, sum[v]);
      }
    }
    for (int64_t v = 0; v < count; ++v) {
      Access::store(sum[v], squared_deviations + c + v * kLanes, left);
    }
  }
};

struct Apply {
  NormApply norm;
  int64_t rows;
  int64_t channels;

  template <int64_t count, typename Access>
  void operator()(int64_t c) const {
    const D d;
    const int64_t left = channels - c;
    V scale[count];
    V shift[count];
    for (int64_t v = 0; v < count; ++v) {
      scale[v] = Access::load(norm.scale + c + v * kLanes, left);
      shift[v] = Access::load(norm.shift + c + v * kLanes, left);
    }
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t v = 0; v < count; ++v) {
        const int64_t at = row * channels + c + v * kLanes;
        V y = hn::MulAdd(Access::load(norm.x + at, left), scale[v], shift[v]);
        if (norm.residual != nullptr) y = hn::Add(y, Access::load(norm.residual + at, left));
        if (norm.relu) y = hn::Max(y, hn::Zero(d));
        Access::store(y, norm.y + at, left);
      }
    }
  }
};

template <typename Access>
HWY_INLINE V gradient_at(const NormGradient& norm, int64_t at, int64_t left) {
  const V g = Access::load(norm.gradient + at, left);
  if (norm.output == nullptr) return g;
  return hn::IfThenElseZero(hn::Gt(Access::load(norm.output + at, left), hn::Zero(D())), g);
}

struct ReduceGradient {
  NormGradient norm;
  int64_t rows;
  int64_t channels;
  float* sums;
  float* products;

  template <int64_t count, typename Access>
  void operator()(int64_t c) const {
    const D d;
    const int64_t left = channels - c;
    V sum[count];
    V product[count];
    V mean[count];
    for (int64_t v = 0; v < count; ++v) {
      sum[v] = product[v] = hn::Zero(d);
      mean[v] = Access::load(norm.mean + c + v * kLanes, left);
    }
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t v = 0; v < count; ++v) {
        const int64_t at = row * channels + c + v * kLanes;
        const V g = gradient_at<Access>(norm, at, left);
        sum[v] = hn::Add(sum[v], g);
        const V deviation = hn::Sub(Access::load(norm.x + at, left), mean[v]);
        product[v] = hn::MulAdd(g, deviation, product[v]);
      }
    }
    for (int64_t v = 0; v < count; ++v) {
      Access::store(sum[v], sums + c + v * kLanes, left);
      Access::store(product[v], products + c + v * kLanes, left);
    }
  }
};

struct InputGradient {
  NormGradient norm;
  NormInputGradient to;
  int64_t rows;
  int64_t channels;

  template <int64_t count, typename Access>
  void operator()(int64_t c) const {
    const int64_t left = channels - c;
    V mean[count];
    V scale[count];
    V offset[count];
    V slope[count];
    for (int64_t v = 0; v < count; ++v) {
      mean[v] = Access::load(norm.mean + c + v * kLanes, left);
      scale[v] = Access::load(to.scale + c + v * kLanes, left);
      offset[v] = Access::load(to.offset + c + v * kLanes, left);
      slope[v] = Access::load(to.slope + c + v * kLanes, left);
    }
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t v = 0; v < count; ++v) {
        const int64_t at = row * channels + c + v * kLanes;
        const V g = gradient_at<Access>(norm, at, left);
        const V deviation = hn::Sub(Access::load(norm.x + at, left), mean[v]);
        const V centred = hn::NegMulAdd(deviation, slope[v], hn::Sub(g, offset[v]));
        Access::store(hn::Mul(centred, scale[v]), to.input_gradient + at, left);
        if (to.residual_gradient != nullptr) Access::store(g, to.residual_gradient + at, left);
      }
    }
  }
};

void RunStatistics(const float* x, int64_t rows, int64_t channels, float* mean,
                   float* squared_deviations) {
  for_channels(channels, Statistics{x, rows, channels, mean, squared_deviations});
}
void RunApply(const NormApply& norm, int64_t rows, int64_t channels) {
  for_channels(channels, Apply{norm, rows, channels});
}
void RunReduce(const NormGradient& norm, int64_t rows, int64_t channels, float* sums,
               float* products) {
  for_channels(channels, ReduceGradient{norm, rows, channels, sums, products});
}
void RunInputGradient(const NormGradient& norm, const NormInputGradient& to, int64_t rows,
                      int64_t channels) {
  for_channels(channels, InputGradient{norm, to, rows, channels});
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(RunStatistics);
HWY_EXPORT(RunApply);
HWY_EXPORT(RunReduce);
HWY_EXPORT(RunInputGradient);

void norm_statistics(const float* x, int64_t rows, int64_t channels, float* mean,
                     float* squared_deviations) {
  HWY_DYNAMIC_DISPATCH(RunStatistics)(x, rows, channels, mean, squared_deviations);
}

void norm_apply(const NormApply& norm, int64_t rows, int64_t channels) {
  HWY_DYNAMIC_DISPATCH(RunApply)(norm, rows, channels);
}

void norm_reduce_gradient(const NormGradient& norm, int64_t rows, int64_t channels, float* sums,
                          float* products) {
  HWY_DYNAMIC_DISPATCH(RunReduce)(norm, rows, channels, sums, products);
}

void norm_input_gradient(const NormGradient& norm, const NormInputGradient& to, int64_t rows,
                         int64_t channels) {
  HWY_DYNAMIC_DISPATCH(RunInputGradient)(norm, to, rows, channels);
}

}  // namespace striate::kernels
#endif
