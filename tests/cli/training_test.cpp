// Training by the program: what a run holds, and how it survives an interruption and a full disk.
#include <ATen/ops/equal.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <cmath>
#include <thread>

#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Training : public Program {
 protected:
  Training() { write_data(); }
  // A run that lasts some seconds.
  static std::vector<std::string> long_run(const std::string& name) {
    return joined(joined({"train", "lenet5", "--out", name}, quick_flags()),
                  {"--epochs", "40", "--checkpoint-steps", "2"});
  }
  // Waits for the first epoch's line, interrupts the run and checks that it says so.
  void interrupt_after_an_epoch(Process& process) const {
    const fs::path metrics = folder_ / "run/metrics.jsonl";
    for (int i = 0; i < 1000 && (!fs::exists(metrics) || fs::file_size(metrics) == 0); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    process.send(SIGINT);
    const Outcome outcome = process.wait();
    ASSERT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(has(outcome.err, "interrupted in epoch"));
    EXPECT_TRUE(has(outcome.err, "striate train --resume run"));
  }
};

TEST_F(Training, LeavesAWholeRunAndSaysItsResult) {
  const Json result =
      json_of(joined(joined({"train", "lenet5", "--out", "run"}, quick_flags()), {"--json"}));
  EXPECT_EQ(result["epochs"], 6);
  EXPECT_EQ(result["test"]["images"], 60);
  EXPECT_GT(result["test"]["top1"].get<double>(), 0.9);
  for (const char* name : {"recipe.json", "metrics.jsonl", "last.safetensors", "best.safetensors",
                           "state/checkpoint.safetensors", "report.html"}) {
    EXPECT_TRUE(fs::exists(folder_ / "run" / name)) << name;
  }
  const std::string report = read_text(folder_ / "run/report.html");
  EXPECT_EQ(report.find("http"), std::string::npos) << "the page needs the network";
  EXPECT_TRUE(has(report, "lenet5"));
  const Json recipe = read_json(folder_ / "run/recipe.json");
  EXPECT_EQ(recipe["recipe"]["validation_size"], 60);
  EXPECT_EQ(recipe["recipe"]["epochs"], 6);
}

TEST_F(Training, RefusesToChangeARunThatIsResumed) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).exit_code, 0);
  for (const auto& [flag, value] :
       std::map<std::string, std::string>{{"--epochs", "9"},
                                          {"--freeze", "conv1"},
                                          {"--survival", "0.5"},
                                          {"--ensemble", "2"},
                                          {"--accumulate", "2"},
                                          {"--convolution", "direct"}}) {
    expect_failure({"train", "--resume", "run", flag, value}, 2, {"keeps what its recipe.json"});
  }
}

TEST_F(Training, ARunKeepsItsConvolution) {
  ASSERT_EQ(train("run", {"--epochs", "1", "--convolution", "direct"}).exit_code, 0);
  EXPECT_EQ(read_json(folder_ / "run/recipe.json")["convolution"], "direct");
  expect_failure(
      joined({"train", "lenet5", "--out", "other", "--convolution", "winogard"}, quick_flags()), 2,
      {"\"winogard\"", "did you mean \"winograd\"?"});
}

TEST_F(Training, ARunKeepsHowManyBatchesMakeAStep) {
  ASSERT_EQ(train("run", {"--epochs", "1", "--accumulate", "2"}).exit_code, 0);
  EXPECT_EQ(read_json(folder_ / "run/recipe.json")["recipe"]["accumulate"], 2);
  for (const auto& [flag, value, what] :
       {std::array{"--accumulate", "0", "--accumulate"},
        std::array{"--set", "accumulate=0", "accumulate must be at least 1"},
        std::array{"--accumulate", "1000", "use a smaller accumulate"}}) {
    expect_failure(joined({"train", "lenet5", "--out", "other", flag, value}, quick_flags()), 2,
                   {what});
  }
}

TEST_F(Training, RefusesAFolderThatHoldsARun) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).exit_code, 0);
  expect_failure(joined({"train", "lenet5", "--out", "run"}, quick_flags()), 1,
                 {"run holds a run already", "--resume"});
}

TEST_F(Training, ResumingAFinishedRunChangesNoWeight) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).exit_code, 0);
  const std::vector<uint8_t> before = read_file(folder_ / "run/best.safetensors");
  EXPECT_EQ(run({"train", "--resume", "run"}).exit_code, 0);
  EXPECT_EQ(read_file(folder_ / "run/best.safetensors"), before);
}

