#pragma once

#include "runtime/weight_file.h"
#include "striate/runtime/weights.h"

namespace striate {

/// Reads what `torch.save` writes since 1.6: a zip archive of a pickle and one file per storage.
Weights read_pth_zip(const WeightFile& file);

/// Reads what `torch.save` wrote before: pickles one after the other, then the storages.
Weights read_pth_stream(const WeightFile& file);

}  // namespace striate
