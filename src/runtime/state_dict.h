#pragma once

#include <functional>
#include <string>

#include "runtime/pickle.h"
#include "runtime/weight_file.h"
#include "striate/runtime/weights.h"

namespace striate {

/// Makes the tensor that a `Call` of the pickle describes; the text is its name, for messages.
using BuildTensor = std::function<at::Tensor(const pickle::Value&, const std::string&)>;

/// Brings what a pickle holds into the form that `read_weights` documents.
/// @throws FormatError  it holds no tensors, or is nested too deeply or in a circle.
Weights flatten_state_dict(const WeightFile& file, const pickle::Document& document,
                           const BuildTensor& build);

}  // namespace striate
