#include "kernels/attention_window.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_window.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Calls `body(d, i)` for vectors of values from i on, up to `count`: for what is left over for
// shorter ones.
template <typename T, typename Body>
HWY_INLINE void for_parts(int64_t count, const Body& body) {
  int64_t i = 0;
  const auto go = [&](auto d) HWY_ATTR {
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (; i + lanes <= count; i += lanes) body(d, i);
  };
  go(hn::ScalableTag<T>());
  go(hn::CappedTag<T, 4>());
  go(hn::CappedTag<T, 1>());
}

template <typename D, typename V>
HWY_INLINE hn::TFromD<D> total(D d, V values) {
  return hn::GetLane(hn::SumOfLanes(d, values));
}

// y += a x
template <typename T>
HWY_INLINE void add_scaled(T a, const T* x, T* y, int64_t count) {
  for_parts<T>(count, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::MulAdd(hn::Set(d, a), hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, y + i);
  });
}

template <typename T>
HWY_INLINE T dot(const T* x, const T* y, int64_t count) {
  T sum = 0;
  int64_t i = 0;
  const auto go = [&](auto d) HWY_ATTR {
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    if (i + lanes > count) return;
    auto part = hn::Mul(hn::LoadU(d, x + i), hn::LoadU(d, y + i));
    for (i += lanes; i + lanes <= count; i += lanes) {
      part = hn::MulAdd(hn::LoadU(d, x + i), hn::LoadU(d, y + i), part);
    }
    sum += total(d, part);
  };
  go(hn::ScalableTag<T>());
  go(hn::CappedTag<T, 4>());
  go(hn::CappedTag<T, 1>());
  return sum;
}

// One axis of a window: its filters, and what they are made of.
template <typename T>
struct Axis {
  int64_t size;
  int64_t extent;
  std::vector<T> filters;  // (size, extent)
  std::vector<T> middles;  // (size), in pixels from 0

  Axis(int64_t filter_count, int64_t pixels)
      : size(filter_count),
        extent(pixels),
        filters(static_cast<size_t>(filter_count * pixels)),
        middles(static_cast<size_t>(filter_count)) {}

  T* filter(int64_t i) { return filters.data() + i * extent; }
  const T* filter(int64_t i) const { return filters.data() + i * extent; }
};

template <typename T>
struct Numbers {
  T variance;
  T stride;
  T gamma;
};

template <typename T>
T longest_stride(const Window& w) {
  return static_cast<T>(std::max(w.width, w.height) - 1) /
         static_cast<T>(std::max<int64_t>(w.size - 1, 1));
}

template <typename T>
Numbers<T> read_numbers(const Window& w, const T* numbers) {
  return {.variance = std::exp(numbers[2]),
          .stride = longest_stride<T>(w) * std::exp(numbers[3]),  // Eq. 24
          .gamma = std::exp(numbers[4])};
}

// Of filter i, from the window's middle, in strides.
template <typename T>
T offset(int64_t i, int64_t size) {
  return static_cast<T>(i) - static_cast<T>(size - 1) / 2;
}

// Eqs. 19 to 26; each row is a softmax.
template <typename T>
HWY_INLINE void fill(Axis<T>& axis, T center, const Numbers<T>& numbers) {
  const T middle = static_cast<T>(axis.extent + 1) / 2 * (center + 1) - 1;
  const T scale = T(-0.5) / numbers.variance;
  for (int64_t i = 0; i < axis.size; ++i) {
    const T mu = middle + offset<T>(i, axis.size) * numbers.stride;
    const T nearest = std::clamp(std::round(mu), T(0), static_cast<T>(axis.extent - 1));
    const T largest = scale * (nearest - mu) * (nearest - mu);
    T* const row = axis.filter(i);
    T sum = 0;
    for_parts<T>(axis.extent, [&](auto d, int64_t a) HWY_ATTR {
      const auto from = hn::Sub(hn::Iota(d, static_cast<T>(a)), hn::Set(d, mu));
      const auto power =
          hn::Sub(hn::Mul(hn::Set(d, scale), hn::Mul(from, from)), hn::Set(d, largest));
      const auto value = hn::Exp(d, power);
      sum += total(d, value);
      hn::StoreU(value, d, row + a);
    });
    axis.middles[static_cast<size_t>(i)] = mu;
    const T inverse = 1 / sum;
    for_parts<T>(axis.extent, [&](auto d, int64_t a) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, row + a), hn::Set(d, inverse)), d, row + a);
    });
  }
}

