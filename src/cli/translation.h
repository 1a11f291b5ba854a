#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/sequence/translation.h"

namespace striate::cli {

/// How sentences are translated unless something else is asked for. A sentence's score is the mean
/// of log p, so that short ones have no advantage.
inline constexpr BeamOptions kUsualSearch = {.beams = 5, .longest = 200, .length_exponent = 1};

/// Of a weight file, or a run's best. @throws LookupError  it holds no model that translates.
Translator open_translator(const std::filesystem::path& path);

/// The best translations. @throws UsageError  a sentence without a word, or not UTF-8, by its
/// number.
std::vector<Translation> translations_of(const Translator& translator,
                                         const std::vector<std::string>& sentences,
                                         std::optional<int64_t> beams);

}  // namespace striate::cli
