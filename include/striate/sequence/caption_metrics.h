#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "striate/sequence/caption_tokens.h"

namespace striate {

/// A caption and what people wrote of the same image, as `caption_tokens`.
struct CaptionCase {
  Tokens hypothesis;
  std::vector<Tokens> references;  ///< one at least
};

struct CaptionScores {
  std::array<double, 4> bleu{};  ///< BLEU-1 to BLEU-4
  double meteor = 0;             ///< with exact and stem matches only
  double rouge_l = 0;
  double cider_d = 0;  ///< in [0, 10]; the others in [0, 1]
};

/// All of the below. Each throws std::invalid_argument for no cases, or one without references.
CaptionScores caption_scores(std::span<const CaptionCase> cases);

/// BLEU-1 to BLEU-4 of a corpus: clipped precisions, the closest reference length; without
/// smoothing. Equals pycocoevalcap's, constants that keep it from dividing by zero included.
/// Source: papineni2002.
std::array<double, 4> caption_bleu(std::span<const CaptionCase> cases);

/// The mean over captions of the F-measure (beta 1.2) of the longest common subsequence: best
/// precision and best recall of all references. Source: lin2004.
double rouge_l(std::span<const CaptionCase> cases);

/// METEOR with the stages exact and stem (Snowball's English stemmer); those of synonyms and
/// paraphrases are left out. alpha .85, beta .2, gamma .6, delta .75, weights 1 and .6: those of
/// version 1.5 for English. Of several references the best counts; its counts are summed over the
/// corpus. Source: denkowski2014.
double meteor(std::span<const CaptionCase> cases);

/// The mean over captions of CIDEr-D with document frequencies from the references.
/// Source: vedantam2015.
double cider_d(std::span<const CaptionCase> cases);

/// CIDEr-D of any captions of a fixed set of images: for training with it as the reward, the
/// document frequencies stay those of the set.
class CiderD final {
 public:
  /// @param references  of every image, one at least.
  /// @throws std::invalid_argument  no images, or one without references.
  explicit CiderD(const std::vector<std::vector<Tokens>>& references);

  /// In [0, 10]. @param image  an index of `references`.
  double score(const Tokens& hypothesis, size_t image) const;

 private:
  static constexpr size_t kOrders = 4;

  // Term frequency times inverse document frequency of the runs of each length.
  struct Vectors {
    std::array<std::unordered_map<std::string, double>, kOrders> weights;
    std::array<double, kOrders> norms{};
    int64_t length = 0;
  };

  Vectors vectors(const Tokens& tokens) const;
  double similarity(const Vectors& hypothesis, const Vectors& reference) const;

  double log_images_ = 0;
  std::unordered_map<std::string, int64_t> image_counts_;
  std::vector<std::vector<Vectors>> references_;
};

}  // namespace striate
