// Classes through the program: fine-tuning to others, their names, and data that does not fit.
#include <ATen/ops/equal.h>

#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"
#include "striate/runtime/weights.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Classes : public Program {
 protected:
  // 32x32 pictures whose brightness is their class.
  void write_class(const std::string& folder, int brightness) const {
    Random random({static_cast<uint64_t>(brightness)});
    for (int i = 0; i < 8; ++i) {
      Image image = make_image(32, 32, 3);
      for (uint8_t& value : image.pixels) {
        value = static_cast<uint8_t>(brightness + random.below(30));
      }
      write_file_atomically(folder_ / folder / ("photo" + std::to_string(i) + ".png"),
                            encode_png(image));
    }
  }

  void write_animals() const {
    int brightness = 0;
    for (const char* name : {"cat", "dog", "fox"}) {
      write_class(std::string("animals/train/") + name, brightness);
      write_class(std::string("animals/val/") + name, brightness);
      brightness += 90;
    }
  }

  static std::vector<std::string> training(const std::string& model, const std::string& run) {
    return {"train",        model,
            "--data",       "folder:animals",
            "--out",        run,
            "--epochs",     "3",
            "--batch-size", "8",
            "--set",        "validation_size=0",
            "--set",        "schedule.kind=constant",
            "--recipe",     "lenet5"};
  }

  // In colour, with steps so small that weights hardly move.
  static std::vector<std::string> tuning(const std::string& model, const std::string& run) {
    return {"train",        model,
            "--data",       "folder:animals",
            "--out",        run,
            "--epochs",     "1",
            "--batch-size", "8",
            "--set",        "validation_size=0",
            "--set",        "optimizer.learning_rate=1e-6",
            "--recipe",     "resnet-cifar"};
  }

  // LeNet-5's weights that say nothing of themselves.
  void write_bare_weights(const std::string& name) const {
    write_weights("lenet5", name);
    Weights weights = read_weights(folder_ / name);
    weights.metadata.clear();
    write_safetensors(weights, folder_ / name);
  }

  // "name 0", "name 1" … as an editor on Windows writes them.
  void write_names(const std::string& name, int count) const {
    std::string text;
    for (int k = 0; k < count; ++k) text += "name " + std::to_string(k) + "\r\n";
    write_file_atomically(folder_ / name, text);
  }
};

TEST_F(Classes, TrainingEndsWithATestAndNeedsItsImagesBeforeItBegins) {
  write_animals();
  fs::rename(folder_ / "animals/val", folder_ / "elsewhere");
  expect_failure(training("lenet5", "run"), 1, {"no val/ or test/"});
  fs::rename(folder_ / "animals/train", folder_ / "plain");
  expect_failure({"train", "lenet5", "--data", "folder:plain", "--out", "run"}, 1,
                 {"no test images of its own", "DIR/val"});
}

