#include "striate/sequence/translation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "sequence/translation_pairs.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/sequence/translation_task.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr double kRounding = 1e-5;  // float32 in batches of other sizes

Translator untrained(const std::string& model) {
  Translator translator =
      make_translator(model, word_by_word_pairs(), small_task_options(), /*seed=*/1);
  translator.model->eval();
  return translator;
}

Weights weights_of(const Translator& translator) {
  const NamedTensors tensors = translator.model->tensors();
  return {.tensors = {tensors.begin(), tensors.end()}, .metadata = translator_metadata(translator)};
}

TEST(SentenceCodec, GivesBackWhatItReads) {
  const SentencePairs pairs = word_by_word_pairs();
  const SentenceCodec codec = SentenceCodec::learn(pairs.target, {.merges = 5});
  for (const std::string& sentence : pairs.target) {
    const std::vector<int64_t> parts = codec.encode(sentence);
    EXPECT_EQ(parts.back(), Vocabulary::kEnd);
    EXPECT_EQ(codec.decode(parts), sentence);
  }
  EXPECT_EQ(codec.encode(pairs.target)[5], codec.encode(pairs.target[5]));
}

TEST(SentenceCodec, AnUnseenWordHasPartsAndAnUnseenPartIsUnknown) {
  const SentenceCodec codec = SentenceCodec::learn(word_by_word_pairs().source, {.merges = 1});
  const auto is_unknown = [](int64_t part) { return part == Vocabulary::kUnknown; };
  const std::vector<int64_t> seen_letters = codec.encode("twfo");
  EXPECT_TRUE(std::ranges::none_of(seen_letters, is_unknown));
  EXPECT_EQ(codec.decode(seen_letters), "twfo");
  const std::vector<int64_t> unseen = codec.encode("ж");
  EXPECT_EQ(unseen, (std::vector<int64_t>{Vocabulary::kUnknown, Vocabulary::kEnd}));
}

TEST(SentenceCodec, LowersLettersWhereAsked) {
  const std::vector<std::string> text = {"Zwei Vier", "zwei"};
  EXPECT_EQ(SentenceCodec::learn(text, {.merges = 9, .lower_case = true}).encode("ZWEI"),
            SentenceCodec::learn(text, {.merges = 9, .lower_case = true}).encode("zwei"));
  const SentenceCodec cased = SentenceCodec::learn(text, {.merges = 9});
  EXPECT_NE(cased.encode("Zwei"), cased.encode("zwei"));
}

TEST(SentenceCodec, IsTheSameFromItsJson) {
  const SentenceCodec codec =
      SentenceCodec::learn(word_by_word_pairs().target, {.merges = 12, .lower_case = true});
  const SentenceCodec read = SentenceCodec::from_json(codec.to_json(), "it");
  EXPECT_EQ(read.to_json(), codec.to_json());
  EXPECT_EQ(read.encode("Vier drei!"), codec.encode("Vier drei!"));
  for (const char* key : {"lower_case", "merges", "tokens"}) {
    Json damaged = codec.to_json();
    damaged[key] = 3;
    EXPECT_THROW(SentenceCodec::from_json(damaged, "it"), FormatError) << key;
    damaged.erase(key);
    EXPECT_THROW(SentenceCodec::from_json(damaged, "it"), FormatError) << key;
  }
}

TEST(SentenceCodec, RefusesASentenceWithoutAWord) {
  const SentenceCodec codec = SentenceCodec::learn(word_by_word_pairs().source, {.merges = 5});
  EXPECT_THROW(codec.encode(""), std::invalid_argument);
  EXPECT_THROW(codec.encode(" \t "), std::invalid_argument);
  EXPECT_THROW(codec.encode("\xFF"), std::invalid_argument);
}

class EveryTranslator : public testing::TestWithParam<std::string> {};

TEST_P(EveryTranslator, TranslatesTheSameFromItsFile) {
  const Translator translator = untrained(GetParam());
  const Translator read = load_translator(weights_of(translator), "the file");
  EXPECT_FALSE(read.model->is_training());
  EXPECT_EQ(read.entry, translator.entry);
  const std::vector<std::string> sentences = {"one two.", "three", "four unseen words."};
  const auto before = translate(translator, sentences, {.beams = 2, .longest = 8});
  const auto after = translate(read, sentences, {.beams = 2, .longest = 8});
  for (size_t i = 0; i < sentences.size(); ++i) {
    EXPECT_EQ(after[i].text, before[i].text);
    EXPECT_EQ(after[i].score, before[i].score);
  }
}

