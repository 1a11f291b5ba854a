#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/model_kind.h"
#include "striate/base/text.h"
#include "striate/sequence/language_task.h"
#include "striate/training/losses.h"
#include "striate/training/optimizer.h"

namespace striate::cli {

namespace {

constexpr int64_t kUsualCharacters = 65;  // tiny Shakespeare
constexpr int64_t kUsualWords = 10000;    // Penn Treebank

int64_t usual_vocabulary(const LanguageModelEntry& entry) {
  return entry.unit == TextUnit::kCharacters ? kUsualCharacters : kUsualWords;
}

LanguageTaskOptions usual_options(const LanguageModelEntry& entry) {
  return language_task_options(named_recipe(entry.recipe).task, entry.recipe + ".task");
}

Json to_json(const TextLoss& loss, TextUnit unit) {
  Json json = {{to_string(unit), loss.tokens},
               {"loss", loss.loss},
               {"perplexity", loss.perplexity()},
               {"accuracy", loss.accuracy}};
  json[unit == TextUnit::kCharacters ? "bits_per_character" : "bits_per_word"] = loss.bits();
  return json;
}

const std::vector<std::string>& part_of(const TextParts& parts, const std::string& name) {
  if (name == "train") return parts.training;
  return name == "validation" ? parts.validation : parts.test;
}

void refuse_flags_for_pictures(const SampleRequest& request) {
  if (request.count.has_value() || request.out.has_value()) {
    throw UsageError("--count and --out have no meaning for a language model",
                     "it writes one text to the standard output");
  }
}

class LanguageModels final : public ModelKind {
 public:
  std::string name() const override { return "language model"; }
  std::string hint() const override { return "striate evaluate and striate sample take it"; }

  std::vector<ListedModel> models() const override {
    std::vector<ListedModel> models;
    for (const LanguageModelEntry& entry : language_models()) {
      models.push_back({.name = entry.name,
                        .form = entry.form,
                        .paper = entry.paper,
                        .recipe = entry.recipe,
                        .size = fmt::format("{} {}", with_thousands(usual_vocabulary(entry)),
                                            to_string(entry.unit))});
    }
    return models;
  }

  TensorShapes usual_tensors(const std::string& model, int64_t vocabulary) const override {
    const LanguageModelEntry& entry = *find_language_model(model);
    return language_model_shapes(entry.cell, vocabulary > 0 ? vocabulary : usual_vocabulary(entry),
                                 usual_options(entry).model);
  }

  bool holds(const Weights& weights) const override { return is_language_model(weights); }

  std::string data_spellings() const override { return "text:FILE, or text:DIR"; }

  void complete(RunConfig& config) const override {
    const LanguageModelEntry& entry = *find_language_model(config.model);
    const LanguageTaskOptions options = checked_task(config.recipe, language_task_options);
    config.class_names =
        make_vocabulary(open_text(config.data, entry.unit), entry.unit, options.minimum_count)
            .tokens();
  }

  TensorShapes tensors(const RunConfig& config) const override {
    return language_model_shapes(find_language_model(config.model)->cell,
                                 static_cast<int64_t>(config.class_names.size()),
                                 options_of(config).model);
  }

  void check_initial(const RunConfig& config, const Weights& weights,
                     const std::string& origin) const override {
    if (load_language_model(weights, origin).vocabulary.tokens() != config.class_names) {
      throw Error(fmt::format("{} has another vocabulary than {}", origin, config.data),
                  "start from weights that were trained on the same text");
    }
  }

  std::unique_ptr<Task> make_task(const RunConfig& config,
                                  const TrainerOptions& options) const override {
    return make_language_task(config, options);
  }

  Json test(Task& task, const RunConfig& config) const override {
    const TextUnit unit = find_language_model(config.model)->unit;
    const EncodedText text = open_encoded_text(config.data, unit, options_of(config).minimum_count);
    return to_json(evaluate_text(language_model_of(task), text.test), unit);
  }

  std::string describe_test(const Json& loss) const override {
    const bool characters = loss.contains("characters");
    return fmt::format(
        "{:.4f} nats, {:.4f} bits per {}, perplexity {:.3f}, accuracy {:.2f} % ({} {})",
        loss["loss"].get<double>(),
        loss[characters ? "bits_per_character" : "bits_per_word"].get<double>(),
        characters ? "character" : "word", loss["perplexity"].get<double>(),
        100 * loss["accuracy"].get<double>(),
        with_thousands(loss[characters ? "characters" : "words"].get<int64_t>()),
        characters ? "characters" : "words");
  }