// Adds the gradient by a centre, and by the logarithms of variance and stride.
template <typename T>
HWY_INLINE void add_axis_gradient(const Axis<T>& axis, const std::vector<T>& dfilters,
                                  const Numbers<T>& numbers, T* dcenter, T* dnumbers) {
  for (int64_t i = 0; i < axis.size; ++i) {
    const T* const row = axis.filter(i);
    const T* const drow = dfilters.data() + i * axis.extent;
    const T mean = dot(row, drow, axis.extent);
    const T mu = axis.middles[static_cast<size_t>(i)];
    T first = 0;   // sum of the powers' gradients times the distance
    T second = 0;  // times its square
    for_parts<T>(axis.extent, [&](auto d, int64_t a) HWY_ATTR {
      const auto dpower =
          hn::Mul(hn::LoadU(d, row + a), hn::Sub(hn::LoadU(d, drow + a), hn::Set(d, mean)));
      const auto from = hn::Sub(hn::Iota(d, static_cast<T>(a)), hn::Set(d, mu));
      const auto moment = hn::Mul(dpower, from);
      first += total(d, moment);
      second += total(d, hn::Mul(moment, from));
    });
    const T dmu = first / numbers.variance;
    *dcenter += static_cast<T>(axis.extent + 1) / 2 * dmu;
    dnumbers[2] += second / (2 * numbers.variance);
    dnumbers[3] += offset<T>(i, axis.size) * numbers.stride * dmu;
  }
}

// A window's filters on one image after the other.
template <typename T>
struct Filters {
  Window window;
  Numbers<T> numbers{};
  Axis<T> x;
  Axis<T> y;

  explicit Filters(const Window& w) : window(w), x(w.size, w.width), y(w.size, w.height) {}

  HWY_INLINE void place(const T* values) {
    numbers = read_numbers(window, values);
    fill(x, values[0], numbers);
    fill(y, values[1], numbers);
  }
};

// rows = F_Y image: (size, W)
template <typename T>
HWY_INLINE void filter_rows(const Axis<T>& y, const T* image, int64_t width, std::vector<T>& rows) {
  std::ranges::fill(rows, T(0));
  for (int64_t i = 0; i < y.size; ++i) {
    for (int64_t b = 0; b < y.extent; ++b) {
      add_scaled(y.filter(i)[b], image + b * width, rows.data() + i * width, width);
    }
  }
}

// patch = scale rows F_X': (size, size)
template <typename T>
HWY_INLINE void filter_columns(const Axis<T>& x, const std::vector<T>& rows, T scale, T* patch) {
  for (int64_t i = 0; i < x.size; ++i) {
    for (int64_t j = 0; j < x.size; ++j) {
      patch[i * x.size + j] = scale * dot(rows.data() + i * x.extent, x.filter(j), x.extent);
    }
  }
}

// rows = scale patch F_X: (size, W)
template <typename T>
HWY_INLINE void spread_columns(const Axis<T>& x, const T* patch, T scale, std::vector<T>& rows) {
  std::ranges::fill(rows, T(0));
  for (int64_t i = 0; i < x.size; ++i) {
    for (int64_t j = 0; j < x.size; ++j) {
      add_scaled(scale * patch[i * x.size + j], x.filter(j), rows.data() + i * x.extent, x.extent);
    }
  }
}

