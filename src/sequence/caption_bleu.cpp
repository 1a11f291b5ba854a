// K. Papineni, S. Roukos, T. Ward, W.-J. Zhu: BLEU: a Method for Automatic Evaluation of Machine
// Translation, 2002, https://aclanthology.org/P02-1040, as the evaluation of COCO captions has it.
#include <cmath>

#include "sequence/check_cases.h"
#include "sequence/ngrams.h"
#include "striate/sequence/caption_metrics.h"

namespace striate {

namespace {

// pycocoevalcap's, so that nothing is divided by zero and no matches are nearly 0.
constexpr double kSmall = 1e-9;
constexpr double kTiny = 1e-15;

}  // namespace

std::array<double, 4> caption_bleu(std::span<const CaptionCase> cases) {
  check_cases(cases);
  NgramMatches sums;
  double length = 0;
  double reference_length = 0;
  for (const CaptionCase& item : cases) {
    const NgramMatches matches = match_ngrams(item.hypothesis, item.references);
    for (size_t n = 0; n < 4; ++n) {
      sums.correct[n] += matches.correct[n];
      sums.total[n] += matches.total[n];
    }
    length += static_cast<double>(item.hypothesis.size());
    reference_length += static_cast<double>(closest_length(item.hypothesis, item.references));
  }
  const double ratio = (length + kTiny) / (reference_length + kSmall);
  const double brevity_penalty = ratio < 1 ? std::exp(1 - 1 / ratio) : 1;
  std::array<double, 4> bleu{};
  double product = 1;
  for (size_t n = 0; n < 4; ++n) {
    product *= (static_cast<double>(sums.correct[n]) + kTiny) /
               (static_cast<double>(sums.total[n]) + kSmall);
    bleu[n] = brevity_penalty * std::pow(product, 1 / static_cast<double>(n + 1));
  }
  return bleu;
}

}  // namespace striate
