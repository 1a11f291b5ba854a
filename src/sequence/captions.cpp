#include "striate/sequence/captions.h"

#include <fmt/format.h>

#include <algorithm>

#include "sequence/caption_collector.h"
#include "sequence/unicode.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/sequence/sentence_pairs.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLayouts =
    "captions:DIR reads DIR/captions.tsv, DIR/dataset*.json or "
    "DIR/annotations/captions_train*.json";

std::string name_of(CaptionSplit split) {
  return kCaptionSplitNames[static_cast<size_t>(split)];
}

std::vector<std::string> split_at_tabs(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

void collect_table(const fs::path& folder, const fs::path& file, CaptionCollector& collector) {
  const std::vector<std::string> lines = read_sentences(file);
  const char* header = "split\timage\tcaption";
  if (lines[0] != header) {
    throw FormatError(
        fmt::format("{}, line 1 is not \"split\", \"image\" and \"caption\" with "
                    "tabs between: \"{}\"",
                    file.string(), lines[0]));
  }
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string origin = fmt::format("{}, line {}", file.string(), i + 1);
    const std::vector<std::string> fields = split_at_tabs(lines[i]);
    if (fields.size() != 3) {
      throw FormatError(fmt::format("{} has {} fields", origin, fields.size()),
                        "write the split, the image and the caption with tabs between");
    }
    collector.add_image({.split = caption_split(fields[0], origin),
                         .id = fields[1],
                         .places = {folder / "images" / fields[1], folder / fields[1]},
                         .origin = origin});
    collector.add_caption(fields[1], fields[2], origin);
  }
}

void collect_all_of_coco(const fs::path& folder, CaptionCollector& collector) {
  const fs::path train = only_file(folder / "annotations", "captions_train", ".json");
  const fs::path validation = only_file(folder / "annotations", "captions_val", ".json");
  if (train.empty() && validation.empty()) {
    throw FormatError(fmt::format("{} holds no captions", folder.string()), kLayouts);
  }
  if (!train.empty()) collect_coco(folder, train, CaptionSplit::kTrain, collector);
  if (!validation.empty()) collect_coco(folder, validation, CaptionSplit::kValidation, collector);
}

}  // namespace

CaptionSplit caption_split(const std::string& word, const std::string& origin) {
  if (word == "train" || word == "restval") return CaptionSplit::kTrain;
  if (word == "val" || word == "dev" || word == "validation") return CaptionSplit::kValidation;
  if (word == "test") return CaptionSplit::kTest;
  throw FormatError(fmt::format("{}: there is no split \"{}\"", origin, word),
                    "splits are train, restval, val, dev, validation and test");
}

void CaptionCollector::add_image(const Entry& entry) {
  const auto found = places_.find(entry.id);
  if (found != places_.end()) {
    if (found->second.split == entry.split) return;
    throw FormatError(fmt::format("{}: image {} is in the splits {} and {}", entry.origin, entry.id,
                                  name_of(found->second.split), name_of(entry.split)),
                      "an image that is trained on must not be tested on: keep one of them");
  }
  const auto place = std::ranges::find_if(
      entry.places, [](const fs::path& path) { return fs::is_regular_file(path); });
  if (place == entry.places.end() && !options_.without_images) {
    throw IoError(fmt::format("{}: there is no image {}", entry.origin, entry.places[0].string()),
                  "put the image there, or remove its captions");
  }
  std::vector<CaptionedImage>& images = data_.splits[static_cast<size_t>(entry.split)];
  places_[entry.id] = {.split = entry.split, .index = images.size()};
  images.push_back({.id = entry.id,
                    .path = place == entry.places.end() ? entry.places[0] : *place,
                    .captions = {}});
}

void CaptionCollector::add_caption(const std::string& id, const std::string& caption,
                                   const std::string& origin) {
  const auto found = places_.find(id);
  if (found == places_.end()) {
    throw FormatError(fmt::format("{} is of image {}, which is not among the images", origin, id),
                      "add the image or remove the caption");
  }
  if (std::ranges::none_of(code_points(caption), is_word_point)) {
    throw FormatError(fmt::format("{}: the caption \"{}\" has no word", origin, caption),
                      "remove it, or write one");
  }
  const Place place = found->second;
  data_.splits[static_cast<size_t>(place.split)][place.index].captions.push_back(caption);
}

CaptionData CaptionCollector::finish(const std::string& origin) {
  if (places_.empty()) throw FormatError(fmt::format("{} holds no images", origin));
  for (const auto& images : data_.splits) {
    for (const CaptionedImage& image : images) {
      if (!image.captions.empty()) continue;
      throw FormatError(fmt::format("{}: image {} has no caption", origin, image.id),
                        "write one, or remove the image");
    }
  }
  return std::move(data_);
}

CaptionData read_captions(const fs::path& folder, CaptionOptions options) {
  if (!fs::is_directory(folder)) {
    throw IoError(fmt::format("{} is no folder", folder.string()), kLayouts);
  }
  CaptionCollector collector(options);
  const fs::path table = folder / "captions.tsv";
  const fs::path karpathy = only_file(folder, "dataset", ".json");
  if (fs::exists(table)) {
    collect_table(folder, table, collector);
  } else if (!karpathy.empty()) {
    collect_karpathy(folder, karpathy, collector);
  } else {
    collect_all_of_coco(folder, collector);
  }
  return collector.finish(folder.string());
}

fs::path parse_captions(const std::string& spelling) {
  const std::string kind = "captions:";
  if (!spelling.starts_with(kind) || spelling.size() == kind.size()) {
    throw LookupError(fmt::format("\"{}\" names no folder of captions", spelling),
                      "write captions:DIR");
  }
  return spelling.substr(kind.size());
}

}  // namespace striate