  void add_to_report(const RunConfig& config, const Json& /*test*/,
                     RunReport& report) const override {
    const LanguageTaskOptions options = options_of(config);
    report.facts.push_back(
        {"Vocabulary", fmt::format("{} {}", config.class_names.size(),
                                   to_string(find_language_model(config.model)->unit))});
    report.facts.push_back(
        {"Layers", fmt::format("{} of {}", options.model.layers, options.model.hidden_size)});
    report.facts.push_back({"Chunk", std::to_string(options.chunk)});
  }

  Json evaluate(const EvaluationRequest& request) const override {
    if (request.beams.has_value()) {
      throw UsageError("--beam has no meaning for a language model", "leave it out");
    }
    const LoadedLanguageModel loaded = open_language_model(request.weights);
    const TextUnit unit = loaded.vocabulary.unit();
    const TextParts parts = open_text(request.data, unit);
    std::vector<std::string> tokens = part_of(parts, request.part);
    if (request.limit > 0 && request.limit + 1 < static_cast<int64_t>(tokens.size())) {
      tokens.resize(static_cast<size_t>(request.limit + 1));
    }
    Json report = {{"data", request.data},
                   {"part", request.part},
                   {"weights", request.weights},
                   {"model", loaded.entry->name}};
    report.update(to_json(
        evaluate_text(*loaded.model, loaded.vocabulary.encode(tokens, request.data)), unit));
    return report;
  }

  std::string describe_evaluation(const Json& evaluation) const override {
    return fmt::format("{} on {}, {} part: {}\n", evaluation["model"].get<std::string>(),
                       evaluation["data"].get<std::string>(), evaluation["part"].get<std::string>(),
                       describe_test(evaluation));
  }

  void sample(const SampleRequest& request) const override {
    refuse_flags_for_pictures(request);
    const LoadedLanguageModel model = open_language_model(request.weights);
    SamplingOptions sampling;
    sampling.prompt = request.prompt.value_or(sampling.prompt);
    sampling.temperature = request.temperature.value_or(sampling.temperature);
    sampling.length = request.length.value_or(sampling.length);
    sampling.seed = request.seed;
    std::string text;
    sample_text(model, sampling, [&](const std::string& piece) {
      request.json ? void(text += piece) : stream(piece);
    });
    if (!request.json) return stream("\n");
    print(Json{{"model", model.entry->name},
               {"temperature", sampling.temperature},
               {"seed", sampling.seed},
               {"text", text}});
  }

  void bench_training(const StepOptions& options) const override {
    const LanguageModelEntry& entry = *find_language_model(options.model);
    const Recipe recipe = named_recipe(entry.recipe);
    const LanguageTaskOptions task = usual_options(entry);
    const int64_t vocabulary = usual_vocabulary(entry);
    LanguageModel model(entry.cell, vocabulary, task.model, /*seed=*/1);
    Optimizer optimizer(model.tensors(), recipe.optimizer);
    at::manual_seed(1);
    const at::Tensor tokens =
        at::randint(vocabulary, {task.chunk + 1, options.batch_size}, at::kLong);
    RecurrentState state;
    const auto step = [&] {
      const LanguageModel::Output out = model.forward(tokens.slice(0, 0, task.chunk), state);
      state = out.state.detach();
      const at::Tensor loss =
          losses::cross_entropy(out.logits.flatten(0, 1), tokens.slice(0, 1).flatten());
      optimizer.zero_gradients();
      torch::autograd::backward({loss}, {});
      optimizer.clip_gradient_norm(recipe.clip_gradient_norm);
      optimizer.step(recipe.optimizer.learning_rate);
    };
    measure(options, step, {.count = task.chunk, .name = to_string(entry.unit)});
  }

 private:
  static LanguageTaskOptions options_of(const RunConfig& config) {
    return language_task_options(config.recipe.task, "recipe.task");
  }
};

}  // namespace

LoadedLanguageModel open_language_model(const std::filesystem::path& path) {
  const std::filesystem::path file = weight_file(path);
  return load_language_model(read_weights(file), file.string());
}

const ModelKind& language_models_kind() {
  static const LanguageModels kKind;
  return kKind;
}

}  // namespace striate::cli
