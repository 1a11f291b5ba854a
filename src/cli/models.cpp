#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/model_kind.h"
#include "striate/base/text.h"
#include "striate/graph/analysis.h"
#include "striate/models/models.h"

namespace striate::cli {

namespace {

Json to_json(const ModelEntry& entry) {
  const Graph graph = build_model(entry.name);
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

Json to_json(const ListedModel& model, const ModelKind& kind) {
  return {{"name", model.name},
          {"kind", kind.name()},
          {"form", model.form},
          {"paper", model.paper},
          {"size", model.size},
          {"parameters", parameter_count(kind.usual_tensors(model.name, /*vocabulary=*/0))},
          {"recipe", model.recipe}};
}

std::string input_of(const Json& model) {
  const auto input = model["input"].get<Shape>();
  return fmt::format("{}x{}x{}", input[0], input[1], input[2]);
}

Json describe_all() {
  Json all = Json::array();
  for (const ModelEntry& entry : model_registry()) all.push_back(to_json(entry));
  return all;
}

// Models of the other kinds.
Json describe_others() {
  Json all = Json::array();
  for (const ModelKind* kind : model_kinds()) {
    for (const ListedModel& model : kind->models()) all.push_back(to_json(model, *kind));
  }
  return all;
}

std::string by_paper(const Json& all, const std::string& paper) {
  std::string text = fmt::format("\n## {0}\n\n[{0}](papers.bib)\n\n", paper);
  text +=
      "| network | form | input | parameters | multiply-adds | recipe |\n"
      "|---|---|---|---:|---:|---|\n";
  for (const Json& m : all) {
    if (m["paper"].get<std::string>() != paper) continue;
    text += fmt::format(
        "| `{}` | {} | {} | {} | {} | `{}` |\n", m["name"].get<std::string>(),
        m["form"].get<std::string>(), input_of(m), with_thousands(m["parameters"].get<int64_t>()),
        with_thousands(m["multiply_adds"].get<int64_t>()), m["recipe"].get<std::string>());
  }
  return text;
}

// docs/models.md: a table for each paper.
std::string markdown(const Json& all) {
  std::string text = fmt::format(
      "# The networks\n\n"
      "The {} networks of the registry, by paper (keys of [papers.bib](papers.bib)), with their "
      "usual input and number of classes.\n"
      "Made by `striate models --markdown > docs/models.md`; do not edit.\n",
      all.size());
  std::vector<std::string> papers;
  for (const Json& m : all) {
    const auto paper = m["paper"].get<std::string>();
    if (std::ranges::find(papers, paper) != papers.end()) continue;
    papers.push_back(paper);
    text += by_paper(all, paper);
  }
  text +=
      "\n## Models of other kinds\n\n"
      "By their usual recipes, for data of a usual size.\n\n"
      "| model | kind | form | paper | size | parameters | recipe |\n"
      "|---|---|---|---|---|---:|---|\n";
  for (const Json& m : describe_others()) {
    text += fmt::format(
        "| `{}` | {} | {} | [{}](papers.bib) | {} | {} | `{}` |\n", m["name"].get<std::string>(),
        m["kind"].get<std::string>(), m["form"].get<std::string>(), m["paper"].get<std::string>(),
        m["size"].get<std::string>(), with_thousands(m["parameters"].get<int64_t>()),
        m["recipe"].get<std::string>());
  }
  return text;
}

std::string table(const Json& all) {
  std::vector<std::vector<std::string>> rows = {
      {"model", "parameters", "multiply-adds", "activations", "input", "paper", "form"}};
  for (const Json& m : all) {
    rows.push_back({m["name"].get<std::string>(), with_thousands(m["parameters"].get<int64_t>()),
                    fmt::format("{:.2f} M", static_cast<double>(m["multiply_adds"]) / 1e6),
                    readable_bytes(m["activation_bytes"].get<int64_t>()), input_of(m),
                    m["paper"].get<std::string>(), m["form"].get<std::string>()});
  }
  return aligned_table(rows, "lrrrlll");
}

std::string table_of_others() {
  std::vector<std::vector<std::string>> rows = {
      {"model", "parameters", "size", "kind", "recipe", "paper", "form"}};
  for (const Json& m : describe_others()) {
    rows.push_back({m["name"].get<std::string>(), with_thousands(m["parameters"].get<int64_t>()),
                    m["size"].get<std::string>(), m["kind"].get<std::string>(),
                    m["recipe"].get<std::string>(), m["paper"].get<std::string>(),
                    m["form"].get<std::string>()});
  }
  return aligned_table(rows, "lrlllll");
}

}  // namespace

void add_models(CLI::App& program) {
  CLI::App* command = program.add_subcommand("models", "List the networks");
  const auto json = std::make_shared<bool>(false);
  const auto as_markdown = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->add_flag("--markdown", *as_markdown, "Print docs/models.md")->excludes("--json");
  command->callback([=] {
    const Json all = describe_all();
    if (*json) {
      Json both = all;
      for (const Json& model : describe_others()) both.push_back(model);
      return print(both);
    }
    print(*as_markdown ? markdown(all) : table(all) + "\n" + table_of_others());
  });
}

}  // namespace striate::cli
