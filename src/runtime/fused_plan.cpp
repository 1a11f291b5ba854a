#include "runtime/fused_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <variant>

#include "striate/graph/analysis.h"

namespace striate {

namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

std::vector<int64_t> ends_of(const Graph& graph, size_t outputs) {
  std::vector<int64_t> ends;
  for (size_t i = 0; i < outputs; ++i) ends.push_back(graph.outputs().at(i).second.node);
  return ends;
}

std::vector<bool> needed_by(const Graph& graph, const std::vector<int64_t>& ends) {
  std::vector<bool> needed(graph.nodes().size());
  for (const int64_t end : ends) {
    const std::vector<bool> own = with_ancestors(graph, {end});
    for (size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || own[i];
  }
  return needed;
}

class Planner {
 public:
  Planner(const Graph& graph, const FusedPlanOptions& options)
      : graph_(graph),
        input_norms_allowed_(options.input_norms),
        ends_(ends_of(graph, options.outputs)),
        needed_(needed_by(graph, ends_)),
        users_(graph.nodes().size()),
        source_(graph.nodes().size()),
        done_at_(graph.nodes().size(), kNever),
        absorbed_(graph.nodes().size()) {
    for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
      source_[at(i)] = i;
      if (!needed_[at(i)]) continue;
      for (const int64_t input : graph.node({i}).inputs) users_[at(input)].push_back(i);
    }
  }

  FusedPlan plan() {
    done_at_[0] = 0;
    for (int64_t i = 1; i < std::ssize(graph_.nodes()); ++i) {
      if (needed_[at(i)] && !absorbed_[at(i)]) add_step(i);
    }
    place_values();
    for (const int64_t end : ends_) plan_.results.push_back(source_[at(end)]);
    find_uses();
    return std::move(plan_);
  }

 private:
  static size_t at(int64_t i) { return static_cast<size_t>(i); }

  template <typename T>
  const T* get(int64_t node) const {
    return std::get_if<T>(&graph_.node({node}).op);
  }
  // The only reader of a value that is no output.
  std::optional<int64_t> only_user(int64_t node) const {
    const auto& users = users_[at(node)];
    if (users.size() != 1 || std::ranges::find(ends_, node) != ends_.end()) return std::nullopt;
    return users.front();
  }
  template <typename T>
  std::optional<int64_t> only_user_is(int64_t node) const {
    const std::optional<int64_t> user = only_user(node);
    return user.has_value() && get<T>(*user) != nullptr ? user : std::nullopt;
  }

  void add_step(int64_t node) {
    // What evaluation leaves as it is.
    if (get<Dropout>(node) != nullptr) {
      const int64_t input = source_[at(graph_.node({node}).inputs[0])];
      source_[at(node)] = input;
      done_at_[at(node)] = done_at_[at(input)];
      return;
    }
    if (get<BatchNorm2d>(node) != nullptr && becomes_input_norm(node)) return;
    FusedStep step{.node = node, .inputs = {}, .output = node};
    for (const int64_t input : graph_.node({node}).inputs) {
      step.inputs.push_back(source_[at(input)]);
    }
    if (const auto found = input_norms_.find(node); found != input_norms_.end()) {
      step.input_norm = found->second;
      step.inputs = {source_[at(graph_.node({found->second}).inputs[0])]};
    }
    if (get<Conv2d>(node) != nullptr) absorb_norm_and_shortcut(step);
    const bool takes_relu = get<Conv2d>(node) != nullptr || get<Linear>(node) != nullptr ||
                            get<BatchNorm2d>(node) != nullptr || get<Add>(node) != nullptr;
    if (takes_relu) {
      if (const auto relu = only_user_is<ReLU>(step.output)) {
        step.relu = true;
        extend(step, *relu);
      }
    }
    done_at_[at(step.output)] = node;
    plan_.steps.push_back(std::move(step));
  }

  void extend(FusedStep& step, int64_t node) {
    absorbed_[at(node)] = true;
    step.output = node;
  }

  // In front of a convolution by 1x1 kernels, which reads each input once.
  bool becomes_input_norm(int64_t norm) {
    if (!input_norms_allowed_) return false;
    const auto relu = only_user_is<ReLU>(norm);
    if (!relu.has_value()) return false;
    const auto user = only_user_is<Conv2d>(*relu);
    if (!user.has_value()) return false;
    const Conv2d& conv = *get<Conv2d>(*user);
    if (conv.kernel_size != 1 || conv.padding != 0 || conv.groups != 1) return false;
    input_norms_[*user] = norm;
    absorbed_[at(*relu)] = true;
    return true;
  }

  void absorb_norm_and_shortcut(FusedStep& step) {
    if (const auto norm = only_user_is<BatchNorm2d>(step.output)) {
      step.norm = norm;
      extend(step, *norm);
    }
    const auto add = only_user_is<Add>(step.output);
    if (!add.has_value()) return;
    const std::vector<int64_t>& summands = graph_.node({*add}).inputs;
    if (summands.size() != 2 || summands[0] == summands[1]) return;
    const int64_t other = source_[at(summands[0] == step.output ? summands[1] : summands[0])];
    if (done_at_[at(other)] >= step.node) return;
    step.shortcut = other;
    extend(step, *add);
  }

  // From the last to the first, so that what is concatenated again lies in the last one's buffer.
  void place_values() {
    plan_.places.resize(graph_.nodes().size());
    place(0);
    find_readers();
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
      place(step->output);
      if (can_write_over_shortcut(*step)) {
        plan_.places[at(*step->shortcut)] = plan_.places[at(step->output)];
      }
      if (get<Concat>(step->node) == nullptr) continue;
      FusedPlace next = plan_.places[at(step->output)];
      for (const int64_t input : step->inputs) {
        FusedPlace& own = plan_.places[at(input)];
        if (own.buffer < 0) own = next;
        next.first_channel += graph_.shape({input})[0];
      }
    }
  }

