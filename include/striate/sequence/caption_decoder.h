#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "striate/base/json.h"
#include "striate/runtime/weights.h"
#include "striate/sequence/beam_search.h"

namespace striate {

/// The sizes of what writes captions, as a recipe's `task` has them.
struct CaptionDecoderOptions {
  int64_t embedding_size = 0;
  int64_t hidden_size = 0;
  int64_t attention_size = 0;  ///< show_attend_tell only
  double dropout = 0;          ///< of words' embeddings and of what the next word is told from
};

Json to_json(const CaptionDecoderOptions& options);
/// Reads those keys of an object, which may have others.
/// @throws FormatError  a missing or impossible value.
CaptionDecoderOptions read_caption_decoder_options(JsonReader& reader);

/// What it is for: V words, and images as L vectors of D numbers, one for each place of a grid.
struct CaptionSizes {
  int64_t vocabulary = 0;    ///< V
  int64_t feature_size = 0;  ///< D
};

struct CaptionOutput {
  at::Tensor logits;     ///< (T, N, V): of the word after each
  at::Tensor attention;  ///< (T, N, L): shares, a sum of 1 for each word; undefined: it has none
  at::Tensor looked_at;  ///< (T, N, L): what the image was weighted by: `attention`, or one place
  /// For each step, whether places were drawn; otherwise the shares themselves were used.
  std::vector<bool> drawn;
};

/// How a place is chosen where attention is hard.
struct Looking {
  enum class Kind {
    kExpected,  ///< all places, by their shares
    kDrawn,     ///< one place, as likely as its share; by a coin for each step, all places
    kMost,      ///< the place with the largest share
    kGiven,     ///< `places`
  };
  Kind kind = Kind::kExpected;
  double coin = 0.5;  ///< kDrawn: how likely a step uses all places (xu2015, 4.1)
  at::Tensor places;  ///< kGiven: (T, N) int64
};

/// What writes the caption of an image, word by word.
class CaptionDecoder : public torch::nn::Module {
 public:
  /// @param features  (N, L, D)
  /// @param words     (T, N) int64: `<bos>` and the words, each before the one that is told
  virtual CaptionOutput forward(const at::Tensor& features, const at::Tensor& words,
                                const Looking& looking) = 0;
  CaptionOutput forward(const at::Tensor& features, const at::Tensor& words) {
    return forward(features, words, {});
  }

  /// For `beam_search`: the state before `<bos>`, each (N, ...).
  virtual std::vector<at::Tensor> start(const at::Tensor& features) = 0;
  /// For `beam_search`: the next word. @param looking  kExpected or kMost.
  virtual DecoderStep step(const at::Tensor& words, const std::vector<at::Tensor>& state,
                           const Looking& looking) = 0;

  /// All weights by key.
  NamedTensors tensors() const;
};

/// Show and Tell: a Neural Image Caption Generator: the image, the mean of its vectors, is the
/// first word that an LSTM reads. Source: vinyals2015.
std::shared_ptr<CaptionDecoder> make_show_tell(const CaptionSizes& sizes,
                                               const CaptionDecoderOptions& options, uint64_t seed);

/// Show, Attend and Tell: at every word an LSTM looks at the vectors by shares that its state
/// decides. Source: xu2015.
std::shared_ptr<CaptionDecoder> make_show_attend_tell(const CaptionSizes& sizes,
                                                      const CaptionDecoderOptions& options,
                                                      uint64_t seed);

/// One minus what each place was looked at over a caption, squared, summed over places: (N). It
/// makes a model look everywhere. (xu2015, eq. 14)
/// @param attention  (T, N, L)    @param mask  (T, N) bool: steps that count
at::Tensor doubly_stochastic_penalty(const at::Tensor& attention, const at::Tensor& mask);

/// What is drawn can't be differentiated. The gradient of
///   log p(y | s) + (log p(y | s) - baseline) log p(s)
/// with the bracket as a constant is, averaged over drawn places s, the gradient of the mean of
/// log p(y | s) over all places, whatever the baseline. (xu2015, eqs. 11 and 12; williams1992)
/// @param log_words   (N): log p(y | s) of each caption
/// @param log_places  (N): log p(s), of the places that were drawn
/// @param weight      of the second term, the paper's lambda_r
/// @return (N)
at::Tensor reinforced(const at::Tensor& log_words, const at::Tensor& log_places, double baseline,
                      double weight = 1);
/// log p(s) of the places that were drawn: (N). @param mask  (T, N) bool: steps that count
at::Tensor log_of_places(const CaptionOutput& output, const at::Tensor& mask);

}  // namespace striate
