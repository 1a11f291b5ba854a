// Backpropagation Through Time: What It Does and How to Do It. P. J. Werbos, 1990.
// https://doi.org/10.1109/5.58337
// Truncated as in Zaremba et al., 2014, 4: each minibatch goes on where the one before ended.
#include "striate/sequence/language_task.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/training/losses.h"
#include "striate/training/trainer.h"

namespace striate {

namespace {

// A text as streams beside each other, read chunk by chunk.
struct Streams {
  at::Tensor inputs;   // (L, N)
  at::Tensor targets;  // (L, N): the tokens after them
};

Streams cut_into_streams(const at::Tensor& tokens, int64_t count) {
  const int64_t length = (tokens.size(0) - 1) / count;
  const auto beside = [&](int64_t from) {
    return tokens.slice(0, from, from + count * length).view({count, length}).t().contiguous();
  };
  return {.inputs = beside(0), .targets = beside(1)};
}

const LanguageModelEntry& entry_of(const RunConfig& config) {
  const LanguageModelEntry* const entry = find_language_model(config.model);
  if (entry == nullptr) {
    throw LookupError(fmt::format("{} is no language model", config.model));
  }
  return *entry;
}

EncodedText open_run_text(const RunConfig& config, const LanguageTaskOptions& options) {
  EncodedText text = open_encoded_text(config.data, entry_of(config).unit, options.minimum_count);
  if (text.vocabulary.tokens() != config.class_names) {
    throw FormatError(
        fmt::format("{} has another vocabulary than when the run began: {} now, {} then",
                    config.data, text.vocabulary.size(), config.class_names.size()),
        "bring back the text that the run was started with");
  }
  if (config.limit > 0) text.training = text.training.slice(0, 0, config.limit);
  return text;
}

class LanguageTask final : public Task {
 public:
  LanguageTask(const RunConfig& config, const TrainerOptions& options)
      : entry_(entry_of(config)),
        options_(language_task_options(config.recipe.task, "recipe.task")),
        device_(find_device(options.device)),
        text_(open_run_text(config, options_)),
        model_(entry_.cell, text_.vocabulary.size(), options_.model, config.seed) {
    const int64_t streams = config.recipe.batch_size;
    const int64_t needed = streams * options_.chunk * config.recipe.accumulate + 1;
    if (text_.training.size(0) < needed) {
      throw Error(fmt::format("{} has {} {} for training: {} streams in chunks of {} need {}",
                              config.data, text_.training.size(0), to_string(entry_.unit), streams,
                              options_.chunk, needed),
                  "use a longer text, a smaller --batch-size, or --set task.chunk=N");
    }
    streams_ = cut_into_streams(text_.training, streams);
    model_.to(device_);
  }

  LanguageModel& model() { return model_; }

  const NamedTensors& tensors() const override { return model_.tensors(); }
  void load(const Weights& weights) override { copy_weights(weights, model_.tensors()); }
  std::string unit() const override { return to_string(entry_.unit); }

  std::map<std::string, std::string> metadata() const override {
    return language_model_metadata(entry_, text_.vocabulary, options_.model);
  }

  int64_t batches_per_epoch() const override { return streams_.inputs.size(0) / options_.chunk; }

  void start_epoch(const EpochStart& start) override {
    model_.train();
    batch_ = start.batch;
    const auto load = [&](const char* name) {
      const auto found = start.carried.find(name);
      return found == start.carried.end() ? at::Tensor() : found->second.to(device_);
    };
    state_ = {.h = load("h"), .c = load("c")};
  }

  BatchResult add_gradients(double scale) override {
    const int64_t from = batch_++ * options_.chunk;
    const auto chunk = [&](const at::Tensor& stream) {
      return stream.slice(0, from, from + options_.chunk).to(device_);
    };
    const at::Tensor targets = chunk(streams_.targets).flatten();
    const LanguageModel::Output out = model_.forward(chunk(streams_.inputs), state_);
    state_ = out.state.detach();  // no gradient crosses it
    const at::Tensor logits = out.logits.flatten(0, 1);
    const at::Tensor loss = losses::cross_entropy(logits, targets);
    BatchResult result{.loss = loss.item<double>(), .items = targets.size(0)};
    if (!std::isfinite(result.loss)) return result;
    torch::autograd::backward({loss * scale}, {});
    result.correct = logits.argmax(1).eq(targets).sum().item<int64_t>();
    return result;
  }

  std::map<std::string, at::Tensor> carried() const override {
    std::map<std::string, at::Tensor> carried;
    if (state_.h.defined()) carried["h"] = state_.h;
    if (state_.c.defined()) carried["c"] = state_.c;
    return carried;
  }

  std::string first_non_finite() override { return first_non_finite_weight(tensors()); }

  Validation validate() override {
    const TextLoss result = evaluate_text(model_, text_.validation);
    return {.loss = result.loss, .accuracy = result.accuracy, .score = -result.loss};
  }

 private:
  const LanguageModelEntry& entry_;
  const LanguageTaskOptions options_;
  const at::Device device_;
  const EncodedText text_;
  LanguageModel model_;
  Streams streams_;
  int64_t batch_ = 0;  // the next chunk
  RecurrentState state_;
};

}  // namespace

LanguageTaskOptions language_task_options(const Json& task, const std::string& where) {
  JsonReader reader(task, where);
  LanguageTaskOptions o;
  o.model = read_language_model_options(reader);
  o.chunk = reader.get<int64_t>("chunk");
  o.minimum_count = reader.get("minimum_count", o.minimum_count);
  reader.finish();
  if (o.chunk < 1) throw reader.error("chunk", fmt::format("must be at least 1, got {}", o.chunk));
  if (o.minimum_count < 1) {
    throw reader.error("minimum_count", fmt::format("must be at least 1, got {}", o.minimum_count));
  }
  return o;
}

EncodedText open_encoded_text(const std::string& data, TextUnit unit, int64_t minimum_count) {
  const TextParts parts = open_text(data, unit);
  TextVocabulary vocabulary = make_vocabulary(parts, unit, minimum_count);
  EncodedText text{.vocabulary = vocabulary,
                   .training = vocabulary.encode(parts.training, data),
                   .validation = vocabulary.encode(parts.validation, data),
                   .test = vocabulary.encode(parts.test, data)};
  return text;
}

std::unique_ptr<Task> make_language_task(const RunConfig& config, const TrainerOptions& options) {
  return std::make_unique<LanguageTask>(config, options);
}

LanguageModel& language_model_of(Task& task) {
  auto* language = dynamic_cast<LanguageTask*>(&task);
  if (language == nullptr) throw std::logic_error("this run trains no language model");
  return language->model();
}

}  // namespace striate