  void find_readers() {
    last_reader_.assign(graph_.nodes().size(), -1);
    makers_.assign(graph_.nodes().size(), -1);
    aliased_.assign(graph_.nodes().size(), false);
    for (const FusedStep& step : plan_.steps) {
      makers_[at(step.output)] = step.node;
      for (const int64_t input : step.inputs) {
        last_reader_[at(input)] = step.node;
        if (!writes_memory_of_its_own(step.node)) aliased_[at(input)] = true;
      }
      if (step.shortcut.has_value()) last_reader_[at(*step.shortcut)] = step.node;
    }
    for (const int64_t end : ends_) last_reader_[at(source_[at(end)])] = kNever;
  }

  // What LibTorch computes may be a view of its input.
  bool writes_memory_of_its_own(int64_t node) const {
    if (const auto* conv = get<Conv2d>(node)) return conv->groups == 1;
    return get<BatchNorm2d>(node) != nullptr || get<MaxPool2d>(node) != nullptr ||
           get<AvgPool2d>(node) != nullptr || get<AdaptiveAvgPool2d>(node) != nullptr;
  }

  // Where nothing else reads that any more.
  bool can_write_over_shortcut(const FusedStep& step) const {
    if (!step.shortcut.has_value() || !writes_memory_of_its_own(step.node)) return false;
    const int64_t shortcut = *step.shortcut;
    const int64_t maker = makers_[at(shortcut)];
    return maker >= 0 && writes_memory_of_its_own(maker) && !aliased_[at(shortcut)] &&
           plan_.places[at(shortcut)].buffer < 0 && last_reader_[at(shortcut)] == step.node &&
           std::ranges::find(step.inputs, shortcut) == step.inputs.end();
  }

  void place(int64_t node) {
    FusedPlace& own = plan_.places[at(node)];
    if (own.buffer >= 0) return;
    own.buffer = std::ssize(plan_.buffers);
    plan_.buffers.push_back(graph_.shape({node}));
  }

