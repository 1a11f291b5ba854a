#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "striate/base/json.h"
#include "striate/data/transforms.h"

namespace striate {

struct OptimizerOptions {
  enum class Kind { kSgd, kAdam, kAdamW };
  Kind kind = Kind::kSgd;
  double learning_rate = 0.1;
  double momentum = 0.9;  ///< SGD
  bool nesterov = false;  ///< SGD
  double beta1 = 0.9;     ///< Adam
  double beta2 = 0.999;   ///< Adam
  double eps = 1e-8;      ///< Adam
  double weight_decay = 0;
  /// Whether biases and the scales of normalisations decay too.
  bool decay_biases_and_scales = true;
};

struct ScheduleOptions {
  enum class Kind { kConstant, kStep, kPlateau, kCosine, kLinear };
  Kind kind = Kind::kConstant;
  double warmup_epochs = 0;         ///< the rate rises linearly, step by step
  std::vector<int64_t> milestones;  ///< step: epochs (from 0) from which the rate is times `factor`
  int64_t every = 0;                ///< step: every so many epochs likewise; 0: at milestones only
  double factor = 0.1;              ///< step, plateau
  int64_t patience = 5;             ///< plateau: epochs without a better validation accuracy
};

struct LossOptions {
  enum class Kind { kCrossEntropy, kLeNet5 };
  Kind kind = Kind::kCrossEntropy;
  double label_smoothing = 0;
  /// Above 0: the network is built with its auxiliary heads, and the loss of each counts so much.
  double auxiliary_weight = 0;
};

/// How a network is trained, as data.
struct Recipe {
  std::string name;
  std::string source;                          ///< paper and section, or who chose it and why
  std::map<std::string, std::string> sources;  ///< of single values: "optimizer.momentum"
  int64_t epochs = 10;
  int64_t batch_size = 128;
  /// Batches whose gradients make up one step of the optimiser: it sees accumulate * batch_size
  /// images, in the memory of batch_size. Batch-norms go by each batch alone.
  int64_t accumulate = 1;
  /// Training images held out to choose the best epoch by; 0: none are, and the last epoch counts.
  int64_t validation_size = 0;
  Preprocessing train_transforms;
  Preprocessing eval_transforms;
  /// Of what is no classification of images: the sizes of its network and all else that only its
  /// task knows and reads. Such a recipe has no transforms and no loss. Null: a classification.
  Json task = nullptr;
  LossOptions loss;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  bool zero_init_residual = false;  ///< blocks start as the identity
  double clip_gradient_norm = 0;    ///< 0: gradients are not clipped
  int64_t early_stop_epochs = 0;    ///< stop after so many epochs without a better one; 0: never
  /// Polyak averaging: after each step the average moves towards the weights by 1 - decay. It is
  /// what is evaluated and kept (szegedy2015, 6; polyak1992). 0: none.
  double average_decay = 0;
  /// After each epoch the running statistics of batch-norms are measured anew over so many training
  /// images, without dropout and dropped paths (wu2021, 3: precise batch-norm). 0: those gathered
  /// while training stay.
  int64_t statistics_images = 0;
};

/// @param where  a path or name for messages.
/// @throws FormatError, LookupError  an unknown key or word, a value out of range.
Recipe recipe_from_json(const Json& json, const std::string& where);
Json to_json(const Recipe& recipe);

/// The recipes that come with the library.
std::vector<std::string> recipe_names();
/// @throws LookupError  no recipe has that name.
Recipe named_recipe(const std::string& name);
/// A recipe by name, or of a file when `name_or_path` ends in ".json".
Recipe find_recipe(const std::string& name_or_path);

/// Sets one value by its path, as "optimizer.learning_rate=0.05"; the right side is JSON, or a
/// word.
/// @throws FormatError  no "=", no such value, or a wrong one.
Recipe with_setting(const Recipe& recipe, const std::string& setting);

}  // namespace striate
