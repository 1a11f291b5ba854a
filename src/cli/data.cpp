#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/data_detection.h"
#include "cli/data_text.h"
#include "cli/options.h"
#include "striate/base/text.h"
#include "striate/data/dataset.h"
#include "striate/detection/detection_data.h"

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

std::string describe(const Json& report) {
  std::string text = report["data"].get<std::string>() + "\n";
  for (const char* split : {"train", "test"}) {
    const Json& part = report[split];
    const Json& sizes = part["sizes"];
    text += fmt::format("{:<6} {} images, {} wide, {} high, {} channel(s)\n", split,
                        part["images"].get<int64_t>(), describe_range(sizes["width"]),
                        describe_range(sizes["height"]), sizes["channels"].get<int64_t>());
  }
  std::vector<std::vector<std::string>> rows = {{"class", "train", "test"}};
  for (const auto& [name, count] : report["train"]["classes"].items()) {
    const Json& test = report["test"]["classes"];
    rows.push_back({name, count.dump(), test.contains(name) ? test[name].dump() : "-"});
  }
  return text + aligned_table(rows, "lr");
}

void describe_data(const std::string& spelling, bool lenient, bool json) {
  if (is_detection_data(spelling)) {
    const Json report = detection_data_report(spelling, lenient);
    return json ? print(report) : print(describe_detection_data(report));
  }
  if (lenient) throw UsageError("--lenient is for objects", "leave it out");
  if (is_text_data(spelling)) {
    const Json report = text_data_report(spelling);
    return json ? print(report) : print(describe_text_data(report));
  }
  const Json report = {{"data", spelling},
                       {"train", describe_split(*open_dataset(spelling, Split::kTrain))},
                       {"test", describe_split(*open_dataset(spelling, Split::kTest))}};
  json ? print(report) : print(describe(report));
}

void add_pack(CLI::App& data) {
  struct Flags {
    std::string source;
    std::string file;
    PackOptions options;
  };
  CLI::App* command = data.add_subcommand(
      "pack", "Write the decoded images of a data set into one file, which --data pack:FILE reads");
  const auto flags = std::make_shared<Flags>();
  command->add_option("source", flags->source, kImageSpellings)->required();
  command->add_option("file", flags->file, "The file to write")->required();
  command
      ->add_option("--size", flags->options.size,
                   "Scale the shorter side to this and take the middle square")
      ->check(CLI::Range(1, 16384));
  command->callback([flags] {
    write_pack(flags->source, flags->file, flags->options);
    const auto bytes = static_cast<double>(std::filesystem::file_size(flags->file));
    note(fmt::format("{}: {:.1f} MB", flags->file, bytes / 1e6));
  });
}

}  // namespace

void add_data(CLI::App& program) {
  CLI::App* command = program.add_subcommand("data", "What a data set holds, and packing it");
  const auto spelling = std::make_shared<std::string>();
  const auto lenient = std::make_shared<bool>(false);
  const auto json = std::make_shared<bool>(false);
  command->add_option("data", *spelling, kDataSpellings);
  command->add_flag("--lenient", *lenient, "Objects: leave out those whose box or mask is wrong");
  command->add_flag("--json", *json, "Print JSON");
  command->require_subcommand(0, 1);
  add_pack(*command);
  command->callback([=] {
    if (!command->get_subcommands().empty()) return;
    if (spelling->empty()) throw CLI::RequiredError("data");
    describe_data(*spelling, *lenient, *json);
  });
}

}  // namespace striate::cli
