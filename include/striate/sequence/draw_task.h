#pragma once

#include <array>
#include <memory>

#include "striate/data/dataset.h"
#include "striate/data/transforms.h"
#include "striate/sequence/draw.h"
#include "striate/training/task.h"

namespace striate {

/// What pixels become before DRAW sees them.
enum class Binarization {
  kNone,        ///< they stay means, in [0, 1] (gregor2015, 4.4)
  kThreshold,   ///< 1 from 0.5 on
  kStochastic,  ///< 1 as often as their intensity says: anew in each epoch of training; where a
                ///< bound is measured, always the same pixels of the same image
};
inline constexpr std::array<const char*, 3> kBinarizationNames = {"none", "threshold",
                                                                  "stochastic"};

/// How DRAW is trained, as a recipe's `task` has it.
struct DrawTaskOptions {
  DrawOptions model;
  Binarization binarization = Binarization::kStochastic;
  Preprocessing transforms;
  int64_t validation_size = 0;  ///< training images held out to choose the best epoch by
};
/// @param input  (C, H, W): what the transforms make of the data's images.
/// @throws FormatError  a missing, unknown or impossible value.
DrawTaskOptions draw_task_options(const Json& task, const Shape& input, const std::string& where);
/// The transforms alone: what the input follows from.
Preprocessing draw_transforms(const Json& task, const std::string& where);

/// Training DRAW on a data set of images, whose classes are not looked at. A bound on held-out
/// images chooses the best epoch.
/// @throws std::invalid_argument  too few images for a step.
std::unique_ptr<Task> make_draw_task(const RunConfig& config, const TrainerOptions& options);

/// What a run of this kind trains. @throws std::logic_error  the run is of another.
Draw& draw_of(Task& task);

/// A network and how its images are prepared.
struct LoadedDraw {
  DrawTaskOptions options;
  std::shared_ptr<Draw> model;
};
/// Whether weights say that they are DRAW's.
bool is_draw(const Weights& weights);
/// @param origin  the file, for messages.
/// @throws LookupError  they are no DRAW's; FormatError, ShapeError  they are damaged.
LoadedDraw load_draw(const Weights& weights, const std::string& origin);

/// Pictures that the network makes up. @throws std::invalid_argument  count < 1.
Drawing sample_draw(Draw& model, int64_t count, uint64_t seed);

/// What a run with this data holds out of its training images.
std::shared_ptr<const Dataset> open_held_out(const std::string& data, int64_t validation_size);

/// Mean over images, in nats: the bound is the sum.
struct DrawEvaluation {
  int64_t images = 0;
  double reconstruction = 0;
  double latent = 0;

  double bound() const { return reconstruction + latent; }
};
/// With one z for each image, drawn the same way each time.
/// @throws ShapeError  the images are of another size; FormatError, IoError  they can't be read.
DrawEvaluation evaluate_draw(Draw& model, const DrawTaskOptions& options, const Dataset& dataset);

}  // namespace striate
