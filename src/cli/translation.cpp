#include <fmt/format.h>

#include <filesystem>

#include "cli/command.h"
#include "cli/model_kind.h"
#include "cli/translation.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/report/alignment.h"
#include "striate/sequence/translation_task.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kUsualParts = 5000;  // of each language
constexpr int64_t kFewSentences = 10;  // whose BLEU says nothing

TensorShapes shapes_of(const std::string& model, const TranslationModelSizes& sizes,
                       const TranslationModelOptions& options) {
  TensorShapes shapes;
  for (const auto& [key, tensor] :
       find_translation_model(model)->make(sizes, options, /*seed=*/1)->tensors()) {
    shapes.emplace_back(key, tensor.sizes().vec());
  }
  return shapes;
}

TranslationTaskOptions options_of(const RunConfig& config) {
  return translation_task_options(config.recipe.task, "recipe.task");
}

// The files that a run's weights were trained on, by another way of writing them.
bool are_same_files(const std::string& a, const std::string& b) {
  if (!a.starts_with("pairs:") || !b.starts_with("pairs:")) return false;
  const PairFiles left = parse_pairs(a);
  const PairFiles right = parse_pairs(b);
  const auto same = [](const fs::path& x, const fs::path& y) {
    return fs::weakly_canonical(x) == fs::weakly_canonical(y);
  };
  return same(left.source, right.source) && same(left.target, right.target);
}

bool is_corpus(const PairFiles& files) {
  return files.source.filename().string().starts_with("train.") &&
         files.target.filename().string().starts_with("train.");
}

// What is evaluated: a part of a corpus, or all the pairs of two files that were made for it.
struct Evaluated {
  std::string part;
  SentencePairs pairs;
};

Evaluated evaluated_pairs(const EvaluationRequest& request, const std::string& trained_on) {
  const PairFiles files = parse_pairs(request.data);
  if (request.part == "test" && !is_corpus(files) && !are_same_files(request.data, trained_on)) {
    return {.part = "all", .pairs = read_pairs(files)};
  }
  PairParts parts = open_pairs(request.data);
  SentencePairs& pairs = request.part == "train"        ? parts.training
                         : request.part == "validation" ? parts.validation
                                                        : parts.test;
  return {.part = request.part, .pairs = std::move(pairs)};
}

void limit(SentencePairs& pairs, int64_t most) {
  if (most <= 0 || most >= static_cast<int64_t>(pairs.source.size())) return;
  pairs.source.resize(static_cast<size_t>(most));
  pairs.target.resize(static_cast<size_t>(most));
}

Json scores_of(const Translator& translator, const SentencePairs& pairs, int64_t beams) {
  BeamOptions search = kUsualSearch;
  search.beams = beams;
  const TextLoss loss = evaluate_pairs(*translator.model, encode_pairs(translator, pairs));
  std::vector<std::string> texts;
  for (const Translation& translation : translate(translator, pairs.source, search)) {
    texts.push_back(translation.text);
  }
  const BleuScore bleu = translation_bleu(pairs, texts);
  Json lengths = Json::array();
  for (const LengthScore& score : bleu_by_length(pairs, texts)) {
    lengths.push_back({{"from", score.from},
                       {"to", score.to},
                       {"sentences", score.sentences},
                       {"bleu", score.bleu}});
  }
  return {{"sentences", pairs.source.size()},
          {"bleu", bleu.bleu},
          {"precisions", bleu.precisions},
          {"brevity_penalty", bleu.brevity_penalty},
          {"beams", beams},
          {"length_exponent", search.length_exponent},
          {"loss", loss.loss},
          {"perplexity", loss.perplexity()},
          {"accuracy", loss.accuracy},
          {"bleu_by_source_length", lengths}};
}

