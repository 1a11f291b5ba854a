#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/model_file.h"
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

std::string line(const std::string& name, const Json& result) {
  return fmt::format("{}: top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f} ({} of {} images)\n", name,
                     100 * result["top1"].get<double>(), 100 * result["top5"].get<double>(),
                     result["loss"].get<double>(), result["correct"].get<int64_t>(),
                     result["images"].get<int64_t>());
}

Json result_of(const Predictions& predictions) {
  Json json = to_json(accuracy(predictions));
  json["loss"] = predictions.loss;
  return json;
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

void evaluate(Options options) {
  options.data.split = options.split == "train" ? Split::kTrain : Split::kTest;
  const auto data = open_data(options.data);
  std::vector<Predictions> members;
  Json report = {{"data", options.data.spelling}, {"members", Json::array()}};
  std::string text;
  double best = 0;
  for (const std::string& path : options.weights) {
    const LoadedModel model = load_model(path, options.model);
    check_classes(model, *data, options.data.spelling);
    const Preprocessing preprocessing = options.crops == 10
                                            ? with_ten_crops(model.card.preprocessing, path)
                                            : model.card.preprocessing;
    members.push_back(predict_data(*model.network, *data, preprocessing));
    Json result = result_of(members.back());
    best = std::max(best, result["top1"].get<double>());
    text += line(fmt::format("{} ({})", path, model.card.model), result);
    result["weights"] = path;
    result["model"] = model.card.model;
    report["members"].push_back(result);
  }
  if (members.size() > 1) {
    report["ensemble"] = result_of(average(members));
    const double gain = report["ensemble"]["top1"].get<double>() - best;
    report["ensemble"]["gain_over_best"] = gain;
    text += line(fmt::format("ensemble of {}", members.size()), report["ensemble"]);
    text += fmt::format("gain over the best member: {:+.2f} points\n", 100 * gain);
  }
  options.json ? print(report) : print(text);
}

}  // namespace

void add_evaluate(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("evaluate", "Accuracy of weights on data; of several, their ensemble");
  const auto options = std::make_shared<Options>();
  command->add_option("weights", options->weights, "Weight files or run folders")->required();
  command->add_option("--data", options->data.spelling, "A data set")->required();
  command->add_option("--split", options->split, "train or test")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  command->add_option("--crops", options->crops, "Views of each image: 1 or 10")
      ->check(CLI::IsMember({1, 10}))
      ->capture_default_str();
  command->add_option("--limit", options->data.limit, "Only the first images")
      ->check(CLI::PositiveNumber);
  command->add_option("--model", options->model.model, "The network, if the file does not say");
  command->add_option("--preprocess", options->model.preprocess,
                      "How images are prepared, if the file does not say");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { evaluate(*options); });
}

}  // namespace striate::cli