TEST_F(Classes, FineTuningReplacesTheLastLayerAndSaysSo) {
  write_animals();
  write_weights("lenet5", "digits.safetensors");  // ten classes, one channel
  const Outcome outcome =
      run(joined(training("lenet5", "run"), {"--weights", "digits.safetensors"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(has(outcome.err, "fc3.weight (the file's is for 10 classes, the data has 3)"));
  EXPECT_TRUE(has(outcome.err, "fc3.bias"));
  EXPECT_FALSE(has(outcome.err, "fc2.weight"));
  EXPECT_EQ(read_json(folder_ / "run/recipe.json")["initial_weights"], "digits.safetensors");
}

TEST_F(Classes, FineTuningReplacesALastConvolutionAndKeepsWhatIsFrozen) {
  write_animals();
  write_weights("squeezenet1_0", "squeeze.safetensors");  // a thousand classes
  const Outcome outcome =
      run(joined(tuning("squeezenet1_0", "run"),
                 {"--weights", "squeeze.safetensors", "--freeze", "features.12.concat"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // 512 weights and a bias for each of three classes; 1,248,424 less those of a thousand.
  EXPECT_TRUE(has(outcome.err,
                  "1,539 parameters are trained, "
                  "735,424 up to features.12.concat are frozen"));
  EXPECT_TRUE(has(outcome.err, "50 tensors are taken from squeeze.safetensors"));
  EXPECT_TRUE(
      has(outcome.err, "classifier.1.weight (the file's is for 1000 classes, the data has 3)"));
  EXPECT_TRUE(has(outcome.err, "classifier.1.bias (the file's"));

  const Weights before = read_weights(folder_ / "squeeze.safetensors");
  const Weights after = read_weights(folder_ / "run/last.safetensors");
  int64_t kept = 0;
  for (const auto& [key, tensor] : before.tensors) {
    if (!key.starts_with("features.")) continue;
    ++kept;
    EXPECT_TRUE(at::equal(after.tensors.at(key), tensor)) << key;
  }
  EXPECT_EQ(kept, 50);
  EXPECT_EQ(after.tensors.at("classifier.1.weight").sizes(), (std::vector<int64_t>{3, 512, 1, 1}));
  const Json report = json_of({"evaluate", "run", "--data", "folder:animals", "--json"});
  EXPECT_EQ(report["members"][0]["images"], 24);
}

TEST_F(Classes, FineTuningReplacesTheLastConvolutionOfNetworkInNetwork) {
  write_animals();
  write_weights("nin_cifar", "nin.safetensors");
  const Outcome outcome = run(joined(tuning("nin_cifar", "run"), {"--weights", "nin.safetensors"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(has(outcome.err, "16 tensors are taken from nin.safetensors"));
  EXPECT_TRUE(has(outcome.err, "cccp6.weight (the file's is for 10 classes, the data has 3)"));
  EXPECT_EQ(run({"evaluate", "run", "--data", "folder:animals"}).exit_code, 0);
}

TEST_F(Classes, AuxiliaryHeadsAreNewWhereAFileHasNoneAndUnusedWhereNoneAreTrained) {
  write_animals();
  write_weights("googlenet", "google.safetensors");
  const Outcome with_heads =
      run(joined(tuning("googlenet", "run"),
                 {"--weights", "google.safetensors", "--set", "loss.auxiliary_weight=0.3"}));
  ASSERT_EQ(with_heads.exit_code, 0) << with_heads.err;
  EXPECT_TRUE(has(with_heads.err, "fc.weight (the file's is for 1000 classes, the data has 3)"));
  EXPECT_TRUE(has(with_heads.err, "new, as the file has none: aux1.conv.conv.weight"));
  const Weights trained = read_weights(folder_ / "run/best.safetensors");
  EXPECT_TRUE(trained.tensors.contains("aux2.fc2.bias"));
  // What is evaluated has no heads.
  EXPECT_EQ(run({"evaluate", "run", "--data", "folder:animals"}).exit_code, 0);

  // The folder holds a run already, so this ends before it trains.
  const Outcome without_heads =
      run(joined(tuning("googlenet", "run"), {"--weights", "run/best.safetensors"}));
  EXPECT_EQ(without_heads.exit_code, 1);
  EXPECT_TRUE(has(without_heads.err, "in the file but not used: aux1."));
  EXPECT_FALSE(has(without_heads.err, "new"));
  EXPECT_TRUE(has(without_heads.err, "holds a run already"));
}

TEST_F(Classes, AFileNamesTheClassesOfWeightsThatDoNot) {
  write_bare_weights("bare.safetensors");
  write_names("names.txt", 10);
  write_class("pictures", 90);
  const Json predicted = json_of({"predict", "bare.safetensors", "pictures/photo0.png", "--model",
                                  "lenet5", "--classes", "names.txt", "--json"});
  ASSERT_EQ(predicted[0]["top"].size(), 5U);
  for (const Json& top : predicted[0]["top"]) {
    EXPECT_EQ(top["class"], "name " + std::to_string(top["index"].get<int64_t>()));
  }
}

TEST_F(Classes, NamesThatTheDataDoesNotHaveAreAnError) {
  write_data();  // classes 0 to 9
  write_bare_weights("bare.safetensors");
  write_names("names.txt", 10);
  write_file_atomically(folder_ / "digits.txt", std::string("0\n1\n2\n3\n4\n5\n6\n7\n8\n9"));
  const std::vector<std::string> evaluate = {"evaluate", "bare.safetensors", "--model",  "lenet5",
                                             "--data",   "idx:data",         "--classes"};
  EXPECT_EQ(run(joined(evaluate, {"digits.txt"})).exit_code, 0);
  expect_failure(joined(evaluate, {"names.txt"}), 1, {"other classes", "\"0\"", "\"name 0\""});
}

TEST_F(Classes, AFileOfNamesMustFitTheNetwork) {
  write_data();
  write_bare_weights("bare.safetensors");
  write_names("two.txt", 2);
  write_names("eleven.txt", 11);
  write_file_atomically(folder_ / "gap.txt", std::string("a\n\nb\n"));
  const auto evaluate = [](const std::string& classes) -> std::vector<std::string> {
    return {"evaluate", "bare.safetensors", "--model",   "lenet5",
            "--data",   "idx:data",         "--classes", classes};
  };
  expect_failure(evaluate("two.txt"), 1, {"two.txt names 2 classes, the network has 10"});
  expect_failure(evaluate("eleven.txt"), 1, {"eleven.txt names 11 classes, the network has 10"});
  expect_failure(evaluate("gap.txt"), 1, {"gap.txt line 2 is empty"});
  expect_failure(evaluate("none.txt"), 1, {"none.txt"});
}

TEST_F(Classes, ALastLayerForClassesOfOtherNamesIsNew) {
  write_data();  // ten classes, too
  write_bare_weights("bare.safetensors");
  write_names("names.txt", 10);
  ASSERT_EQ(run({"convert", "bare.safetensors", "named.safetensors", "--model", "lenet5",
                 "--classes", "names.txt"})
                .exit_code,
            0);
  const Outcome outcome = run(
      joined({"train", "lenet5", "--out", "run", "--weights", "named.safetensors"}, quick_flags()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(has(outcome.err, "fc3.weight (the file's classes have other names than the data's)"));
}

TEST_F(Classes, ConvertingForAnotherNetworkDropsTheSurvivalOfTheOld) {
  write_weights("resnet110_sd", "old.safetensors");
  Weights weights = read_weights(folder_ / "old.safetensors");
  weights.metadata["striate.model"] = "resnet110";
  weights.metadata["striate.final_survival"] = "0.8";
  write_safetensors(weights, folder_ / "old.safetensors");
  ASSERT_EQ(
      run({"convert", "old.safetensors", "new.safetensors", "--model", "resnet110_sd"}).exit_code,
      0);
  EXPECT_FALSE(
      read_weights(folder_ / "new.safetensors").metadata.contains("striate.final_survival"));
}

TEST_F(Classes, ConvertingWritesTheNamesThatAreKnown) {
  write_bare_weights("bare.safetensors");
  write_names("names.txt", 10);
  const std::vector<std::string> convert = {"convert", "bare.safetensors", "out.safetensors"};
  ASSERT_EQ(run(joined(convert, {"--model", "lenet5", "--classes", "names.txt"})).exit_code, 0);
  Json names = Json::array();
  for (int k = 0; k < 10; ++k) names.push_back("name " + std::to_string(k));
  const auto written = [&] {
    return Json::parse(
        read_weights(folder_ / "out.safetensors").metadata.at("striate.class_names"));
  };
  EXPECT_EQ(written(), names);
  ASSERT_EQ(run(joined(convert, {"--model", "lenet5"})).exit_code, 0);
  EXPECT_EQ(written(), Json::array());
  expect_failure(joined(convert, {"--classes", "names.txt"}), 2, {"--classes", "--model"});
}

TEST_F(Classes, EvaluatingOnOtherClassesIsAnError) {
  write_animals();
  ASSERT_EQ(run(training("lenet5", "run")).exit_code, 0);
  ASSERT_EQ(run({"evaluate", "run", "--data", "folder:animals"}).exit_code, 0);
  write_class("two/dog", 90);
  write_class("two/fox", 180);
  expect_failure({"evaluate", "run", "--data", "folder:two"}, 1,
                 {"other classes", "\"dog\"", "\"cat\""});
}

TEST_F(Classes, ARunIsNotGoneOnWithOtherClasses) {
  write_animals();
  ASSERT_EQ(run(training("lenet5", "run")).exit_code, 0);
  write_class("animals/train/wolf", 220);
  write_class("animals/val/wolf", 220);
  expect_failure({"train", "--resume", "run"}, 1, {"other classes", "4 now, 3 then"});
}

TEST_F(Classes, ComparingRefusesRunsOfOtherSettings) {
  write_data();
  const std::vector<std::string> compare =
      joined({"compare", "lenet5", "--out", "both"}, quick_flags());
  ASSERT_EQ(run(joined(compare, {"--epochs", "1"})).exit_code, 0);
  ASSERT_EQ(run(joined(compare, {"--epochs", "1"})).exit_code, 0);
  expect_failure(joined(compare, {"--epochs", "1", "--seed", "7"}), 2, {"other settings"});
}

TEST_F(Classes, TheBestEpochIsTheFirstOfEquals) {
  write_data();
  const Json result =
      json_of(joined(joined({"train", "lenet5", "--out", "run"}, quick_flags()),
                     {"--set", "optimizer.learning_rate=1e-12", "--epochs", "3", "--json"}));
  EXPECT_EQ(result["best_epoch"], 1);
}

TEST_F(Classes, PreprocessingWithoutAModelIsAnError) {
  write_weights("lenet5", "a.safetensors");
  expect_failure({"convert", "a.safetensors", "b.safetensors", "--preprocess", "imagenet"}, 2,
                 {"--preprocess", "--model"});
}

}  // namespace
}  // namespace striate