  void find_uses() {
    std::vector<int64_t> last_step(plan_.buffers.size());
    const auto use = [&](int64_t node, int64_t step) {
      last_step[at(plan_.places[at(node)].buffer)] = step;
    };
    for (int64_t i = 0; i < std::ssize(plan_.steps); ++i) {
      const FusedStep& step = plan_.steps[at(i)];
      for (const int64_t input : step.inputs) use(input, i);
      if (step.shortcut.has_value()) use(*step.shortcut, i);
      use(step.output, i);
    }
    for (const int64_t result : plan_.results) use(result, std::ssize(plan_.steps));
    for (size_t b = 0; b < last_step.size(); ++b) {
      if (last_step[b] == std::ssize(plan_.steps)) continue;
      plan_.steps[at(last_step[b])].free_after.push_back(static_cast<int64_t>(b));
    }
    for (int64_t node = 0; node < std::ssize(plan_.places); ++node) {
      const int64_t buffer = plan_.places[at(node)].buffer;
      if (buffer < 0 || last_step[at(buffer)] == std::ssize(plan_.steps)) continue;
      plan_.steps[at(last_step[at(buffer)])].forget_after.push_back(node);
    }
  }

  const Graph& graph_;
  const bool input_norms_allowed_;
  const std::vector<int64_t> ends_;
  const std::vector<bool> needed_;
  std::vector<std::vector<int64_t>> users_;
  std::vector<int64_t> source_;   // the node whose value it is, in evaluation
  std::vector<int64_t> done_at_;  // the operator behind which a value is there
  std::vector<bool> absorbed_;
  std::map<int64_t, int64_t> input_norms_;  // by convolution
  std::vector<int64_t> makers_;             // by value: the operator of the step that writes it
  std::vector<int64_t> last_reader_;        // and of the last one that reads it
  std::vector<bool> aliased_;               // by value: another one may lie in its memory
  FusedPlan plan_;
};

// Where each buffer is written first.
std::vector<size_t> first_steps(const FusedPlan& plan) {
  std::vector<size_t> first(plan.buffers.size(), plan.steps.size());
  for (size_t i = plan.steps.size(); i-- > 0;) {
    const FusedPlace& place = plan.places[static_cast<size_t>(plan.steps[i].output)];
    first[static_cast<size_t>(place.buffer)] = i;
  }
  first[static_cast<size_t>(plan.places[0].buffer)] = 0;
  return first;
}

int64_t values_of(const Graph& graph, const FusedStep& step) {
  int64_t values = volume(graph.shape({step.output}));
  for (const int64_t input : step.inputs) values += volume(graph.shape({input}));
  return values + (step.shortcut.has_value() ? volume(graph.shape({*step.shortcut})) : 0);
}

// As they are packed: those that may be Winograd's are four times as large.
int64_t kernel_values(const Graph& graph, const FusedStep& step) {
  const Op& op = graph.node({step.node}).op;
  if (const auto* linear = std::get_if<Linear>(&op)) {
    return linear->out_features * volume(graph.shape({step.inputs[0]}));
  }
  const auto* conv = std::get_if<Conv2d>(&op);
  if (conv == nullptr) return 0;
  const int64_t values = conv->out_channels * (graph.shape({step.inputs[0]})[0] / conv->groups) *
                         conv->kernel_size.height * conv->kernel_size.width;
  const bool winograd = conv->kernel_size == 3 && conv->stride == 1 && conv->groups == 1;
  return winograd ? 4 * values : values;
}

}  // namespace

FusedPrefix prefix_of_large_values(const Graph& graph, const FusedPlan& plan) {
  const std::vector<size_t> first = first_steps(plan);
  FusedPrefix prefix;
  std::vector<int64_t> open;  // buffers that are written and still needed
  int64_t most = 0;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const FusedStep& step = plan.steps[i];
    const int64_t values = values_of(graph, step);
    if (kernel_values(graph, step) > values) break;
    most = std::max(most, values);
    for (size_t b = 0; b < first.size(); ++b) {
      if (first[b] == i) open.push_back(static_cast<int64_t>(b));
    }
    for (const int64_t buffer : step.free_after) std::erase(open, buffer);
    const bool of_images =
        open.size() == 1 && plan.buffers[static_cast<size_t>(open.front())].size() == 3;
    if (of_images) prefix = {.steps = i + 1, .buffer = open.front(), .values = most};
  }
  return prefix;
}

FusedPlan fused_plan(const Graph& graph, const FusedPlanOptions& options) {
  return Planner(graph, options).plan();
}

}  // namespace striate
