// Several networks that decide together: trained as one command, and evaluated.
#include <algorithm>

#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/runtime/weights.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Ensemble : public Program {
 protected:
  Ensemble() { write_data(); }

  static std::vector<std::string> command(const std::vector<std::string>& more = {}) {
    return joined(joined({"train", "lenet5", "--out", "both", "--seed", "5", "--ensemble", "2"},
                         quick_flags()),
                  joined({"--epochs", "2"}, more));
  }
  static std::vector<std::string> evaluate(const std::vector<std::string>& weights) {
    return joined(joined({"evaluate"}, weights), {"--data", "idx:data"});
  }
  std::vector<uint8_t> weights_of_run(const std::string& run) const {
    return read_file(folder_ / run / "best.safetensors");
  }
};

// What an ensemble's numbers have to do with its members'.
void expect_consistent(const Json& report) {
  double sum = 0;
  double best = 0;
  double loss = 0;
  const auto count = static_cast<double>(report["members"].size());
  for (const Json& member : report["members"]) {
    sum += member["top1"].get<double>();
    best = std::max(best, member["top1"].get<double>());
    loss += member["loss"].get<double>() / count;
  }
  const Json& ensemble = report["ensemble"];
  const double top1 = ensemble["top1"].get<double>();
  EXPECT_NEAR(report["mean"]["top1"].get<double>(), sum / count, 1e-12);
  EXPECT_NEAR(report["mean"]["loss"].get<double>(), loss, 1e-12);
  EXPECT_NEAR(ensemble["gain_over_mean"].get<double>(), top1 - sum / count, 1e-12);
  EXPECT_NEAR(ensemble["gain_over_best"].get<double>(), top1 - best, 1e-12);
  // The logarithm is concave: an average loses no more than its members on average.
  EXPECT_LE(ensemble["loss"].get<double>(), loss + 1e-6);
}

TEST_F(Ensemble, TrainsRunsThatDifferInTheirSeedsAndAveragesThem) {
  const Json report = json_of(command({"--json"}));
  ASSERT_EQ(report["members"].size(), 2U);
  EXPECT_EQ(report["members"][0]["weights"], "both/seed-5");
  EXPECT_EQ(report["members"][1]["weights"], "both/seed-6");
  EXPECT_NE(report["members"][0]["loss"], report["members"][1]["loss"]);
  expect_consistent(report);
  EXPECT_EQ(read_json(folder_ / "both/ensemble.json"), report);
  EXPECT_EQ(read_json(folder_ / "both/seed-6/recipe.json")["seed"], 6);
  EXPECT_TRUE(fs::exists(folder_ / "both/seed-6/report.html"));

  // A member is the run that its seed makes alone.
  ASSERT_EQ(train("alone", {"--epochs", "2", "--seed", "6"}).exit_code, 0);
  EXPECT_EQ(weights_of_run("both/seed-6"), weights_of_run("alone"));
}

TEST_F(Ensemble, ItsFolderIsEvaluatedAsItsMembers) {
  const Json trained = json_of(command({"--json"}));
  const Json report = json_of(joined(evaluate({"both"}), {"--json"}));
  ASSERT_EQ(report["members"].size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(report["members"][i]["weights"], trained["members"][i]["weights"]);
    EXPECT_EQ(report["members"][i]["top1"], trained["members"][i]["top1"]);
  }
  EXPECT_EQ(report["ensemble"]["top1"], trained["ensemble"]["top1"]);
  EXPECT_NEAR(report["ensemble"]["loss"].get<double>(), trained["ensemble"]["loss"].get<double>(),
              1e-6);
  const std::string text = run(evaluate({"both"})).out;
  for (const std::string part : {"both/seed-5 (lenet5): top-1", "both/seed-6 (lenet5): top-1",
                                 "mean of the 2 members: top-1", "ensemble of 2: top-1",
                                 "gain over the best member: ", "gain over the mean member: "}) {
    EXPECT_TRUE(has(text, part));
  }
  EXPECT_EQ(json_of(joined(evaluate({"both", "both/seed-5"}), {"--json"}))["members"].size(), 3U);
  // A run that was laid beside them later is none of them.
  fs::copy(folder_ / "both/seed-5", folder_ / "both/seed-9", fs::copy_options::recursive);
  EXPECT_EQ(json_of(joined(evaluate({"both"}), {"--json"}))["members"].size(), 2U);
}

