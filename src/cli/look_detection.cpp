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

// Boxes to draw, and what they are called.
struct NamedBoxes {
  std::vector<Detection> boxes;
  std::vector<std::string> names;
};

void add_boxes(NamedBoxes& named, const at::Tensor& boxes, const std::string& name) {
  const at::Tensor sides = boxes.to(at::kDouble).contiguous();
  const auto* side = sides.const_data_ptr<double>();
  for (int64_t i = 0; i < sides.size(0); ++i, side += 4) {
    named.boxes.push_back({.box = {side[0], side[1], side[2], side[3]},
                           .label = std::ssize(named.names),
                           .score = 1});
  }
  named.names.push_back(name);
}

NamedBoxes anchors_of(Detector& detector, const Image& image, const Options&) {
  NamedBoxes named;
  for (const at::Tensor& anchors : detector.middle_anchors(image_tensor(image))) {
    add_boxes(named, anchors, fmt::format("map {}", named.names.size() + 1));
  }
  return named;
}

NamedBoxes proposals_of(Detector& detector, const Image& image, const Options& options) {
  NamedBoxes named;
  add_boxes(named, detector.propose(image_tensor(image)).slice(0, 0, options.count), "proposal");
  return named;
}

using Find = std::function<NamedBoxes(Detector&, const Image&, const Options&)>;

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
    const NamedBoxes named = find(*detector.detector, image, options);
    const fs::path file =
        fs::path(options.out) / fmt::format("{}-{}.png", what, fs::path(path).stem().string());
    write_file_atomically(file, encode_png(draw_detections(image, named.boxes, named.names)));
    Json entry = {{"file", file.string()}, {"boxes", Json::array()}};
    for (const Detection& found : named.boxes) {
      entry["boxes"].push_back({found.box.x1, found.box.y1, found.box.x2, found.box.y2});
    }
    text += fmt::format("{}  {} boxes\n", file.string(), named.boxes.size());
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
