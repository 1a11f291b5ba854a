#include "striate/sequence/byte_pair_encoding.h"

#include "data/made_data.h"
#include "sequence/text_reference.h"
#include "shared_folder.h"
#include "striate/base/file.h"
#include "striate/base/random.h"
#include "striate/sequence/sentence_pairs.h"

namespace striate {
namespace {

std::vector<std::string> lines_of(const BytePairEncoding& encoding) {
  std::vector<std::string> lines;
  for (const auto& [first, second] : encoding.merges()) lines.push_back(first + " " + second);
  return lines;
}

BytePairEncoding reference_encoding() {
  std::vector<Tokens> sentences;
  for (const Json& item : text_reference()["tokens"]) {
    sentences.push_back(tokens_of(item[1].get<std::string>()));
  }
  return BytePairEncoding::learn(sentences, {.merges = 60});
}

TEST(BytePairEncoding, LearnsAndSplitsAsSubwordNmt) {
  const Json& reference = text_reference()["byte_pairs"];
  const BytePairEncoding encoding = reference_encoding();
  EXPECT_EQ(Json(lines_of(encoding)), reference["merges"]);
  EXPECT_EQ(Json(encoding.encode(tokens_of(reference["unseen"].get<std::string>()))),
            reference["encoded"]);
}

TEST(BytePairEncoding, LearnsFromRealSentencesAsSubwordNmt) {
  const auto path = shared_folder() / "data/text/multi30k/train.de.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path << ": set STRIATE_SHARED";
  std::vector<std::string> sentences = read_sentences(path);
  sentences.resize(2000);
  std::vector<Tokens> tokens;
  for (const std::string& sentence : sentences) tokens.push_back(tokens_of(sentence));
  const Json& reference = text_reference()["multi30k_byte_pairs"];
  std::string lines;
  for (const std::string& line : lines_of(BytePairEncoding::learn(tokens, {.merges = 1000}))) {
    lines += (lines.empty() ? "" : "\n") + line;
  }
  EXPECT_EQ(hash_name(lines.c_str()), reference["merges_hash"].get<uint64_t>());
}

TEST(BytePairEncoding, DecodingUndoesEncoding) {
  const BytePairEncoding encoding = reference_encoding();
  const Tokens words = {"the", "unheard-of", "x", "Größe", "￭,", "@@", "日本"};
  EXPECT_GT(encoding.encode(words).size(), words.size());
  EXPECT_EQ(BytePairEncoding::decode(encoding.encode(words)), words);
  EXPECT_EQ(BytePairEncoding::decode({"un@@", "finished@@"}), Tokens{"unfinished"});
}

TEST(BytePairEncoding, RarePairsAreNotMerged) {
  const std::vector<Tokens> sentences = {{"ab", "ab", "cd"}};
  EXPECT_EQ(lines_of(BytePairEncoding::learn(sentences, {})), std::vector<std::string>{"a b</w>"});
  EXPECT_EQ(BytePairEncoding::learn(sentences, {.merges = 9, .least_count = 1}).merges().size(),
            2U);
  EXPECT_TRUE(BytePairEncoding::learn({}, {}).merges().empty());
  EXPECT_THROW(BytePairEncoding::learn(sentences, {.merges = 0}), std::invalid_argument);
}

TEST(BytePairEncoding, OverlappingPairsAreMergedFromTheLeft) {
  const std::vector<Tokens> sentences = {{"aaaaa", "aaaaa"}};
  const BytePairEncoding encoding = BytePairEncoding::learn(sentences, {.merges = 1});
  EXPECT_EQ(lines_of(encoding), std::vector<std::string>{"a a"});
  EXPECT_EQ(encoding.encode({"aaaaa"}), (Tokens{"aa@@", "aa@@", "a"}));
}

TEST(BytePairEncoding, IsReadBackAsItWasWritten) {
  const TemporaryFolder folder;
  const BytePairEncoding encoding = reference_encoding();
  write_merges(encoding, folder / "merges.txt");
  EXPECT_EQ(read_merges(folder / "merges.txt").merges(), encoding.merges());
}

TEST(BytePairEncoding, ADamagedFileIsNamedWithItsLine) {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& text) {
    write_file_atomically(folder / "merges.txt", text);
    return problem_of<FormatError>([&] { read_merges(folder / "merges.txt"); }).message;
  };
  EXPECT_TRUE(has(problem("a b\n"), "#version: 0.2"));
  EXPECT_TRUE(has(problem("#version: 0.2\na b\nc\n"), "merges.txt, line 3"));
  EXPECT_TRUE(has(problem("#version: 0.2\na b c\n"), "line 2"));
  EXPECT_TRUE(has(problem("#version: 0.2\na \n"), "line 2"));
  EXPECT_TRUE(has(problem(""), "is empty"));
}

}  // namespace
}  // namespace striate
