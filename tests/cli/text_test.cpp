// Texts: what data sets of them hold, and scores.
#include "cli/program.h"
#include "sequence/text_reference.h"
#include "striate/base/file.h"

namespace striate {
namespace {

class Texts : public Program {
 protected:
  void write(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_ / name, text);
  }
  // The captions of tests/reference/text.json as a data set and as results.
  void write_reference() const {
    std::string table = "split\timage\tcaption\n";
    Json results = Json::array();
    for (const Json& item : text_reference()["captions"]) {
      const std::string image = std::to_string(results.size()) + ".jpg";
      write("set/images/" + image, "");
      for (const Json& caption : item["references"]) {
        table += "test\t" + image + "\t" + caption.get<std::string>() + "\n";
      }
      results.push_back({{"image_id", image}, {"caption", item["hypothesis"]}});
    }
    write("set/captions.tsv", table);
    write("results.json", results.dump());
  }
};

TEST_F(Texts, DataCountsCaptionsAndWords) {
  write("set/images/a.jpg", "");
  write("set/images/b.jpg", "");
  write("set/captions.tsv",
        "split\timage\tcaption\ntrain\ta.jpg\tA dog, a dog, a dog, a dog and a "
        "cat.\ntrain\ta.jpg\tDogs\ntest\tb.jpg\tIt's\n");
  const Json report = json_of({"data", "captions:set", "--json"});
  const Json& train = report["splits"]["train"];
  EXPECT_EQ(train["images"], 1);
  EXPECT_EQ(train["captions"], 2);
  EXPECT_EQ(train["words"], 12);
  EXPECT_EQ(train["longest"], 11);
  EXPECT_EQ(train["vocabulary"], 5);
  EXPECT_EQ(train["vocabulary_of_five"], 1);
  EXPECT_EQ(report["splits"]["validation"]["images"], 0);
  EXPECT_EQ(report["splits"]["test"]["words"], 2);
  const Outcome text = run({"data", "captions:set"});
  EXPECT_TRUE(has(text.out, "validation")) << text.err;
}

TEST_F(Texts, DataCountsPairs) {
  write("a.en", "A dog.\nThe dog runs\n");
  write("b.de", "Ein Hund.\nDer Hund läuft\n");
  const Json report = json_of({"data", "pairs:a.en:b.de", "--json"});
  EXPECT_EQ(report["pairs"], 2);
  EXPECT_EQ(report["source"]["words"], 6);
  EXPECT_EQ(report["source"]["longest"], 3);
  EXPECT_EQ(report["target"]["vocabulary"], 5);
  EXPECT_EQ(report["target"]["vocabulary_of_five"], 0);
  EXPECT_TRUE(has(run({"data", "pairs:a.en:b.de"}).out, "b.de"));
}

TEST_F(Texts, DataThatIsDamagedIsAnError) {
  write("a.en", "one\ntwo\n");
  write("b.de", "eins\n");
  write("latin.de", "eins\nz\xFCrich\n");
  write("empty.de", "");
  write("set/captions.tsv", "split\timage\tcaption\ntrain\tgone.jpg\tA dog\n");
  write("json/dataset.json", "{\"images\": [");
  expect_failure({"data", "pairs:a.en:b.de"}, 1, {"a.en has 2 lines and b.de has 1", "line k"});
  expect_failure({"data", "pairs:a.en:latin.de"}, 1, {"latin.de, line 2 is not UTF-8", "iconv"});
  expect_failure({"data", "pairs:a.en:empty.de"}, 1, {"empty.de is empty"});
  expect_failure({"data", "pairs:a.en:none.de"}, 1, {"none.de", "No such file"});
  expect_failure({"data", "pairs:a.en"}, 2, {"pairs:FILE_A:FILE_B"});
  expect_failure({"data", "captions:set"}, 1, {"captions.tsv, line 2", "gone.jpg"});
  expect_failure({"data", "captions:json"}, 1, {"dataset.json is not JSON"});
  expect_failure({"data", "captions:none"}, 1, {"none is no folder", "captions.tsv"});
  expect_failure({"data", "captions:"}, 2, {"captions:DIR"});
}

TEST_F(Texts, ScoresOfCaptionsAreThoseOfPycocoevalcap) {
  write_reference();
  const Json report =
      json_of({"score", "results.json", "captions:set", "--metric", "captions", "--json"});
  const Json& reference = text_reference()["scores"];
  EXPECT_EQ(report["images"], text_reference()["captions"].size());
  EXPECT_NEAR(report["bleu_4"].get<double>(), reference["bleu"][3].get<double>(), kMetricTolerance);
  for (const char* name : {"meteor_exact_stem", "rouge_l", "cider_d"}) {
    EXPECT_NEAR(report[name].get<double>(), reference[name].get<double>(), kMetricTolerance)
        << name;
  }
  const Outcome text = run({"score", "results.json", "captions:set", "--metric", "captions"});
  EXPECT_TRUE(has(text.out, "METEOR (exact, stem)  0.24")) << text.err;
}

TEST_F(Texts, ScoresOfTranslationsAreThoseOfSacrebleu) {
  std::string hypotheses;
  std::string first;
  std::string second;
  for (const Json& item : text_reference()["sentences"]) {
    hypotheses += item["hypothesis"].get<std::string>() + "\n";
    first += item["references"][0].get<std::string>() + "\n";
    second += item["references"][1].get<std::string>() + "\n";
  }
  write("out.txt", hypotheses);
  write("one.txt", first);
  write("two.txt", second);
  const Json report =
      json_of({"score", "out.txt", "one.txt", "two.txt", "--metric", "bleu", "--json"});
  EXPECT_NEAR(report["bleu"].get<double>(), text_reference()["bleu"]["bleu"].get<double>(),
              kMetricTolerance);
  EXPECT_EQ(report["references"], 2);
  const Outcome text = run({"score", "out.txt", "one.txt", "two.txt", "--metric", "bleu"});
  EXPECT_TRUE(has(text.out, "BLEU 60.54 = 86.4/68.4/54.5/50.0")) << text.err;
}

TEST_F(Texts, WhatCannotBeScoredIsAnError) {
  write_reference();
  write("out.txt", "one\ntwo\n");
  write("one.txt", "one\n");
  write("other.json", R"([{"image_id": "99.jpg", "caption": "a dog"}])");
  expect_failure({"score", "out.txt", "one.txt", "--metric", "bleu"}, 1,
                 {"out.txt has 2 lines", "one.txt has 1"});
  expect_failure({"score", "none.txt", "one.txt", "--metric", "bleu"}, 1, {"none.txt"});
  expect_failure({"score", "other.json", "captions:set", "--metric", "captions"}, 1,
                 {"other.json", "99.jpg"});
  expect_failure({"score", "out.txt", "captions:set", "--metric", "captions"}, 1,
                 {"out.txt is not JSON"});
  expect_failure({"score", "results.json", "set", "--metric", "captions"}, 2, {"captions:DIR"});
  expect_failure({"score", "results.json", "captions:set", "captions:set", "--metric", "captions"},
                 2, {"one data set"});
  expect_failure({"score", "out.txt", "one.txt"}, 2, {"--metric"});
  expect_failure({"score", "out.txt", "one.txt", "--metric", "cider"}, 2, {"cider"});
}

}  // namespace
}  // namespace striate
