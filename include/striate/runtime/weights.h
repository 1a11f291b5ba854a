#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace striate {

/// Tensors by their dotted names, in an order of their own.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// What a weight file holds: tensors by their dotted names, and texts about them.
struct Weights {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a weight file: safetensors, or what `torch.save` writes in its zip form and its older
/// stream form. The content decides, not the name. The file is mapped: tensors share its memory,
/// keep it mapped while they live, and may be written to (the file itself never changes). Replace
/// such a file by renaming a new one over it; cutting it short in place would break its readers.
///
/// A PyTorch file is never executed: dictionaries, lists, numbers, texts and tensors are understood
/// and nothing else. Its dictionary is brought into the form of a safetensors file:
/// * While the dictionary holds another one with tensors under `state_dict`, `model_state_dict`,
///   `model`, `net`, or, failing those, `ema`, `model_ema`, `ema_model`, `ema_state_dict` or
///   `state_dict_ema` (the first of this order), that one takes its place. Numbers and texts beside
///   it (`epoch`) go to the metadata; other things beside it (an optimiser's state) are left out.
/// * Nested names are joined by dots, and list items by their index; numbers and texts that have
///   such names go to the metadata, lists of numbers are left out. A single tensor is `tensor`.
/// * `module.` and `_orig_mod.` are taken off when every name starts so.
/// * `norm.1` in a DenseNet's `denselayer`, the spelling of the published files, becomes `norm1`.
/// * Tensors that shared memory still do. None requires a gradient.
///
/// @throws FormatError  with the path, the tensor where one is meant, and the byte.
/// @throws IoError      the file can't be read.
Weights read_weights(const std::filesystem::path& path);

/// Writes a safetensors file, so that readers see the old file or the new. Equal weights give equal
/// bytes; the data of every tensor is aligned to its element's size.
/// @throws IoError                the system's reason; an earlier file of that name is intact.
/// @throws std::invalid_argument  a tensor is undefined, sparse or of a type that safetensors files
///                                of this library don't have (complex, quantised), or a name or
///                                text is not UTF-8.
void write_safetensors(const Weights& weights, const std::filesystem::path& path);

/// Copies weights into tensors of the same names, converting to their types.
/// @throws ShapeError  the names are not the same, or a shape is not; nothing is changed then.
void copy_weights(const Weights& weights, const NamedTensors& tensors);

/// The name of the first tensor that is not finite, or "".
std::string first_non_finite_weight(const NamedTensors& tensors);

}  // namespace striate
