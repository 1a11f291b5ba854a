// Class folders through the program: fine-tuning to other classes, and data that does not fit.
#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"

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
