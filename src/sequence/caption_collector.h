#pragma once

#include <map>
#include <string>
#include <vector>

#include "striate/sequence/captions.h"

namespace striate {

/// The split that a file's word means. @param origin  where it stands, for the message.
/// @throws FormatError  an unknown word.
CaptionSplit caption_split(const std::string& word, const std::string& origin);

/// Gathers the images and captions of a data set, checking each.
class CaptionCollector final {
 public:
  explicit CaptionCollector(CaptionOptions options) : options_(options) {}

  struct Entry {
    CaptionSplit split;
    std::string id;
    std::vector<std::filesystem::path> places;  ///< where the image's file may be
    std::string origin;                         ///< where that is said, for messages
  };

  /// @throws FormatError  the image is of another split already; IoError  it has no file.
  void add_image(const Entry& entry);
  /// @throws FormatError  the image is unknown, or the caption has no word.
  void add_caption(const std::string& id, const std::string& caption, const std::string& origin);
  /// @throws FormatError  an image has no caption, or there is none. @param origin  the data set.
  CaptionData finish(const std::string& origin);

 private:
  struct Place {
    CaptionSplit split;
    size_t index;
  };

  CaptionOptions options_;
  CaptionData data_;
  std::map<std::string, Place> places_;
};

/// Karpathy's file. @param folder  the data set's.
void collect_karpathy(const std::filesystem::path& folder, const std::filesystem::path& file,
                      CaptionCollector& collector);
/// One of COCO's files, captions_NAME.json, of a split; images in `folder`/NAME.
void collect_coco(const std::filesystem::path& folder, const std::filesystem::path& file,
                  CaptionSplit split, CaptionCollector& collector);

}  // namespace striate
