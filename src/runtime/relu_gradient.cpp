#include "runtime/relu_gradient.h"

#include <ATen/ops/relu.h>
#include <ATen/ops/threshold_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "runtime/first_derivative.h"

namespace striate {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// springenberg2015, Fig. 1 c: both rules pass what is positive; guided backpropagation only where
// the ReLU did, too.
class ReluToLookInside : public torch::autograd::Function<ReluToLookInside> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, bool guided) {
    at::Tensor y = at::relu(x);
    if (guided) context->save_for_backward({y});
    context->saved_data["guided"] = guided;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    forbid_second_derivative();
    const at::Tensor positive = at::relu(gradients[0]);
    if (!context->saved_data["guided"].toBool()) return {positive, {}};
    return {at::threshold_backward(positive, context->get_saved_variables()[0], 0), {}};
  }
};

}  // namespace

at::Tensor relu_to_look_inside(const ReLU& relu, const at::Tensor& x) {
  return ReluToLookInside::apply(x, relu.gradient == ReluGradient::kGuided);
}

}  // namespace striate
