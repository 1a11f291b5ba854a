#pragma once

#include <memory>

#include "striate/data/dataset.h"
#include "striate/training/task.h"
#include "striate/training/trainer.h"

namespace striate {

class Network;

/// The network that a run of this kind trains. @throws std::logic_error  the run is of another.
Network& network_of(Trainer& trainer);

/// The network that a run trains: with auxiliary heads and stochastic depth where it says so.
Graph training_graph(const RunConfig& config);

/// The shape that a data set's first image has after preprocessing: (C, H, W).
Shape input_shape(const Dataset& dataset, const Preprocessing& preprocessing);

}  // namespace striate
