#include "striate/sequence/caption_task.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "sequence/evaluation_mode.h"
#include "striate/base/cache.h"
#include "striate/base/error.h"
#include "striate/sequence/sentence_batch.h"
#include "striate/training/trainer.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kCaptionsAtOnce = 64;   // of an evaluation
constexpr int64_t kImagesForScale = 256;  // whose features are measured
constexpr double kBaselineDecay = 0.9;    // xu2015, 4.1
constexpr const char* kBaseline = "baseline";

// The captions of some images, a row for each.
struct CaptionRows {
  std::vector<int64_t> images;              // index
  std::vector<std::vector<int64_t>> words;  // with `<eos>`

  int64_t size() const { return static_cast<int64_t>(images.size()); }
};

CaptionRows rows_of(const std::vector<CaptionedImage>& images, const Vocabulary& vocabulary) {
  CaptionRows rows;
  for (size_t i = 0; i < images.size(); ++i) {
    for (const std::string& caption : images[i].captions) {
      std::vector<int64_t> words = vocabulary.encode(caption_tokens(caption));
      if (words.size() >= static_cast<size_t>(kLongestCaption)) words.resize(kLongestCaption - 1);
      words.push_back(Vocabulary::kEnd);
      rows.images.push_back(static_cast<int64_t>(i));
      rows.words.push_back(std::move(words));
    }
  }
  return rows;
}

// Captions in one batch, on a device.
struct CaptionBatch {
  std::vector<int64_t> images;
  at::Tensor inputs;   // (T, N): `<bos>` and the words
  at::Tensor targets;  // (T, N): the words and `<eos>`
  at::Tensor mask;     // (T, N) bool: steps that count

  double words() const { return mask.sum().item<double>(); }
};

CaptionBatch make_batch(const std::vector<int64_t>& images,
                        const std::vector<std::vector<int64_t>>& words, at::Device device) {
  const SentenceBatch sentences = make_sentence_batch(words);
  const at::Tensor& targets = sentences.tokens;
  const at::Tensor inputs = targets.roll(1, 0);
  inputs[0].fill_(Vocabulary::kBegin);
  const at::Tensor mask =
      at::arange(targets.size(0)).unsqueeze(1) < at::tensor(sentences.lengths, at::kLong);
  return {.images = images,
          .inputs = inputs.to(device),
          .targets = targets.to(device),
          .mask = mask.to(device)};
}

CaptionBatch pick(const CaptionRows& rows, const std::vector<int64_t>& batch, at::Device device) {
  std::vector<int64_t> images;
  std::vector<std::vector<int64_t>> words;
  for (const int64_t row : batch) {
    images.push_back(rows.images[static_cast<size_t>(row)]);
    words.push_back(rows.words[static_cast<size_t>(row)]);
  }
  return make_batch(images, words, device);
}

// (T, N): log p of each target, 0 where none counts.
at::Tensor log_of_targets(const at::Tensor& logits, const CaptionBatch& batch) {
  const at::Tensor log_p = logits.log_softmax(2).gather(2, batch.targets.unsqueeze(2)).squeeze(2);
  return log_p * batch.mask;
}

// Where features of images come from: kept ones, or an encoder that is trained.
class Features {
 public:
  Features(const Captioner& captioner, const std::vector<CaptionedImage>& images)
      : captioner_(captioner), paths_(paths_of(images)) {
    if (captioner.encoder->options().train) return;
    kept_ = kept_features(*captioner.encoder, paths_, cache_folder());
  }

  int64_t count() const { return static_cast<int64_t>(paths_.size()); }

  // (N, L, D), as the encoder gives them.
  at::Tensor of(const std::vector<int64_t>& images) const {
    if (kept_.defined()) return kept_.index_select(0, at::tensor(images, at::kLong));
    std::vector<fs::path> paths;
    for (const int64_t i : images) paths.push_back(paths_[static_cast<size_t>(i)]);
    return captioner_.encoder->features(paths);
  }

