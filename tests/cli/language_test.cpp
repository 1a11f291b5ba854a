// Language models by the program: training, interruption, evaluation, writing.
#include <signal.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "cli/program.h"
#include "striate/base/file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Language : public Program {
 protected:
  Language() {
    std::string text;
    for (int i = 0; i < 100; ++i) text += "the quick brown fox\njumps over the lazy dog\n";
    write_file_atomically(folder_.path() / "text.txt", text);
  }
  static std::vector<std::string> flags(const std::string& out) {
    return {"--data",       "text:text.txt",
            "--out",        out,
            "--batch-size", "8",
            "--set",        "task.chunk=20",
            "--set",        "task.hidden_size=24",
            "--set",        "optimizer.learning_rate=0.02"};
  }
  Json trained(const std::string& model, const std::string& out) const {
    return json_of(joined(joined({"train", model}, flags(out)), {"--epochs", "8", "--json"}));
  }
};

TEST_F(Language, ARunLearnsEvaluatesAndWrites) {
  const Json result = trained("char_lstm", "run");
  EXPECT_EQ(result["model"], "char_lstm");
  EXPECT_EQ(result["epochs"], 8);
  const Json& test = result["test"];
  EXPECT_LT(test["loss"].get<double>(), 1.5);
  EXPECT_EQ(test["characters"], 219);  // of 4,400, 5 %, without the first
  EXPECT_NEAR(test["bits_per_character"].get<double>(), test["loss"].get<double>() / std::log(2.0),
              1e-9);
  EXPECT_NEAR(test["perplexity"].get<double>(), std::exp(test["loss"].get<double>()), 1e-9);
  for (const char* name : {"recipe.json", "metrics.jsonl", "last.safetensors", "best.safetensors",
                           "state/checkpoint.safetensors", "report.html"}) {
    EXPECT_TRUE(fs::exists(folder_ / "run" / name)) << name;
  }
  EXPECT_TRUE(has(read_text(folder_ / "run/report.html"), "bits per character"));

  const Json again = json_of({"evaluate", "run", "--data", "text:text.txt", "--json"});
  EXPECT_NEAR(again["loss"].get<double>(), test["loss"].get<double>(), 1e-6);
  const Json held_out =
      json_of({"evaluate", "run", "--data", "text:text.txt", "--split", "validation", "--json"});
  EXPECT_NEAR(held_out["loss"].get<double>(), result["validation_loss"].get<double>(), 1e-6);
  EXPECT_EQ(held_out["part"], "validation");

  const std::vector<std::string> sample = {"sample",   "run", "--prompt", "the ",
                                           "--length", "30",  "--seed",   "2"};
  const Outcome first = run(sample);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.out.size(), 35U);  // the prompt, 30 characters, the end of the line
  EXPECT_TRUE(first.out.starts_with("the "));
  EXPECT_EQ(run(sample).out, first.out);
  EXPECT_EQ(json_of(joined(sample, {"--json"}))["text"].get<std::string>() + "\n", first.out);
}

