#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/ensemble.h"
#include "cli/model_file.h"
#include "cli/model_kind.h"
#include "cli/results.h"
#include "striate/base/error.h"

namespace striate::cli {

namespace {

struct Options {
  std::vector<std::string> weights;
  DataOptions data;
  ModelFileOptions model;
  std::string split = "test";
  int crops = 1;
  std::optional<int64_t> beams;
  bool nearest_neighbour = false;
  DetectionRequest detections;
  bool json = false;
};

// Ten crops in place of the one in the middle.
Preprocessing with_ten_crops(const Preprocessing& preprocessing, const std::string& origin) {
  std::vector<Transform> transforms = preprocessing.transforms();
  for (Transform& transform : transforms) {
    const auto* crop = std::get_if<transforms::CenterCrop>(&transform);
    if (crop == nullptr) continue;
    transform = transforms::TenCrop{.size = crop->size};
    return Preprocessing(std::move(transforms));
  }
  throw LookupError(fmt::format("--crops 10: the preprocessing of {} has no center_crop", origin));
}

// A network's k-th class must be the data's k-th.
void check_classes(const LoadedModel& model, const Dataset& data, const std::string& spelling) {
  const auto& own = model.card.class_names;
  const auto& names = data.class_names();
  if (!model.names_its_classes || own == names) return;
  size_t k = 0;
  while (k < own.size() && k < names.size() && own[k] == names[k]) ++k;
  const auto name = [&](const std::vector<std::string>& list) {
    return k < list.size() ? "\"" + list[k] + "\"" : std::string("missing");
  };
  throw Error(fmt::format("{} has other classes than {}: number {} is {} there and {} here",
                          spelling, model.path.string(), k, name(names), name(own)),
              "evaluate on data with the classes that the network was trained on");
}

// The runs of an ensemble's folder in place of it.
std::vector<std::string> with_members(const std::vector<std::string>& paths) {
  std::vector<std::string> expanded;
  for (const std::string& path : paths) {
    const std::vector<std::string> members = members_of(path);
    if (members.empty()) expanded.push_back(path);
    expanded.insert(expanded.end(), members.begin(), members.end());
  }
  return expanded;
}

Member evaluate_one(const std::string& path, const Dataset& data, const Options& options) {
  const LoadedModel model = load_model(path, options.model);
  check_classes(model, data, options.data.spelling);
  const Preprocessing preprocessing = options.crops == 10
                                          ? with_ten_crops(model.card.preprocessing, path)
                                          : model.card.preprocessing;
  return {.weights = path,
          .model = model.card.model,
          .predictions = predict_data(*model.network, data, preprocessing)};
}

void evaluate_kind(const ModelKind& kind, const Options& options) {
  if (options.weights.size() > 1) {
    throw UsageError(fmt::format("several files with a {} make no ensemble", kind.name()),
                     "evaluate one after the other");
  }
  if (!kind.finds_objects()) {
    refuse_detection_flags(options.detections, fmt::format("a {}", kind.name()));
  }
  const Json report = kind.evaluate({.weights = options.weights.front(),
                                     .data = options.data.spelling,
                                     .part = options.split,
                                     .limit = options.data.limit,
                                     .beams = options.beams,
                                     .nearest_neighbour = options.nearest_neighbour,
                                     .detections = options.detections});
  options.json ? print(report) : print(kind.describe_evaluation(report));
}

void evaluate(Options options) {
  // A run's folder may be that of an ensemble, whose members are networks for images.
  if (members_of(options.weights.front()).empty()) {
    const ModelKind* const kind = kind_of_file(options.weights.front());
    if (kind != nullptr) return evaluate_kind(*kind, options);
  }
  refuse_detection_flags(options.detections, "classes of images");
  if (options.split == "validation") {
    throw UsageError("images with classes have no validation part",
                     "use --split train or --split test");
  }
  if (options.beams.has_value()) {
    throw UsageError("--beam has no meaning for classes of images", "leave it out");
  }
  options.data.split = options.split == "train" ? Split::kTrain : Split::kTest;
  const auto data = open_data(options.data);
  std::vector<Member> members;
  for (const std::string& path : with_members(options.weights)) {
    members.push_back(evaluate_one(path, *data, options));
  }
  Json report = {{"data", options.data.spelling}};
  if (options.model.column.has_value()) report["column"] = *options.model.column;
  report.update(ensemble_report(members));
  options.json ? print(report) : print(describe_ensemble(report));
}

}  // namespace

void add_evaluate(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "evaluate",
      "How good weights are on data: accuracy (of several, their ensemble), loss, BLEU, bound, "
      "average precision");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("weights", options->weights,
                   "Weight files, run folders, or the folder of an ensemble")
      ->required();
  command->add_option("--data", options->data.spelling, "A data set")->required();
  command
      ->add_option("--split", options->split,
                   "train or test; of texts, captions and objects also validation")
      ->check(CLI::IsMember({"train", "validation", "test"}))
      ->capture_default_str();
  command->add_option("--crops", options->crops, "Views of each image: 1 or 10")
      ->check(CLI::IsMember({1, 10}))
      ->capture_default_str();
  command
      ->add_option("--limit", options->data.limit,
                   "Only the first images, sentences, or tokens of a text")
      ->check(CLI::PositiveNumber);
  command->add_option("--beam", options->beams, "Sentences that a search keeps at each step")
      ->check(CLI::Range(1, 100));
  command->add_flag("--nearest-neighbour", options->nearest_neighbour,
                    "Captions: also those of the most alike training image");
  add_detection_flags(*command, options->detections);
  command->add_option("--results", options->detections.results,
                      "Detections: a file for them in COCO's format, which striate score reads");
  add_model_flags(*command, options->model);
  command
      ->add_option("--column", options->model.column,
                   "FractalNet: by this column alone; 0 is the shallowest")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { evaluate(*options); });
}

}  // namespace striate::cli
