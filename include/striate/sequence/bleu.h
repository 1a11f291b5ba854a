#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "striate/sequence/words.h"

namespace striate {

/// What BLEU is made of.
struct BleuScore {
  double bleu = 0;                     ///< in [0, 100]
  std::array<double, 4> precisions{};  ///< of runs of 1 to 4 tokens, in percent
  double brevity_penalty = 0;          ///< in [0, 1]
  int64_t hypothesis_length = 0;       ///< tokens
  int64_t reference_length = 0;        ///< of the reference that is closest in length, summed
};

/// BLEU of a corpus as sacrebleu counts it: its tokens 13a, mixed case, exponential smoothing
/// (sacrebleu's signature case:mixed|eff:no|tok:13a|smooth:exp).
/// @param hypotheses  a sentence each, as it would be printed.
/// @param references  for each sentence one or several.
/// @throws std::invalid_argument  no sentences, as many references as hypotheses are not there, a
/// sentence without references, or one that is not UTF-8.
/// Source: papineni2002; post2018 for the choices.
BleuScore corpus_bleu(std::span<const std::string> hypotheses,
                      std::span<const std::vector<std::string>> references);

/// sacrebleu's tokens 13a, those of the script mteval-v13a: marks of ASCII are split off, but
/// periods and commas within numbers, hyphens and apostrophes.
Tokens bleu_tokens(const std::string& sentence);

}  // namespace striate
