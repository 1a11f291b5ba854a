// Captions by the program: training, evaluation, prediction, attention.
#include "cli/program.h"
#include "sequence/captioned_squares.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Captions : public Program {
 protected:
  Captions() {
    write_captioned_squares(folder_.path());
    ::setenv("STRIATE_CACHE", (folder_ / "cache").c_str(), 1);
  }
  ~Captions() override { ::unsetenv("STRIATE_CACHE"); }

  static std::vector<std::string> flags(const std::string& out) {
    return {"--data",       "captions:.",
            "--encoder",    "encoder.safetensors",
            "--out",        out,
            "--batch-size", "4",
            "--set",        "task.hidden_size=24",
            "--set",        "task.least_count=1",
            "--set",        "task.dropout=0",
            "--set",        "optimizer.learning_rate=0.02"};
  }
  Json trained(const std::string& model, const std::string& out) const {
    return json_of(joined(joined({"train", model}, flags(out)), {"--epochs", "60", "--json"}));
  }
};

TEST_F(Captions, ARunLearnsIsScoredAndSaysWhatItSees) {
  const Json result = trained("show_attend_tell", "run");
  EXPECT_EQ(result["test"]["images"], 2);
  ASSERT_EQ(result["test"]["results"].size(), 3U);
  EXPECT_EQ(result["test"]["results"][2]["beams"], 5);
  EXPECT_GT(result["test"]["results"][0]["bleu_1"].get<double>(), 0.3);
  EXPECT_TRUE(has(read_text(folder_ / "run/report.html"), "CIDEr-D"));
  EXPECT_TRUE(fs::exists(folder_ / "cache"));

  const Json scored = json_of(
      {"evaluate", "run", "--data", "captions:.", "--beam", "1", "--nearest-neighbour", "--json"});
  EXPECT_EQ(scored["search"], "greedy");
  EXPECT_EQ(scored["cider_d"], result["test"]["results"][0]["cider_d"]);
  EXPECT_TRUE(scored["nearest_neighbour"].contains("cider_d"));
  const Outcome told = run({"evaluate", "run", "--data", "captions:.", "--split", "train"});
  EXPECT_TRUE(has(told.out, "beam 3")) << told.err;
  EXPECT_TRUE(has(told.out, "METEOR leaves out synonyms"));

  const Json captions = json_of({"predict", "run", "images/0.png", "images/3.png", "--json"});
  EXPECT_EQ(captions[0]["image"], "images/0.png");
  EXPECT_FALSE(captions[1]["caption"].get<std::string>().empty());
  EXPECT_TRUE(
      has(run({"predict", "run", "images/0.png"}).out, captions[0]["caption"].get<std::string>()));

  const Json looks =
      json_of({"look", "attention", "run", "images/0.png", "--out", "looks", "--json"});
  EXPECT_EQ(looks["files"][0]["caption"], captions[0]["caption"]);
  EXPECT_TRUE(
      has(read_text(folder_ / looks["files"][0]["file"].get<std::string>()), "<figcaption>"));
}

TEST_F(Captions, HardAttentionAndNoneTrainToo) {
  EXPECT_TRUE(trained("show_tell", "tell")["test"].contains("results"));
  const Json hard = json_of(joined(joined({"train", "show_attend_tell"}, flags("hard")),
                                   {"--attention", "hard", "--epochs", "1", "--json"}));
  EXPECT_EQ(hard["epochs"], 1);
  expect_failure({"look", "attention", "tell", "images/0.png", "--out", "looks"}, 2,
                 {"has no attention"});
}

TEST_F(Captions, WhatCanNotBeTrainedOrSaidIsAnError) {
  const auto train = [&](const std::vector<std::string>& more) {
    return joined(joined({"train", "show_attend_tell"}, flags("bad")), more);
  };
  expect_failure({"train", "show_tell", "--data", "captions:.", "--out", "bad"}, 2, {"no encoder"});
  expect_failure({"train", "show_tell", "--encoder", "encoder.safetensors", "--out", "bad"}, 2,
                 {"--data is missing", "captions:DIR"});
  expect_failure(train({"--attention", "medium"}), 2, {"--attention"});
  expect_failure(train({"--set", "task.entropy=-1"}), 2, {"entropy"});
  expect_failure(train({"--set", "task.encoder.node=conv9"}), 2, {"conv9"});
  expect_failure(train({"--set", "task.encoder.weights=none.safetensors"}), 1,
                 {"none.safetensors"});
  expect_failure(train({"--precision", "bf16"}), 2, {"--precision"});
  expect_failure({"predict", "encoder.safetensors", "images/0.png", "--beam", "2"}, 2, {"--beam"});
  trained("show_tell", "run");
  expect_failure({"predict", "run", "none.png"}, 1, {"none.png"});
  expect_failure({"predict", "run", "captions.tsv"}, 1, {"captions.tsv"});
  expect_failure({"evaluate", "run", "--data", "captions:nowhere"}, 1, {"nowhere"});
  expect_failure({"evaluate", "run", "--data", "captions:.", "--beam", "0"}, 2, {"--beam"});
  expect_failure({"sample", "run"}, 2, {"makes nothing up"});
  expect_failure({"evaluate", "run", "run", "--data", "captions:."}, 2, {"no ensemble"});
  fs::remove(folder_ / "images/10.png");
  expect_failure({"evaluate", "run", "--data", "captions:."}, 1, {"10.png"});
  expect_failure(train({}), 1, {"10.png"});
}

}  // namespace
}  // namespace striate
