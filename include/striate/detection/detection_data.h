#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "striate/detection/instance.h"

namespace striate {

/// Images with objects, and what the objects are.
struct DetectionData {
  std::vector<std::string> class_names;  ///< by label
  std::vector<int64_t> category_ids;     ///< COCO's number of each class; else 1, 2, 3 …
  std::array<std::vector<AnnotatedImage>, 3> splits;  ///< by DetectionSplit
  int64_t dropped = 0;                                ///< objects that `lenient` left out
};

enum class DetectionSplit { kTrain, kValidation, kTest };
inline constexpr std::array<const char*, 3> kDetectionSplitNames = {"train", "validation", "test"};

/// @throws LookupError  no part is called so: lists the three.
DetectionSplit detection_split(const std::string& name);

inline const std::vector<AnnotatedImage>& images_of(const DetectionData& data,
                                                    DetectionSplit split) {
  return data.splits[static_cast<size_t>(split)];
}

struct DetectionDataOptions {
  /// Leave out objects whose box or mask is empty, reversed or outside the image, and count them.
  bool lenient = false;
  /// Leave out the masks: of a large COCO file they take most of the memory.
  bool without_masks = false;
  /// The images themselves need not be there.
  bool without_images = false;
};

/// Opens a data set by its spelling:
///   coco:DIR   DIR/annotations/instances_{train,val,test}*.json; the images of instances_NAME.json
///              in DIR/NAME, DIR/images/NAME, DIR/images or DIR. Classes are in the order of
///              COCO's numbers, which may have gaps.
///   voc:DIR    DIR/Annotations/*.xml, DIR/ImageSets/Main/{train,val,test}.txt (trainval.txt where
///              there is no train.txt), DIR/JPEGImages. Classes are sorted by name; what is
///              `difficult` is ignored. Pixels are counted from 1 there: xmin 1 is our x1 = 0.
///   masks:DIR  DIR/NAME/images/*.png and DIR/NAME/masks/*.png, one mask for each object, or the
///              same in DIR/stage1_train; one class, "object". By the hash of NAME the first fifth
///              is for testing, the next tenth for validation, the rest for training.
/// A box may leave its image by less than a pixel, and is kept as it is written.
/// @throws LookupError  an unknown kind; IoError, FormatError  it can't be read, or an object is
/// wrong: the message has the file and the object.
DetectionData read_detection_data(const std::string& spelling,
                                  const DetectionDataOptions& options = {});

/// @throws FormatError  an object that is not ignored has no mask: names the image.
void need_masks(const std::vector<AnnotatedImage>& images);

/// One of COCO's files of instances, whose images are all in the first split.
DetectionData read_coco_file(const std::filesystem::path& file,
                             const DetectionDataOptions& options = {});

/// Whether a spelling is of one of these kinds.
bool is_detection_data(const std::string& spelling);

}  // namespace striate
