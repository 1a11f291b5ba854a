#include "runtime/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace striate {

// The section numbers are those of PKWARE's APPNOTE.TXT 6.3.10.
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;      // 4.3.7
constexpr uint32_t kEntrySignature = 0x02014b50;      // 4.3.12
constexpr uint32_t kEnd64Signature = 0x06064b50;      // 4.3.14
constexpr uint32_t kLocator64Signature = 0x07064b50;  // 4.3.15
constexpr uint32_t kEndSignature = 0x06054b50;        // 4.3.16
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kEntryBytes = 46;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kLocator64Bytes = 20;
constexpr uint64_t kEndBytes = 22;
constexpr uint32_t kIn64 = 0xffffffff;  // the true number stands in a zip64 field

struct Directory {
  uint64_t entries = 0;
  ByteRange range;
};

struct Entry {
  std::string name;
  uint64_t size = 0;
  uint64_t compressed_size = 0;
  uint64_t local_offset = 0;
};

bool fits(const WeightFile& file, ByteRange range) {
  const uint64_t size = file.bytes().size();
  return range.begin <= size && range.size <= size - range.begin;
}

uint64_t find_end(const WeightFile& file) {
  const uint64_t size = file.bytes().size();
  for (uint64_t comment = 0; comment <= 0xffff && comment + kEndBytes <= size; ++comment) {
    const uint64_t at = size - comment - kEndBytes;
    if (number_at<uint32_t>(file, at) == kEndSignature &&
        number_at<uint16_t>(file, at + 20) == comment) {
      return at;
    }
  }
  throw file.error(size, "is a zip archive without a directory at its end", "the file is cut off");
}

Directory find_directory(const WeightFile& file) {
  const uint64_t end = find_end(file);
  Directory directory{.entries = number_at<uint16_t>(file, end + 10),
                      .range = {.begin = number_at<uint32_t>(file, end + 16),
                                .size = number_at<uint32_t>(file, end + 12)}};
  if (end >= kLocator64Bytes &&
      number_at<uint32_t>(file, end - kLocator64Bytes) == kLocator64Signature) {
    const auto end64 = number_at<uint64_t>(file, end - kLocator64Bytes + 8);
    if (!fits(file, {.begin = end64, .size = kEnd64Bytes}) ||
        number_at<uint32_t>(file, end64) != kEnd64Signature) {
      throw file.error(end - kLocator64Bytes, "has a zip64 locator that leads nowhere");
    }
    directory = {.entries = number_at<uint64_t>(file, end64 + 32),
                 .range = {.begin = number_at<uint64_t>(file, end64 + 48),
                           .size = number_at<uint64_t>(file, end64 + 40)}};
  }
  if (!fits(file, directory.range) || directory.entries > directory.range.size / kEntryBytes) {
    throw file.error(end, "has a zip directory that doesn't fit into the file");
  }
  return directory;
}

// 4.5.3: the field holds only those numbers that did not fit, in this order.
void read_zip64(const WeightFile& file, ByteRange extra, Entry& entry) {
  uint64_t at = extra.begin;
  while (extra.end() - at >= 4) {
    const auto id = number_at<uint16_t>(file, at);
    uint64_t left = number_at<uint16_t>(file, at + 2);
    at += 4;
    if (left > extra.end() - at) break;
    const uint64_t next = at + left;
    if (id == 1) {
      for (uint64_t* number : {&entry.size, &entry.compressed_size, &entry.local_offset}) {
        if (*number != kIn64 || left < 8) continue;
        *number = number_at<uint64_t>(file, at);
        at += 8;
        left -= 8;
      }
    }
    at = next;
  }
}

// Reads the entry at `at` and moves `at` to the next one.
Entry read_entry(const WeightFile& file, const Directory& directory, uint64_t& at) {
  const uint64_t left = directory.range.end() - at;
  if (left < kEntryBytes || number_at<uint32_t>(file, at) != kEntrySignature) {
    throw file.error(at, "has a broken zip directory");
  }
  const uint64_t name_bytes = number_at<uint16_t>(file, at + 28);
  const uint64_t extra_bytes = number_at<uint16_t>(file, at + 30);
  const uint64_t comment_bytes = number_at<uint16_t>(file, at + 32);
  const uint64_t entry_bytes = kEntryBytes + name_bytes + extra_bytes + comment_bytes;
  if (left < entry_bytes) throw file.error(at, "has a broken zip directory");
  const auto* name = reinterpret_cast<const char*>(file.bytes().data() + at + kEntryBytes);
  Entry entry{.name = std::string(name, name_bytes),
              .size = number_at<uint32_t>(file, at + 24),
              .compressed_size = number_at<uint32_t>(file, at + 20),
              .local_offset = number_at<uint32_t>(file, at + 42)};
  read_zip64(file, {.begin = at + kEntryBytes + name_bytes, .size = extra_bytes}, entry);
  const bool encrypted = (number_at<uint16_t>(file, at + 8) & 1) != 0;
  if (encrypted || number_at<uint16_t>(file, at + 10) != 0 || entry.size != entry.compressed_size) {
    throw file.error(at, fmt::format("{} is compressed or encrypted", in_quotes(entry.name)),
                     "torch.save stores its files as they are: save it again with torch.save");
  }
  at += entry_bytes;
  return entry;
}

ByteRange locate(const WeightFile& file, const Entry& entry) {
  const ByteRange local{.begin = entry.local_offset, .size = kLocalBytes};
  if (!fits(file, local) || number_at<uint32_t>(file, local.begin) != kLocalSignature) {
    throw file.error(entry.local_offset,
                     in_quotes(entry.name) + " is not where the zip directory says");
  }
  const uint64_t header_bytes = kLocalBytes + number_at<uint16_t>(file, local.begin + 26) +
                                number_at<uint16_t>(file, local.begin + 28);
  const ByteRange content{.begin = local.begin + header_bytes, .size = entry.size};
  if (!fits(file, content)) {
    throw file.error(content.begin, in_quotes(entry.name) + " reaches beyond the file's end");
  }
  return content;
}

}  // namespace

std::map<std::string, ByteRange> list_zip(const WeightFile& file) {
  const Directory directory = find_directory(file);
  if (directory.entries > kMaximumTensors) {
    throw file.error(directory.range.begin, fmt::format("has {} files", directory.entries));
  }
  std::map<std::string, ByteRange> contents;
  std::vector<ByteRange> places;
  uint64_t at = directory.range.begin;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const uint64_t entry_at = at;
    const Entry entry = read_entry(file, directory, at);
    const ByteRange content = locate(file, entry);
    places.push_back({.begin = entry.local_offset, .size = content.end() - entry.local_offset});
    if (!contents.emplace(entry.name, content).second) {
      throw file.error(entry_at, in_quotes(entry.name) + " occurs twice in the zip archive");
    }
  }
  std::sort(places.begin(), places.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < places.size(); ++i) {
    if (places[i].begin < places[i - 1].end()) {
      throw file.error(places[i].begin, "has two files in one place of the zip archive");
    }
  }
  return contents;
}

}  // namespace striate
