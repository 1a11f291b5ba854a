#include "detection/kept_proposals.h"

#include <fmt/format.h>

#include "striate/base/cache.h"
#include "striate/detection/box_coding.h"
#include "striate/detection/selective_search.h"
#include "striate/runtime/weights.h"

namespace striate {

namespace {

constexpr const char* kBoxes = "proposals";

}  // namespace

at::Tensor searched_proposals(const Image& image, int64_t count) {
  return box_tensor(selective_search(image, {.max_boxes = count}));
}

at::Tensor kept_proposals(const AnnotatedImage& image, const Image& pixels, int64_t count) {
  const std::filesystem::path file =
      cache_file(cache_folder(), kBoxes, fmt::format("{} {}", file_state(image.path), count));
  if (!std::filesystem::exists(file)) {
    write_safetensors({.tensors = {{kBoxes, searched_proposals(pixels, count)}}, .metadata = {}},
                      file);
  }
  return read_weights(file).tensors.at(kBoxes);
}

}  // namespace striate
