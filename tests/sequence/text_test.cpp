#include "striate/sequence/text.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "striate/base/error.h"
#include "striate/base/file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

using Tokens = std::vector<std::string>;

class TextTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_text_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_ / name, text);
    return "text:" + (folder_ / name).string();
  }

  fs::path folder_;
};

TEST_F(TextTest, CharactersAreCodePoints) {
  EXPECT_EQ(split_tokens("aä€😀\n", TextUnit::kCharacters, "it"),
            (Tokens{"a", "ä", "€", "😀", "\n"}));
}

TEST_F(TextTest, WordsStandBetweenWhiteSpaceAndLinesEnd) {
  EXPECT_EQ(split_tokens("  to be,\tor\r\n\nnot", TextUnit::kWords, "it"),
            (Tokens{"to", "be,", "or", "<eos>", "<eos>", "not"}));
}

TEST_F(TextTest, BytesThatAreNotUtf8AreRefusedWithTheirPlace) {
  for (const std::string text : {"ab\xff", "ab\xc3", "ab\xc3(", "ab\x80", "ab\xe2\x82"}) {
    try {
      split_tokens(text, TextUnit::kWords, "story.txt");
      FAIL() << "went on";
    } catch (const FormatError& error) {
      EXPECT_EQ(std::string(error.what()), "story.txt is not UTF-8 at byte 2");
    }
  }
}

TEST_F(TextTest, AFileIsCutAtNinetyAndNinetyFivePercent) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>('a' + i % 26);
  const TextParts parts = open_text(write("a.txt", text), TextUnit::kCharacters);
  EXPECT_EQ(parts.training.size(), 180U);
  EXPECT_EQ(parts.validation.size(), 10U);
  EXPECT_EQ(parts.test.size(), 10U);
  EXPECT_EQ(parts.validation.front(), std::string(1, text[180]));
  EXPECT_EQ(parts.test.back(), std::string(1, text[199]));
}

TEST_F(TextTest, AFolderHasItsPartsInFiles) {
  write("train.txt", "a b\nc");
  write("valid.txt", "b\n");
  write("test.txt", "c c c\n");
  const TextParts parts = open_text("text:" + folder_.string(), TextUnit::kWords);
  EXPECT_EQ(parts.training, (Tokens{"a", "b", "<eos>", "c", "<eos>"}));
  EXPECT_EQ(parts.validation, (Tokens{"b", "<eos>"}));
  EXPECT_EQ(parts.test, (Tokens{"c", "c", "c", "<eos>"}));
  fs::remove(folder_ / "valid.txt");
  EXPECT_THROW(open_text("text:" + folder_.string(), TextUnit::kWords), IoError);
}

TEST_F(TextTest, WhatIsNoTextIsRefused) {
  EXPECT_THROW(open_text(write("empty.txt", ""), TextUnit::kCharacters), FormatError);
  EXPECT_THROW(open_text(write("empty.txt", ""), TextUnit::kWords), FormatError);
  EXPECT_THROW(open_text(write("short.txt", "a few letters"), TextUnit::kCharacters), FormatError);
  EXPECT_THROW(open_text("text:" + (folder_ / "none.txt").string(), TextUnit::kWords), IoError);
  EXPECT_THROW(open_text("text:", TextUnit::kWords), LookupError);
  EXPECT_THROW(open_text("fashion-mnist", TextUnit::kWords), LookupError);
}

TEST_F(TextTest, RareWordsAreUnknown) {
  const TextParts parts{
      .training = {"b", "a", "b", "a", "b", "rare"}, .validation = {"new"}, .test = {"b"}};
  const TextVocabulary vocabulary = make_vocabulary(parts, TextUnit::kWords, 2);
  EXPECT_EQ(vocabulary.tokens(), (Tokens{"b", "a", "<unk>"}));
  EXPECT_TRUE(vocabulary.encode({"a", "rare", "new", "b"}, "it")
                  .equal(at::tensor(std::vector<int64_t>{1, 2, 2, 0})));
}

TEST_F(TextTest, CharactersOfAllPartsAreKnownAndOthersAreNot) {
  const TextParts parts{.training = {"b", "a"}, .validation = {"ä"}, .test = {"c"}};
  const TextVocabulary vocabulary = make_vocabulary(parts, TextUnit::kCharacters, 1);
  EXPECT_EQ(vocabulary.tokens(), (Tokens{"a", "b", "c", "ä"}));
  try {
    vocabulary.encode({"a", "q"}, "the prompt");
    FAIL() << "went on";
  } catch (const LookupError& error) {
    EXPECT_EQ(std::string(error.what()),
              "the prompt has the character \"q\", which the model was not trained on");
  }
}

TEST_F(TextTest, WordsAreWrittenWithSpacesAndLines) {
  const TextVocabulary vocabulary(TextUnit::kWords, {"<eos>", "to", "be"});
  std::string text;
  int64_t before = -1;
  for (const int64_t token : {1, 2, 0, 2, 1}) {
    text += vocabulary.written(token, before);
    before = token;
  }
  EXPECT_EQ(text, "to be\nbe to");
}

TEST_F(TextTest, AVocabularyIsNotEmptyAndHasNoTokenTwice) {
  EXPECT_THROW(TextVocabulary(TextUnit::kWords, {}), FormatError);
  EXPECT_THROW(TextVocabulary(TextUnit::kWords, {"a", "b", "a"}), FormatError);
}

}  // namespace
}  // namespace striate
