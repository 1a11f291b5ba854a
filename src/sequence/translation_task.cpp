// Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks. S. Bengio, O. Vinyals,
// N. Jaitly, N. Shazeer, 2015. https://arxiv.org/abs/1506.03099
// Departure: the tokens are drawn before the pass that is trained, with dropout of its own.
#include "striate/sequence/translation_task.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>

#include "striate/base/error.h"
#include "striate/training/losses.h"
#include "striate/training/trainer.h"

namespace striate {

namespace {

const TranslationEntry& entry_of(const std::string& model) {
  const TranslationEntry* const entry = find_translation_model(model);
  if (entry == nullptr) throw LookupError(fmt::format("{} does not translate", model));
  return *entry;
}

EncodedPairs without_long_ones(EncodedPairs pairs, int64_t longest) {
  EncodedPairs kept;
  for (size_t i = 0; i < pairs.source.size(); ++i) {
    const size_t length = std::max(pairs.source[i].size(), pairs.target[i].size());
    if (static_cast<int64_t>(length) > longest + 1) continue;  // and <eos>
    kept.source.push_back(std::move(pairs.source[i]));
    kept.target.push_back(std::move(pairs.target[i]));
  }
  return kept;
}

class TranslationTask final : public Task {
 public:
  TranslationTask(const RunConfig& config, const TrainerOptions& options)
      : options_(translation_task_options(config.recipe.task, "recipe.task")),
        config_(config),
        device_(find_device(options.device)),
        parts_(open_pairs(config.data)),
        translator_(make_translator(config.model, parts_.training, options_, config.seed)) {
    if (parts_of_both(translator_) != config.class_names) {
      throw FormatError(fmt::format("{} has other words than when the run began", config.data),
                        "bring back the files that the run was started with");
    }
    if (config.limit > 0 && config.limit < static_cast<int64_t>(parts_.training.source.size())) {
      parts_.training.source.resize(static_cast<size_t>(config.limit));
      parts_.training.target.resize(static_cast<size_t>(config.limit));
    }
    training_ = without_long_ones(encode_pairs(translator_, parts_.training), options_.longest);
    validation_ = encode_pairs(translator_, parts_.validation);
    if (batches_per_epoch() < config.recipe.accumulate) {
      throw Error(
          fmt::format("{} has {} pairs for training: a step needs {}", config.data,
                      training_.source.size(), config.recipe.batch_size * config.recipe.accumulate),
          "use more pairs, or a smaller --batch-size");
    }
    translator_.model->to(device_);
    tensors_ = translator_.model->tensors();
  }

  const Translator& translator() const { return translator_; }

  const NamedTensors& tensors() const override { return tensors_; }
  void load(const Weights& weights) override { copy_weights(weights, tensors_); }
  std::string unit() const override { return "words"; }
  std::map<std::string, std::string> metadata() const override {
    return translator_metadata(translator_);
  }

  int64_t batches_per_epoch() const override {
    return static_cast<int64_t>(training_.source.size()) / config_.recipe.batch_size;
  }

  void start_epoch(const EpochStart& start) override {
    translator_.model->train();
    Random random({config_.seed, hash_name("pairs"), static_cast<uint64_t>(start.epoch)});
    batches_ = batches_of_similar_length(training_, config_.recipe.batch_size, random);
    epoch_ = start.epoch;
    batch_ = start.batch;
  }

  BatchResult add_gradients(double scale) override {
    TranslationModel& model = *translator_.model;
    PairBatch batch = make_pair_batch(training_, batches_.at(static_cast<size_t>(batch_)), device_);
    const double share = own_share();
    ++batch_;
    const std::vector<at::Tensor> state = model.encode(batch.source);
    if (share > 0) batch.inputs = scheduled_inputs(model, state, batch.inputs, share);
    const at::Tensor features = model.features(state, batch.inputs).flatten(0, 1);
    const at::Tensor logits = model.logits(features.index_select(0, batch.positions));
    const at::Tensor loss = losses::cross_entropy(logits, batch.targets, options_.label_smoothing);
    BatchResult result{.loss = loss.item<double>(), .items = batch.targets.size(0)};
    if (!std::isfinite(result.loss)) return result;
    torch::autograd::backward({loss * scale}, {});
    result.correct = logits.argmax(1).eq(batch.targets).sum().item<int64_t>();
    return result;
  }

  std::string first_non_finite() override { return first_non_finite_weight(tensors_); }

  Validation validate() override {
    const TextLoss result = evaluate_pairs(*translator_.model, validation_);
    return {.loss = result.loss, .accuracy = result.accuracy, .score = -result.loss};
  }