 private:
  const Captioner& captioner_;
  std::vector<fs::path> paths_;
  at::Tensor kept_;
};

std::vector<int64_t> counted(int64_t from, int64_t to) {
  std::vector<int64_t> numbers;
  for (int64_t i = from; i < to; ++i) numbers.push_back(i);
  return numbers;
}

const CaptionerEntry& entry_of(const RunConfig& config) {
  const CaptionerEntry* const entry = find_captioner(config.model);
  if (entry == nullptr) throw LookupError(fmt::format("{} writes no captions", config.model));
  return *entry;
}

CaptionData open_run_captions(const RunConfig& config, const CaptionTaskOptions& options) {
  CaptionData data = read_captions(parse_captions(config.data));
  if (caption_vocabulary(data, options.least_count) != config.class_names) {
    throw FormatError(fmt::format("{} has another vocabulary than when the run began", config.data),
                      "bring back the captions that the run was started with");
  }
  std::vector<CaptionedImage>& training = data.splits[static_cast<size_t>(CaptionSplit::kTrain)];
  if (config.limit > 0 && config.limit < static_cast<int64_t>(training.size())) {
    training.resize(static_cast<size_t>(config.limit));
  }
  return data;
}

class CaptionTask final : public Task {
 public:
  CaptionTask(const RunConfig& config, const TrainerOptions& options)
      : options_(caption_task_options(config.recipe.task, "recipe.task")),
        config_(config),
        device_(find_device(options.device)),
        data_(open_run_captions(config, options_)),
        captioner_(
            make_captioner(entry_of(config), options_.captioner, config.class_names, config.seed)),
        training_rows_(rows_of(data_[CaptionSplit::kTrain], *captioner_.vocabulary)),
        validation_rows_(rows_of(data_[CaptionSplit::kValidation], *captioner_.vocabulary)) {
    if (batches_per_epoch() < config.recipe.accumulate) {
      throw Error(
          fmt::format("{} has {} captions for training: a step needs {}", config.data,
                      training_rows_.size(), config.recipe.batch_size * config.recipe.accumulate),
          "use more captions, or a smaller --batch-size");
    }
    captioner_.encoder->network().to(device_);
    captioner_.decoder->to(device_);
    captioner_.feature_scale = captioner_.feature_scale.to(device_);
    training_ = std::make_unique<Features>(captioner_, data_[CaptionSplit::kTrain]);
    validation_ = std::make_unique<Features>(captioner_, data_[CaptionSplit::kValidation]);
    measure_features();
    tensors_ = captioner_.tensors();
    if (options_.self_critical) {
      rewards_ = std::make_unique<CiderD>(references_of(data_[CaptionSplit::kTrain]));
    }
  }

  const Captioner& captioner() const { return captioner_; }

  const NamedTensors& tensors() const override { return tensors_; }
  void load(const Weights& weights) override { copy_weights(weights, tensors_); }
  std::string unit() const override { return options_.self_critical ? "captions" : "words"; }
  bool counts_correct() const override { return !options_.self_critical; }
  std::map<std::string, std::string> metadata() const override {
    return captioner_metadata(captioner_);
  }

  int64_t batches_per_epoch() const override {
    return training_rows_.size() / config_.recipe.batch_size;
  }

  void start_epoch(const EpochStart& start) override {
    captioner_.decoder->train();
    Random random({config_.seed, hash_name("captions"), static_cast<uint64_t>(start.epoch)});
    std::vector<Lengths> lengths;
    for (const auto& words : training_rows_.words) {
      lengths.push_back({static_cast<int64_t>(words.size()), 0});
    }
    batches_ = batches_of_similar_length(lengths, config_.recipe.batch_size, random);
    batch_ = start.batch;
    const auto found = start.carried.find(kBaseline);
    baseline_ = found == start.carried.end() ? std::nan("") : found->second.item<double>();
  }

