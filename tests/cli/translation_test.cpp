// Models that translate, by the program: training, evaluation, translation, attention's picture.
#include <cmath>

#include "cli/program.h"
#include "sequence/translation_pairs.h"
#include "striate/base/file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class TranslationProgram : public Program {
 protected:
  TranslationProgram() {
    const SentencePairs pairs = word_by_word_pairs();
    SentencePairs many;
    for (int i = 0; i < 8; ++i) {
      many.source.insert(many.source.end(), pairs.source.begin(), pairs.source.end());
      many.target.insert(many.target.end(), pairs.target.begin(), pairs.target.end());
    }
    write("train.en", many.source);
    write("train.de", many.target);
    write("test.en", pairs.source);
    write("test.de", pairs.target);
  }

  void write(const std::string& name, const std::vector<std::string>& lines) const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    write_file_atomically(folder_.path() / name, text);
  }

  struct Run {
    std::string model = "seq2seq";
    std::string data = "pairs:train.en:train.de";
    std::string epochs = "1";
    std::string batch_size = "8";
  };
  static std::vector<std::string> command(const Run& run) {
    std::vector<std::string> all = {"train",    run.model, "--data",       run.data,
                                    "--out",    "run",     "--batch-size", run.batch_size,
                                    "--epochs", run.epochs};
    for (const char* setting :
         {"task.hidden_size=32", "task.embedding_size=32", "task.merges=30", "task.dropout=0",
          "optimizer.learning_rate=0.01", "task.label_smoothing=0"}) {
      all = joined(all, {"--set", setting});
    }
    return all;
  }
};

TEST_F(TranslationProgram, ARunLearnsEvaluatesTranslatesAndShowsWhereItLooked) {
  const Json result =
      json_of(joined(command({.model = "seq2seq_attention", .epochs = "8"}), {"--json"}));
  EXPECT_EQ(result["model"], "seq2seq_attention");
  EXPECT_EQ(result["test"]["sentences"], 64);
  EXPECT_GT(result["test"]["bleu"].get<double>(), 90);
  EXPECT_NEAR(result["test"]["perplexity"].get<double>(),
              std::exp(result["test"]["loss"].get<double>()), 1e-9);
  EXPECT_TRUE(has(read_text(folder_ / "run/report.html"), "BLEU by length"));

  // Its own files: their test part. Others: all of their pairs.
  const std::vector<std::string> evaluate = {"evaluate", "run", "--beam", "1", "--json", "--data"};
  const Json own = json_of(joined(evaluate, {"pairs:train.en:train.de"}));
  EXPECT_EQ(own["part"], "test");
  EXPECT_EQ(own["beams"], 1);
  const Json others = json_of(joined(evaluate, {"pairs:test.en:test.de", "--limit", "7"}));
  EXPECT_EQ(others["part"], "all");
  EXPECT_EQ(others["sentences"], 7);
  EXPECT_EQ(others["bleu_by_source_length"][0]["sentences"], 7);
  EXPECT_TRUE(has(run({"evaluate", "run", "--data", "pairs:test.en:test.de"}).out, "a beam of 5"));

  const Outcome translated = run({"translate", "run", "two four.", "three."});
  EXPECT_EQ(translated.exit_code, 0) << translated.err;
  EXPECT_EQ(translated.out, "Zwei Vier!\ndrei!\n");
  write("lines", {"two four.", "three."});
  EXPECT_EQ(
      Process({.arguments = {"translate", "run"}, .folder = folder_.path(), .in_path = "lines"})
          .wait()
          .out,
      translated.out);
  const Json json = json_of({"translate", "run", "one.", "--json", "--beam", "2"});
  EXPECT_EQ(json[0]["translation"], "eins!");
  EXPECT_LE(json[0]["score"].get<double>(), 0);

  const Json looked =
      json_of({"look", "attention", "run", "two four.", "--out", "pictures", "--json"});
  EXPECT_EQ(looked["files"][0]["target"], (Json{"Zwei", "Vier", "!"}));
  EXPECT_EQ(looked["files"][0]["source"], (Json{"two", "four", ".", "<eos>"}));
  EXPECT_TRUE(has(read_text(folder_ / "pictures/attention-1.svg"), "Vier → four"));
}

TEST_F(TranslationProgram, WordsThatWereNeverSeenAreTranslatedSomehow) {
  ASSERT_EQ(run(command({})).exit_code, 0);
  const Outcome outcome = run({"translate", "run", "ж 漢字 two-headed \"unseen\" words"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_FALSE(has(outcome.out, "<unk>"));
}

TEST_F(TranslationProgram, WhatCanNotBeTrainedIsAnError) {
  write("short.de", {"eins", "zwei"});
  write("nothing.en", {});
  write("gap.en", {"one", " ", "three"});
  write("three.de", {"eins", "zwei", "drei"});
  write_file_atomically(folder_.path() / "bytes.en", std::string("one\n\xff\nthree\n"));
  expect_failure(command({.data = "pairs:train.en:short.de"}), 1,
                 {"train.en has 512 lines", "short.de has 2", "line k of one file"});
  expect_failure(command({.data = "pairs:nothing.en:short.de"}), 1, {"nothing.en is empty"});
  expect_failure(command({.data = "pairs:gap.en:three.de"}), 1, {"gap.en, line 2 is empty"});
  expect_failure(command({.data = "pairs:bytes.en:three.de"}), 1, {"line 2 is not UTF-8"});
  expect_failure(command({.data = "pairs:three.de:three.de"}), 1, {"too few to hold some out"});
  expect_failure(command({.data = "pairs:none.en:three.de"}), 1, {"none.en"});
  expect_failure(command({.data = "pairs:train.en"}), 2, {"names no two files"});
  expect_failure(command({.data = "text:train.en"}), 2, {"pairs:FILE_A:FILE_B"});
  expect_failure(joined(command({}), {"--set", "task.hiden_size=3"}), 2, {"hidden_size"});
  expect_failure(joined(command({}), {"--set", "task.scheduled_sampling=1"}), 2,
                 {"scheduled_sampling"});
  expect_failure(joined(command({.model = "seq2seq_attention"}), {"--set", "task.layers=2"}), 2,
                 {"one layer"});
  expect_failure(command({.batch_size = "600"}), 1, {"for training: a step needs 600"});
}

TEST_F(TranslationProgram, WhatCanNotBeTranslatedIsAnError) {
  ASSERT_EQ(run(command({})).exit_code, 0);
  expect_failure({"translate", "run", "one", ""}, 2, {"sentence 2", "without a word"});
  expect_failure({"translate", "run", "\xff"}, 2, {"sentence 1"});
  expect_failure({"translate", "run"}, 2, {"nothing to translate"});
  expect_failure({"translate", "run", "one", "--beam", "0"}, 2, {"--beam"});
  expect_failure({"evaluate", "run", "--data", "pairs:test.en:test.de", "--beam", "0"}, 2,
                 {"--beam"});
  expect_failure({"evaluate", "run", "--data", "text:test.en"}, 2, {"pairs:FILE_A:FILE_B"});
  expect_failure({"look", "attention", "run", "one", "--out", "pictures"}, 2, {"no attention"});
  expect_failure({"sample", "run"}, 2, {"makes nothing up"});
  write_weights("lenet5", "lenet.safetensors");
  expect_failure({"translate", "lenet.safetensors", "one"}, 2, {"holds no model that translates"});
  expect_failure({"look", "attention", "lenet.safetensors", "one", "--out", "pictures"}, 2,
                 {"no attention"});
}

}  // namespace
}  // namespace striate