TEST_F(Language, WordsHavePerplexity) {
  const Json result = trained("word_lstm", "run");
  EXPECT_TRUE(result["test"].contains("bits_per_word"));
  EXPECT_EQ(result["test"]["words"], 54);  // of 1,100, 5 %, without the first
  const Outcome outcome = run({"sample", "run", "--prompt", "the quick", "--length", "5"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("the quick ")) << outcome.out;
}

TEST_F(Language, AnInterruptedRunGoesOnBitForBit) {
  const std::vector<std::string> more = {"--epochs", "60", "--checkpoint-steps", "2"};
  const auto command = [&](const std::string& out) {
    return joined(joined({"train", "char_gru"}, flags(out)), more);
  };
  ASSERT_EQ(run(command("whole")).exit_code, 0);
  {
    Process process({.arguments = command("run"), .folder = folder_.path()});
    const fs::path metrics = folder_ / "run/metrics.jsonl";
    for (int i = 0; i < 2000 && (!fs::exists(metrics) || fs::file_size(metrics) == 0); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    process.send(SIGINT);
    const Outcome outcome = process.wait();
    ASSERT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_TRUE(has(outcome.err, "striate train --resume run"));
  }
  EXPECT_EQ(run({"train", "--resume", "run"}).exit_code, 0);
  for (const char* file : {"last.safetensors", "best.safetensors"}) {
    EXPECT_EQ(read_file(folder_ / "whole" / file), read_file(folder_ / "run" / file)) << file;
  }
}

TEST_F(Language, TrainingStartsFromWeightsOfTheSameText) {
  trained("char_lstm", "first");
  const Json next = json_of(joined(joined({"train", "char_lstm"}, flags("second")),
                                   {"--epochs", "1", "--weights", "first", "--json"}));
  EXPECT_LT(next["validation_loss"].get<double>(), 1.0);
  write_file_atomically(folder_.path() / "other.txt", std::string(3000, 'x') + "yz\n");
  std::vector<std::string> other = joined({"train", "char_lstm"}, flags("third"));
  other[3] = "text:other.txt";
  expect_failure(joined(other, {"--weights", "first"}), 1, {"another vocabulary"});
}

TEST_F(Language, WhatCanNotBeTrainedIsAnError) {
  write_file_atomically(folder_.path() / "empty.txt", std::string());
  write_file_atomically(folder_.path() / "bytes.txt", std::string(5000, '\xff'));
  const auto train = [](const std::string& data, std::vector<std::string> more = {}) {
    return joined({"train", "char_lstm", "--out", "run", "--data", data}, more);
  };
  expect_failure(train("text:empty.txt"), 1, {"empty.txt is empty"});
  expect_failure(train("text:bytes.txt"), 1, {"not UTF-8 at byte 0"});
  expect_failure(train("text:none.txt"), 1, {"there is no none.txt"});
  expect_failure(train("fashion-mnist"), 2, {"is no text", "text:FILE"});
  expect_failure({"train", "char_lstm", "--out", "run"}, 2, {"--data is missing", "text:FILE"});
  expect_failure(train("text:text.txt", {"--set", "task.hiden_size=3"}), 2, {"hidden_size"});
  expect_failure(train("text:text.txt", {"--set", "task.chunk=0"}), 2, {"at least 1"});
  expect_failure(train("text:text.txt", {"--precision", "bf16"}), 2, {"--precision"});
  expect_failure(train("text:text.txt", {"--recipe", "lenet5"}), 2, {"is for images"});
  expect_failure(train("text:text.txt", {"--ensemble", "2"}), 2, {"--ensemble"});
  expect_failure({"train", "lenet5", "--data", "fashion-mnist", "--recipe", "char-lstm"}, 2,
                 {"is not for images"});
  expect_failure({"compare", "char_rnn", "char_lstm", "--data", "text:text.txt"}, 2,
                 {"is a language model"});
}

TEST_F(Language, ATextThatIsTooShortForAChunkIsAnError) {
  const Outcome outcome = run({"train", "char_lstm", "--out", "run", "--data", "text:text.txt",
                               "--set", "task.chunk=1000"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(has(outcome.err, "has 3960 characters for training"));
  EXPECT_TRUE(has(outcome.err, "task.chunk"));
}

TEST_F(Language, WhatCanNotBeWrittenOrEvaluatedIsAnError) {
  trained("char_lstm", "run");
  for (const char* temperature : {"0", "-1", "inf", "nan"}) {
    expect_failure({"sample", "run", "--temperature", temperature}, 2, {"temperature"});
  }
  expect_failure({"sample", "run", "--length", "0"}, 2, {"length"});
  expect_failure({"sample", "run", "--prompt", "Ärger"}, 2, {"the character \"Ä\""});
  expect_failure({"sample", "none"}, 1, {"none"});
  expect_failure({"evaluate", "run", "--data", "fashion-mnist"}, 2, {"is no text"});
  expect_failure({"evaluate", "run", "run", "--data", "text:text.txt"}, 2, {"no ensemble"});
  expect_failure({"predict", "run", "text.txt"}, 2, {"holds a language model"});
  write_file_atomically(folder_.path() / "other.txt", std::string(3000, '?'));
  expect_failure({"evaluate", "run", "--data", "text:other.txt"}, 2, {"the character \"?\""});
}

TEST_F(Language, NetworksForImagesDoNotWrite) {
  write_weights("lenet5", "lenet.safetensors");
  expect_failure({"sample", "lenet.safetensors"}, 2, {"makes nothing up"});
}

TEST_F(Language, SummaryAndDataSayWhatThereIs) {
  const Json small = json_of({"summary", "char_lstm", "--classes", "10", "--json"});
  EXPECT_EQ(small["tensors"][0]["shape"][0], 10);
  int64_t sum = 0;
  for (const Json& tensor : small["tensors"]) sum += tensor["parameters"].get<int64_t>();
  EXPECT_EQ(small["parameters"], sum);
  EXPECT_TRUE(has(run({"summary", "word_lstm"}).out, "decoder.weight"));
  const Json data = json_of({"data", "text:text.txt", "--json"});
  EXPECT_EQ(data["units"]["characters"]["train"], 3960);
  EXPECT_EQ(data["units"]["characters"]["validation"], 220);
  EXPECT_EQ(data["units"]["words"]["train"], 990);
  EXPECT_TRUE(has(run({"data", "text:text.txt"}).out, "3,960"));
}

TEST_F(Language, CellsColourAText) {
  trained("char_lstm", "run");
  const std::vector<std::string> look = {"look",   "cells",         "run",
                                         "--data", "text:text.txt", "--out"};
  const Json found = json_of(joined(look, {"out", "--json"}));
  EXPECT_EQ(found["cells"][0]["property"], "place in the line");
  EXPECT_GT(std::abs(found["cells"][0]["correlation"].get<double>()), 0.2);
  EXPECT_TRUE(has(read_text(folder_ / found["file"].get<std::string>()), "<span class=\"b"));
  const Json one = json_of(joined(look, {"one", "--cell", "1:3", "--json"}));
  EXPECT_EQ(one["cells"], Json::array({{{"layer", 1}, {"cell", 3}}}));
  for (const char* cell : {"2:0", "0:24", "0", "a:1", "0:-1"}) {
    expect_failure(joined(look, {"bad", "--cell", cell}), 2, {"is no cell"});
  }
  expect_failure({"look", "cells", "none", "--data", "text:text.txt", "--out", "bad"}, 1, {"none"});
}

TEST_F(Language, BenchCountsCharacters) {
  const Json result = json_of({"bench", "train", "char_lstm", "--batch-size", "2", "--steps", "2",
                               "--threads", "1", "--json"});
  EXPECT_NEAR(result["characters_per_second"].get<double>(),
              2 * result["items"].get<double>() / result["median_seconds"].get<double>(), 1e-3);
  expect_failure({"bench", "infer", "char_lstm"}, 2, {});
}

}  // namespace
}  // namespace striate