// dF_X += scale patch' rows
template <typename T>
HWY_INLINE void add_column_filters(const T* patch, const std::vector<T>& rows, T scale,
                                   const Axis<T>& x, std::vector<T>& dfilters) {
  for (int64_t i = 0; i < x.size; ++i) {
    for (int64_t j = 0; j < x.size; ++j) {
      add_scaled(scale * patch[i * x.size + j], rows.data() + i * x.extent,
                 dfilters.data() + j * x.extent, x.extent);
    }
  }
}

// dF_Y += rows image'
template <typename T>
HWY_INLINE void add_row_filters(const std::vector<T>& rows, const T* image, int64_t width,
                                const Axis<T>& y, std::vector<T>& dfilters) {
  for (int64_t i = 0; i < y.size; ++i) {
    for (int64_t b = 0; b < y.extent; ++b) {
      dfilters[static_cast<size_t>(i * y.extent + b)] +=
          dot(rows.data() + i * width, image + b * width, width);
    }
  }
}

template <typename T>
HWY_INLINE void read_rows(const WindowRead<T>& r, int64_t row_begin, int64_t row_end) {
  const Window& w = r.window;
  const int64_t area = w.height * w.width;
  const int64_t patch_area = w.size * w.size;
  Filters<T> filters(w);
  std::vector<T> rows(static_cast<size_t>(w.size * w.width));
  for (int64_t row = row_begin; row < row_end; ++row) {
    filters.place(r.numbers.values + row * r.numbers.stride);
    for (int64_t c = 0; c < w.channels; ++c) {
      T* const of_image = r.patches.values + row * r.patches.stride + c * patch_area;
      T* const of_error = of_image + w.channels * patch_area;
      const T gamma = filters.numbers.gamma;
      filter_rows(filters.y, r.image.values + row * r.image.stride + c * area, w.width, rows);
      filter_columns(filters.x, rows, gamma, of_image);
      filter_rows(filters.y, r.mean.values + row * r.mean.stride + c * area, w.width, rows);
      filter_columns(filters.x, rows, gamma, of_error);
      for (int64_t k = 0; k < patch_area; ++k) of_error[k] = of_image[k] - of_error[k];
    }
  }
}

// Buffers of one image's gradient.
template <typename T>
struct Buffers {
  std::vector<T> rows, spread, dx, dy, dpatch, dfiltered;

  explicit Buffers(const Window& w)
      : rows(static_cast<size_t>(w.size * w.width)),
        spread(rows.size()),
        dx(rows.size()),
        dy(static_cast<size_t>(w.size * w.height)),
        dpatch(static_cast<size_t>(w.size * w.size)),
        dfiltered(static_cast<size_t>(w.width)) {}

  void clear_filters() {
    std::ranges::fill(dx, T(0));
    std::ranges::fill(dy, T(0));
  }
};

// The gradient of gamma F_Y image F_X' by the filters, dpatch being that by the patch.
template <typename T>
HWY_INLINE void add_read_filters(const Filters<T>& f, const T* image, Buffers<T>& b) {
  filter_rows(f.y, image, f.window.width, b.rows);
  add_column_filters(b.dpatch.data(), b.rows, f.numbers.gamma, f.x, b.dx);
  spread_columns(f.x, b.dpatch.data(), f.numbers.gamma, b.spread);
  add_row_filters(b.spread, image, f.window.width, f.y, b.dy);
}

// canvas += mean (1 - mean) F_Y' spread
template <typename T>
HWY_INLINE void add_canvas_gradient(const Filters<T>& f, const T* mean, Buffers<T>& b, T* dcanvas) {
  const int64_t width = f.window.width;
  for (int64_t y = 0; y < f.y.extent; ++y) {
    std::ranges::fill(b.dfiltered, T(0));
    for (int64_t i = 0; i < f.y.size; ++i) {
      add_scaled(f.y.filter(i)[y], b.spread.data() + i * width, b.dfiltered.data(), width);
    }
    for_parts<T>(width, [&](auto d, int64_t a) HWY_ATTR {
      const auto m = hn::LoadU(d, mean + y * width + a);
      const auto slope = hn::NegMulAdd(m, m, m);
      T* const out = dcanvas + y * width + a;
      hn::StoreU(hn::MulAdd(hn::LoadU(d, b.dfiltered.data() + a), slope, hn::LoadU(d, out)), d,
                 out);
    });
  }
}

