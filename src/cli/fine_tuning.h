#pragma once

#include "striate/training/run.h"

namespace striate::cli {

/// The weights that a run names as its start, fitted to its network: the last layer of a file for
/// other classes, and auxiliary heads that it lacks, start anew. Says what was taken.
/// @throws IoError, FormatError  the file can't be read; ShapeError  it is another network's.
Weights initial_weights(const RunConfig& config);

}  // namespace striate::cli
