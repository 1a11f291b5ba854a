#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace striate {

/// What a decoder says about the next token of N sentences.
struct DecoderStep {
  at::Tensor log_probabilities;   ///< (N, V)
  std::vector<at::Tensor> state;  ///< each (N, ...)
  at::Tensor attention;           ///< (N, L): where it looked; may be undefined
};

/// One step of a decoder.
/// @param tokens  (N) int64: the last token of each sentence
/// @param state   each (N, ...), as given to the search or returned by the step before
using Decode =
    std::function<DecoderStep(const at::Tensor& tokens, const std::vector<at::Tensor>& state)>;

struct BeamOptions {
  int64_t beams = 1;           ///< sentences that are followed for each input; 1 is greedy
  int64_t longest = 100;       ///< tokens, with `<eos>`; a sentence that gets there ends as it is
  double length_exponent = 0;  ///< 0: the sum of log p counts; 1: its mean
};

/// A sentence that was found.
struct Hypothesis {
  std::vector<int64_t> tokens;  ///< without `<bos>` and `<eos>`
  /// The sum of log p over its tokens and its `<eos>`, divided by their number to the power of
  /// `length_exponent`.
  double score = 0;
  at::Tensor attention;  ///< (T, L): a row for each of its T tokens; undefined if the decoder's is
};

/// The sentences a decoder finds likely, for each of B inputs, the best first: up to `beams`. A
/// sentence that ends leaves the beam, which is then narrower by one. `<pad>`, `<bos>` and `<unk>`
/// (of `Vocabulary`) are never produced. All sentences of all inputs go through the decoder in one
/// batch.
/// @param state  of the decoder before `<bos>`, at least one tensor, each (B, ...).
/// @throws std::invalid_argument  beams or longest below 1, a length_exponent that is negative or
/// not finite, or no state; Error  a probability that is NaN.
/// Source: sutskever2014, 3.2; the exponent is of wu2016, 7, whose length + 5 is the length here.
std::vector<std::vector<Hypothesis>> beam_search(const Decode& decode,
                                                 const std::vector<at::Tensor>& state,
                                                 const BeamOptions& options);

}  // namespace striate