TEST_F(Ensemble, GoesOnWithTheMembersThatAreThere) {
  const Json report = json_of(command({"--json"}));
  const std::vector<uint8_t> first = weights_of_run("both/seed-5");
  const std::vector<uint8_t> second = weights_of_run("both/seed-6");
  const fs::file_time_type written = fs::last_write_time(folder_ / "both/seed-5/best.safetensors");
  fs::remove_all(folder_ / "both/seed-6");
  const Outcome again = run(command({"--json"}));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(has(again.err, "going on with lenet5 in both/seed-5"));
  EXPECT_TRUE(has(again.err, "by recipe lenet5, 2 epochs, into both/seed-6"));
  EXPECT_EQ(Json::parse(again.out), report);
  EXPECT_EQ(fs::last_write_time(folder_ / "both/seed-5/best.safetensors"), written);
  EXPECT_EQ(weights_of_run("both/seed-5"), first);
  EXPECT_EQ(weights_of_run("both/seed-6"), second);
}

TEST_F(Ensemble, RefusesOtherSettingsBeforeItTrains) {
  ASSERT_EQ(run(command()).exit_code, 0);
  fs::remove_all(folder_ / "both/seed-5");  // would be trained first
  expect_failure(command({"--limit", "200"}), 2,
                 {"both/seed-6 holds a run with other settings", "--out"});
}

TEST_F(Ensemble, RefusesTheFolderOfASingleRunAndASingleMember) {
  ASSERT_EQ(train("both", {"--epochs", "1"}).exit_code, 0);
  expect_failure(command(), 2, {"both holds a single run", "--out"});
  expect_failure(joined({"train", "lenet5", "--ensemble", "1"}, quick_flags()), 2, {"--ensemble"});
}

TEST_F(Ensemble, MayBeOfDifferentNetworks) {
  write_weights("lenet5", "modern.safetensors");
  write_weights("lenet5@paper", "paper.safetensors");
  const Json report =
      json_of(joined(evaluate({"modern.safetensors", "paper.safetensors"}), {"--json"}));
  EXPECT_EQ(report["members"][0]["model"], "lenet5");
  EXPECT_EQ(report["members"][1]["model"], "lenet5@paper");
  expect_consistent(report);
}

TEST_F(Ensemble, OfEqualMembersGainsNothing) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).exit_code, 0);
  const Json report = json_of(joined(evaluate({"run", "run", "run"}), {"--json"}));
  EXPECT_EQ(report["ensemble"]["top1"], report["members"][0]["top1"]);
  EXPECT_NEAR(report["ensemble"]["loss"].get<double>(), report["mean"]["loss"].get<double>(), 1e-5);
  EXPECT_NEAR(report["ensemble"]["gain_over_best"].get<double>(), 0, 1e-12);
  EXPECT_NEAR(report["ensemble"]["gain_over_mean"].get<double>(), 0, 1e-12);
}

TEST_F(Ensemble, OfOtherClassesIsAnError) {
  write_weights("lenet5", "ten.safetensors");
  write_weights("squeezenet1_1", "thousand.safetensors");
  // Neither says what its classes are called: only their number tells that they differ.
  const auto forget_names = [&](const std::string& name) {
    Weights weights = read_weights(folder_ / name);
    weights.metadata["striate.class_names"] = "[]";
    write_safetensors(weights, folder_ / name);
  };
  forget_names("ten.safetensors");
  forget_names("thousand.safetensors");
  expect_failure(joined(evaluate({"ten.safetensors", "thousand.safetensors"}), {"--limit", "2"}), 1,
                 {"thousand.safetensors has 1000 classes, ten.safetensors has 10"});
}

TEST_F(Ensemble, AFolderWithoutRunsIsNamed) {
  fs::create_directories(folder_ / "empty/seed-x");
  expect_failure(evaluate({"empty"}), 1, {"empty/best.safetensors"});
}

}  // namespace
}  // namespace striate
