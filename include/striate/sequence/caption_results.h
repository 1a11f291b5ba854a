#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "striate/sequence/caption_metrics.h"
#include "striate/sequence/captions.h"

namespace striate {

/// What a program says of an image.
struct CaptionResult {
  std::string id;  ///< as in CaptionedImage
  std::string caption;
};

/// Reads COCO's form of results: a JSON list of objects with `image_id`, a number or a text, and
/// `caption`. A caption may be empty.
/// @throws IoError  it can't be read; FormatError  it is no such list, holds nothing, or an image
/// twice; with the entry.
std::vector<CaptionResult> read_caption_results(const std::filesystem::path& path);

struct CaptionSources {
  std::string results;     ///< for messages
  std::string references;  ///< for messages
};

/// Results beside the captions of their images, whatever their split: what `caption_scores` takes.
/// @throws FormatError  a result's image is not in the data.
std::vector<CaptionCase> caption_cases(const std::vector<CaptionResult>& results,
                                       const CaptionData& data, const CaptionSources& sources);

}  // namespace striate
