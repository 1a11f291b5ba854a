#include "runtime/recompute.h"

#include <ATen/Context.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>

#include "runtime/first_derivative.h"

namespace striate {

namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

at::Generator generator_of(const at::Tensor& x) {
  return at::globalContext().defaultGenerator(x.device());
}

// The generator as it was, while this lives.
class EarlierDraws {
 public:
  EarlierDraws(const at::Tensor& state, const at::Tensor& x) : generator_(generator_of(x)) {
    if (!state.defined()) return;
    now_ = generator_.get_state();
    generator_.set_state(state);
  }
  ~EarlierDraws() {
    if (now_.defined()) generator_.set_state(now_);
  }
  EarlierDraws(const EarlierDraws&) = delete;
  EarlierDraws& operator=(const EarlierDraws&) = delete;

 private:
  at::Generator generator_;
  at::Tensor now_;
};

// Its gradients are the input's and, behind, each parameter's.
struct Recompute final : torch::autograd::Node {
  variable_list apply(variable_list&& gradients) override {
    forbid_second_derivative();
    variable_list result(num_outputs());
    if (!gradients[0].defined()) return result;
    const bool into_input = task_should_compute_output(0);
    const at::Tensor x = input.unpack().detach().requires_grad_(into_input);
    variable_list wanted = part.parameters;
    if (into_input) wanted.push_back(x);
    at::Tensor y;
    {
      const at::AutoGradMode with_gradients(true);
      const EarlierDraws draws(generator, x);
      y = part.compute(x, /*again=*/true);
    }
    variable_list found =
        torch::autograd::grad({y}, wanted, {gradients[0]}, /*retain_graph=*/std::nullopt,
                              /*create_graph=*/false, /*allow_unused=*/true);
    if (into_input) {
      result[0] = found.back();
      found.pop_back();
    }
    std::copy(found.begin(), found.end(), result.begin() + 1);
    return result;
  }

  void release_variables() override { input.reset_data(); }
  std::string name() const override { return "Recompute"; }

  SavedVariable input;
  Recomputation part;
  at::Tensor generator;  // its state; undefined where nothing is drawn
};

}  // namespace

at::Tensor recompute_in_backward(const Recomputation& part, const at::Tensor& input) {
  const auto node = c10::make_intrusive<Recompute>();
  node->part = part;
  node->input = SavedVariable(input, /*is_output=*/false);
  if (part.draws) node->generator = generator_of(input).get_state();
  variable_list depends_on = {input};
  depends_on.insert(depends_on.end(), part.parameters.begin(), part.parameters.end());
  node->set_next_edges(torch::autograd::collect_next_edges(depends_on));
  at::Tensor output;
  {
    const at::NoGradGuard no_grad;
    output = part.compute(input, /*again=*/false).detach();
  }
  torch::autograd::set_history(output, node);
  return output;
}

}  // namespace striate
