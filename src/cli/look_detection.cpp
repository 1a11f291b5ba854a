// striate look anchors, striate look proposals: where a detector looks for objects.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <functional>
#include <memory>

#include "cli/detection.h"
#include "cli/look.h"
#include "striate/base/file.h"
#include "striate/detection/draw_detections.h"
#include "striate/image/codec.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

struct Options {
  std::string weights;
  std::vector<std::string> images;
  std::string out;
  int64_t count = 50;
  bool json = false;
};

// Boxes (N, 4) of each of a detector's maps, or of all together.
using Boxes = std::vector<at::Tensor>;

Boxes anchors_of(Detector& detector, const Image& image, const Options&) {
  return detector.middle_anchors(image_tensor(image));
}

Boxes proposals_of(Detector& detector, const Image& image, const Options& options) {
  return {detector.propose(image_tensor(image)).slice(0, 0, options.count)};
}

// Those of a map are of one colour.
std::vector<Instance> to_draw(const Boxes& boxes) {
  std::vector<Instance> instances;
  for (size_t map = 0; map < boxes.size(); ++map) {
    const at::Tensor sides = boxes[map].to(at::kDouble).contiguous();
    const auto* side = sides.const_data_ptr<double>();
    for (int64_t i = 0; i < sides.size(0); ++i, side += 4) {
      instances.push_back(
          {.box = {side[0], side[1], side[2], side[3]}, .label = static_cast<int64_t>(map)});
    }
  }
  return instances;
}

using Find = std::function<Boxes(Detector&, const Image&, const Options&)>;

void draw(const Options& options, const std::string& what, const Find& find) {
  const NamedDetector detector = open_detector(options.weights);
  if (!detector.detector->options().proposes) {
    throw UsageError(fmt::format("{} has no proposal network", detector.name),
                     "look at a Faster or a Mask R-CNN");
  }
  Json files = Json::array();
  std::string text;
  for (const std::string& path : options.images) {
    const Image image = read_image(path);
    const Boxes boxes = find(*detector.detector, image, options);
    const std::vector<Instance> drawn = to_draw(boxes);
    const std::vector<std::string> no_labels(boxes.size());
    const fs::path file =
        fs::path(options.out) / fmt::format("{}-{}.png", what, fs::path(path).stem().string());
    write_file_atomically(file, encode_png(draw_instances(image, drawn, no_labels)));
    Json entry = {{"file", file.string()}, {"boxes", Json::array()}};
    for (const Instance& instance : drawn) {
      const Box& box = instance.box;
      entry["boxes"].push_back({box.x1, box.y1, box.x2, box.y2});
    }
    text += fmt::format("{}  {} boxes\n", file.string(), drawn.size());
    files.push_back(std::move(entry));
  }
  options.json ? print(Json{{"files", files}}) : print(text);
}

void add(CLI::App& look, const std::string& what, const std::string& text, const Find& find) {
  CLI::App* command = look.add_subcommand(what, text);
  const auto options = std::make_shared<Options>();
  command->add_option("weights", options->weights, "A weight file or run folder")->required();
  command->add_option("images", options->images, "JPEG or PNG files")->required();
  command->add_option("--out", options->out, "The folder for pictures")->required();
  command->add_flag("--json", options->json, "Print JSON");
  if (what == "proposals") {
    command->add_option("--count", options->count, "How many, the likeliest")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
  }
  command->callback([options, what, find] { draw(*options, what, find); });
}

}  // namespace

void add_look_detection(CLI::App& look) {
  add(look, "anchors", "Detectors: the boxes that the middle of an image starts from", anchors_of);
  add(look, "proposals", "Detectors: where the first stage sees an object", proposals_of);
}

}  // namespace striate::cli
