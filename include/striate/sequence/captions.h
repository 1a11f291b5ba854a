#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace striate {

enum class CaptionSplit { kTrain, kValidation, kTest };
inline constexpr std::array<const char*, 3> kCaptionSplitNames = {"train", "validation", "test"};

/// An image and what people wrote of it.
struct CaptionedImage {
  std::string id;  ///< COCO's number, or the file's name: what a file of results names it by
  std::filesystem::path path;
  std::vector<std::string> captions;  ///< one at least, each with a word at least
};

struct CaptionData {
  std::array<std::vector<CaptionedImage>, 3> splits;  ///< by CaptionSplit

  const std::vector<CaptionedImage>& operator[](CaptionSplit split) const {
    return splits[static_cast<size_t>(split)];
  }
};

struct CaptionOptions {
  /// The images' files are not looked for: to count words or to score, captions are enough.
  bool without_images = false;
};

/// Reads `captions:DIR`, which is one of
///   DIR/captions.tsv            a line with `split`, `image` and `caption`, then such lines, with
///                               tabs between; images in DIR/images
///   DIR/dataset*.json           Karpathy's files of Flickr8k, Flickr30k and COCO; images in
///                               DIR/images or DIR, in the folder that `filepath` names if it does
///   DIR/annotations/captions_train*.json, captions_val*.json
///                               COCO's own, which have no test split; images in DIR/train* and
///                               DIR/val*, DIR/images or DIR
/// Splits are train (also restval), val (also dev, validation) and test.
/// @throws IoError, FormatError  a file can't be read; of its content: the line or entry with an
/// unknown split, an empty caption, an image without a file, without a caption or of two splits.
CaptionData read_captions(const std::filesystem::path& folder, CaptionOptions options = {});

/// The folder of `captions:DIR`. @throws LookupError  of another form.
std::filesystem::path parse_captions(const std::string& spelling);

}  // namespace striate
