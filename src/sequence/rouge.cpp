// C.-Y. Lin: ROUGE: A Package for Automatic Evaluation of Summaries, 2004,
// https://aclanthology.org/W04-1013, section 3. Departure: with several references, precision and
// recall are each the best of all, as in the evaluation of COCO captions.
#include <algorithm>

#include "sequence/check_cases.h"
#include "striate/sequence/caption_metrics.h"

namespace striate {

namespace {

constexpr double kBeta = 1.2;  // pycocoevalcap's

size_t longest_common_subsequence(const Tokens& a, const Tokens& b) {
  std::vector<size_t> row(b.size() + 1);
  for (const std::string& token : a) {
    size_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = token == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  return row.back();
}

double f_measure(const CaptionCase& item) {
  double precision = 0;
  double recall = 0;
  for (const Tokens& reference : item.references) {
    const auto common = static_cast<double>(longest_common_subsequence(reference, item.hypothesis));
    if (common == 0) continue;
    precision = std::max(precision, common / static_cast<double>(item.hypothesis.size()));
    recall = std::max(recall, common / static_cast<double>(reference.size()));
  }
  if (precision == 0) return 0;
  return (1 + kBeta * kBeta) * precision * recall / (recall + kBeta * kBeta * precision);
}

}  // namespace

double rouge_l(std::span<const CaptionCase> cases) {
  check_cases(cases);
  double sum = 0;
  for (const CaptionCase& item : cases) sum += f_measure(item);
  return sum / static_cast<double>(cases.size());
}

}  // namespace striate
