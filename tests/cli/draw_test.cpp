// DRAW by the program: training, interruption, the bound, pictures.
#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Painter : public Program {
 protected:
  Painter() { write_data(); }

  static std::vector<std::string> flags(const std::string& out) {
    return {"--data",       "idx:data",
            "--out",        out,
            "--epochs",     "2",
            "--batch-size", "20",
            "--set",        "task.hidden_size=16",
            "--set",        "task.latent_size=4",
            "--set",        "task.steps=3",
            "--set",        "task.validation_size=40"};
  }
  Json trained(const std::string& out, const std::vector<std::string>& more = {}) const {
    return json_of(joined(joined({"train", "draw"}, flags(out)), joined(more, {"--json"})));
  }
};

TEST_F(Painter, ARunLearnsEvaluatesAndPaints) {
  const Json result = trained("run");
  EXPECT_EQ(result["model"], "draw");
  const Json& test = result["test"];
  EXPECT_EQ(test["images"], 60);
  EXPECT_EQ(test["binarize"], "stochastic");
  EXPECT_NEAR(test["bound"].get<double>(),
              test["reconstruction"].get<double>() + test["latent"].get<double>(), 1e-9);
  EXPECT_TRUE(has(read_text(folder_ / "run/report.html"), "reads 5x5, writes 5x5"));

  const Json again = json_of({"evaluate", "run", "--data", "idx:data", "--json"});
  EXPECT_NEAR(again["bound"].get<double>(), test["bound"].get<double>(), 1e-3);
  const Json held_out =
      json_of({"evaluate", "run", "--data", "idx:data", "--split", "validation", "--json"});
  EXPECT_EQ(held_out["images"], 40);
  EXPECT_NEAR(held_out["bound"].get<double>(), result["validation_loss"].get<double>(), 1e-3);
  EXPECT_EQ(json_of({"evaluate", "run", "--data", "idx:data", "--limit", "7", "--json"})["images"],
            7);

  const std::vector<std::string> sample = {"sample", "run", "--count", "6", "--seed", "3"};
  const Json paths = json_of(joined(sample, {"--out", "pictures", "--json"}));
  EXPECT_EQ(paths["steps"], 3);
  const Image sheet = read_image(folder_ / paths["samples"].get<std::string>());
  EXPECT_EQ(sheet.width, 3 * (3 * 28 + 1) + 1);
  EXPECT_EQ(sheet.height, 2 * (3 * 28 + 1) + 1);
  const Image strip = read_image(folder_ / paths["canvas"].get<std::string>());
  EXPECT_EQ(strip.width, 3 * (2 * 28 + 1) + 1);
  EXPECT_EQ(strip.height, 6 * (2 * 28 + 1) + 1);
  EXPECT_TRUE(has(read_text(folder_ / paths["animation"].get<std::string>()), "GIF89a"));
  const Outcome second = run(joined(sample, {"--out", "again"}));
  EXPECT_EQ(second.exit_code, 0) << second.err;
  for (const char* name : {"samples.png", "canvas.png", "canvas.gif"}) {
    EXPECT_EQ(read_file(folder_ / "pictures" / name), read_file(folder_ / "again" / name)) << name;
  }
}

TEST_F(Painter, PaintsWithoutAttentionAndGoesOnFromWeights) {
  trained("run", {"--recipe", "draw-no-attention"});
  EXPECT_EQ(run({"sample", "run", "--count", "1", "--out", "pictures"}).exit_code, 0);
  EXPECT_TRUE(has(read_text(folder_ / "run/report.html"), "none"));
  trained("next", {"--recipe", "draw-no-attention", "--weights", "run"});
  expect_failure(joined(joined({"train", "draw"}, flags("other")), {"--weights", "run"}), 1,
                 {"other sizes"});
}

TEST_F(Painter, WhatCanNotBePaintedIsAnError) {
  trained("run");
  const auto sample = [](const std::vector<std::string>& more) {
    return joined({"sample", "run"}, more);
  };
  expect_failure(sample({"--out", "pictures", "--count", "0"}), 2,
                 {"--count must be in [1, 1024]"});
  expect_failure(sample({"--out", "pictures", "--count", "2000"}), 2, {"got 2000"});
  expect_failure(sample({}), 2, {"--out is missing"});
  expect_failure(sample({"--out", "run/recipe.json"}), 1, {"run/recipe.json is a file"});
  expect_failure(sample({"--out", "pictures", "--prompt", "a"}), 2, {"no meaning for DRAW"});
  expect_failure({"evaluate", "run", "--data", "idx:data", "--beam", "3"}, 2,
                 {"no meaning for DRAW"});
  expect_failure({"evaluate", "run", "--data", "idx:none"}, 1, {"none"});
  expect_failure({"predict", "run", "run/recipe.json"}, 2, {"image generator"});
}

TEST_F(Painter, WhatCanNotBeTrainedIsAnError) {
  const auto train = [](const std::vector<std::string>& more) {
    return joined(joined({"train", "draw"}, flags("run")), more);
  };
  expect_failure(train({"--set", "task.read_size=29"}), 2, {"do not fit an image of 28x28"});
  expect_failure(train({"--set", "task.write_size=0"}), 2, {"attention needs both windows"});
  expect_failure(train({"--set", "task.binarize=maybe"}), 2, {"none, threshold or stochastic"});
  expect_failure(train({"--set", "task.validation_size=300"}), 2, {"hold out 300 of 300"});
  expect_failure(train({"--recipe", "char-lstm"}), 2, {"task"});
  expect_failure({"train", "draw", "--data", "text:none.txt", "--out", "run"}, 2, {"text"});
  expect_failure({"train", "draw", "--out", "run"}, 2, {"--data is missing: idx:DIR"});
}

TEST_F(Painter, WeightsOfAnotherKindPaintNothing) {
  write_weights("lenet5", "lenet.safetensors");
  expect_failure({"sample", "lenet.safetensors", "--out", "pictures"}, 2, {"makes nothing up"});
}

}  // namespace
}  // namespace striate