TEST_P(EveryTranslator, TranslatesSentencesInTheirOrderAsIfEachWereAlone) {
  const Translator translator = untrained(GetParam());
  const std::vector<std::string> sentences = {"one two three four.", "one", "two four."};
  const BeamOptions search = {.beams = 3, .longest = 6, .length_exponent = 1};
  const auto together = translate(translator, sentences, search);
  ASSERT_EQ(together.size(), 3);
  for (size_t i = 0; i < sentences.size(); ++i) {
    const auto alone = translate(translator, std::span(&sentences[i], 1), search)[0];
    EXPECT_EQ(together[i].text, alone.text);
    EXPECT_NEAR(together[i].score, alone.score, kRounding);
    EXPECT_EQ(together[i].source_parts.back(), "<eos>");
    ASSERT_EQ(together[i].attention.defined(), GetParam() == "seq2seq_attention");
    if (!together[i].attention.defined()) continue;
    EXPECT_EQ(together[i].attention.sizes(),
              at::IntArrayRef({std::ssize(together[i].parts), std::ssize(alone.source_parts)}));
    if (together[i].parts.empty()) continue;
    EXPECT_LT((together[i].attention.sum(1) - 1).abs().max().item<double>(), kRounding);
  }
  EXPECT_TRUE(translate(translator, {}, search).empty());
}

TEST_P(EveryTranslator, LossIsTheMeanOverTheTargetsTokens) {
  const Translator translator = untrained(GetParam());
  translator.model->train();
  const EncodedPairs pairs = encode_pairs(translator, word_by_word_pairs());
  const TextLoss loss = evaluate_pairs(*translator.model, pairs);
  EXPECT_TRUE(translator.model->is_training());
  double sum = 0;
  int64_t tokens = 0;
  for (size_t i = 0; i < pairs.source.size(); ++i) {
    const TextLoss own = evaluate_pairs(*translator.model,
                                        {.source = {pairs.source[i]}, .target = {pairs.target[i]}});
    EXPECT_EQ(own.tokens, std::ssize(pairs.target[i]));
    sum += own.loss * static_cast<double>(own.tokens);
    tokens += own.tokens;
  }
  EXPECT_EQ(loss.tokens, tokens);
  EXPECT_NEAR(loss.loss, sum / static_cast<double>(tokens), kRounding);
}

TEST_P(EveryTranslator, AFileThatIsDamagedIsRefused) {
  const Weights good = weights_of(untrained(GetParam()));
  EXPECT_THROW(load_translator({.tensors = good.tensors, .metadata = {}}, "it"), LookupError);
  for (const auto& [key, text] : good.metadata) {
    if (key == "format" || key == "striate.target_language") continue;
    Weights damaged = good;
    damaged.metadata.erase(key);
    EXPECT_THROW(load_translator(damaged, "it"), FormatError) << key;
    damaged.metadata[key] = "{}";
    EXPECT_THROW(load_translator(damaged, "it"), Error) << key;
  }
  Weights huge = good;
  Json sizes = parse_json(good.metadata.at("striate.translation_model"), "sizes");
  sizes["hidden_size"] = 65536;
  huge.metadata["striate.translation_model"] = sizes.dump();
  EXPECT_THROW(load_translator(huge, "it"), ShapeError);
  Weights short_one = good;
  short_one.tensors.erase("output.bias");
  EXPECT_THROW(load_translator(short_one, "it"), ShapeError);
}

INSTANTIATE_TEST_SUITE_P(Models, EveryTranslator, testing::ValuesIn(translation_model_names()),
                         [](const auto& info) { return info.param; });

TEST(WordAlignment, AddsUpTheSourcesPartsAndAveragesTheTargets) {
  const Translation translation{.text = "Kätzchen!",
                                .source_parts = {"kit@@", "ten", "\uFFED.", "<eos>"},
                                .parts = {"Kä@@", "tz@@", "chen", "\uFFED!"},
                                .attention = at::tensor({0.5, 0.25, 0.25, 0.0, 0.0, 0.5, 0.0, 0.5,
                                                         1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.75, 0.25},
                                                        at::kDouble)
                                                 .view({4, 4})};
  const WordAlignment words = word_alignment(translation);
  EXPECT_EQ(words.source, (Tokens{"kitten", ".", "<eos>"}));
  EXPECT_EQ(words.target, (Tokens{"Kätzchen", "!"}));
  const at::Tensor wanted =
      at::tensor({2.25 / 3, 0.25 / 3, 0.5 / 3, 0.0, 0.75, 0.25}, at::kDouble).view({2, 3});
  EXPECT_LT((words.attention - wanted).abs().max().item<double>(), 1e-12);
  EXPECT_THROW(
      word_alignment({.text = "x", .source_parts = {"a"}, .parts = {"x"}, .attention = {}}),
      std::invalid_argument);
}

