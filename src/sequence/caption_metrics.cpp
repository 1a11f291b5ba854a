#include "striate/sequence/caption_metrics.h"

#include <fmt/format.h>

#include <stdexcept>

#include "sequence/check_cases.h"

namespace striate {

void check_cases(std::span<const CaptionCase> cases) {
  if (cases.empty()) throw std::invalid_argument("there are no captions to score");
  for (size_t i = 0; i < cases.size(); ++i) {
    if (!cases[i].references.empty()) continue;
    throw std::invalid_argument(fmt::format("caption {} has no reference", i + 1));
  }
}

CaptionScores caption_scores(std::span<const CaptionCase> cases) {
  return {.bleu = caption_bleu(cases),
          .meteor = meteor(cases),
          .rouge_l = rouge_l(cases),
          .cider_d = cider_d(cases)};
}

}  // namespace striate
