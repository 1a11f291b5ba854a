// striate translate: sentences into the other language.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/translation.h"

namespace striate::cli {

namespace {

struct Options {
  std::string weights;
  std::vector<std::string> sentences;
  std::optional<int64_t> beams;
  bool json = false;
};

std::vector<std::string> lines_of(std::istream& input) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(input, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

void translate(const Options& options) {
  const Translator translator = open_translator(options.weights);
  const std::vector<std::string> sentences =
      options.sentences.empty() ? lines_of(std::cin) : options.sentences;
  if (sentences.empty()) {
    throw UsageError("there is nothing to translate",
                     "give sentences, or write them to the standard input, one on each line");
  }
  Json report = Json::array();
  std::string text;
  const auto translations = translations_of(translator, sentences, options.beams);
  for (size_t i = 0; i < translations.size(); ++i) {
    text += translations[i].text + "\n";
    report.push_back({{"source", sentences[i]},
                      {"translation", translations[i].text},
                      {"score", translations[i].score},
                      {"source_parts", translations[i].source_parts},
                      {"parts", translations[i].parts}});
  }
  options.json ? print(report) : print(text);
}

}  // namespace

void add_translate(CLI::App& program) {
  CLI::App* command = program.add_subcommand("translate", "Sentences into another language");
  const auto options = std::make_shared<Options>();
  command->add_option("weights", options->weights, "A weight file or run folder")->required();
  command->add_option("sentences", options->sentences,
                      "Sentences; without any, the lines of the standard input");
  command->add_option("--beam", options->beams, "Sentences that the search keeps at each step")
      ->check(CLI::Range(1, 100));
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { translate(*options); });
}

}  // namespace striate::cli