TEST(PairBatch, TargetsAreTheInputsMovedByOne) {
  const EncodedPairs pairs{.source = {{4, 3}, {5, 6, 3}, {9, 3}},
                           .target = {{7, 8, 3}, {4, 3}, {5, 3}}};
  const std::vector<int64_t> chosen = {1, 0};
  const PairBatch batch = make_pair_batch(pairs, chosen, at::kCPU);
  EXPECT_TRUE(batch.source.tokens.equal(at::tensor({5, 4, 6, 3, 3, 0}).view({3, 2})));
  EXPECT_TRUE(batch.inputs.equal(at::tensor({2, 2, 4, 7, 0, 8}).view({3, 2})));
  EXPECT_TRUE(batch.positions.equal(at::tensor({0, 2, 1, 3, 5})));
  EXPECT_TRUE(batch.targets.equal(at::tensor({4, 3, 7, 8, 3})));
}

TEST(BleuByLength, GroupsSentencesByTheWordsOfTheirSource) {
  std::string long_one = "w";
  for (int i = 1; i < 40; ++i) long_one += " w";
  const SentencePairs pairs{.source = {"a b c d e", "a b c d e f", "a", long_one, "a b c d."},
                            .target = {"die Katze sitzt auf dem Tisch", "ein Hund", "ja",
                                       "Der Mann geht nach Hause .", "die Frau liest ein Buch"}};
  std::vector<std::string> translations = pairs.target;
  translations[3] = "etwas ganz anderes hier";
  const auto scores = bleu_by_length(pairs, translations);
  ASSERT_EQ(scores.size(), 3);
  EXPECT_EQ(scores[0].from, 1);
  EXPECT_EQ(scores[0].to, 5);
  EXPECT_EQ(scores[0].sentences, 3);  // a mark counts as a word does
  EXPECT_NEAR(scores[0].bleu, 100, kRounding);
  EXPECT_EQ(scores[1].from, 6);
  EXPECT_EQ(scores[1].sentences, 1);
  EXPECT_EQ(scores[2].from, 31);
  EXPECT_EQ(scores[2].to, 40);
  EXPECT_LT(scores[2].bleu, 10);
  EXPECT_LT(translation_bleu(pairs, translations).bleu, 100);
}

class OpenPairsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_pairs_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& word, int lines) const {
    std::string text;
    for (int i = 0; i < lines; ++i) text += word + std::to_string(i) + "\n";
    write_file_atomically(folder_ / name, text);
  }
  std::string spelling(const std::string& a, const std::string& b) const {
    return "pairs:" + (folder_ / a).string() + ":" + (folder_ / b).string();
  }

  fs::path folder_;
};

TEST_F(OpenPairsTest, HoldsOutTheLastLines) {
  write("a.en", "s", 40);
  write("a.de", "t", 40);
  const PairParts parts = open_pairs(spelling("a.en", "a.de"));
  EXPECT_EQ(parts.training.source.size(), 36);
  EXPECT_EQ(parts.training.target.back(), "t35");
  EXPECT_EQ(parts.validation.source, (std::vector<std::string>{"s36", "s37"}));
  EXPECT_EQ(parts.test.target, (std::vector<std::string>{"t38", "t39"}));
}

TEST_F(OpenPairsTest, FindsThePartsBesideFilesCalledTrain) {
  for (const auto& [language, word] : {std::pair{"en", "s"}, std::pair{"de", "t"}}) {
    write(std::string("train.") + language, word, 5);
    write(std::string("valid.") + language, std::string(word) + "v", 2);
    write(std::string("test_b.") + language, std::string(word) + "b", 3);
    write(std::string("test_a.") + language, std::string(word) + "a", 4);
  }
  write("test.en", "alone", 9);  // has no other side
  const PairParts parts = open_pairs(spelling("train.en", "train.de"));
  EXPECT_EQ(parts.training.source.size(), 5);
  EXPECT_EQ(parts.validation.target, (std::vector<std::string>{"tv0", "tv1"}));
  EXPECT_EQ(parts.test.source.size(), 4);
  EXPECT_EQ(parts.test.target.front(), "ta0");
}

TEST_F(OpenPairsTest, RefusesTooFewLinesToHoldSomeOut) {
  write("a.en", "s", 19);
  write("a.de", "t", 19);
  EXPECT_THROW(open_pairs(spelling("a.en", "a.de")), FormatError);
  write("b.de", "t", 18);
  EXPECT_THROW(open_pairs(spelling("a.en", "b.de")), FormatError);
}

}  // namespace
}  // namespace striate