template <typename T>
HWY_INLINE void finish_numbers(const Filters<T>& f, const Buffers<T>& b, T dgamma, T* dnumbers) {
  std::fill_n(dnumbers, 4, T(0));
  dnumbers[4] = dgamma;
  add_axis_gradient(f.x, b.dx, f.numbers, dnumbers, dnumbers);
  add_axis_gradient(f.y, b.dy, f.numbers, dnumbers + 1, dnumbers);
}

template <typename T>
HWY_INLINE void read_gradient_rows(const WindowReadGradient<T>& g, int64_t row_begin,
                                   int64_t row_end) {
  const Window& w = g.window;
  const int64_t area = w.height * w.width;
  const int64_t patch_area = w.size * w.size;
  Filters<T> filters(w);
  Buffers<T> b(w);
  for (int64_t row = row_begin; row < row_end; ++row) {
    filters.place(g.numbers.values + row * g.numbers.stride);
    b.clear_filters();
    T dgamma = 0;
    for (int64_t c = 0; c < w.channels; ++c) {
      const T* const image = g.image.values + row * g.image.stride + c * area;
      const T* const mean = g.mean.values + row * g.mean.stride + c * area;
      const T* const patch = g.patches.values + row * g.patches.stride + c * patch_area;
      const T* const dpatch = g.dpatches.values + row * g.dpatches.stride + c * patch_area;
      const int64_t error = w.channels * patch_area;
      for (int64_t k = 0; k < patch_area; ++k) {
        dgamma += dpatch[k] * patch[k] + dpatch[k + error] * patch[k + error];
        b.dpatch[static_cast<size_t>(k)] = dpatch[k] + dpatch[k + error];
      }
      add_read_filters(filters, image, b);
      for (int64_t k = 0; k < patch_area; ++k) {
        b.dpatch[static_cast<size_t>(k)] = -dpatch[k + error];
      }
      add_read_filters(filters, mean, b);
      add_canvas_gradient(filters, mean, b, g.dcanvas.values + row * g.dcanvas.stride + c * area);
    }
    finish_numbers(filters, b, dgamma, g.dnumbers.values + row * g.dnumbers.stride);
  }
}

template <typename T>
HWY_INLINE void write_rows(const WindowWrite<T>& wr, int64_t row_begin, int64_t row_end) {
  const Window& w = wr.window;
  Filters<T> filters(w);
  std::vector<T> rows(static_cast<size_t>(w.size * w.width));
  for (int64_t row = row_begin; row < row_end; ++row) {
    filters.place(wr.numbers.values + row * wr.numbers.stride);
    for (int64_t c = 0; c < w.channels; ++c) {
      spread_columns(filters.x, wr.patch.values + row * wr.patch.stride + c * w.size * w.size,
                     1 / filters.numbers.gamma, rows);
      T* const canvas = wr.canvas.values + row * wr.canvas.stride + c * w.height * w.width;
      for (int64_t i = 0; i < w.size; ++i) {
        for (int64_t y = 0; y < w.height; ++y) {
          add_scaled(filters.y.filter(i)[y], rows.data() + i * w.width, canvas + y * w.width,
                     w.width);
        }
      }
    }
  }
}

