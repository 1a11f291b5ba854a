#include "runtime/plan.h"

#include <algorithm>
#include <set>
#include <variant>

#include "runtime/convolution_pool.h"

namespace striate {

namespace {

// Whether a value must stay as it is because the gradient formula of the operator that made it
// reads it again, or because it shares its memory with that operator's input.
bool must_stay(const Op& op) {
  return std::visit(
      overloaded{
          [](const Input&) { return true; },        // the caller's
          [](const ReLU&) { return true; },         // read by its gradient
          [](const ScaledTanh&) { return true; },   // read by its gradient
          [](const MaxPool2d&) { return true; },    // read by its gradient
          [](const Flatten&) { return true; },      // a view
          [](const Subsample&) { return true; },    // a view
          [](const Dropout&) { return true; },      // in evaluation, its input itself
          [](const PadChannels&) { return true; },  // padded by nothing, perhaps its input itself
          [](const AdaptiveAvgPool2d&) { return true; },  // likewise, to its input's size
          [](const StochasticDepth&) { return true; },    // in training, its input itself
          [](const FractalJoin&) { return true; },        // of one input, that itself
          [](const LocalResponseNorm&) { return false; },
          [](const Conv2d&) { return false; },
          [](const Linear&) { return false; },
          [](const BatchNorm2d&) { return false; },
          [](const ChannelAffine&) { return false; },
          [](const AvgPool2d&) { return false; },
          [](const Add&) { return false; },
          [](const Concat&) { return false; },
          [](const NegativeSquaredDistance&) { return false; },
      },
      op);
}

// Who reads each value.
class Uses {
 public:
  explicit Uses(const Graph& graph) : graph_(graph), users_(graph.nodes().size()) {
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
      for (const int64_t input : graph.nodes()[i].inputs) {
        users_[static_cast<size_t>(input)].push_back(static_cast<int64_t>(i));
      }
    }
    for (const auto& [name, value] : graph.outputs()) outputs_.insert(value.node);
  }

  bool is_output(int64_t node) const { return outputs_.contains(node); }
  // The only reader of a value that is no output.
  std::optional<int64_t> only_user(int64_t node) const {
    const auto& users = users_[static_cast<size_t>(node)];
    if (users.size() != 1 || is_output(node)) return std::nullopt;
    return users.front();
  }
  template <typename T>
  bool is(int64_t node) const {
    return std::holds_alternative<T>(graph_.node({node}).op);
  }
  bool is_plain_relu(int64_t node) const {
    const auto* relu = std::get_if<ReLU>(&graph_.node({node}).op);
    return relu != nullptr && relu->gradient == ReluGradient::kDerivative;
  }

 private:
  const Graph& graph_;
  std::vector<std::vector<int64_t>> users_;
  std::set<int64_t> outputs_;
};

// The shortcut that an addition puts to one of its summands; none when a summand may be missing, or
// there are more.
std::optional<int64_t> other_summand(const Graph& graph, const Uses& uses, int64_t add,
                                     int64_t summand) {
  const std::vector<int64_t>& inputs = graph.node({add}).inputs;
  if (inputs.size() != 2 || inputs[0] == inputs[1]) return std::nullopt;
  if (std::ranges::any_of(inputs, [&](int64_t i) { return uses.is<StochasticDepth>(i); })) {
    return std::nullopt;
  }
  return inputs[0] == summand ? inputs[1] : inputs[0];
}

void form_groups(const Graph& graph, const Uses& uses, std::vector<PlannedStep>& steps) {
  for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
    if (!uses.is<BatchNorm2d>(i)) continue;
    NormGroup group{.norm = i, .input = graph.node({i}).inputs[0], .relu = false};
    std::vector<int64_t> members = {i};
    std::optional<int64_t> next = uses.only_user(i);
    if (next.has_value() && uses.is<Add>(*next)) {
      const std::optional<int64_t> shortcut = other_summand(graph, uses, *next, i);
      const std::optional<int64_t> behind = uses.only_user(*next);
      const bool fits = shortcut.has_value() && behind.has_value() && uses.is_plain_relu(*behind) &&
                        !steps[static_cast<size_t>(*behind)].group.has_value();
      if (fits) {
        group.shortcut = shortcut;
        members.push_back(*next);
      }
      next = fits ? behind : std::nullopt;
    }
    if (next.has_value() && uses.is_plain_relu(*next)) {
      group.relu = true;
      members.push_back(*next);
    }
    for (const int64_t member : members) steps[static_cast<size_t>(member)].absorbed = true;
    steps[static_cast<size_t>(members.back())].absorbed = false;
    steps[static_cast<size_t>(members.back())].group = group;
  }
}

void form_pool_groups(const Graph& graph, const Uses& uses, std::vector<PlannedStep>& steps) {
  for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
    const auto* conv = std::get_if<Conv2d>(&graph.node({i}).op);
    const std::optional<int64_t> relu = conv == nullptr ? std::nullopt : uses.only_user(i);
    if (!relu.has_value() || !uses.is_plain_relu(*relu)) continue;
    const std::optional<int64_t> last = uses.only_user(*relu);
    if (!last.has_value() || !uses.is<MaxPool2d>(*last)) continue;
    const auto& pool = std::get<MaxPool2d>(graph.node({*last}).op);
    const Shape& input = graph.shape({graph.node({i}).inputs[0]});
    if (!can_convolve_and_pool(*conv, pool, input)) continue;
    steps[static_cast<size_t>(i)].absorbed = true;
    steps[static_cast<size_t>(*relu)].absorbed = true;
    steps[static_cast<size_t>(*last)].pooled = {.conv = i, .pool = pool};
  }
}

std::vector<int64_t> inputs_of(const Graph& graph, const PlannedStep& step, int64_t node) {
  if (step.absorbed) return {};
  if (step.pooled.has_value()) return graph.node({step.pooled->conv}).inputs;
  if (!step.group.has_value()) return graph.node({node}).inputs;
  std::vector<int64_t> inputs = {step.group->input};
  if (step.group->shortcut.has_value()) inputs.push_back(*step.group->shortcut);
  return inputs;
}

}  // namespace

std::vector<PlannedStep> plan_steps(const Graph& graph, bool fuse) {
  const Uses uses(graph);
  const auto& nodes = graph.nodes();
  std::vector<PlannedStep> steps(nodes.size());
  if (fuse) {
    form_groups(graph, uses, steps);
    form_pool_groups(graph, uses, steps);
  }

  std::vector<size_t> last_use(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    last_use[i] = i;
    for (const int64_t input : inputs_of(graph, steps[i], static_cast<int64_t>(i))) {
      last_use[static_cast<size_t>(input)] = i;
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto node = static_cast<int64_t>(i);
    if (!uses.is_output(node)) steps[last_use[i]].free_after.push_back(node);
    if (nodes[i].inputs.empty()) continue;
    const int64_t first = nodes[i].inputs[0];
    // The sum of one value, when a branch is dropped, is that value itself.
    const bool may_be_its_input = std::ranges::any_of(
        graph.node({first}).inputs, [&](int64_t input) { return uses.is<StochasticDepth>(input); });
    steps[i].may_overwrite_input = uses.only_user(first).has_value() &&
                                   !must_stay(graph.node({first}).op) && !may_be_its_input;
  }
  return steps;
}

}  // namespace striate
