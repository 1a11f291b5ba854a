#include "striate/sequence/sentence_pairs.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

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

}  // namespace striate