  BatchResult add_gradients(double scale) override {
    const CaptionBatch batch =
        pick(training_rows_, batches_.at(static_cast<size_t>(batch_)), device_);
    ++batch_;
    const at::Tensor features = captioner_.scaled(training_->of(batch.images));
    return options_.self_critical ? add_self_critical(batch.images, features, scale)
                                  : add_likelihood(batch, features, scale);
  }

  std::map<std::string, at::Tensor> carried() const override {
    return {{kBaseline, at::full({}, baseline_, at::kDouble)}};
  }

  std::string first_non_finite() override { return first_non_finite_weight(tensors()); }

  Validation validate() override {
    const Loss loss = validation_loss();
    std::vector<Tokens> captions;
    for (int64_t from = 0; from < validation_->count(); from += kCaptionsAtOnce) {
      const int64_t to = std::min(from + kCaptionsAtOnce, validation_->count());
      for (Caption& caption : find_captions(captioner_, validation_->of(counted(from, to)),
                                            {.beams = 1, .longest = kLongestCaption})) {
        captions.push_back(std::move(caption.words));
      }
    }
    const CaptionScores scores = score_captions(captions, data_[CaptionSplit::kValidation]);
    return {.loss = loss.loss, .accuracy = loss.accuracy, .score = scores.cider_d};
  }

 private:
  struct Loss {
    double loss = 0;
    double accuracy = 0;
  };

  bool hard() const {
    return options_.captioner.attention == CaptionAttention::kHard && captioner_.entry->attends;
  }