template <typename T>
HWY_INLINE void write_gradient_rows(const WindowWriteGradient<T>& g, int64_t row_begin,
                                    int64_t row_end) {
  const Window& w = g.window;
  const int64_t patch_area = w.size * w.size;
  Filters<T> filters(w);
  Buffers<T> b(w);
  for (int64_t row = row_begin; row < row_end; ++row) {
    filters.place(g.numbers.values + row * g.numbers.stride);
    b.clear_filters();
    const T inverse = 1 / filters.numbers.gamma;
    T dgamma = 0;
    for (int64_t c = 0; c < w.channels; ++c) {
      const T* const patch = g.patch.values + row * g.patch.stride + c * patch_area;
      const T* const dcanvas = g.dcanvas.values + row * g.dcanvas.stride + c * w.height * w.width;
      T* const dpatch = g.dpatch.values + row * g.dpatch.stride + c * patch_area;
      filter_rows(filters.y, dcanvas, w.width, b.rows);
      filter_columns(filters.x, b.rows, inverse, dpatch);
      for (int64_t k = 0; k < patch_area; ++k) dgamma -= patch[k] * dpatch[k];
      add_column_filters(patch, b.rows, inverse, filters.x, b.dx);
      spread_columns(filters.x, patch, inverse, b.spread);
      add_row_filters(b.spread, dcanvas, w.width, filters.y, b.dy);
    }
    finish_numbers(filters, b, dgamma, g.dnumbers.values + row * g.dnumbers.stride);
  }
}

void ReadFloat(const WindowRead<float>& r, int64_t begin, int64_t end) {
  read_rows(r, begin, end);
}
void ReadDouble(const WindowRead<double>& r, int64_t begin, int64_t end) {
  read_rows(r, begin, end);
}
void ReadGradientFloat(const WindowReadGradient<float>& g, int64_t begin, int64_t end) {
  read_gradient_rows(g, begin, end);
}
void ReadGradientDouble(const WindowReadGradient<double>& g, int64_t begin, int64_t end) {
  read_gradient_rows(g, begin, end);
}
void WriteFloat(const WindowWrite<float>& w, int64_t begin, int64_t end) {
  write_rows(w, begin, end);
}
void WriteDouble(const WindowWrite<double>& w, int64_t begin, int64_t end) {
  write_rows(w, begin, end);
}
void WriteGradientFloat(const WindowWriteGradient<float>& g, int64_t begin, int64_t end) {
  write_gradient_rows(g, begin, end);
}
void WriteGradientDouble(const WindowWriteGradient<double>& g, int64_t begin, int64_t end) {
  write_gradient_rows(g, begin, end);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(ReadFloat);
HWY_EXPORT(ReadDouble);
HWY_EXPORT(ReadGradientFloat);
HWY_EXPORT(ReadGradientDouble);
HWY_EXPORT(WriteFloat);
HWY_EXPORT(WriteDouble);
HWY_EXPORT(WriteGradientFloat);
HWY_EXPORT(WriteGradientDouble);

template <>
void read_window(const WindowRead<float>& read, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(ReadFloat)(read, row_begin, row_end);
}
template <>
void read_window(const WindowRead<double>& read, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(ReadDouble)(read, row_begin, row_end);
}
template <>
void read_window_gradient(const WindowReadGradient<float>& g, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(ReadGradientFloat)(g, row_begin, row_end);
}
template <>
void read_window_gradient(const WindowReadGradient<double>& g, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(ReadGradientDouble)(g, row_begin, row_end);
}
template <>
void write_window(const WindowWrite<float>& write, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(WriteFloat)(write, row_begin, row_end);
}
template <>
void write_window(const WindowWrite<double>& write, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(WriteDouble)(write, row_begin, row_end);
}
template <>
void write_window_gradient(const WindowWriteGradient<float>& g, int64_t row_begin,
                           int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(WriteGradientFloat)(g, row_begin, row_end);
}
template <>
void write_window_gradient(const WindowWriteGradient<double>& g, int64_t row_begin,
                           int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(WriteGradientDouble)(g, row_begin, row_end);
}

}  // namespace striate::kernels
#endif