// A row of weights for each word.
std::vector<std::vector<double>> rows_of(const at::Tensor& attention) {
  const at::Tensor values = attention.contiguous();
  const double* const from = values.const_data_ptr<double>();
  std::vector<std::vector<double>> rows;
  for (int64_t i = 0; i < values.size(0); ++i) {
    rows.emplace_back(from + i * values.size(1), from + (i + 1) * values.size(1));
  }
  return rows;
}

class TranslationModels final : public ModelKind {
 public:
  std::string name() const override { return "model that translates"; }
  std::string hint() const override { return "striate translate and striate evaluate take it"; }

  std::vector<ListedModel> models() const override {
    std::vector<ListedModel> models;
    for (const TranslationEntry& entry : translation_models()) {
      models.push_back({.name = entry.name,
                        .form = entry.form,
                        .paper = entry.paper,
                        .recipe = entry.recipe,
                        .size = fmt::format("2 x {} parts", with_thousands(kUsualParts))});
    }
    return models;
  }

  TensorShapes usual_tensors(const std::string& model, int64_t vocabulary) const override {
    const int64_t parts = vocabulary > 0 ? vocabulary : kUsualParts;
    const std::string recipe = find_translation_model(model)->recipe;
    return shapes_of(model, {.source_vocabulary = parts, .target_vocabulary = parts},
                     translation_task_options(named_recipe(recipe).task, recipe + ".task").model);
  }

  bool holds(const Weights& weights) const override { return is_translator(weights); }

  std::string data_spellings() const override { return "pairs:FILE_A:FILE_B"; }

  void complete(RunConfig& config) const override {
    const TranslationTaskOptions options = checked_task(config.recipe, translation_task_options);
    const PairParts parts = open_pairs(config.data);
    config.class_names =
        parts_of_both(make_translator(config.model, parts.training, options, config.seed));
  }

  TensorShapes tensors(const RunConfig& config) const override {
    return shapes_of(config.model, sizes_of_both(config.class_names), options_of(config).model);
  }

  void check_initial(const RunConfig& config, const Weights& weights,
                     const std::string& origin) const override {
    if (parts_of_both(load_translator(weights, origin)) != config.class_names) {
      throw Error(fmt::format("{} has other words than {}", origin, config.data),
                  "start from weights that were trained on the same files");
    }
  }

  std::unique_ptr<Task> make_task(const RunConfig& config,
                                  const TrainerOptions& options) const override {
    return make_translation_task(config, options);
  }

  Json test(Task& task, const RunConfig& config) const override {
    return scores_of(translator_of(task), open_pairs(config.data).test, kUsualSearch.beams);
  }

  std::string describe_test(const Json& test) const override {
    const auto beams = test["beams"].get<int64_t>();
    return fmt::format("BLEU {:.2f} by {}, {:.4f} nats, perplexity {:.3f} ({} sentences)",
                       test["bleu"].get<double>(),
                       beams == 1 ? "greedy search" : fmt::format("a beam of {}", beams),
                       test["loss"].get<double>(), test["perplexity"].get<double>(),
                       with_thousands(test["sentences"].get<int64_t>()));
  }

  void add_to_report(const RunConfig& config, const Json& test, RunReport& report) const override {
    const TranslationModelSizes sizes = sizes_of_both(config.class_names);
    report.facts.push_back({"Vocabulary", fmt::format("{} parts of the source, {} of the target",
                                                      with_thousands(sizes.source_vocabulary),
                                                      with_thousands(sizes.target_vocabulary))});
    report.facts.push_back({"Hidden size", std::to_string(options_of(config).model.hidden_size)});
    Curve curve{.name = config.model, .x = {}, .y = {}};
    for (const Json& score : test["bleu_by_source_length"]) {
      if (score["sentences"].get<int64_t>() < kFewSentences) continue;
      curve.x.push_back((score["from"].get<double>() + score["to"].get<double>()) / 2);
      curve.y.push_back(score["bleu"].get<double>());
    }
    report.plots.push_back({.title = "BLEU by length",
                            .x_label = "words of the source",
                            .y_label = "BLEU",
                            .curves = {std::move(curve)},
                            .y_range = {}});
  }

