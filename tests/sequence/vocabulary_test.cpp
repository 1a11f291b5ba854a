#include "striate/sequence/vocabulary.h"

#include "data/made_data.h"
#include "striate/base/file.h"

namespace striate {
namespace {

const std::vector<Tokens> kSentences = {{"a", "b", "a", "c"}, {"b", "a", "d", "<unk>", "<pad>"}};

TEST(Vocabulary, TheMoreFrequentComesFirstBehindTheSpecialTokens) {
  const Vocabulary vocabulary(kSentences, {});
  EXPECT_EQ(vocabulary.tokens(),
            (std::vector<std::string>{"<pad>", "<unk>", "<bos>", "<eos>", "a", "b", "c", "d"}));
  EXPECT_EQ(vocabulary.index("a"), 4);
  EXPECT_EQ(vocabulary.index("<eos>"), Vocabulary::kEnd);
  EXPECT_EQ(vocabulary.token(Vocabulary::kBegin), "<bos>");
  EXPECT_THROW(vocabulary.token(8), std::out_of_range);
}

TEST(Vocabulary, RareTokensAreLeftOut) {
  EXPECT_EQ(Vocabulary(kSentences, {.most = 1}).tokens().back(), "a");
  EXPECT_EQ(Vocabulary(kSentences, {.most = 1}).size(), 5);
  EXPECT_EQ(Vocabulary(kSentences, {.least_count = 2}).size(), 6);
  EXPECT_EQ(Vocabulary(kSentences, {.most = 1, .least_count = 9}).size(), 4);
  EXPECT_THROW(Vocabulary(kSentences, {.least_count = 0}), std::invalid_argument);
  EXPECT_THROW(Vocabulary(kSentences, {.most = -1}), std::invalid_argument);
}

TEST(Vocabulary, UnseenTokensAreUnknown) {
  const Vocabulary vocabulary(kSentences, {.most = 2});
  EXPECT_EQ(vocabulary.encode({"b", "c", "never", "a"}),
            (std::vector<int64_t>{5, Vocabulary::kUnknown, Vocabulary::kUnknown, 4}));
}

TEST(Vocabulary, DecodingEndsAtTheEnd) {
  const Vocabulary vocabulary(kSentences, {});
  const std::vector<int64_t> indices = {Vocabulary::kBegin, 4, Vocabulary::kUnknown, 5,
                                        Vocabulary::kEnd,   6, Vocabulary::kPad};
  EXPECT_EQ(vocabulary.decode(indices), (Tokens{"a", "<unk>", "b"}));
}

TEST(Vocabulary, IsReadBackAsItWasWritten) {
  const TemporaryFolder folder;
  const Vocabulary vocabulary(std::vector<Tokens>{{"\"", "ü", "\\", "x"}}, {});
  write_vocabulary(vocabulary, folder / "words.json");
  EXPECT_EQ(read_vocabulary(folder / "words.json").tokens(), vocabulary.tokens());
}

TEST(Vocabulary, AFileThatIsNoneIsNamed) {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& text) {
    write_file_atomically(folder / "words.json", text);
    return problem_of<FormatError>([&] { read_vocabulary(folder / "words.json"); }).message;
  };
  for (const std::string text :
       {"", "{", "{}", "[1]", "[\"a\"]", "[\"<pad>\",\"<unk>\",\"<eos>\",\"<bos>\"]"}) {
    EXPECT_TRUE(has(problem(text), "words.json")) << text;
  }
  EXPECT_TRUE(has(problem(R"(["<pad>","<unk>","<bos>","<eos>","x","x"])"), "\"x\" twice"));
  EXPECT_THROW(read_vocabulary(folder / "nothing.json"), IoError);
}

}  // namespace
}  // namespace striate