TEST_F(Training, AnInterruptionIsSavedAndResumedToTheSameWeights) {
  {
    Process process({.arguments = long_run("run"), .folder = folder_.path()});
    interrupt_after_an_epoch(process);
  }
  const Outcome resumed = run({"train", "--resume", "run", "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(Json::parse(resumed.out)["epochs"], 40);

  ASSERT_EQ(run(long_run("undisturbed")).exit_code, 0);
  for (const char* name : {"last.safetensors", "best.safetensors"}) {
    EXPECT_EQ(read_file(folder_ / "run" / name), read_file(folder_ / "undisturbed" / name)) << name;
  }
}

TEST_F(Training, AFullDiskLeavesTheEarlierCheckpointToGoOnWith) {
  {
    Process process({.arguments = long_run("run"), .folder = folder_.path()});
    interrupt_after_an_epoch(process);
  }
  const auto before = files();
  const Outcome full =
      Process({.arguments = {"train", "--resume", "run", "--checkpoint-steps", "1"},
               .folder = folder_.path(),
               .most_file_bytes = 100'000})
          .wait();
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_EQ(full.out, "");
  EXPECT_TRUE(has(full.err, "can't write run/"));
  EXPECT_TRUE(has(full.err, "hint: "));
  EXPECT_TRUE(files() == before) << "a file was left or changed";
  EXPECT_EQ(run({"train", "--resume", "run"}).exit_code, 0);
}

TEST_F(Training, AFullDiskAtTheStartLeavesNoRun) {
  const Outcome full =
      Process({.arguments = long_run("run"), .folder = folder_.path(), .most_file_bytes = 100'000})
          .wait();
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_TRUE(has(full.err, "can't write run/"));
  // The same command works once there is space.
  EXPECT_EQ(train("run", {"--epochs", "1"}).exit_code, 0);
}

TEST_F(Training, ALossThatIsNoNumberNamesTheLayer) {
  Json recipe = json_of({"recipes", "lenet5"});
  recipe["optimizer"] = {{"kind", "sgd"}, {"learning_rate", 1e30}};
  recipe["schedule"] = {{"kind", "constant"}};
  write_file_atomically(folder_ / "wild.json", recipe.dump());
  const Outcome outcome = train("run", {"--recipe", "wild.json"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(has(outcome.err, "the first value that is not finite is [conv"));
  EXPECT_TRUE(has(outcome.err, "hint: lower the learning rate"));
  EXPECT_TRUE(fs::exists(folder_ / "run/state/checkpoint.safetensors"));
}

TEST_F(Training, StartsFromGivenWeights) {
  ASSERT_EQ(train("first").exit_code, 0);
  const Json result = json_of(joined(joined({"train", "lenet5", "--out", "second"}, quick_flags()),
                                     {"--weights", "first/best.safetensors", "--epochs", "1",
                                      "--set", "optimizer.learning_rate=1e-9", "--json"}));
  EXPECT_GT(result["test"]["top1"].get<double>(), 0.9);
}

TEST_F(Training, AWrongSettingIsAnErrorAndStartsNoRun) {
  const auto failing = [&](const std::string& setting, const std::vector<std::string>& parts) {
    expect_failure(
        joined(joined({"train", "lenet5", "--out", "run"}, quick_flags()), {"--set", setting}), 2,
        parts);
    EXPECT_FALSE(fs::exists(folder_ / "run")) << setting;
  };
  failing("optimizer.learning_rat=0.1",
          {"optimizer.learning_rat", "did you mean \"learning_rate\"?"});
  failing("epochz=3", {"epochz", "did you mean \"epochs\"?"});
  failing("optimizer.learning_rate=-1", {"optimizer.learning_rate", "above 0"});
  failing("optimizer.learning_rate=fast", {"optimizer.learning_rate", "\"fast\""});
  failing("batch_size=1.5", {"recipe.batch_size", "1.5"});
  failing("batch_size=1e30", {"recipe.batch_size", "1e+30"});
  failing("epochs", {"key=value"});
  failing("train_transforms.0=3", {"train_transforms"});
}

TEST_F(Training, FreezingKeepsTheWeightsUpToANodeAndSaysHowMany) {
  const Outcome outcome = train("run", {"--epochs", "1", "--freeze", "conv2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // 6 kernels of 5x5 and 16 of 6x5x5, with a bias each, of 61,706.
  EXPECT_TRUE(has(outcome.err, "59,134 parameters are trained, 2,572 up to conv2 are frozen\n"));
  EXPECT_EQ(read_json(folder_ / "run/recipe.json")["freeze_up_to"], "conv2");
  const Network fresh(build_model("lenet5"), /*seed=*/1);
  const Weights trained = read_weights(folder_ / "run/last.safetensors");
  for (const auto& [key, tensor] : fresh.tensors()) {
    EXPECT_EQ(at::equal(trained.tensors.at(key), tensor), key.starts_with("conv")) << key;
  }
  const Outcome all = train("all", {"--epochs", "1"});
  EXPECT_TRUE(has(all.err, "61,706 parameters are trained\n"));
}

TEST_F(Training, ANodeThatCanNotBeFrozenIsAnErrorAndStartsNoRun) {
  const std::vector<std::string> command =
      joined({"train", "lenet5", "--out", "run"}, quick_flags());
  expect_failure(joined(command, {"--freeze", "conv9"}), 2,
                 {"\"conv9\"", "did you mean \"conv1\"?"});
  expect_failure(joined(command, {"--freeze", "fc3"}), 2,
                 {"--freeze fc3 leaves no weight of lenet5 to train"});
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Training, StochasticDepthIsKeptWithTheWeights) {
  const Json result = json_of({"train",        "resnet20",
                               "--data",       "idx:data",
                               "--out",        "run",
                               "--recipe",     "resnet-cifar",
                               "--limit",      "40",
                               "--epochs",     "1",
                               "--batch-size", "16",
                               "--set",        "validation_size=8",
                               "--set",        "optimizer.learning_rate=0.01",
                               "--survival",   "0.5",
                               "--json"});
  EXPECT_EQ(read_json(folder_ / "run/recipe.json")["final_survival"], 0.5);
  const auto loss = [&](const std::string& path) {
    const Json report = json_of({"evaluate", path, "--data", "idx:data", "--json"});
    return report["members"][0]["loss"].get<double>();
  };
  EXPECT_NEAR(loss("run"), result["test"]["loss"].get<double>(), 1e-6);
  // Without it the branches count in full, which is another network.
  Weights weights = read_weights(folder_ / "run/best.safetensors");
  ASSERT_EQ(weights.metadata.erase("striate.final_survival"), 1U);
  write_safetensors(weights, folder_ / "forgotten.safetensors");
  EXPECT_GT(std::abs(loss("forgotten.safetensors") - loss("run")), 1e-4);
}

TEST_F(Training, WhatANetworkDoesNotHaveIsAnErrorAndStartsNoRun) {
  const std::vector<std::string> command =
      joined({"train", "lenet5", "--out", "run"}, quick_flags());
  for (const std::string value : {"0", "1.5", "half", "nan", "0.5x"}) {
    expect_failure(joined(command, {"--survival", value}), 2, {"--survival", "(0, 1]"});
  }
  expect_failure(joined(command, {"--survival", "0.5"}), 2,
                 {"lenet5 has no residual blocks", "leave out --survival"});
  expect_failure(joined(command, {"--set", "loss.auxiliary_weight=0.3"}), 2,
                 {"lenet5 has no auxiliary heads", "--set loss.auxiliary_weight=0"});
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Training, CompareTrainsEveryNetworkAndDrawsTheirErrors) {
  const std::vector<std::string> command =
      joined(joined({"compare", "lenet5", "lenet5@paper", "--out", "both"}, quick_flags()),
             {"--epochs", "1", "--json"});
  const Json results = json_of(command);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0]["model"], "lenet5");
  EXPECT_EQ(results[1]["model"], "lenet5@paper");
  EXPECT_TRUE(has(read_text(folder_ / "both/error.svg"), "<svg"));
  // Both are there already, so nothing is trained again.
  const std::vector<uint8_t> before = read_file(folder_ / "both/lenet5/last.safetensors");
  EXPECT_EQ(json_of(command)[0]["test"], results[0]["test"]);
  EXPECT_EQ(read_file(folder_ / "both/lenet5/last.safetensors"), before);
}

TEST_F(Training, CompareChecksEveryNameBeforeItTrains) {
  expect_failure(joined({"compare", "lenet5", "lenet6", "--out", "both"}, quick_flags()), 2,
                 {"\"lenet6\"", "did you mean \"lenet5\"?"});
  expect_failure(joined({"compare", "lenet5", "resnet20", "--out", "both", "--freeze", "conv2"},
                        quick_flags()),
                 2, {"resnet20", "\"conv2\""});
}

TEST_F(Training, CompareRefusesARunThatFroze) {
  const std::vector<std::string> command =
      joined(joined({"compare", "lenet5", "--out", "both"}, quick_flags()), {"--epochs", "1"});
  ASSERT_EQ(run(joined(command, {"--freeze", "conv1"})).exit_code, 0);
  EXPECT_EQ(run(joined(command, {"--freeze", "conv1"})).exit_code, 0);
  expect_failure(command, 2, {"both/lenet5 holds a run with other settings"});
}

}  // namespace
}  // namespace striate
