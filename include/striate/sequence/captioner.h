#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/sequence/caption_decoder.h"
#include "striate/sequence/caption_encoder.h"
#include "striate/sequence/vocabulary.h"

namespace striate {

enum class CaptionAttention { kSoft, kHard };
std::string to_string(CaptionAttention attention);
/// @throws LookupError  neither "soft" nor "hard".
CaptionAttention find_caption_attention(const std::string& name);

/// A model for captions that the program knows.
struct CaptionerEntry {
  std::string name;
  std::shared_ptr<CaptionDecoder> (*make)(const CaptionSizes&, const CaptionDecoderOptions&,
                                          uint64_t seed);
  bool attends;        ///< it looks at places
  std::string paper;   ///< a key of docs/papers.bib
  std::string recipe;  ///< the usual one
  std::string form;    ///< what it is, in words
};
const std::vector<CaptionerEntry>& captioners();
/// Null: no captioner has that name.
const CaptionerEntry* find_captioner(const std::string& name);

/// What describes images in words: an encoder, a decoder, and the words they know.
struct Captioner {
  const CaptionerEntry* entry = nullptr;
  std::shared_ptr<CaptionEncoder> encoder;
  std::shared_ptr<CaptionDecoder> decoder;
  CaptionDecoderOptions sizes;
  CaptionAttention attention = CaptionAttention::kSoft;
  bool blind =
      false;  ///< it sees zeros in place of every image: what a language model alone can do
  /// Features are divided by it: the root of their mean square over the training images. (1)
  at::Tensor feature_scale;
  std::shared_ptr<Vocabulary> vocabulary;

  /// Everything that a weight file keeps, by key: the encoder's begin with "encoder.".
  NamedTensors tensors() const;
  /// Features as the decoder takes them. @param features  (N, L, D), of any floating type.
  at::Tensor scaled(const at::Tensor& features) const;
  /// How it looks when it is not trained: at the most likely place where attention is hard.
  Looking looking() const;
};

/// One that has learned nothing yet.
struct CaptionerOptions {
  CaptionDecoderOptions sizes;
  CaptionEncoderOptions encoder;
  CaptionAttention attention = CaptionAttention::kSoft;
  bool blind = false;
};
Captioner make_captioner(const CaptionerEntry& entry, const CaptionerOptions& options,
                         const std::vector<std::string>& words, uint64_t seed);

bool is_captioner(const Weights& weights);
/// What a weight file says of itself.
std::map<std::string, std::string> captioner_metadata(const Captioner& captioner);
/// In evaluation mode. @param origin  the file, for messages.
/// @throws LookupError  they are no captioner's; FormatError, ShapeError  they are damaged.
Captioner load_captioner(const Weights& weights, const std::string& origin);

/// Words of a caption at most, with its `<eos>`.
inline constexpr int64_t kLongestCaption = 50;

/// A caption that was found, and where each of its words looked: (T, H, W) of the encoder's grid;
/// undefined where the decoder does not attend.
struct Caption {
  Tokens words;
  double score = 0;  ///< as Hypothesis
  at::Tensor attention;
};
/// The likeliest caption of each image. @param features  (N, L, D), as the encoder gives them.
std::vector<Caption> find_captions(const Captioner& captioner, const at::Tensor& features,
                                   const BeamOptions& options);
/// The captions of image files.
std::vector<Caption> caption_images(const Captioner& captioner,
                                    std::span<const std::filesystem::path> images,
                                    const BeamOptions& options);

}  // namespace striate
