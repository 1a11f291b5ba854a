#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/detection_measures.h"
#include "cli/training_options.h"
#include "striate/report/run_report.h"
#include "striate/sequence/language_model.h"
#include "striate/training/task.h"

namespace striate::cli {

struct StepOptions;

/// A model as the lists show it, by its usual recipe.
struct ListedModel {
  std::string name;
  std::string form;    ///< what it is, in words
  std::string paper;   ///< a key of docs/papers.bib
  std::string recipe;  ///< the usual one
  std::string size;    ///< what its parameters depend on: "65 characters"
};

using TensorShapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

/// What `evaluate` is asked for. What is absent is the kind's own choice.
struct EvaluationRequest {
  std::string weights;
  std::string data;
  std::string part = "test";  ///< train, validation or test
  int64_t limit = 0;          ///< only so much of it; 0: all
  std::optional<int64_t> beams;
  bool nearest_neighbour = false;  ///< beside it, what copying a training example gives
  DetectionRequest detections;
};

/// What `predict` is asked for.
struct PredictionRequest {
  std::string weights;
  std::vector<std::string> images;
  std::optional<int64_t> beams;
  std::optional<double> score;     ///< the least of a detection that is told
  std::optional<std::string> out;  ///< a folder for pictures of detections
  bool json = false;
};

/// What `sample` is asked for. What is absent is the kind's own choice.
struct SampleRequest {
  std::string weights;
  std::optional<std::string> prompt;
  std::optional<double> temperature;
  std::optional<int64_t> length;
  std::optional<int64_t> count;
  std::optional<std::string> out;
  uint64_t seed = 1;
  bool json = false;
};

/// What `look attention` is asked for.
struct AttentionRequest {
  std::string weights;
  std::vector<std::string> inputs;  ///< sentences, or image files
  std::string out;                  ///< a folder
  std::optional<int64_t> beams;
  bool json = false;
};

/// A kind of model that is no network which tells classes of images: what the verbs of the program
/// do with it.
class ModelKind {
 public:
  virtual ~ModelKind() = default;

  virtual std::string name() const = 0;  ///< "language model"
  virtual bool finds_objects() const { return false; }
  /// What to do with a weight file of it instead of what only networks for images can do.
  virtual std::string hint() const = 0;
  virtual std::vector<ListedModel> models() const = 0;
  /// @param vocabulary  for so many tokens, where it has any; 0: the usual number.
  virtual TensorShapes usual_tensors(const std::string& model, int64_t vocabulary) const = 0;

  /// Whether weights say that they are of this kind.
  virtual bool holds(const Weights& weights) const = 0;

  /// "text:FILE, or text:DIR".
  virtual std::string data_spellings() const = 0;
  /// Fills in what only the data knows, as its vocabulary, and checks what the run would fail with.
  virtual void complete(RunConfig& config) const = 0;
  /// The weights that a run trains.
  virtual TensorShapes tensors(const RunConfig& config) const = 0;
  /// @throws Error  a run can't start from these weights. @param origin  their file.
  virtual void check_initial(const RunConfig& config, const Weights& weights,
                             const std::string& origin) const = 0;
  virtual std::unique_ptr<Task> make_task(const RunConfig& config,
                                          const TrainerOptions& options) const = 0;
  /// What the weights that a run ends with are worth on the data's test part.
  virtual Json test(Task& task, const RunConfig& config) const = 0;
  /// What `test` gave, in words.
  virtual std::string describe_test(const Json& test) const = 0;
  /// Adds what a run's page should say of this kind beside what it says of all.
  virtual void add_to_report(const RunConfig& config, const Json& test,
                             RunReport& report) const = 0;

  virtual Json evaluate(const EvaluationRequest& request) const = 0;
  virtual std::string describe_evaluation(const Json& evaluation) const = 0;
  /// @throws UsageError  this kind makes nothing up, unless it says otherwise.
  virtual void sample(const SampleRequest& request) const;
  /// Says what images show. @throws UsageError  likewise.
  virtual void predict(const PredictionRequest& request) const;
  /// Pictures of where each word looked. @throws UsageError  likewise.
  virtual void look_attention(const AttentionRequest& request) const;
  /// Steps of training on random input. @throws UsageError  likewise.
  virtual void bench_training(const StepOptions& options) const;
  /// Predictions of random input. @throws UsageError  likewise.
  virtual void bench_inference(const StepOptions& options) const;
};

const ModelKind& captioning_kind();
const ModelKind& detection_kind();
const ModelKind& draw_kind();
const ModelKind& language_models_kind();
const ModelKind& rcnn_kind();
const ModelKind& translation_models_kind();

const std::vector<const ModelKind*>& model_kinds();
/// The kind that a model of this name is of; null: none, or it is a network for images.
const ModelKind* kind_of_model(const std::string& model);
/// The kind of weights; null: they are a network's for images, or of none.
const ModelKind* kind_of_weights(const Weights& weights);
/// Of a weight file, or a run's best.
const ModelKind* kind_of_file(const std::filesystem::path& path);
/// Reads a weight file, or a run's folder: its best. @throws LookupError  of no language model.
LoadedLanguageModel open_language_model(const std::filesystem::path& path);
/// The file itself, or that of a run's best weights.
std::filesystem::path weight_file(const std::filesystem::path& path);

/// How many parameters these are.
int64_t parameter_count(const TensorShapes& tensors);

/// `resolve` for one of its models. @throws UsageError  a flag that only networks for images have.
RunConfig resolve(const ModelKind& kind, const std::string& model, const TrainingFlags& flags);
/// As wrong usage, with a hint to the recipe where the error has none.
[[noreturn]] void rethrow_as_usage(const Error& error);
/// Reads the recipe's task. What --set or a recipe's file got wrong is wrong usage.
template <class Read>
auto checked_task(const Recipe& recipe, const Read& read) {
  try {
    return read(recipe.task, "recipe.task");
  } catch (const FormatError& error) {
    rethrow_as_usage(error);
  }
}

/// Begins a run, from weights where its configuration names some, and says so.
Trainer start_run(const ModelKind& kind, const RunConfig& config, const TrainerOptions& options);
/// Trains to the end, evaluates the best weights on the test part once, and writes the report.
Json finish_run(const ModelKind& kind, Trainer& trainer, const std::filesystem::path& run);
std::string describe_result(const ModelKind& kind, const Json& result);

}  // namespace striate::cli
