#pragma once

#include <string>

#include "striate/models/models.h"

namespace striate::cli {

/// How data sets are written, for the help: those of images with a class each, and all.
inline constexpr const char* kImageSpellings =
    "fashion-mnist, idx:DIR, cifar10:DIR, folder:DIR or pack:FILE";
inline constexpr const char* kDataSpellings =
    "fashion-mnist, idx:DIR, cifar10:DIR, folder:DIR or pack:FILE; coco:DIR, voc:DIR or masks:DIR "
    "for detectors; text:FILE for language models, captions:DIR for captions, pairs:FILE_A:FILE_B "
    "for translation";

/// "3x224x224" as (3, 224, 224). @throws std::invalid_argument  of another form.
Shape parse_shape(const std::string& text);

/// What is wrong with a text that should be a number in (0, 1]; "" when nothing is.
std::string check_probability(const std::string& text);

}  // namespace striate::cli
