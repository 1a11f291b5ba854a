#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "striate/data/loader.h"

namespace striate {

class Network;

/// What a network says of every image of a data set, in the data set's order.
struct Predictions {
  at::Tensor probabilities;  ///< (N, C) float32; of several views, their average
  at::Tensor labels;         ///< (N) int64
  double loss = 0;           ///< mean cross entropy of the probabilities, in nats
};

/// How right predictions are. Accuracies lie in [0, 1].
struct Accuracy {
  int64_t images = 0;
  int64_t correct = 0;
  double top1 = 0;
  double top5 = 0;
};

/// Runs a network over a data set in evaluation mode; leaves it in the mode it was in.
/// @param progress  called with the number of images done; may be empty.
/// @throws ShapeError  the images do not fit, or a label is not one of the network's classes.
Predictions predict(Network& network, Loader& loader,
                    const std::function<void(int64_t)>& progress = {});

/// Measures the running statistics of batch-norms anew, in evaluation mode: without dropout and
/// dropped paths, as the average of the loader's first batches (wu2021, 3: precise batch-norm).
/// Statistics of frozen nodes stay.
void measure_statistics(Network& network, Loader& loader, int64_t batches);

/// An ensemble: the average of its members' probabilities (krizhevsky2012, 6.1).
/// @throws std::invalid_argument  none, or of different data.
Predictions average(const std::vector<Predictions>& members);

Accuracy accuracy(const Predictions& predictions);
/// [truth][predicted], images.
std::vector<std::vector<int64_t>> confusion_matrix(const Predictions& predictions);
/// The wrongly classified images, the most confident first: indices into the data set.
std::vector<int64_t> most_confident_mistakes(const Predictions& predictions, int64_t most);

}  // namespace striate
