#include "striate/sequence/words.h"

#include <gtest/gtest.h>

#include "sequence/text_reference.h"
#include "shared_folder.h"
#include "striate/sequence/sentence_pairs.h"

namespace striate {
namespace {

TEST(Words, MarksStandAloneAndSayWhereTheyTouch) {
  EXPECT_EQ(text_of(split_words("Well, don't.")), "well ￭, don ￭'￭ t ￭.");
  EXPECT_EQ(text_of(split_words("(a) \"b\" ...", {.lower_case = false})),
            "(￭ a ￭) \"￭ b ￭\" . ￭. ￭.");
  EXPECT_EQ(text_of(split_words("ÄPFEL été 3.5 ½")), "äpfel été 3 ￭.￭ 5 ½");
}

TEST(Words, CaseStaysWhereItIsAskedTo) {
  EXPECT_EQ(text_of(split_words("Der Ärger", {.lower_case = false})), "Der Ärger");
}

TEST(Words, WhiteSpaceOfEveryKindSeparates) {
  EXPECT_EQ(text_of(split_words("\ta\u00A0b\u3000 c \r")), "a b c");
  EXPECT_TRUE(split_words(" \t ").empty());
  EXPECT_TRUE(split_words("").empty());
}

TEST(Words, AnAccentBelongsToItsLetter) {
  EXPECT_EQ(split_words("e\u0301te\u0301").size(), 1U);
}

TEST(Words, JoiningUndoesSplitting) {
  for (const std::string text : {"Well, don't.", "(a) \"b\" ... c?!", "a - b -c- d",
                                 "\u201EGuten Tag!\u201C, sagte er", "...", "x"}) {
    EXPECT_EQ(join_words(split_words(text, {.lower_case = false})), text);
  }
  EXPECT_EQ(join_words(split_words("a \uFFED b")), "a \u25A0 b");
  EXPECT_EQ(join_words({}), "");
}

TEST(Words, JoiningUndoesSplittingOfRealSentences) {
  for (const char* language : {"en", "de", "fr"}) {
    const auto path =
        shared_folder() / "data/text/multi30k" / (std::string("val.") + language + ".gz");
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path << ": set STRIATE_SHARED";
    for (std::string sentence : read_sentences(path)) {
      const size_t hard_space = sentence.find("\u00A0");
      if (hard_space != std::string::npos) sentence.replace(hard_space, 2, " ");
      const std::string joined = join_words(split_words(sentence, {.lower_case = false}));
      // Runs of white space become one space.
      EXPECT_EQ(text_of(tokens_of(joined)), text_of(tokens_of(sentence)));
    }
  }
}

TEST(Words, BytesThatAreNotUtf8AreAnError) {
  EXPECT_THROW(split_words("caf\xE9"), std::invalid_argument);
}

}  // namespace
}  // namespace striate
