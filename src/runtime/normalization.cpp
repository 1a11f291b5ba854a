#include "runtime/normalization.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "kernels/batch_norm.h"
#include "runtime/first_derivative.h"

namespace striate {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kChunkValues = 8192;  // that stay in the cache between two passes
constexpr int64_t kGroups = 64;         // partial sums; not the number of threads, which may change

struct Rows {
  int64_t count;
  int64_t channels;
  int64_t chunk() const { return std::max<int64_t>(1, kChunkValues / channels); }
};

Rows rows_of(const at::Tensor& x) {
  return {x.size(0) * x.size(2) * x.size(3), x.size(1)};
}

// Calls `body` with a value of the kernels' type for a tensor's.
template <typename Body>
void with_type(const at::Tensor& x, const Body& body) {
  x.scalar_type() == at::kBFloat16 ? body(kernels::BFloat16()) : body(float());
}

template <typename T>
T* data(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

template <typename T>
T* from(T* values, int64_t at) {
  return values == nullptr ? nullptr : values + at;
}

// Calls `body(first, count)` for chunks of rows, in all threads.
template <typename Body>
void for_chunks(const Rows& rows, const Body& body) {
  const int64_t chunk = rows.chunk();
  at::parallel_for(0, (rows.count + chunk - 1) / chunk, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      body(i * chunk, std::min(chunk, rows.count - i * chunk));
    }
  });
}

// Two sums for each channel, in double: each group of chunks adds its own, in the order of the
// rows, and the groups are added in their order.
struct ChannelSums {
  std::vector<double> first;
  std::vector<double> second;
};

// How a chunk's two results of each channel are added: both are sums, or they are a mean and a sum
// of squared deviations of so many rows (chan1979).
using Add = void (*)(double& first, double& second, double rows, double chunk_first,
                     double chunk_second, double chunk_rows);

void add_sums(double& first, double& second, double, double chunk_first, double chunk_second,
              double) {
  first += chunk_first;
  second += chunk_second;
}

void add_deviations(double& mean, double& deviations, double rows, double chunk_mean,
                    double chunk_deviations, double chunk_rows) {
  const double difference = chunk_mean - mean;
  const double share = chunk_rows / (rows + chunk_rows);
  mean += difference * share;
  deviations += chunk_deviations + difference * difference * rows * share;
}

template <typename Body>
ChannelSums reduce(const Rows& rows, Add add, const Body& body) {
  const auto channels = static_cast<size_t>(rows.channels);
  const int64_t chunk = rows.chunk();
  const int64_t chunks = (rows.count + chunk - 1) / chunk;
  const int64_t groups = std::min(kGroups, chunks);
  std::vector<ChannelSums> parts(static_cast<size_t>(groups));
  const auto group_begin = [&](int64_t group) { return chunks * group / groups * chunk; };
  at::parallel_for(0, groups, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> first(channels);
    std::vector<float> second(channels);
    for (int64_t group = begin; group < end; ++group) {
      ChannelSums& sums = parts[static_cast<size_t>(group)];
      sums = {std::vector<double>(channels), std::vector<double>(channels)};
      const int64_t start = group_begin(group);
      const int64_t stop = std::min(rows.count, group_begin(group + 1));
      for (int64_t row = start; row < stop; row += chunk) {
        const int64_t count = std::min(chunk, stop - row);
        body(row, count, first.data(), second.data());
        for (size_t c = 0; c < channels; ++c) {
          add(sums.first[c], sums.second[c], static_cast<double>(row - start), first[c], second[c],
              static_cast<double>(count));
        }
      }
    }
  });
  ChannelSums total = std::move(parts.front());
  for (int64_t group = 1; group < groups; ++group) {
    const ChannelSums& part = parts[static_cast<size_t>(group)];
    const auto before = static_cast<double>(group_begin(group));
    const auto count =
        static_cast<double>(std::min(rows.count, group_begin(group + 1)) - group_begin(group));
    for (size_t c = 0; c < channels; ++c) {
      add(total.first[c], total.second[c], before, part.first[c], part.second[c], count);
    }
  }
  return total;
}

at::Tensor channel_tensor(int64_t channels) {
  return at::empty({channels}, at::kFloat);
}

// scale and shift of y = x * scale + shift.
void apply_norm(const at::Tensor& x, const at::Tensor& shortcut, const at::Tensor& scale,
                const at::Tensor& shift, bool relu, const at::Tensor& y) {
  const Rows rows = rows_of(x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T* values = data<T>(x);
    const T* residual = data<T>(shortcut);
    T* to = data<T>(y);
    for_chunks(rows, [&](int64_t row, int64_t count) {
      const int64_t at = row * rows.channels;
      kernels::norm_apply<T>({.x = values + at,
                              .residual = from(residual, at),
                              .scale = scale.const_data_ptr<float>(),
                              .shift = shift.const_data_ptr<float>(),
                              .relu = relu,
                              .y = to + at},
                             count, rows.channels);
    });
  });
}

void move_running(const at::Tensor& running, const std::vector<double>& batch, double factor,
                  double momentum) {
  float* to = running.data_ptr<float>();
  for (size_t c = 0; c < batch.size(); ++c) {
    to[c] = static_cast<float>((1 - momentum) * to[c] + momentum * factor * batch[c]);
  }
}

// What the gradients need of the values from `at` on; `saved` as FusedBatchNorm saves it.
template <typename T>
kernels::NormGradient<T> at_row(const variable_list& saved, const at::Tensor& gradient,
                                int64_t at) {
  return {.gradient = data<T>(gradient) + at,
          .output = from(data<T>(saved[1]), at),
          .x = data<T>(saved[0]) + at,
          .mean = saved[2].const_data_ptr<float>()};
}

