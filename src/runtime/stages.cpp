#include "runtime/stages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>

#include "striate/base/error.h"

namespace striate {

namespace {

constexpr size_t kMostNames = 12;  // in a message
constexpr size_t kMostParts = 64;

class StageFinder {
 public:
  StageFinder(const Graph& graph, const std::vector<PlannedStep>& steps)
      : graph_(graph), steps_(steps), last_use_(graph.nodes().size()) {
    for (int64_t i = 0; i < size(); ++i) {
      last_use_[at(i)] = i;
      for (const int64_t input : graph.node({i}).inputs) last_use_[at(input)] = i;
    }
    for (const auto& [name, value] : graph.outputs()) last_use_[at(value.node)] = size();
  }

  int64_t size() const { return std::ssize(graph_.nodes()); }

  // Nothing where the nodes [first, last] are no stage.
  std::optional<Stage> stage(int64_t first, int64_t last) const {
    std::set<int64_t> inputs;
    std::set<int64_t> outputs;
    for (int64_t i = first; i <= last; ++i) {
      for (const int64_t input : graph_.node({i}).inputs) {
        if (input < first) inputs.insert(input);
      }
      if (last_use_[at(i)] > last) outputs.insert(i);
    }
    if (first < 1 || last <= first || inputs.size() != 1 || outputs.size() != 1) return {};
    const Stage found{first, last, *inputs.begin(), *outputs.begin()};
    // What runs together stays together, and what may be missing is not recomputed.
    const bool whole = !steps_[at(found.input)].absorbed && !steps_[at(found.output)].absorbed;
    const bool may_miss = std::holds_alternative<StochasticDepth>(graph_.node({found.output}).op);
    return whole && !may_miss ? std::optional(found) : std::nullopt;
  }

  std::optional<Stage> named(const std::string& prefix) const {
    int64_t first = -1;
    int64_t last = -1;
    for (int64_t i = 0; i < size(); ++i) {
      if (!is_under(i, prefix)) continue;
      if (first < 0) first = i;
      last = i;
    }
    if (first < 0) throw unknown_name("part of " + graph_.name(), prefix, prefixes());
    for (int64_t i = first; i <= last; ++i) {
      if (!is_under(i, prefix)) return {};
    }
    return stage(first, last);
  }

  std::vector<Stage> all() const;

  // The parts of the network that are stages.
  std::vector<std::string> possible() const {
    std::vector<std::string> names;
    for (const std::string& prefix : prefixes()) {
      if (named(prefix).has_value()) names.push_back(prefix);
    }
    return names;
  }

 private:
  static size_t at(int64_t node) { return static_cast<size_t>(node); }

  bool is_under(int64_t node, const std::string& prefix) const {
    const std::string& name = graph_.node({node}).name;
    return name == prefix || name.starts_with(prefix + ".");
  }

  std::vector<std::string> prefixes() const {
    std::vector<std::string> found;
    for (const Node& node : graph_.nodes()) {
      for (size_t dot = node.name.find('.'); dot != std::string::npos;
           dot = node.name.find('.', dot + 1)) {
        const std::string prefix = node.name.substr(0, dot);
        if (std::ranges::find(found, prefix) == found.end()) found.push_back(prefix);
      }
    }
    return found;
  }

  bool one_value_passes(int64_t behind) const {
    int64_t count = 0;
    for (int64_t i = 0; i <= behind; ++i) count += last_use_[at(i)] > behind ? 1 : 0;
    return count == 1;
  }

  // What a step leaves in memory.
  int64_t values_of(int64_t node) const {
    if (steps_[at(node)].absorbed) return 0;
    const Shape& shape = graph_.node({node}).shape;
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  }

  const Graph& graph_;
  const std::vector<PlannedStep>& steps_;
  std::vector<int64_t> last_use_;
};

// Between two places where one value passes, the cheapest of the plans that fill each stage up to a
// budget: what passes is kept, and the values of the largest stage are there at once.
std::vector<Stage> StageFinder::all() const {
  std::vector<Stage> pieces;
  int64_t first = 1;
  for (int64_t i = 1; i < size(); ++i) {
    const std::optional<Stage> piece = one_value_passes(i) ? stage(first, i) : std::nullopt;
    if (piece.has_value()) {
      pieces.push_back(*piece);
      first = i + 1;
    }
  }
  const auto values = [&](const Stage& s) {
    int64_t sum = 0;
    for (int64_t i = s.first; i <= s.last; ++i) sum += values_of(i);
    return sum;
  };
  std::vector<Stage> best;
  int64_t least = 0;
  for (size_t parts = 1; parts <= std::min(pieces.size(), kMostParts); ++parts) {
    int64_t total = 0;
    for (const Stage& piece : pieces) total += values(piece);
    const int64_t budget = total / static_cast<int64_t>(parts);
    std::vector<Stage> stages;
    int64_t kept = 0;
    int64_t largest = 0;
    for (const Stage& piece : pieces) {
      const bool joins = !stages.empty() && values(stages.back()) + values(piece) <= budget &&
                         stage(stages.back().first, piece.last).has_value();
      if (joins) {
        stages.back() = *stage(stages.back().first, piece.last);
      } else {
        stages.push_back(piece);
        kept += values_of(piece.input);
      }
      largest = std::max(largest, values(stages.back()));
    }
    if (best.empty() || kept + largest < least) {
      best = stages;
      least = kept + largest;
    }
  }
  // The last is needed first: recomputing it would save nothing.
  if (!best.empty()) best.pop_back();
  return best;
}

std::string listed(const std::vector<std::string>& names) {
  if (names.empty()) return "use all, or FIRST..LAST";
  const size_t shown = std::min(names.size(), kMostNames);
  return fmt::format(
      "these are, among others: {}",
      fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
}

}  // namespace

std::vector<Stage> find_stages(const Graph& graph, const std::vector<PlannedStep>& steps,
                               const std::vector<std::string>& names) {
  const StageFinder finder(graph, steps);
  std::vector<Stage> stages;
  for (const std::string& name : names) {
    if (name == "all") {
      std::ranges::copy(finder.all(), std::back_inserter(stages));
      continue;
    }
    const size_t dots = name.find("..");
    const std::optional<Stage> found = dots == std::string::npos
                                           ? finder.named(name)
                                           : finder.stage(graph.find(name.substr(0, dots)).node,
                                                          graph.find(name.substr(dots + 2)).node);
    if (!found.has_value()) {
      throw std::invalid_argument(fmt::format(
          "{} is no stage of {}: a stage is some nodes in a row that one value enters and one "
          "leaves; {}",
          name, graph.name(), listed(finder.possible())));
    }
    stages.push_back(*found);
  }
  std::ranges::sort(stages, {}, &Stage::first);
  for (size_t i = 1; i < stages.size(); ++i) {
    if (stages[i].first <= stages[i - 1].last) {
      throw std::invalid_argument(fmt::format("two of the stages of {} overlap: [{}] is in both",
                                              graph.name(), graph.node({stages[i].first}).name));
    }
  }
  return stages;
}

}  // namespace striate
