#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "striate/runtime/weights.h"
#include "striate/training/run.h"

namespace striate {

struct TrainerOptions;

/// Where a pass over the data begins.
struct EpochStart {
  int64_t epoch = 0;  ///< from 0
  int64_t batch = 0;  ///< the first that is wanted, from 0
  /// What `carried` gave after the batch before; empty at the beginning of an epoch.
  std::map<std::string, at::Tensor> carried;
};

/// What one batch did.
struct BatchResult {
  double loss = 0;      ///< mean over its items; not finite: no gradient was added
  int64_t correct = 0;  ///< items
  int64_t items = 0;
};

/// What weights are worth on held-out data; what was not measured is NaN.
struct Validation {
  double loss = std::numeric_limits<double>::quiet_NaN();
  double accuracy = std::numeric_limits<double>::quiet_NaN();  ///< in [0, 1]
  double score = std::numeric_limits<double>::quiet_NaN();     ///< the best epoch has the largest
};

/// What a run trains: weights, the data, and how one becomes a gradient of the other. The loop, the
/// optimiser, the run's folder and its checkpoints are the Trainer's.
class Task {
 public:
  virtual ~Task() = default;

  /// Everything that is kept of it, by key. The optimiser moves what requires a gradient.
  virtual const NamedTensors& tensors() const = 0;
  /// @throws ShapeError  other keys or shapes; nothing is changed then.
  virtual void load(const Weights& weights) = 0;
  /// What a weight file must say so that it can be used without anything else.
  virtual std::map<std::string, std::string> metadata() const = 0;
  /// What an item is, in the plural: "images".
  virtual std::string unit() const = 0;
  /// Whether items are right or wrong; otherwise a run has no accuracy.
  virtual bool counts_correct() const { return true; }

  virtual int64_t batches_per_epoch() const = 0;
  virtual void start_epoch(const EpochStart& start) = 0;
  /// Adds the gradient of the next batch's mean loss, times `scale`.
  virtual BatchResult add_gradients(double scale) = 0;
  /// What goes over from batch to batch beside the weights: a recurrent state.
  virtual std::map<std::string, at::Tensor> carried() const { return {}; }
  /// Of the epoch so far, waiting for data.
  virtual double waited_seconds() const { return 0; }
  /// Where the last batch's loss stopped being finite: the first such value's name, or "".
  virtual std::string first_non_finite() = 0;

  /// Ends an epoch. Statistics that belong to the weights are brought up to date first.
  virtual Validation validate() = 0;
};

using MakeTask = std::function<std::unique_ptr<Task>(const RunConfig&, const TrainerOptions&)>;

}  // namespace striate