  // Large features would drown what the words say at first.
  void measure_features() {
    at::NoGradGuard no_grad;
    const int64_t count = std::min(kImagesForScale, training_->count());
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      sum += training_->of({i}).to(at::kDouble).square().mean().item<double>();
    }
    const double root = std::sqrt(sum / static_cast<double>(count));
    if (root > 0) captioner_.feature_scale.fill_(root);
  }

  BatchResult add_likelihood(const CaptionBatch& batch, const at::Tensor& features, double scale) {
    Looking looking;
    if (hard()) looking.kind = Looking::Kind::kDrawn;
    const CaptionOutput output = captioner_.decoder->forward(features, batch.inputs, looking);
    const at::Tensor log_words = log_of_targets(output.logits, batch).sum(0);  // (N)
    const double words = batch.words();
    BatchResult result{.loss = -log_words.sum().item<double>() / words,
                       .items = static_cast<int64_t>(words)};
    if (!std::isfinite(result.loss)) return result;
    torch::autograd::backward({objective(output, log_words, batch) * (-scale / words)}, {});
    const at::Tensor right = output.logits.argmax(2).eq(batch.targets) * batch.mask;
    result.correct = right.sum().item<int64_t>();
    return result;
  }

  // What is to grow, summed over captions.
  at::Tensor objective(const CaptionOutput& output, const at::Tensor& log_words,
                       const CaptionBatch& batch) {
    if (!captioner_.entry->attends) return log_words.sum();
    if (!hard()) {
      return log_words.sum() - options_.doubly_stochastic *
                                   doubly_stochastic_penalty(output.attention, batch.mask).sum();
    }
    const double mean = log_words.mean().item<double>();
    if (std::isnan(baseline_)) baseline_ = mean;
    const at::Tensor entropy =
        -(at::xlogy(output.attention, output.attention).sum(2) * batch.mask).sum();
    const at::Tensor sum =
        reinforced(log_words, log_of_places(output, batch.mask), baseline_, options_.reinforce)
            .sum() +
        options_.entropy * entropy;
    baseline_ = kBaselineDecay * baseline_ + (1 - kBaselineDecay) * mean;
    return sum;
  }

  BatchResult add_self_critical(const std::vector<int64_t>& images, const at::Tensor& features,
                                double scale) {
    const EvaluationMode no_dropout(*captioner_.decoder);
    const std::vector<std::vector<int64_t>> drawn = draw(features);
    const std::vector<Caption> greedy =
        find_captions(captioner_, training_->of(images), {.beams = 1, .longest = kLongestCaption});
    std::vector<float> advantages;
    double reward = 0;
    for (size_t n = 0; n < images.size(); ++n) {
      const auto image = static_cast<size_t>(images[n]);
      const double of_drawn = rewards_->score(captioner_.vocabulary->decode(drawn[n]), image);
      advantages.push_back(static_cast<float>(of_drawn - rewards_->score(greedy[n].words, image)));
      reward += of_drawn;
    }
    const auto count = static_cast<double>(images.size());
    const CaptionBatch batch = make_batch(images, drawn, device_);
    const CaptionOutput output =
        captioner_.decoder->forward(features, batch.inputs, captioner_.looking());
    const at::Tensor log_words = log_of_targets(output.logits, batch).sum(0);
    const at::Tensor gain = log_words * at::tensor(advantages).to(device_);
    BatchResult result{.loss = -reward / count, .items = static_cast<int64_t>(images.size())};
    if (!std::isfinite(gain.sum().item<double>())) {
      result.loss = std::nan("");
      return result;
    }
    torch::autograd::backward({gain.sum() * (-scale / count)}, {});
    return result;
  }

  // A caption of each image as likely as the decoder says, with its `<eos>` if it has one.
  std::vector<std::vector<int64_t>> draw(const at::Tensor& features) {
    at::NoGradGuard no_grad;
    const auto count = static_cast<size_t>(features.size(0));
    std::vector<std::vector<int64_t>> drawn(count);
    std::vector<bool> ended(count, false);
    std::vector<at::Tensor> state = captioner_.decoder->start(features);
    at::Tensor words = at::full({features.size(0)}, Vocabulary::kBegin,
                                at::TensorOptions(at::kLong).device(device_));
    for (int64_t t = 0; t < kLongestCaption && !std::ranges::all_of(ended, std::identity()); ++t) {
      DecoderStep step = captioner_.decoder->step(words, state, captioner_.looking());
      state = std::move(step.state);
      words = step.log_probabilities.exp().multinomial(1).squeeze(1);
      for (size_t n = 0; n < count; ++n) {
        if (ended[n]) continue;
        drawn[n].push_back(words[static_cast<int64_t>(n)].item<int64_t>());
        ended[n] = drawn[n].back() == Vocabulary::kEnd;
      }
    }
    return drawn;
  }

  Loss validation_loss() {
    at::NoGradGuard no_grad;
    const EvaluationMode mode(*captioner_.decoder);
    double sum = 0;
    double words = 0;
    double right = 0;
    for (int64_t from = 0; from < validation_rows_.size(); from += kCaptionsAtOnce) {
      const int64_t to = std::min(from + kCaptionsAtOnce, validation_rows_.size());
      const CaptionBatch batch = pick(validation_rows_, counted(from, to), device_);
      const CaptionOutput output = captioner_.decoder->forward(
          captioner_.scaled(validation_->of(batch.images)), batch.inputs, captioner_.looking());
      sum -= log_of_targets(output.logits, batch).sum().item<double>();
      right += (output.logits.argmax(2).eq(batch.targets) * batch.mask).sum().item<double>();
      words += batch.words();
    }
    return {.loss = sum / words, .accuracy = right / words};
  }

  const CaptionTaskOptions options_;
  const RunConfig config_;
  const at::Device device_;
  const CaptionData data_;
  Captioner captioner_;
  const CaptionRows training_rows_;
  const CaptionRows validation_rows_;
  std::unique_ptr<Features> training_;
  std::unique_ptr<Features> validation_;
  NamedTensors tensors_;
  std::unique_ptr<CiderD> rewards_;
  std::vector<std::vector<int64_t>> batches_;  // of this epoch
  int64_t batch_ = 0;                          // the next one
  double baseline_ = std::nan("");             // of this epoch: a moving average of log p(y | s)
};

}  // namespace

