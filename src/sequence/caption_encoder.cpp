#include "striate/sequence/caption_encoder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include "striate/base/cache.h"
#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"
#include "striate/models/models.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kImagesAtOnce = 16;
constexpr const char* kFeatures = "features";

Graph graph_of(const CaptionEncoderOptions& options) {
  return build_model(options.model, {.input = options.input, .classes = options.classes});
}

Weights without_prefix(const Weights& weights, const std::string& prefix) {
  Weights own;
  for (const auto& [key, tensor] : weights.tensors) {
    if (key.starts_with(prefix)) own.tensors[key.substr(prefix.size())] = tensor;
  }
  return own;
}

fs::path file_of_features(const CaptionEncoderOptions& options, const std::vector<fs::path>& images,
                          const fs::path& folder) {
  std::string all = file_state(options.weights) + to_json(options).dump();
  for (const fs::path& image : images) all += file_state(image);
  return cache_file(folder, kFeatures, all);
}

}  // namespace

Json to_json(const CaptionEncoderOptions& o) {
  return {{"weights", o.weights}, {"model", o.model},     {"node", o.node},
          {"input", o.input},     {"classes", o.classes}, {"transforms", o.transforms.to_json()},
          {"train", o.train}};
}

CaptionEncoderOptions caption_encoder_options(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  CaptionEncoderOptions o;
  o.weights = reader.get<std::string>("weights");
  o.model = reader.get("model", o.model);
  o.node = reader.get("node", o.node);
  o.input = reader.get("input", o.input);
  o.classes = reader.get("classes", o.classes);
  if (reader.has("transforms")) {
    o.transforms = Preprocessing::from_json(reader.at("transforms"), where + ".transforms");
  }
  o.train = reader.get("train", o.train);
  reader.finish();
  return o;
}

std::string last_spatial_node(const Graph& graph) {
  const auto is_grid = [](const Shape& shape) {
    return shape.size() == 3 && shape[1] > 1 && shape[2] > 1;
  };
  const Value classifier = last_weighted(graph, graph.outputs().front().second);
  for (int64_t i = graph.node(classifier).inputs.front(); i > 0;) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    if (is_grid(node.shape) && !std::holds_alternative<Dropout>(node.op)) return node.name;
    i = node.inputs.front();
  }
  throw LookupError(
      fmt::format("{} has no value with a place for each part of the image", graph.name()));
}

CaptionEncoder::CaptionEncoder(const CaptionEncoderOptions& options)
    : options_(options),
      network_(std::make_shared<Network>(graph_of(options), read_weights(options.weights))) {
  check();
}

CaptionEncoder::CaptionEncoder(const CaptionEncoderOptions& options, const Weights& weights,
                               const std::string& prefix)
    : options_(options),
      network_(std::make_shared<Network>(graph_of(options), without_prefix(weights, prefix))) {
  check();
}

void CaptionEncoder::check() {
  const Graph& graph = network_->graph();
  shape_ = graph.shape(graph.find(options_.node));
  if (shape_.size() != 3) {
    throw ShapeError(
        fmt::format("the value of {} is {}, no grid of vectors", options_.node, to_string(shape_)),
        fmt::format("name another node: {} is the last one that has a grid",
                    last_spatial_node(graph)));
  }
  network_->eval();
  for (at::Tensor& parameter : network_->parameters()) parameter.set_requires_grad(options_.train);
}

at::Tensor CaptionEncoder::prepare(const fs::path& image) const {
  return prepare(image, options_.transforms);
}

at::Tensor CaptionEncoder::seen(const fs::path& image) const {
  std::vector<Transform> transforms = options_.transforms.transforms();
  std::erase_if(transforms, [](const Transform& transform) {
    return std::holds_alternative<transforms::Normalize>(transform);
  });
  return prepare(image, Preprocessing(std::move(transforms)));
}

at::Tensor CaptionEncoder::prepare(const fs::path& image, const Preprocessing& by) const {
  const PixelFormat format = options_.input[0] == 1 ? PixelFormat::kGrey : PixelFormat::kRgb;
  Random random({0});
  FloatImage view = by.apply(read_image(image, format), random).front();
  if (Shape{view.channels, view.height, view.width} != options_.input) {
    throw ShapeError(fmt::format("{} becomes ({}, {}, {}), the encoder takes {}", image.string(),
                                 view.channels, view.height, view.width,
                                 to_string(options_.input)));
  }
  return at::from_blob(view.pixels.data(), {view.height, view.width, view.channels}, at::kFloat)
      .permute({2, 0, 1})
      .clone();
}

at::Tensor CaptionEncoder::features(std::span<const fs::path> images) const {
  std::vector<at::Tensor> prepared;
  for (const fs::path& image : images) prepared.push_back(prepare(image));
  const at::Device device = network_->tensors().front().second.device();
  const NamedValues values =
      network_->forward(at::stack(prepared).to(device), {.taps = {options_.node}});
  return values.at(options_.node).flatten(2).transpose(1, 2).contiguous();
}

at::Tensor encoded(const CaptionEncoder& encoder, const std::vector<fs::path>& images,
                   const std::function<void(int64_t)>& progress) {
  at::NoGradGuard no_grad;
  at::Tensor all;
  const auto count = static_cast<int64_t>(images.size());
  for (int64_t from = 0; from < count; from += kImagesAtOnce) {
    const auto some = std::span(images).subspan(
        static_cast<size_t>(from), static_cast<size_t>(std::min(kImagesAtOnce, count - from)));
    const at::Tensor features = encoder.features(some);
    if (!all.defined()) {
      all = at::empty({count, features.size(1), features.size(2)}, at::TensorOptions(at::kHalf));
    }
    const int64_t to = from + features.size(0);
    all.slice(0, from, to).copy_(features);
    if (progress) progress(to);
  }
  return all;
}

at::Tensor kept_features(const CaptionEncoder& encoder, const std::vector<fs::path>& images,
                         const fs::path& folder, const std::function<void(int64_t)>& progress) {
  const fs::path file = file_of_features(encoder.options(), images, folder);
  if (!fs::exists(file)) {
    write_safetensors(
        {.tensors = {{kFeatures, encoded(encoder, images, progress)}}, .metadata = {}}, file);
  }
  return read_weights(file).tensors.at(kFeatures);
}

}  // namespace striate