  Json evaluate(const EvaluationRequest& request) const override {
    const fs::path file = weight_file(request.weights);
    const Weights weights = read_weights(file);
    const Translator translator = load_translator(weights, file.string());
    const auto trained_on = weights.metadata.find("striate.data");
    Evaluated evaluated =
        evaluated_pairs(request, trained_on == weights.metadata.end() ? "" : trained_on->second);
    limit(evaluated.pairs, request.limit);
    Json report = {{"data", request.data},
                   {"part", evaluated.part},
                   {"weights", request.weights},
                   {"model", translator.entry->name}};
    report.update(
        scores_of(translator, evaluated.pairs, request.beams.value_or(kUsualSearch.beams)));
    return report;
  }

  void look_attention(const AttentionRequest& request) const override {
    const Translator translator = open_translator(request.weights);
    if (translator.entry->name != "seq2seq_attention") {
      throw UsageError(fmt::format("{} has no attention", translator.entry->name),
                       "look at a seq2seq_attention");
    }
    const auto translations = translations_of(translator, request.inputs, request.beams);
    Json files = Json::array();
    std::string text;
    for (size_t i = 0; i < translations.size(); ++i) {
      if (translations[i].parts.empty()) {
        throw Error(fmt::format("sentence {} was translated by no word", i + 1),
                    "train the model for longer");
      }
      const WordAlignment words = word_alignment(translations[i]);
      const auto weights = rows_of(words.attention);
      const fs::path file = fs::path(request.out) / fmt::format("attention-{}.svg", i + 1);
      write_file_atomically(file, alignment_svg({.title = translations[i].text,
                                                 .columns = words.source,
                                                 .rows = words.target,
                                                 .weights = weights}));
      text += file.string() + "  " + translations[i].text + "\n";
      files.push_back({{"file", file.string()},
                       {"translation", translations[i].text},
                       {"source", words.source},
                       {"target", words.target},
                       {"attention", weights}});
    }
    request.json ? print(Json{{"files", files}}) : print(text);
  }

  std::string describe_evaluation(const Json& evaluation) const override {
    std::string text = fmt::format(
        "{} on {}, {}: {}\n", evaluation["model"].get<std::string>(),
        evaluation["data"].get<std::string>(),
        evaluation["part"] == "all" ? "all pairs" : evaluation["part"].get<std::string>() + " part",
        describe_test(evaluation));
    std::vector<std::vector<std::string>> rows = {{"source words", "sentences", "BLEU"}};
    for (const Json& score : evaluation["bleu_by_source_length"]) {
      rows.push_back(
          {fmt::format("{} to {}", score["from"].get<int64_t>(), score["to"].get<int64_t>()),
           with_thousands(score["sentences"].get<int64_t>()),
           fmt::format("{:.2f}", score["bleu"].get<double>())});
    }
    return text + aligned_table(rows, "lr");
  }
};

}  // namespace

Translator open_translator(const fs::path& path) {
  const fs::path file = weight_file(path);
  return load_translator(read_weights(file), file.string());
}

std::vector<Translation> translations_of(const Translator& translator,
                                         const std::vector<std::string>& sentences,
                                         std::optional<int64_t> beams) {
  for (size_t i = 0; i < sentences.size(); ++i) {
    try {
      translator.source.encode(sentences[i]);
    } catch (const std::invalid_argument& error) {
      throw UsageError(fmt::format("sentence {}: {}", i + 1, error.what()),
                       "a sentence is UTF-8 and has a word");
    }
  }
  BeamOptions search = kUsualSearch;
  search.beams = beams.value_or(search.beams);
  return translate(translator, sentences, search);
}

const ModelKind& translation_models_kind() {
  static const TranslationModels kKind;
  return kKind;
}

}  // namespace striate::cli
