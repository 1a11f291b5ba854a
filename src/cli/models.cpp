#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "striate/base/text.h"
#include "striate/graph/analysis.h"
#include "striate/models/models.h"

namespace striate::cli {

namespace {

Json to_json(const ModelEntry& entry) {
  const Graph graph = entry.build(entry.defaults);
  const ActivationMemory memory = activation_memory(graph);
  return {{"name", entry.name},
          {"form", entry.form},
          {"paper", entry.paper},
          {"input", entry.defaults.input},
          {"classes", entry.defaults.classes},
          {"parameters", parameter_count(graph)},
          {"multiply_adds", multiply_adds(graph)},
          {"activation_bytes", memory.in_place_bytes},
          {"kept_for_backward_bytes", memory.backward_bytes},
          {"recipe", entry.recipe},
          {"preprocess", entry.preprocess}};
}

void list_models(bool as_json) {
  Json all = Json::array();
  for (const ModelEntry& entry : model_registry()) all.push_back(to_json(entry));
  if (as_json) return print(all);
  std::vector<std::vector<std::string>> rows = {
      {"model", "parameters", "multiply-adds", "activations", "input", "paper", "form"}};
  for (const Json& m : all) {
    const Shape input = m["input"].get<Shape>();
    rows.push_back({m["name"].get<std::string>(), with_thousands(m["parameters"].get<int64_t>()),
                    fmt::format("{:.2f} M", static_cast<double>(m["multiply_adds"]) / 1e6),
                    readable_bytes(m["activation_bytes"].get<int64_t>()),
                    fmt::format("{}x{}x{}", input[0], input[1], input[2]),
                    m["paper"].get<std::string>(), m["form"].get<std::string>()});
  }
  print(aligned_table(rows, "lrrrlll"));
}

}  // namespace

void add_models(CLI::App& program) {
  CLI::App* command = program.add_subcommand("models", "List the networks");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json] { list_models(*json); });
}

}  // namespace striate::cli