CaptionTaskOptions caption_task_options(const Json& task, const std::string& where) {
  JsonReader reader(task, where);
  CaptionTaskOptions o;
  o.captioner.sizes = read_caption_decoder_options(reader);
  o.captioner.encoder = caption_encoder_options(reader.at("encoder"), where + ".encoder");
  const auto attention = reader.get<std::string>("attention", "soft");
  if (attention != "soft" && attention != "hard") {
    throw reader.error("attention", fmt::format("must be soft or hard, got {}", attention));
  }
  o.captioner.attention = find_caption_attention(attention);
  o.captioner.blind = reader.get("blind", o.captioner.blind);
  for (const auto& [key, value] :
       {std::pair{"doubly_stochastic", &o.doubly_stochastic}, std::pair{"reinforce", &o.reinforce},
        std::pair{"entropy", &o.entropy}}) {
    *value = reader.get(key, *value);
    if (!(*value >= 0)) {
      throw reader.error(key, fmt::format("must be at least 0, got {}", *value));
    }
  }
  o.self_critical = reader.get("self_critical", o.self_critical);
  o.least_count = reader.get("least_count", o.least_count);
  reader.finish();
  if (o.least_count < 1) {
    throw reader.error("least_count", fmt::format("must be at least 1, got {}", o.least_count));
  }
  return o;
}

std::vector<std::string> caption_vocabulary(const CaptionData& data, int64_t least_count) {
  std::vector<Tokens> sentences;
  for (const CaptionedImage& image : data[CaptionSplit::kTrain]) {
    for (const std::string& caption : image.captions) sentences.push_back(caption_tokens(caption));
  }
  return Vocabulary(sentences, {.least_count = least_count}).tokens();
}

std::vector<fs::path> paths_of(const std::vector<CaptionedImage>& images) {
  std::vector<fs::path> paths;
  for (const CaptionedImage& image : images) paths.push_back(image.path);
  return paths;
}

std::vector<std::vector<Tokens>> references_of(const std::vector<CaptionedImage>& images) {
  std::vector<std::vector<Tokens>> references;
  for (const CaptionedImage& image : images) {
    std::vector<Tokens>& of_image = references.emplace_back();
    for (const std::string& caption : image.captions) of_image.push_back(caption_tokens(caption));
  }
  return references;
}

std::unique_ptr<Task> make_caption_task(const RunConfig& config, const TrainerOptions& options) {
  return std::make_unique<CaptionTask>(config, options);
}

const Captioner& captioner_of(Task& task) {
  auto* captioning = dynamic_cast<CaptionTask*>(&task);
  if (captioning == nullptr) throw std::logic_error("this run trains no captioner");
  return captioning->captioner();
}

CaptionScores score_captions(const std::vector<Tokens>& captions,
                             const std::vector<CaptionedImage>& images) {
  std::vector<std::vector<Tokens>> references = references_of(images);
  std::vector<CaptionCase> cases;
  for (size_t i = 0; i < images.size(); ++i) {
    cases.push_back({.hypothesis = captions.at(i), .references = std::move(references[i])});
  }
  return caption_scores(cases);
}

std::vector<Tokens> nearest_captions(const at::Tensor& features, const at::Tensor& training,
                                     const std::vector<CaptionedImage>& captions) {
  const auto directions = [](const at::Tensor& grids) {
    std::vector<at::Tensor> means;  // one by one: float32 grids of all would be large
    for (int64_t i = 0; i < grids.size(0); ++i) means.push_back(grids[i].to(at::kFloat).mean(0));
    const at::Tensor all = at::stack(means);
    return all / all.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  };
  const at::Tensor nearest = directions(features).matmul(directions(training).t()).argmax(1);
  std::vector<Tokens> found;
  for (int64_t i = 0; i < nearest.size(0); ++i) {
    const auto image = static_cast<size_t>(nearest[i].item<int64_t>());
    found.push_back(caption_tokens(captions.at(image).captions.front()));
  }
  return found;
}

}  // namespace striate
