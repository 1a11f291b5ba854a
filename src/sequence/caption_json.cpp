// The two JSON forms of captioned images: A. Karpathy's files of Flickr8k, Flickr30k and COCO with
// his splits, and COCO's own (https://cocodataset.org/#format-data).
#include <fmt/format.h>

#include "sequence/caption_collector.h"
#include "striate/base/json.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

const Json& list_at(const Json& json, const char* key, const fs::path& file) {
  if (!json.is_object() || !json.contains(key) || !json.at(key).is_array()) {
    throw FormatError(fmt::format("{} has no list \"{}\"", file.string(), key));
  }
  return json.at(key);
}

std::string entry_name(const fs::path& file, const char* list, size_t index) {
  return fmt::format("{}: {}[{}]", file.string(), list, index);
}

void collect_karpathy_image(const fs::path& folder, const Json& json, const std::string& origin,
                            CaptionCollector& collector) {
  JsonReader reader(json, origin);
  const auto name = reader.get<std::string>("filename");
  const auto subfolder = reader.get<std::string>("filepath", "");
  const std::string id =
      reader.has("cocoid") ? std::to_string(reader.get<int64_t>("cocoid")) : name;
  collector.add_image({.split = caption_split(reader.get<std::string>("split"), origin),
                       .id = id,
                       .places = {folder / "images" / subfolder / name, folder / subfolder / name},
                       .origin = origin});
  const Json& sentences = reader.at("sentences");
  if (!sentences.is_array()) throw reader.error("sentences", "is no list");
  for (size_t k = 0; k < sentences.size(); ++k) {
    const std::string where = fmt::format("{}.sentences[{}]", origin, k);
    collector.add_caption(id, JsonReader(sentences[k], where).get<std::string>("raw"), where);
  }
}

}  // namespace

void collect_karpathy(const fs::path& folder, const fs::path& file, CaptionCollector& collector) {
  const Json json = read_json(file);
  const Json& images = list_at(json, "images", file);
  for (size_t i = 0; i < images.size(); ++i) {
    collect_karpathy_image(folder, images[i], entry_name(file, "images", i), collector);
  }
}

void collect_coco(const fs::path& folder, const fs::path& file, CaptionSplit split,
                  CaptionCollector& collector) {
  const std::string subfolder = file.stem().string().substr(std::string("captions_").size());
  const Json json = read_json(file);
  const Json& images = list_at(json, "images", file);
  for (size_t i = 0; i < images.size(); ++i) {
    const std::string origin = entry_name(file, "images", i);
    JsonReader reader(images[i], origin);
    const auto name = reader.get<std::string>("file_name");
    collector.add_image({.split = split,
                         .id = std::to_string(reader.get<int64_t>("id")),
                         .places = {folder / subfolder / name, folder / "images" / subfolder / name,
                                    folder / "images" / name, folder / name},
                         .origin = origin});
  }
  const Json& annotations = list_at(json, "annotations", file);
  for (size_t i = 0; i < annotations.size(); ++i) {
    const std::string origin = entry_name(file, "annotations", i);
    JsonReader reader(annotations[i], origin);
    collector.add_caption(std::to_string(reader.get<int64_t>("image_id")),
                          reader.get<std::string>("caption"), origin);
  }
}

}  // namespace striate