 private:
  // The share of tokens that are the model's own, of the batch that comes.
  double own_share() const {
    const auto batches = static_cast<double>(batches_per_epoch());
    const double done = (static_cast<double>(epoch_) * batches + static_cast<double>(batch_)) /
                        (static_cast<double>(config_.recipe.epochs) * batches);
    return options_.scheduled_sampling * done;
  }

  const TranslationTaskOptions options_;
  const RunConfig config_;
  const at::Device device_;
  PairParts parts_;
  Translator translator_;
  NamedTensors tensors_;
  EncodedPairs training_;
  EncodedPairs validation_;
  std::vector<std::vector<int64_t>> batches_;  // of this epoch
  int64_t epoch_ = 0;
  int64_t batch_ = 0;  // the next one
};

}  // namespace

TranslationTaskOptions translation_task_options(const Json& task, const std::string& where) {
  JsonReader reader(task, where);
  TranslationTaskOptions o;
  o.model = read_translation_model_options(reader);
  o.codec.merges = reader.get("merges", o.codec.merges);
  o.codec.lower_case = reader.get("lower_case", o.codec.lower_case);
  o.label_smoothing = reader.get("label_smoothing", o.label_smoothing);
  o.scheduled_sampling = reader.get("scheduled_sampling", o.scheduled_sampling);
  o.longest = reader.get("longest", o.longest);
  reader.finish();
  for (const auto& [key, value] :
       {std::pair{"merges", o.codec.merges}, std::pair{"longest", o.longest}}) {
    if (value < 1) throw reader.error(key, fmt::format("must be at least 1, got {}", value));
  }
  for (const auto& [key, value] : {std::pair{"label_smoothing", o.label_smoothing},
                                   std::pair{"scheduled_sampling", o.scheduled_sampling}}) {
    if (!(value >= 0 && value < 1)) {
      throw reader.error(key, fmt::format("must be in [0, 1), got {}", value));
    }
  }
  return o;
}

Translator make_translator(const std::string& model, const SentencePairs& training,
                           const TranslationTaskOptions& options, uint64_t seed) {
  const TranslationEntry& entry = entry_of(model);
  Translator translator{.entry = &entry,
                        .source = SentenceCodec::learn(training.source, options.codec),
                        .target = SentenceCodec::learn(training.target, options.codec),
                        .model = {}};
  translator.model = entry.make({.source_vocabulary = translator.source.vocabulary().size(),
                                 .target_vocabulary = translator.target.vocabulary().size()},
                                options.model, seed);
  return translator;
}

std::vector<std::string> parts_of_both(const Translator& translator) {
  std::vector<std::string> parts = translator.source.vocabulary().tokens();
  const std::vector<std::string>& target = translator.target.vocabulary().tokens();
  parts.insert(parts.end(), target.begin(), target.end());
  return parts;
}

TranslationModelSizes sizes_of_both(const std::vector<std::string>& parts) {
  // Each language begins with the special tokens.
  if (!parts.empty()) {
    const auto second = std::find(parts.begin() + 1, parts.end(), parts.front());
    if (second != parts.end()) {
      return {.source_vocabulary = second - parts.begin(),
              .target_vocabulary = parts.end() - second};
    }
  }
  throw FormatError("the run's class_names are no parts of two languages");
}

std::vector<std::vector<int64_t>> batches_of_similar_length(const EncodedPairs& pairs,
                                                            int64_t batch_size, Random& random) {
  std::vector<Lengths> lengths;
  for (size_t i = 0; i < pairs.source.size(); ++i) {
    lengths.push_back({static_cast<int64_t>(pairs.target[i].size()),
                       static_cast<int64_t>(pairs.source[i].size())});
  }
  return batches_of_similar_length(lengths, batch_size, random);
}

at::Tensor scheduled_inputs(TranslationModel& model, const std::vector<at::Tensor>& state,
                            const at::Tensor& inputs, double share) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> mixed = {inputs[0]};
  std::vector<at::Tensor> before = state;
  for (int64_t t = 1; t < inputs.size(0); ++t) {
    DecoderStep step = model.step(mixed.back(), before);
    before = std::move(step.state);
    const at::Tensor own = step.log_probabilities.exp().multinomial(1).squeeze(1);
    const at::Tensor chance = at::rand(own.sizes(), step.log_probabilities.options());
    mixed.push_back(at::where(chance < share, own, inputs[t]));
  }
  return at::stack(mixed);
}

std::unique_ptr<Task> make_translation_task(const RunConfig& config,
                                            const TrainerOptions& options) {
  return std::make_unique<TranslationTask>(config, options);
}

const Translator& translator_of(Task& task) {
  auto* translation = dynamic_cast<TranslationTask*>(&task);
  if (translation == nullptr) throw std::logic_error("this run trains no model that translates");
  return translation->translator();
}

}  // namespace striate
