// R. Vedantam, C. L. Zitnick, D. Parikh: CIDEr: Consensus-based Image Description Evaluation, 2015,
// https://arxiv.org/abs/1411.5726, section 7.1: CIDEr-D. Departure: lengths are counted in runs of
// two tokens, as in the evaluation of COCO captions.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "sequence/check_cases.h"
#include "sequence/ngrams.h"
#include "striate/sequence/caption_metrics.h"

namespace striate {

namespace {

constexpr double kSigma = 6;
constexpr double kScale = 10;

}  // namespace

CiderD::CiderD(const std::vector<std::vector<Tokens>>& references)
    : log_images_(std::log(static_cast<double>(references.size()))) {
  for (const std::vector<Tokens>& of_image : references) {
    if (of_image.empty()) throw std::invalid_argument("an image without a reference caption");
    NgramCounts seen;
    for (const Tokens& reference : of_image) {
      for (size_t n = 1; n <= kOrders; ++n) seen.merge(count_ngrams(reference, n));
    }
    for (const auto& item : seen) ++image_counts_[item.first];
  }
  if (references.empty()) throw std::invalid_argument("CIDEr-D of no images");
  for (const std::vector<Tokens>& of_image : references) {
    std::vector<Vectors>& of_this = references_.emplace_back();
    for (const Tokens& reference : of_image) of_this.push_back(vectors(reference));
  }
}

CiderD::Vectors CiderD::vectors(const Tokens& tokens) const {
  Vectors result;
  for (size_t n = 1; n <= kOrders; ++n) {
    double squares = 0;
    for (const auto& [ngram, count] : count_ngrams(tokens, n)) {
      const auto found = image_counts_.find(ngram);
      // Unseen in the references: as if it were in one.
      const double images = found == image_counts_.end() ? 1 : static_cast<double>(found->second);
      const double weight = static_cast<double>(count) * (log_images_ - std::log(images));
      result.weights[n - 1][ngram] = weight;
      squares += weight * weight;
    }
    result.norms[n - 1] = std::sqrt(squares);
  }
  result.length = ngram_total(tokens, 2);
  return result;
}

// Eq. 4, clipped, with the Gaussian of the lengths' difference; the mean over the orders.
double CiderD::similarity(const Vectors& hypothesis, const Vectors& reference) const {
  double sum = 0;
  for (size_t n = 0; n < kOrders; ++n) {
    double product = 0;
    for (const auto& [ngram, weight] : hypothesis.weights[n]) {
      const auto found = reference.weights[n].find(ngram);
      if (found == reference.weights[n].end()) continue;
      product += std::min(weight, found->second) * found->second;
    }
    const double norms = hypothesis.norms[n] * reference.norms[n];
    if (norms != 0) sum += product / norms;
  }
  const auto difference = static_cast<double>(hypothesis.length - reference.length);
  return std::exp(-difference * difference / (2 * kSigma * kSigma)) * sum / kOrders;
}

double CiderD::score(const Tokens& hypothesis, size_t image) const {
  const std::vector<Vectors>& references = references_.at(image);
  const Vectors own = vectors(hypothesis);
  double sum = 0;
  for (const Vectors& reference : references) sum += similarity(own, reference);
  return kScale * sum / static_cast<double>(references.size());
}

double cider_d(std::span<const CaptionCase> cases) {
  check_cases(cases);
  std::vector<std::vector<Tokens>> references;
  for (const CaptionCase& item : cases) references.push_back(item.references);
  const CiderD cider(references);
  double sum = 0;
  for (size_t i = 0; i < cases.size(); ++i) sum += cider.score(cases[i].hypothesis, i);
  return sum / static_cast<double>(cases.size());
}

}  // namespace striate
