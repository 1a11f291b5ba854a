#include "kernels/map_forces.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/map_forces.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Points at once whose sums fit into the registers.
constexpr int kPointsAtOnce = kLanes == 16 ? 4 : 2;

// By one step of Newton's method: to a few units in the last place.
HWY_INLINE V reciprocal(V v) {
  const V guess = hn::ApproximateReciprocal(v);
  return hn::Mul(guess, hn::NegMulAdd(v, guess, hn::Set(D(), 2.0F)));
}

HWY_INLINE float sum(V v) {
  return hn::GetLane(hn::SumOfLanes(D(), v));
}

template <int points>
void repel_some(const Bodies& bodies, const Repelled& p, int64_t first) {
  const D d;
  const V one = hn::Set(d, 1.0F);
  V x[points];
  V y[points];
  V weights[points];
  V force_x[points];
  V force_y[points];
#pragma GCC unroll 4
  for (int i = 0; i < points; ++i) {
    x[i] = hn::Set(d, p.x[first + i]);
    y[i] = hn::Set(d, p.y[first + i]);
    weights[i] = force_x[i] = force_y[i] = hn::Zero(d);
  }
  for (int64_t j = 0; j < bodies.count; j += kLanes) {
    const V body_x = load(bodies.x, j, bodies.count);
    const V body_y = load(bodies.y, j, bodies.count);
    const V mass = load(bodies.mass, j, bodies.count);
#pragma GCC unroll 4
    for (int i = 0; i < points; ++i) {
      const V dx = hn::Sub(x[i], body_x);
      const V dy = hn::Sub(y[i], body_y);
      const V w = reciprocal(hn::MulAdd(dx, dx, hn::MulAdd(dy, dy, one)));
      const V mass_w = hn::Mul(mass, w);
      const V factor = hn::Mul(mass_w, w);
      weights[i] = hn::Add(weights[i], mass_w);
      force_x[i] = hn::MulAdd(factor, dx, force_x[i]);
      force_y[i] = hn::MulAdd(factor, dy, force_y[i]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < points; ++i) {
    p.weights[first + i] = sum(weights[i]);
    p.force_x[first + i] = sum(force_x[i]);
    p.force_y[first + i] = sum(force_y[i]);
  }
}

void Repel(const Bodies& bodies, const Repelled& p) {
  int64_t i = 0;
  for (; i + kPointsAtOnce <= p.count; i += kPointsAtOnce) repel_some<kPointsAtOnce>(bodies, p, i);
  for (; i < p.count; ++i) repel_some<1>(bodies, p, i);
}

// The points of kLanes columns. A point is one number of 64 bits, so that one load gets both its
// coordinates.
HWY_INLINE void gather(const float* points, const int32_t* columns, V& x, V& y) {
#if HWY_TARGET == HWY_SCALAR
  x = hn::Set(D(), points[2 * columns[0]]);
  y = hn::Set(D(), points[2 * columns[0] + 1]);
#else
  const hn::Repartition<double, D> pairs;
  const hn::RebindToSigned<decltype(pairs)> places;
  const hn::Rebind<int32_t, decltype(pairs)> half;
  const auto* all = reinterpret_cast<const double*>(points);
  const auto get = [&](const int32_t* from) HWY_ATTR {
    return hn::BitCast(D(),
                       hn::GatherIndex(pairs, all, hn::PromoteTo(places, hn::LoadU(half, from))));
  };
  const V first = get(columns);
  const V second = get(columns + kLanes / 2);
  x = hn::ConcatEven(D(), second, first);
  y = hn::ConcatOdd(D(), second, first);
#endif
}

void Attract(const SparseRows& p, int64_t row_begin, int64_t row_end, const float* points,
             const float* others, float* forces) {
  const D d;
  const V one = hn::Set(d, 1.0F);
  for (int64_t row = row_begin; row < row_end; ++row, points += 2, forces += 2) {
    const V x = hn::Set(d, points[0]);
    const V y = hn::Set(d, points[1]);
    V force_x = hn::Zero(d);
    V force_y = hn::Zero(d);
    const auto add = [&](const int32_t* columns, V values) HWY_ATTR {
      V dx;
      V dy;
      gather(others, columns, dx, dy);
      dx = hn::Sub(x, dx);
      dy = hn::Sub(y, dy);
      const V w = reciprocal(hn::MulAdd(dx, dx, hn::MulAdd(dy, dy, one)));
      const V factor = hn::Mul(values, w);
      force_x = hn::MulAdd(factor, dx, force_x);
      force_y = hn::MulAdd(factor, dy, force_y);
    };
    int64_t e = p.begins[row];
    const int64_t end = p.begins[row + 1];
    for (; e + kLanes <= end; e += kLanes) {
      add(p.columns + e, hn::LoadU(d, p.values + e));
    }
    if (e < end) {
      int32_t columns[kLanes] = {};
      std::copy(p.columns + e, p.columns + end, columns);
      add(columns, load(p.values, e, end));
    }
    forces[0] = sum(force_x);
    forces[1] = sum(force_y);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Repel);
HWY_EXPORT(Attract);

void repel(const Bodies& bodies, const Repelled& points) {
  HWY_DYNAMIC_DISPATCH(Repel)(bodies, points);
}

void attract(const SparseRows& p, int64_t row_begin, int64_t row_end, const float* points,
             const float* others, float* forces) {
  HWY_DYNAMIC_DISPATCH(Attract)(p, row_begin, row_end, points, others, forces);
}

}  // namespace striate::kernels
#endif
