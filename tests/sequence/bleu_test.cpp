#include "striate/sequence/bleu.h"

#include "data/made_data.h"
#include "sequence/text_reference.h"
#include "shared_folder.h"
#include "striate/sequence/sentence_pairs.h"

namespace striate {
namespace {

void expect_equal(const BleuScore& score, const Json& reference) {
  EXPECT_NEAR(score.bleu, reference["bleu"].get<double>(), kMetricTolerance);
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_NEAR(score.precisions[n], reference["precisions"][n].get<double>(), kMetricTolerance);
  }
  EXPECT_NEAR(score.brevity_penalty, reference["brevity_penalty"].get<double>(), kMetricTolerance);
  EXPECT_EQ(score.hypothesis_length, reference["hypothesis_length"].get<int64_t>());
  EXPECT_EQ(score.reference_length, reference["reference_length"].get<int64_t>());
}

TEST(Bleu, EqualsSacrebleu) {
  std::vector<std::string> hypotheses;
  std::vector<std::vector<std::string>> references;
  for (const Json& item : text_reference()["sentences"]) {
    hypotheses.push_back(item["hypothesis"].get<std::string>());
    references.push_back(item["references"].get<std::vector<std::string>>());
  }
  expect_equal(corpus_bleu(hypotheses, references), text_reference()["bleu"]);
  // One sentence at a time: all kinds of smoothing, and none of four words.
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    SCOPED_TRACE(hypotheses[i]);
    expect_equal(corpus_bleu({&hypotheses[i], 1}, {&references[i], 1}),
                 text_reference()["sentence_bleu"][i]);
  }
}

// As made_up() of tools/reference/text.py.
std::vector<std::string> made_up(const std::vector<std::string>& sentences) {
  std::vector<std::string> made;
  for (size_t i = 0; i < sentences.size(); ++i) {
    std::istringstream words(sentences[i % 4 == 3 ? (i + 1) % sentences.size() : i]);
    std::string kept;
    std::string word;
    for (size_t k = 0; std::getline(words, word, ' '); ++k) {
      if (k % 5 != 4) kept += (k == 0 ? "" : " ") + word;
    }
    made.push_back(kept);
  }
  return made;
}

TEST(Bleu, OfRealSentencesEqualsSacrebleu) {
  for (const auto& [language, reference] : text_reference()["multi30k"].items()) {
    const auto path =
        shared_folder() / "data/text/multi30k" / ("test_2016_flickr." + language + ".gz");
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path << ": set STRIATE_SHARED";
    const std::vector<std::string> sentences = read_sentences(path);
    std::vector<std::vector<std::string>> references;
    for (const std::string& sentence : sentences) references.push_back({sentence});
    SCOPED_TRACE(language);
    expect_equal(corpus_bleu(made_up(sentences), references), reference);
  }
}

TEST(Bleu, TokensAreThoseOfMteval) {
  EXPECT_EQ(text_of(bleu_tokens("Don't pay $1,000.50, or 3-4%: \"it's\" a_b.")),
            "Don't pay $ 1,000.50 , or 3 - 4 % : \" it's \" a _ b .");
  EXPECT_EQ(text_of(bleu_tokens("x.,y 5. .5 well-known")), "x . , y 5 . . 5 well-known");
  EXPECT_EQ(text_of(bleu_tokens("a&lt;b &amp;lt; <skipped>c")), "a < b < c");
  EXPECT_EQ(text_of(bleu_tokens("a\u00A0b\u3000c")), "a b c");
}

TEST(Bleu, OfNothingIsZero) {
  const std::vector<std::vector<std::string>> references = {{"a b c d"}};
  for (const std::string hypothesis : {"", "e f g h"}) {
    const std::vector<std::string> hypotheses = {hypothesis};
    EXPECT_EQ(corpus_bleu(hypotheses, references).bleu, 0);
  }
}

TEST(Bleu, SentencesWithoutReferencesAreAnError) {
  const std::vector<std::string> hypotheses = {"a", "b"};
  EXPECT_THROW(corpus_bleu({}, {}), std::invalid_argument);
  EXPECT_THROW(corpus_bleu(hypotheses, std::vector<std::vector<std::string>>{{"a"}}),
               std::invalid_argument);
  const std::vector<std::vector<std::string>> references = {{"a"}, {}};
  EXPECT_TRUE(
      has(problem_of<std::invalid_argument>([&] { corpus_bleu(hypotheses, references); }).message,
          "sentence 2"));
}

}  // namespace
}  // namespace striate
