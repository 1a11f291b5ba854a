#include "striate/sequence/sentence_pairs.h"

#include <zlib.h>

#include "data/made_data.h"
#include "sequence/text_reference.h"
#include "shared_folder.h"
#include "striate/base/file.h"

namespace striate {
namespace {

class SentencePairsTest : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
  }
  SentencePairs read() {
    return read_pairs({.source = folder_ / "a.en", .target = folder_ / "b.de"});
  }
  Problem problem() {
    return problem_of<FormatError>([&] { read(); });
  }

  TemporaryFolder folder_;
};

TEST_F(SentencePairsTest, LineKIsTheTranslationOfLineK) {
  write("a.en", "\xEF\xBB\xBFone\r\ntwo apples\r\n");
  write("b.de", "eins\nzwei Äpfel");
  const SentencePairs pairs = read();
  EXPECT_EQ(pairs.source, (std::vector<std::string>{"one", "two apples"}));
  EXPECT_EQ(pairs.target, (std::vector<std::string>{"eins", "zwei Äpfel"}));
}

TEST_F(SentencePairsTest, AFilePackedByGzipIsReadToo) {
  const std::string text = "packed\nlines\n";
  gzFile file = gzopen((folder_ / "a.gz").c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  EXPECT_EQ(read_sentences(folder_ / "a.gz"), (std::vector<std::string>{"packed", "lines"}));
  std::vector<uint8_t> bytes = read_file(folder_ / "a.gz");
  bytes.resize(bytes.size() - 9);
  write_file_atomically(folder_ / "a.gz", bytes);
  EXPECT_TRUE(
      has(problem_of<FormatError>([&] { read_sentences(folder_ / "a.gz"); }).message, "a.gz"));
}

TEST_F(SentencePairsTest, DifferentNumbersOfLinesAreAnError) {
  write("a.en", "one\ntwo\n");
  write("b.de", "eins\nzwei\ndrei\n");
  const Problem found = problem();
  EXPECT_TRUE(has(found.message, "a.en has 2 lines"));
  EXPECT_TRUE(has(found.message, "b.de has 3"));
  EXPECT_TRUE(has(found.hint, "line k"));
}

TEST_F(SentencePairsTest, EmptyFilesAndLinesAreErrors) {
  write("a.en", "");
  write("b.de", "eins\n");
  EXPECT_TRUE(has(problem().message, "a.en is empty"));
  write("a.en", "one\ntwo\n");
  write("b.de", "eins\n \xC2\xA0\t\n");
  EXPECT_TRUE(has(problem().message, "b.de, line 2 is empty"));
}

TEST_F(SentencePairsTest, BytesThatAreNotUtf8AreNamedWithTheirLine) {
  write("a.en", "one\ntwo\n");
  write("b.de", "eins\nz\xFCrich\n");
  const Problem found = problem();
  EXPECT_TRUE(has(found.message, "b.de, line 2 is not UTF-8"));
  EXPECT_TRUE(has(found.hint, "iconv"));
}

TEST_F(SentencePairsTest, AMissingFileIsNamed) {
  write("a.en", "one\n");
  EXPECT_TRUE(has(problem_of<IoError>([&] { read(); }).message, "b.de"));
  EXPECT_TRUE(
      has(problem_of<IoError>([&] { read_sentences(folder_.path()); }).message, "directory"));
}

TEST_F(SentencePairsTest, TheSpellingNamesTwoFiles) {
  const PairFiles files = parse_pairs("pairs:x/a.en:b.de");
  EXPECT_EQ(files.source, "x/a.en");
  EXPECT_EQ(files.target, "b.de");
  for (const std::string spelling :
       {"pairs", "pairs:", "pairs:a", "pairs:a:", "pairs::b", "pairs:a:b:c", "a:b"}) {
    EXPECT_TRUE(
        has(problem_of<LookupError>([&] { parse_pairs(spelling); }).hint, "pairs:FILE_A:FILE_B"));
  }
}

TEST_F(SentencePairsTest, ReadsMulti30k) {
  const auto folder = shared_folder() / "data/text/multi30k";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "needs " << folder << ": set STRIATE_SHARED";
  const SentencePairs pairs =
      read_pairs({.source = folder / "train.en.gz", .target = folder / "train.de.gz"});
  EXPECT_EQ(pairs.source.size(), 29000U);
  EXPECT_EQ(pairs.target[0], "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.");
}

}  // namespace
}  // namespace striate
