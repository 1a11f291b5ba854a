#include "striate/sequence/sentence_pairs.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "sequence/unicode.h"
#include "striate/base/error.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPairsHint =
    "line k of one file is the translation of line k of the other: write pairs:FILE_A:FILE_B";

// zlib passes files on as they are where they are not packed.
std::string read_unpacked(const fs::path& path) {
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };
  errno = fs::is_directory(path) ? EISDIR : 0;
  const std::unique_ptr<gzFile_s, Close> file(errno == 0 ? gzopen(path.c_str(), "rb") : nullptr);
  if (file == nullptr) {
    throw IoError(fmt::format("can't open {}: {}", path.string(), std::strerror(errno)));
  }
  std::string text;
  std::vector<char> buffer(size_t{1} << 16);
  while (true) {
    const int got = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    if (got == 0) break;
    if (got > 0) text.append(buffer.data(), static_cast<size_t>(got));
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (code == Z_ERRNO) throw IoError(fmt::format("can't read {}: {}", path.string(), reason));
    if (code != Z_OK) throw FormatError(fmt::format("{} can't be unpacked", path.string()));
  }
  return text;
}

void check_words(const std::vector<std::string>& lines, const fs::path& path) {
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!std::ranges::all_of(code_points(lines[i]), is_space)) continue;
    throw FormatError(fmt::format("{}, line {} is empty", path.string(), i + 1),
                      "remove that line from both files");
  }
}

}  // namespace

std::vector<std::string> read_sentences(const fs::path& path) {
  std::string text = read_unpacked(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::vector<std::string> lines;
  size_t first = 0;
  while (first < text.size()) {
    const size_t end = std::min(text.find('\n', first), text.size());
    std::string line = text.substr(first, end - first);
    if (line.ends_with('\r')) line.pop_back();
    if (!decode_utf8(line)) {
      throw FormatError(fmt::format("{}, line {} is not UTF-8", path.string(), lines.size() + 1),
                        "convert the file: iconv -f LATIN1 -t UTF-8, for instance");
    }
    lines.push_back(std::move(line));
    first = end + 1;
  }
  if (lines.empty()) throw FormatError(fmt::format("{} is empty", path.string()));
  return lines;
}

SentencePairs read_pairs(const PairFiles& files) {
  SentencePairs pairs{.source = read_sentences(files.source),
                      .target = read_sentences(files.target)};
  if (pairs.source.size() != pairs.target.size()) {
    throw FormatError(fmt::format("{} has {} lines and {} has {}", files.source.string(),
                                  pairs.source.size(), files.target.string(), pairs.target.size()),
                      kPairsHint);
  }
  check_words(pairs.source, files.source);
  check_words(pairs.target, files.target);
  return pairs;
}

PairFiles parse_pairs(const std::string& spelling) {
  constexpr const char* kKind = "pairs:";
  const std::string paths = spelling.starts_with(kKind) ? spelling.substr(6) : "";
  const size_t colon = paths.find(':');
  const bool two = colon != std::string::npos && colon > 0 && colon + 1 < paths.size() &&
                   paths.find(':', colon + 1) == std::string::npos;
  if (!two) throw LookupError(fmt::format("\"{}\" names no two files", spelling), kPairsHint);
  return {.source = paths.substr(0, colon), .target = paths.substr(colon + 1)};
}

namespace {

constexpr const char* kTraining = "train.";

// What files of a part begin with beside both train.NAME: all that is before ".NAME".
std::vector<std::string> stems_beside(const PairFiles& files, const std::string& beginning) {
  const std::string end = files.source.filename().string().substr(5);
  const std::string other_end = files.target.filename().string().substr(5);
  const fs::path folder = files.source.parent_path();
  std::vector<std::string> stems;
  for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(beginning) || !name.ends_with(end)) continue;
    const std::string stem = name.substr(0, name.size() - end.size());
    if (fs::exists(files.target.parent_path() / (stem + other_end))) stems.push_back(stem);
  }
  std::ranges::sort(stems);
  return stems;
}

std::optional<SentencePairs> read_beside(const PairFiles& files, const std::string& beginning) {
  for (const fs::path& file : {files.source, files.target}) {
    if (!file.filename().string().starts_with(kTraining)) return std::nullopt;
  }
  const std::vector<std::string> stems = stems_beside(files, beginning);
  if (stems.empty()) return std::nullopt;
  const auto renamed = [&](const fs::path& file) {
    return file.parent_path() / (stems.front() + file.filename().string().substr(5));
  };
  return read_pairs({.source = renamed(files.source), .target = renamed(files.target)});
}

// Takes the last lines away.
SentencePairs hold_out(SentencePairs& pairs, size_t lines) {
  const auto first = static_cast<std::ptrdiff_t>(pairs.source.size() - lines);
  SentencePairs held{.source = {pairs.source.begin() + first, pairs.source.end()},
                     .target = {pairs.target.begin() + first, pairs.target.end()}};
  pairs.source.resize(static_cast<size_t>(first));
  pairs.target.resize(static_cast<size_t>(first));
  return held;
}

}  // namespace

PairParts open_pairs(const std::string& spelling) {
  const PairFiles files = parse_pairs(spelling);
  PairParts parts{.training = read_pairs(files), .validation = {}, .test = {}};
  std::optional<SentencePairs> validation = read_beside(files, "val");
  std::optional<SentencePairs> test = read_beside(files, "test");
  const size_t lines = parts.training.source.size() / 20;
  if (lines < 1 && !(validation && test)) {
    throw FormatError(
        fmt::format("{} has {} lines: too few to hold some out", files.source.string(),
                    parts.training.source.size()),
        "20 are enough, or call it train.NAME and put val.NAME and test.NAME beside it");
  }
  parts.test = test ? std::move(*test) : hold_out(parts.training, lines);
  parts.validation = validation ? std::move(*validation) : hold_out(parts.training, lines);
  return parts;
}

}  // namespace striate
