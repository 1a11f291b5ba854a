#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "striate/base/text.h"
#include "striate/data/dataset.h"

namespace striate::cli {

namespace {

constexpr int64_t kMostMeasured = 1000;

// Sizes of up to a thousand images, evenly spread.
Json measure_sizes(const Dataset& data) {
  const int64_t step = std::max<int64_t>(1, data.size() / kMostMeasured);
  int64_t low[2] = {INT64_MAX, INT64_MAX};
  int64_t high[2] = {0, 0};
  int64_t channels = 0;
  int64_t measured = 0;
  for (int64_t i = 0; i < data.size(); i += step, ++measured) {
    const Image image = data.sample(i).image;
    const int64_t size[2] = {image.width, image.height};
    for (int axis = 0; axis < 2; ++axis) {
      low[axis] = std::min(low[axis], size[axis]);
      high[axis] = std::max(high[axis], size[axis]);
    }
    channels = image.channels;
  }
  return {{"measured", measured},
          {"channels", channels},
          {"width", {low[0], high[0]}},
          {"height", {low[1], high[1]}}};
}

Json describe_split(const Dataset& data) {
  std::vector<int64_t> counts(data.class_names().size());
  for (int64_t i = 0; i < data.size(); ++i) ++counts[static_cast<size_t>(data.label(i))];
  Json classes = Json::object();
  for (size_t k = 0; k < counts.size(); ++k) classes[data.class_names()[k]] = counts[k];
  return {{"images", data.size()}, {"sizes", measure_sizes(data)}, {"classes", classes}};
}

std::string range(const Json& two) {
  const auto low = two[0].get<int64_t>();
  const auto high = two[1].get<int64_t>();
  return low == high ? std::to_string(low) : fmt::format("{}-{}", low, high);
}

std::string describe(const Json& report) {
  std::string text = report["data"].get<std::string>() + "\n";
  for (const char* split : {"train", "test"}) {
    const Json& part = report[split];
    const Json& sizes = part["sizes"];
    text += fmt::format("{:<6} {} images, {} wide, {} high, {} channel(s)\n", split,
                        part["images"].get<int64_t>(), range(sizes["width"]),
                        range(sizes["height"]), sizes["channels"].get<int64_t>());
  }
  std::vector<std::vector<std::string>> rows = {{"class", "train", "test"}};
  for (const auto& [name, count] : report["train"]["classes"].items()) {
    const Json& test = report["test"]["classes"];
    rows.push_back({name, count.dump(), test.contains(name) ? test[name].dump() : "-"});
  }
  return text + aligned_table(rows, "lr");
}

}  // namespace

void add_data(CLI::App& program) {
  CLI::App* command = program.add_subcommand("data", "What a data set holds");
  const auto spelling = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  command->add_option("data", *spelling, "fashion-mnist, idx:DIR, cifar10:DIR or folder:DIR")
      ->required();
  command->add_flag("--json", *json, "Print JSON");
  command->callback([=] {
    const Json report = {{"data", *spelling},
                         {"train", describe_split(*open_dataset(*spelling, Split::kTrain))},
                         {"test", describe_split(*open_dataset(*spelling, Split::kTest))}};
    *json ? print(report) : print(describe(report));
  });
}

}  // namespace striate::cli