class FusedBatchNorm : public torch::autograd::Function<FusedBatchNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const at::Tensor& bias,
                            const std::optional<at::Tensor>& shortcut, const FusedNorm& norm) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const at::Tensor added = shortcut.has_value()
                                 ? shortcut->to(x.scalar_type()).contiguous(kChannelsLast)
                                 : at::Tensor();
    const Rows rows = rows_of(x);
    ChannelSums statistics;
    with_type(x, [&](auto type) {
      using T = decltype(type);
      const T* values = data<T>(x);
      statistics = reduce(rows, add_deviations,
                          [&](int64_t row, int64_t count, float* mean, float* squares) {
                            kernels::norm_statistics(values + row * rows.channels, count,
                                                     rows.channels, mean, squares);
                          });
    });

    const auto count = static_cast<double>(rows.count);
    const at::Tensor mean = channel_tensor(rows.channels);
    const at::Tensor inverse_deviation = channel_tensor(rows.channels);
    const at::Tensor scale = channel_tensor(rows.channels);
    const at::Tensor shift = channel_tensor(rows.channels);
    for (int64_t c = 0; c < rows.channels; ++c) {
      const double m = statistics.first[static_cast<size_t>(c)];
      const double variance = statistics.second[static_cast<size_t>(c)] / count;
      const double inverse = 1 / std::sqrt(variance + norm.eps);
      const double factor = weight.const_data_ptr<float>()[c] * inverse;
      mean.data_ptr<float>()[c] = static_cast<float>(m);
      inverse_deviation.data_ptr<float>()[c] = static_cast<float>(inverse);
      scale.data_ptr<float>()[c] = static_cast<float>(factor);
      shift.data_ptr<float>()[c] = static_cast<float>(bias.const_data_ptr<float>()[c] - m * factor);
    }
    move_running(norm.running_mean, statistics.first, 1, norm.momentum);
    move_running(norm.running_var, statistics.second, 1 / (count - 1), norm.momentum);

    at::Tensor y = at::empty_like(x);
    apply_norm(x, added, scale, shift, norm.relu, y);
    context->saved_data["shortcut"] = shortcut.has_value();
    context->save_for_backward({x, norm.relu ? y : at::Tensor(), mean, inverse_deviation, scale});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor g = gradients[0].to(x.scalar_type()).contiguous(kChannelsLast);
    const Rows rows = rows_of(x);
    ChannelSums sums;
    with_type(x, [&](auto type) {
      using T = decltype(type);
      sums = reduce(rows, add_sums, [&](int64_t row, int64_t count, float* sum, float* products) {
        kernels::norm_reduce_gradient(at_row<T>(saved, g, row * rows.channels), count,
                                      rows.channels, sum, products);
      });
    });

    const at::Tensor weight_gradient = channel_tensor(rows.channels);
    const at::Tensor bias_gradient = channel_tensor(rows.channels);
    const at::Tensor offset = channel_tensor(rows.channels);
    const at::Tensor slope = channel_tensor(rows.channels);
    for (int64_t c = 0; c < rows.channels; ++c) {
      const double inverse = saved[3].const_data_ptr<float>()[c];
      const double sum = sums.first[static_cast<size_t>(c)];
      const double products = sums.second[static_cast<size_t>(c)];
      const auto count = static_cast<double>(rows.count);
      bias_gradient.data_ptr<float>()[c] = static_cast<float>(sum);
      weight_gradient.data_ptr<float>()[c] = static_cast<float>(products * inverse);
      offset.data_ptr<float>()[c] = static_cast<float>(sum / count);
      slope.data_ptr<float>()[c] = static_cast<float>(products * inverse * inverse / count);
    }

    const at::Tensor input_gradient = at::empty_like(x);
    at::Tensor shortcut_gradient;
    if (context->saved_data["shortcut"].toBool() && context->needs_input_grad(3)) {
      // Without a ReLU it is the output's.
      shortcut_gradient = saved[1].defined() ? at::empty_like(x) : g;
    }
    const bool writes = shortcut_gradient.defined() && saved[1].defined();
    with_type(x, [&](auto type) {
      using T = decltype(type);
      T* to_input = data<T>(input_gradient);
      T* to_shortcut = writes ? data<T>(shortcut_gradient) : nullptr;
      for_chunks(rows, [&](int64_t row, int64_t count) {
        const int64_t at = row * rows.channels;
        kernels::norm_input_gradient<T>(at_row<T>(saved, g, at),
                                        {.scale = saved[4].const_data_ptr<float>(),
                                         .offset = offset.const_data_ptr<float>(),
                                         .slope = slope.const_data_ptr<float>(),
                                         .input_gradient = to_input + at,
                                         .residual_gradient = from(to_shortcut, at)},
                                        count, rows.channels);
      });
    });
    return {input_gradient, weight_gradient, bias_gradient, shortcut_gradient, at::Tensor()};
  }
};

}  // namespace

bool can_normalize(const at::Tensor& input) {
  const bool known = input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16;
  return input.is_cpu() && known && input.dim() == 4 && input.numel() > 0;
}

at::Tensor normalize(const FusedNorm& norm, const at::Tensor& input, const at::Tensor& shortcut) {
  const std::optional<at::Tensor> added =
      shortcut.defined() ? std::optional(shortcut) : std::nullopt;
  return FusedBatchNorm::apply(input, norm.weight, norm.bias, added, norm);
}

}  // namespace striate
