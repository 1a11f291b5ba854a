#include "runtime/pooling.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/pooling.h"

namespace striate {

namespace {

// What an output sees along one axis: inputs [begin, end), and how many there would be with the
// padding.
struct Span {
  int64_t begin;
  int64_t end;
  int64_t padded;
  int64_t size() const { return end - begin; }
};

Span span(int64_t output, int64_t kernel, int64_t stride, int64_t padding, int64_t size) {
  const int64_t begin = output * stride - padding;
  const int64_t end = std::min(begin + kernel, size + padding);
  return {std::max<int64_t>(begin, 0), std::min(end, size), end - begin};
}

// Calls `reduce(window, rows, columns, to)` for each output.
template <typename T, typename Spans, typename Reduce>
void for_windows_of(const Pooling& p, const Spans& spans, const Reduce& reduce) {
  const int64_t height = p.input.size(2);
  const int64_t width = p.input.size(3);
  const int64_t out_height = p.output.size(2);
  const int64_t out_width = p.output.size(3);
  const T* from = static_cast<const T*>(p.input.const_data_ptr());
  T* to = static_cast<T*>(p.output.data_ptr());
  at::parallel_for(0, p.output.size(0) * out_height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Span rows = spans(0, i % out_height);
      const T* image = from + i / out_height * height * width * p.input_stride;
      for (int64_t x = 0; x < out_width; ++x) {
        const Span columns = spans(1, x);
        const kernels::Window<T> window = {
            .first = image + (rows.begin * width + columns.begin) * p.input_stride,
            .rows = rows.size(),
            .columns = columns.size(),
            .row_stride = width * p.input_stride,
            .column_stride = p.input_stride};
        reduce(window, rows, columns, to + (i * out_width + x) * p.output_stride);
      }
    }
  });
}

template <typename Spans, typename Reduce>
void for_windows(const Pooling& p, const Spans& spans, const Reduce& reduce) {
  p.input.scalar_type() == at::kBFloat16 ? for_windows_of<kernels::BFloat16>(p, spans, reduce)
                                         : for_windows_of<float>(p, spans, reduce);
}

template <typename Op>
auto spans_of(const Op& op, const at::Tensor& input) {
  const Size2 stride = op.stride.value_or(op.kernel_size);
  return [=, &op, height = input.size(2), width = input.size(3)](int axis, int64_t output) {
    return axis == 0 ? span(output, op.kernel_size.height, stride.height, op.padding.height, height)
                     : span(output, op.kernel_size.width, stride.width, op.padding.width, width);
  };
}

}  // namespace

void pool(const MaxPool2d& op, const Pooling& pooling) {
  const int64_t channels = pooling.input.size(1);
  for_windows(pooling, spans_of(op, pooling.input),
              [&](const auto& window, const Span&, const Span&, auto* to) {
                kernels::window_maximum(window, channels, to);
              });
}

void pool(const AvgPool2d& op, const Pooling& pooling) {
  const int64_t channels = pooling.input.size(1);
  for_windows(pooling, spans_of(op, pooling.input),
              [&](const auto& window, const Span& rows, const Span& columns, auto* to) {
                const int64_t seen = op.count_include_pad ? rows.padded * columns.padded
                                                          : rows.size() * columns.size();
                const auto divisor = static_cast<float>(op.divisor_override.value_or(seen));
                kernels::window_sum(window, channels, 1 / divisor, to);
              });
}

void pool(const AdaptiveAvgPool2d& op, const Pooling& pooling) {
  const int64_t channels = pooling.input.size(1);
  const auto spans = [&](int axis, int64_t output) {
    const int64_t size = pooling.input.size(axis == 0 ? 2 : 3);
    const int64_t count = axis == 0 ? op.output_size.height : op.output_size.width;
    const int64_t begin = output * size / count;
    const int64_t end = ((output + 1) * size + count - 1) / count;
    return Span{begin, end, end - begin};
  };
  for_windows(pooling, spans,
              [&](const auto& window, const Span& rows, const Span& columns, auto* to) {
                const auto seen = static_cast<float>(rows.size() * columns.size());
                kernels::window_sum(window, channels, 1 / seen, to);
              });
}

}  // namespace striate
