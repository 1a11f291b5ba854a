#pragma once

#include "runtime/weight_file.h"
#include "striate/runtime/weights.h"

namespace striate {

/// Reads a safetensors file: the length of a JSON header (8 bytes), the header, the data.
/// @throws FormatError  anything that the format forbids: the tensors' data must cover the rest of
///                      the file, in order, without overlaps and holes.
Weights read_safetensors(const WeightFile& file);

}  // namespace striate
