// Results of captioning as COCO has them, https://cocodataset.org/#format-results.
#include "striate/sequence/caption_results.h"

#include <fmt/format.h>

#include <set>
#include <unordered_map>

#include "striate/base/json.h"

namespace striate {

namespace {

std::string image_id(JsonReader& reader) {
  if (reader.at("image_id").is_string()) return reader.get<std::string>("image_id");
  return std::to_string(reader.get<int64_t>("image_id"));
}

}  // namespace

std::vector<CaptionResult> read_caption_results(const std::filesystem::path& path) {
  const Json json = read_json(path);
  if (!json.is_array() || json.empty()) {
    throw FormatError(fmt::format("{} is no list of captions", path.string()),
                      R"(write [{"image_id": 391895, "caption": "a man on a bike"}, ...])");
  }
  std::vector<CaptionResult> results;
  std::set<std::string> seen;
  for (size_t i = 0; i < json.size(); ++i) {
    JsonReader reader(json[i], fmt::format("{}: [{}]", path.string(), i));
    results.push_back({.id = image_id(reader), .caption = reader.get<std::string>("caption")});
    if (seen.insert(results.back().id).second) continue;
    throw FormatError(fmt::format("{}: [{}] is a second caption of image {}", path.string(), i,
                                  results.back().id),
                      "keep one caption of each image");
  }
  return results;
}

std::vector<CaptionCase> caption_cases(const std::vector<CaptionResult>& results,
                                       const CaptionData& data, const CaptionSources& sources) {
  std::unordered_map<std::string, const CaptionedImage*> images;
  for (const auto& split : data.splits) {
    for (const CaptionedImage& image : split) images[image.id] = &image;
  }
  std::vector<CaptionCase> cases;
  for (size_t i = 0; i < results.size(); ++i) {
    const auto found = images.find(results[i].id);
    if (found == images.end()) {
      throw FormatError(fmt::format("{}: [{}] is of image {}, which {} has not", sources.results, i,
                                    results[i].id, sources.references),
                        "score against the data set that the captions were made for");
    }
    CaptionCase& made = cases.emplace_back();
    made.hypothesis = caption_tokens(results[i].caption);
    for (const std::string& caption : found->second->captions) {
      made.references.push_back(caption_tokens(caption));
    }
  }
  return cases;
}

}  // namespace striate
