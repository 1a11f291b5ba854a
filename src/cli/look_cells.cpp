// striate look cells: what the cells of a language model hold along a text.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/look.h"
#include "cli/model_kind.h"
#include "striate/base/file.h"
#include "striate/report/text_page.h"
#include "striate/sequence/cells.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

struct Options {
  std::string weights;
  std::string data;
  std::vector<std::string> cells;  // LAYER:CELL
  int64_t length = 3000;
  std::string out;
  bool json = false;
};

// LAYER:CELL, both from 0.
CellMeaning named_cell(const std::string& name, const Recurrent& layers) {
  const size_t colon = name.find(':');
  const auto number = [&](size_t from, size_t to) {
    int64_t value = -1;
    const auto [end, error] = std::from_chars(name.data() + from, name.data() + to, value);
    return error == std::errc() && end == name.data() + to ? value : -1;
  };
  CellMeaning cell;
  if (colon != std::string::npos) {
    cell.layer = number(0, colon);
    cell.cell = number(colon + 1, name.size());
  }
  const RecurrentOptions& o = layers.options();
  if (colon == std::string::npos || cell.layer < 0 || cell.layer >= o.layers || cell.cell < 0 ||
      cell.cell >= o.hidden_size) {
    throw UsageError(fmt::format("{} is no cell: layers are 0 to {}, their cells 0 to {}", name,
                                 o.layers - 1, o.hidden_size - 1),
                     "as --cell 0:17");
  }
  return cell;
}

std::vector<std::string> shown_tokens(const TextVocabulary& vocabulary, const at::Tensor& tokens) {
  std::vector<std::string> shown;
  int64_t before = -1;
  for (int64_t t = 0; t < tokens.size(0); ++t) {
    const auto token = tokens[t].item<int64_t>();
    shown.push_back(vocabulary.written(token, before));
    before = token;
  }
  return shown;
}

void look_at_cells(const Options& options) {
  const LoadedLanguageModel loaded = open_language_model(options.weights);
  const TextUnit unit = loaded.vocabulary.unit();
  std::vector<std::string> text = open_text(options.data, unit).test;
  text.resize(std::min(text.size(), static_cast<size_t>(options.length)));
  const at::Tensor tokens = loaded.vocabulary.encode(text, options.data);
  const at::Tensor cells = record_cells(*loaded.model, tokens);

  std::vector<CellMeaning> chosen;
  for (const std::string& name : options.cells) {
    chosen.push_back(named_cell(name, loaded.model->layers()));
  }
  if (chosen.empty()) {
    if (unit != TextUnit::kCharacters) {
      throw UsageError("cells of a model of words are not searched for a meaning",
                       "name some: --cell 0:17");
    }
    chosen = find_meanings(cells, text_properties(text));
  }

  std::vector<ColoredText> pages;
  Json report = Json::array();
  for (const CellMeaning& meaning : chosen) {
    const at::Tensor values = cells.select(1, meaning.layer)
                                  .select(1, meaning.cell)
                                  .to(at::kCPU, at::kFloat)
                                  .contiguous();
    const bool named = !meaning.property.empty();
    const std::string cell = fmt::format("layer {}, cell {}", meaning.layer, meaning.cell);
    pages.push_back(
        {.title = named ? meaning.property : cell,
         .note = named ? fmt::format("{}: correlation {:.2f}", cell, meaning.correlation)
                       : "-1 red, 1 blue",
         .tokens = shown_tokens(loaded.vocabulary, tokens),
         .values = {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()}});
    Json entry = {{"layer", meaning.layer}, {"cell", meaning.cell}};
    if (named) {
      entry["property"] = meaning.property;
      entry["correlation"] = meaning.correlation;
    }
    report.push_back(std::move(entry));
  }
  const fs::path page = fs::path(options.out) / "cells.html";
  write_file_atomically(
      page,
      text_page_html(fmt::format("Cells of {} on {}", loaded.entry->name, options.data), pages));
  if (options.json) return print(Json{{"file", page.string()}, {"cells", report}});
  std::string lines;
  for (const ColoredText& text_of_cell : pages) {
    lines += fmt::format("{:<32} {}\n", text_of_cell.title, text_of_cell.note);
  }
  print(lines + page.string() + "\n");
}

}  // namespace

void add_look_cells(CLI::App& look) {
  CLI::App* command =
      look.add_subcommand("cells", "A text coloured by what cells of a language model hold");
  const auto options = std::make_shared<Options>();
  command->add_option("weights", options->weights, "A weight file or run folder")->required();
  command->add_option("--data", options->data, "text:FILE or text:DIR, whose test part is read")
      ->required();
  command->add_option("--cell", options->cells,
                      "LAYER:CELL, from 0; without it those that go most along with line, word, "
                      "quotes and more");
  command->add_option("--length", options->length, "Characters or words of the text")
      ->check(CLI::Range(int64_t{2}, int64_t{100000}))
      ->capture_default_str();
  command->add_option("--out", options->out, "The folder for the page")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { look_at_cells(*options); });
}

}  // namespace striate::cli
