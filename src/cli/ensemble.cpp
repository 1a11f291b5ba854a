#include "cli/ensemble.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "cli/command.h"
#include "striate/base/error.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMemberPrefix = "seed-";

std::string scores(const Json& result) {
  return fmt::format("top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}",
                     100 * result["top1"].get<double>(), 100 * result["top5"].get<double>(),
                     result["loss"].get<double>());
}

std::string line(const std::string& name, const Json& result) {
  return fmt::format("{}: {} ({} of {} images)\n", name, scores(result),
                     result["correct"].get<int64_t>(), result["images"].get<int64_t>());
}

Json mean_of(const Json& results) {
  Json mean;
  for (const char* key : {"top1", "top5", "loss"}) {
    double sum = 0;
    for (const Json& result : results) sum += result[key].get<double>();
    mean[key] = sum / static_cast<double>(results.size());
  }
  return mean;
}

}  // namespace

fs::path ensemble_file(const fs::path& folder) {
  return folder / "ensemble.json";
}

namespace {

// The folder may have been moved since: the names in it count.
std::vector<std::string> listed_members(const fs::path& folder) {
  const fs::path file = ensemble_file(folder);
  const Json report = read_json(file);
  std::vector<std::string> members;
  try {
    for (const Json& member : report.at("members")) {
      const fs::path run = member.at("weights").get<std::string>();
      members.push_back((folder / run.filename()).string());
    }
  } catch (const Json::exception&) {
    throw FormatError(fmt::format("{} lists no members", file.string()),
                      "delete it: the folders seed-… are then all taken");
  }
  return members;
}

double best_of(const Json& results) {
  double best = 0;
  for (const Json& result : results) best = std::max(best, result["top1"].get<double>());
  return best;
}

void check_same_classes(const std::vector<Member>& members) {
  for (const Member& member : members) {
    const int64_t first = members.front().predictions.probabilities.size(1);
    const int64_t own = member.predictions.probabilities.size(1);
    if (own == first) continue;
    throw Error(fmt::format("{} has {} classes, {} has {}: they are no ensemble", member.weights,
                            own, members.front().weights, first),
                "evaluate networks that were trained on the same classes");
  }
}

}  // namespace

std::vector<std::string> members_of(const fs::path& folder) {
  if (!fs::is_directory(folder) || fs::exists(RunFolder{folder}.best())) return {};
  if (fs::exists(ensemble_file(folder))) return listed_members(folder);
  std::map<uint64_t, std::string> by_seed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || !name.starts_with(kMemberPrefix)) continue;
    uint64_t seed = 0;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + kMemberPrefix.size(), end, seed);
    if (error == std::errc() && stop == end) by_seed[seed] = entry.path().string();
  }
  std::vector<std::string> members;
  for (const auto& [seed, path] : by_seed) members.push_back(path);
  return members;
}

Json ensemble_report(const std::vector<Member>& members) {
  Json report = {{"members", Json::array()}};
  std::vector<Predictions> predictions;
  for (const Member& member : members) {
    Json result = result_of(member.predictions);
    result["weights"] = member.weights;
    result["model"] = member.model;
    report["members"].push_back(std::move(result));
    predictions.push_back(member.predictions);
  }
  if (members.size() < 2) return report;
  check_same_classes(members);
  Json ensemble = result_of(average(predictions));
  const auto top1 = ensemble["top1"].get<double>();
  report["mean"] = mean_of(report["members"]);
  ensemble["gain_over_best"] = top1 - best_of(report["members"]);
  ensemble["gain_over_mean"] = top1 - report["mean"]["top1"].get<double>();
  report["ensemble"] = std::move(ensemble);
  return report;
}

std::string describe_ensemble(const Json& report) {
  std::string text;
  for (const Json& member : report["members"]) {
    text += line(fmt::format("{} ({})", member["weights"].get<std::string>(),
                             member["model"].get<std::string>()),
                 member);
  }
  if (!report.contains("ensemble")) return text;
  const Json& ensemble = report["ensemble"];
  const size_t count = report["members"].size();
  text += fmt::format("mean of the {} members: {}\n", count, scores(report["mean"]));
  text += line(fmt::format("ensemble of {}", count), ensemble);
  text += fmt::format("gain over the best member: {:+.2f} points\n",
                      100 * ensemble["gain_over_best"].get<double>());
  text += fmt::format("gain over the mean member: {:+.2f} points\n",
                      100 * ensemble["gain_over_mean"].get<double>());
  return text;
}

}  // namespace striate::cli
