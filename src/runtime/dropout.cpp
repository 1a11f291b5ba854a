#include "runtime/dropout.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>

#include "kernels/dropout.h"
#include "runtime/first_derivative.h"

namespace striate {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

uint64_t draw_seed() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  return at::check_generator<at::CPUGeneratorImpl>(generator)->random64();
}

at::Tensor dropped(const at::Tensor& x, double p, int64_t seed) {
  at::Tensor y = at::empty_like(x);
  const kernels::Dropout step{.x = x.const_data_ptr<float>(),
                              .y = y.data_ptr<float>(),
                              .count = x.numel(),
                              .p = p,
                              .seed = static_cast<uint64_t>(seed)};
  const int64_t blocks = (step.count + kernels::kDropoutBlock - 1) / kernels::kDropoutBlock;
  at::parallel_for(0, blocks, 4,
                   [&](int64_t begin, int64_t end) { kernels::dropout(step, begin, end); });
  return y;
}

class DropoutOnCpu : public torch::autograd::Function<DropoutOnCpu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double p) {
    const at::MemoryFormat format = x.suggest_memory_format();
    const auto seed = static_cast<int64_t>(draw_seed());
    context->saved_data["format"] = static_cast<int64_t>(format);
    context->saved_data["p"] = p;
    context->saved_data["seed"] = seed;
    return dropped(x.contiguous(format), p, seed);
  }

  static variable_list backward(AutogradContext* context, const variable_list& above) {
    forbid_second_derivative();
    const auto format = static_cast<at::MemoryFormat>(context->saved_data["format"].toInt());
    return {dropped(above[0].contiguous(format), context->saved_data["p"].toDouble(),
                    context->saved_data["seed"].toInt()),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, bool training) {
  const bool drops = training && p > 0;
  if (!drops || !x.is_cpu() || x.scalar_type() != at::kFloat) return at::dropout(x, p, training);
  return DropoutOnCpu::apply(x, p);
}

}  // namespace striate
