#include "cli/look.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/detection.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/data/loader.h"
#include "striate/image/codec.h"
#include "striate/runtime/fused_network.h"
#include "striate/visualization/picture.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kUsualImages = 8;  // of a data set
constexpr int64_t kBatch = 64;

PixelScale scale_of(const Preprocessing& preprocessing) {
  for (const Transform& transform : preprocessing.transforms()) {
    const auto* normalize = std::get_if<transforms::Normalize>(&transform);
    if (normalize != nullptr && !normalize->mean.empty()) return {normalize->mean, normalize->std};
  }
  return {};
}

// A path as part of a file's name.
std::string stem_of(const std::string& path) {
  std::string stem = fs::path(path).stem().string();
  std::ranges::replace_if(
      stem, [](char c) { return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 32; },
      '_');
  return stem.empty() ? "image" : stem;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 10 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

LookSession::LookSession(const LookOptions& options)
    : options_(options), model_(load_model(options.weights, options.model)) {
  if (options.model.precision != "float32") throw UsageError("look computes in float32 only");
  scale_ = scale_of(model_.card.preprocessing);
}

std::vector<LookImage> LookSession::images(std::optional<int64_t> most) const {
  std::vector<LookImage> result;
  std::set<std::string> names;
  const auto unique = [&](const std::string& name) {
    std::string free = name;
    for (int i = 2; !names.insert(free).second; ++i) free = fmt::format("{}-{}", name, i);
    return free;
  };
  for (const std::string& path : options_.images) {
    result.push_back(
        {.name = unique(stem_of(path)), .origin = path, .values = prepare_image(model_, path)[0]});
  }
  if (!options_.data.spelling.empty()) {
    DataOptions data = options_.data;
    const auto given = std::ssize(options_.images);
    if (data.limit == 0) data.limit = kUsualImages;
    if (most.has_value()) data.limit = std::min(data.limit, std::max<int64_t>(1, *most - given));
    const auto dataset = open_data(data);
    for_batches(*this, *dataset, [&](const at::Tensor& images, int64_t first) {
      for (int64_t i = 0; i < images.size(0); ++i) {
        result.push_back({.name = unique(fmt::format("image-{}", first + i)),
                          .origin = dataset->origin(first + i),
                          .values = images[i].clone()});
      }
    });
  }
  if (result.empty()) {
    throw UsageError("nothing to look at", "give image files, or --data DATA");
  }
  return result;
}

std::string LookSession::node_or(const std::string& otherwise) const {
  if (options_.node.empty()) return otherwise;
  graph().find(options_.node);
  return options_.node;
}

std::optional<int64_t> LookSession::given_class() const {
  if (options_.class_name.empty()) return std::nullopt;
  return class_index(options_.class_name);
}

int64_t LookSession::class_index(const std::string& name_or_number) const {
  const auto& names = model_.card.class_names;
  const auto found = std::ranges::find(names, name_or_number);
  if (found != names.end()) return found - names.begin();
  if (is_number(name_or_number)) {
    const int64_t index = std::stoll(name_or_number);
    if (index < std::ssize(names)) return index;
  }
  throw unknown_name("class of " + model_.path.string(), name_or_number, names);
}

std::string LookSession::class_name(int64_t index) const {
  return model_.card.class_names.at(static_cast<size_t>(index));
}

std::vector<LookSession::Seen> LookSession::seen(const at::Tensor& images) const {
  at::NoGradGuard no_grad;
  const auto [p, classes] = predictor(*model_.network)(images).softmax(1).max(1);
  std::vector<Seen> result;
  for (int64_t i = 0; i < images.size(0); ++i) {
    result.push_back({classes[i].item<int64_t>(), p[i].item<double>()});
  }
  return result;
}

Image LookSession::picture(const at::Tensor& values) const {
  return pixel_picture(to_pixels(values, scale_));
}

void LookSession::write(const std::string& name, const Image& image, Json facts) {
  const fs::path path = fs::path(options_.out) / (name + ".png");
  write_file_atomically(path, encode_png(image));
  facts["file"] = path.string();
  facts["width"] = image.width;
  facts["height"] = image.height;
  files_.push_back(std::move(facts));
}

void LookSession::finish() const {
  if (options_.json) {
    Json all = report_;
    all["files"] = files_;
    return print(all);
  }
  std::string text;
  for (const Json& file : files_) {
    text += file["file"].get<std::string>();
    if (file.contains("says")) text += "  " + file["says"].get<std::string>();
    text += '\n';
  }
  print(text);
}

void for_batches(const LookSession& session, const Dataset& data,
                 const std::function<void(const at::Tensor& images, int64_t first)>& body) {
  const Preprocessing& preprocessing = session.model().card.preprocessing;
  if (preprocessing.views() != 1) {
    throw UsageError("look takes one view of an image, not ten", "choose another --preprocess");
  }
  const Shape& input = session.graph().input_shape();
  Loader loader(data, preprocessing, {.batch_size = kBatch});
  const auto progress = counting_progress("looking at images", data.size());
  loader.start(0);
  int64_t done = 0;
  while (std::optional<Batch> batch = loader.next()) {
    if (batch->images.sizes().slice(1) != at::IntArrayRef(input)) {
      throw ShapeError(fmt::format("images become {}, the network takes {}",
                                   to_string(batch->images[0].sizes().vec()), to_string(input)),
                       "choose another --preprocess");
    }
    body(batch->images, done);
    done += batch->images.size(0);
    if (progress) progress(done);
  }
}

CLI::App* add_look_command(CLI::App& look, const std::string& name, const std::string& text,
                           const LookFlags& flags, std::function<void(const LookOptions&)> run) {
  CLI::App* command = look.add_subcommand(name, text);
  const auto options = std::make_shared<LookOptions>();
  command->add_option("weights", options->weights, "A weight file or run folder")->required();
  if (flags.images) {
    command->add_option("images", options->images, "JPEG or PNG files");
    command->add_option("--data", options->data.spelling,
                        fmt::format("Test images of a data set: {}", kImageSpellings));
    command->add_option("--limit", options->data.limit, "Only its first images")
        ->check(CLI::PositiveNumber);
  }
  if (flags.node) {
    command->add_option("--node", options->node, "A node's name (striate look nodes lists them)");
  }
  if (flags.class_name) {
    command->add_option("--class", options->class_name,
                        "A class by its name or number; without it, the one the network sees");
  }
  if (flags.out) {
    command->add_option("--out", options->out, "The folder for pictures")->required();
  }
  add_model_flags(*command, options->model);
  command->add_flag("--json", options->json, "Print JSON");
  // Commands add flags of their own, whose values `run` holds.
  command->callback([options, run = std::move(run)] { run(*options); });
  return command;
}

void add_look(CLI::App& program) {
  CLI::App* look = program.add_subcommand("look", "See what is inside a network");
  look->require_subcommand(1);
  add_look_cells(*look);
  add_look_layers(*look);
  add_look_attribution(*look);
  add_look_ascent(*look);
  add_look_embedding(*look);
  add_look_report(*look);
  add_look_attention(*look);
  add_look_detection(*look);
}

}  // namespace striate::cli
