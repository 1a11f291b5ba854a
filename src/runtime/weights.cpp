#include "striate/runtime/weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <set>
#include <string_view>

#include "runtime/differences.h"
#include "runtime/pth.h"
#include "runtime/safetensors.h"
#include "runtime/weight_file.h"
#include "striate/base/error.h"
#include "striate/graph/graph.h"

namespace striate {

namespace {

bool has_at(const WeightFile& file, size_t byte, std::string_view text) {
  const std::span<const uint8_t> bytes = file.bytes();
  return bytes.size() >= byte + text.size() &&
         std::memcmp(bytes.data() + byte, text.data(), text.size()) == 0;
}

}  // namespace

Weights read_weights(const std::filesystem::path& path) {
  const WeightFile file{path,
                        std::make_shared<MappedFile>(path, MapOptions{.copy_on_write = true})};
  if (has_at(file, 8, "{")) return read_safetensors(file);
  if (has_at(file, 0, "PK\x03\x04")) return read_pth_zip(file);
  if (has_at(file, 0, "\x80")) return read_pth_stream(file);
  if (has_at(file, 257, "ustar")) {
    throw file.error(0, "has the tar form of PyTorch before 0.1.12, which is not read",
                     "load it in Python and save it again");
  }
  std::string hint = "weights are read from safetensors files and from what torch.save writes";
  if (has_at(file, 0, "version https://git-lfs")) {
    hint = "this is a Git LFS pointer: fetch the file itself with git lfs pull";
  }
  throw file.error(0, "is no weight file of a known form", hint);
}

void copy_weights(const Weights& weights, const NamedTensors& tensors) {
  Differences differences;
  std::set<std::string> known;
  for (const auto& [key, tensor] : tensors) {
    known.insert(key);
    const auto found = weights.tensors.find(key);
    if (found == weights.tensors.end()) {
      differences.add(key + " is missing");
    } else if (found->second.sizes() != tensor.sizes()) {
      differences.add(fmt::format("{} is {}, wanted is {}", key,
                                  to_string(found->second.sizes().vec()),
                                  to_string(tensor.sizes().vec())));
    }
  }
  for (const auto& [key, tensor] : weights.tensors) {
    if (!known.contains(key)) differences.add(key + " is not wanted");
  }
  if (!differences.none()) throw ShapeError("the weights do not fit:" + differences.text());
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : tensors) tensor.copy_(weights.tensors.at(key));
}

std::string first_non_finite_weight(const NamedTensors& tensors) {
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : tensors) {
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) return key;
  }
  return "";
}

}  // namespace striate
