#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace striate {

/// The lines of a text file, or of one packed by gzip, without what ends them. A byte order mark is
/// left out.
/// @throws IoError  it can't be read; FormatError  it holds no line, or one that is not UTF-8.
std::vector<std::string> read_sentences(const std::filesystem::path& path);

/// Sentences and their translations: the k-th of one is that of the other.
struct SentencePairs {
  std::vector<std::string> source;
  std::vector<std::string> target;
};

struct PairFiles {
  std::filesystem::path source;
  std::filesystem::path target;
};

/// Reads two files, a sentence on each line. @throws FormatError  they have different numbers of
/// lines, or a line without a word; else as `read_sentences`.
SentencePairs read_pairs(const PairFiles& files);

/// The files of `pairs:FILE_A:FILE_B`. @throws LookupError  of another form.
PairFiles parse_pairs(const std::string& spelling);

/// The pairs of a corpus in three parts.
struct PairParts {
  SentencePairs training;
  SentencePairs validation;
  SentencePairs test;
};

/// The parts of `pairs:FILE_A:FILE_B`. Where both files are called train.NAME and there are
/// val.NAME (or valid.NAME) beside both, those are for validation; test.NAME, or the first of
/// test*.NAME, likewise for the test. A part without files of its own is held out: the last 5 % of
/// the lines for the test, and the 5 % before them for validation.
/// @throws FormatError  a part has no line; else as `read_pairs`.
PairParts open_pairs(const std::string& spelling);

}  // namespace striate
