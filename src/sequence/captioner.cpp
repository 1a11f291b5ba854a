#include "striate/sequence/captioner.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>

#include "sequence/evaluation_mode.h"
#include "striate/base/error.h"

namespace striate {

namespace {

constexpr const char* kEncoder = "encoder.";
constexpr const char* kScale = "feature_scale";
constexpr const char* kModelKey = "striate.model";
constexpr const char* kCaptionerKey = "striate.captioner";
constexpr const char* kVocabularyKey = "striate.caption_vocabulary";
constexpr int64_t kImagesAtOnce = 16;

const std::array<std::pair<CaptionAttention, const char*>, 2> kAttentions = {
    {{CaptionAttention::kSoft, "soft"}, {CaptionAttention::kHard, "hard"}}};

std::string text_of(const Weights& weights, const char* key, const std::string& origin) {
  const auto found = weights.metadata.find(key);
  if (found == weights.metadata.end()) {
    throw FormatError(fmt::format("{}: its metadata lacks {}", origin, key));
  }
  return found->second;
}

CaptionerOptions read_options(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  CaptionerOptions o;
  o.sizes = read_caption_decoder_options(reader);
  o.encoder = caption_encoder_options(reader.at("encoder"), where + ".encoder");
  o.attention = find_caption_attention(reader.get<std::string>("attention"));
  o.blind = reader.get<bool>("blind");
  reader.finish();
  return o;
}

// Before memory is taken for what a damaged file says.
void check_sizes(const Weights& weights, const CaptionerEntry& entry,
                 const CaptionDecoderOptions& sizes, int64_t words, const std::string& origin) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = {
      {"embedding.weight", {words, sizes.embedding_size}},
      {"lstm.weight_hh_l0", {4 * sizes.hidden_size, sizes.hidden_size}}};
  if (entry.attends) {
    shapes.emplace_back("attention.query.weight",
                        std::vector{sizes.attention_size, sizes.hidden_size});
  }
  for (const auto& [key, shape] : shapes) {
    const auto found = weights.tensors.find(key);
    if (found == weights.tensors.end() || found->second.sizes() != at::IntArrayRef(shape)) {
      throw ShapeError(fmt::format("{}: {} is missing or not {}", origin, key, to_string(shape)),
                       "the file is damaged: get or make it again");
    }
  }
}

Captioner assemble(const CaptionerEntry& entry, const CaptionerOptions& options,
                   std::shared_ptr<CaptionEncoder> encoder, const std::vector<std::string>& words,
                   uint64_t seed) {
  Captioner captioner{.entry = &entry,
                      .encoder = std::move(encoder),
                      .decoder = {},
                      .sizes = options.sizes,
                      .attention = options.attention,
                      .blind = options.blind,
                      .feature_scale = at::ones({1}),
                      .vocabulary = std::make_shared<Vocabulary>(words, "the vocabulary")};
  captioner.decoder = entry.make({.vocabulary = captioner.vocabulary->size(),
                                  .feature_size = captioner.encoder->feature_size()},
                                 options.sizes, seed);
  return captioner;
}

}  // namespace

std::string to_string(CaptionAttention attention) {
  return std::ranges::find(kAttentions, attention, &std::pair<CaptionAttention, const char*>::first)
      ->second;
}

CaptionAttention find_caption_attention(const std::string& name) {
  for (const auto& [attention, word] : kAttentions) {
    if (name == word) return attention;
  }
  throw unknown_name("attention", name, {"soft", "hard"});
}

const std::vector<CaptionerEntry>& captioners() {
  static const std::vector<CaptionerEntry> kCaptioners = {
      {"show_tell", make_show_tell, false, "vinyals2015", "show-tell",
       "an LSTM whose first word is the image"},
      {"show_attend_tell", make_show_attend_tell, true, "xu2015", "show-attend-tell",
       "an LSTM that looks at a part of the image for each word"}};
  return kCaptioners;
}

const CaptionerEntry* find_captioner(const std::string& name) {
  const auto found = std::ranges::find(captioners(), name, &CaptionerEntry::name);
  return found == captioners().end() ? nullptr : &*found;
}

NamedTensors Captioner::tensors() const {
  NamedTensors all = decoder->tensors();
  all.emplace_back(kScale, feature_scale);
  for (const auto& [key, tensor] : encoder->network().tensors()) {
    all.emplace_back(kEncoder + key, tensor);
  }
  return all;
}

at::Tensor Captioner::scaled(const at::Tensor& features) const {
  const at::Tensor scaled = features.to(feature_scale.device(), at::kFloat) / feature_scale;
  return blind ? at::zeros_like(scaled) : scaled;
}

Looking Captioner::looking() const {
  return {.kind = attention == CaptionAttention::kHard ? Looking::Kind::kMost
                                                       : Looking::Kind::kExpected,
          .places = {}};
}

Captioner make_captioner(const CaptionerEntry& entry, const CaptionerOptions& options,
                         const std::vector<std::string>& words, uint64_t seed) {
  return assemble(entry, options, std::make_shared<CaptionEncoder>(options.encoder), words, seed);
}

bool is_captioner(const Weights& weights) {
  return weights.metadata.contains(kCaptionerKey);
}

std::map<std::string, std::string> captioner_metadata(const Captioner& captioner) {
  Json json = to_json(captioner.sizes);
  json["encoder"] = to_json(captioner.encoder->options());
  json["attention"] = to_string(captioner.attention);
  json["blind"] = captioner.blind;
  return {{"format", "pt"},
          {kModelKey, captioner.entry->name},
          {kCaptionerKey, json.dump()},
          {kVocabularyKey, Json(captioner.vocabulary->tokens()).dump()}};
}

Captioner load_captioner(const Weights& weights, const std::string& origin) {
  if (!is_captioner(weights)) {
    throw LookupError(origin + " holds nothing that writes captions",
                      "striate train show_attend_tell --data captions:DIR makes what does");
  }
  const std::string name = text_of(weights, kModelKey, origin);
  const CaptionerEntry* const entry = find_captioner(name);
  if (entry == nullptr) throw LookupError(fmt::format("{}: {} is no captioner", origin, name));
  const CaptionerOptions options =
      read_options(parse_json(text_of(weights, kCaptionerKey, origin), origin), origin);
  std::vector<std::string> words;
  try {
    words = parse_json(text_of(weights, kVocabularyKey, origin), origin)
                .get<std::vector<std::string>>();
  } catch (const Json::exception& error) {
    throw FormatError(fmt::format("{}: its vocabulary is damaged: {}", origin, error.what()));
  }
  check_sizes(weights, *entry, options.sizes, static_cast<int64_t>(words.size()), origin);
  Captioner captioner = assemble(
      *entry, options, std::make_shared<CaptionEncoder>(options.encoder, weights, kEncoder), words,
      /*seed=*/1);
  copy_weights(weights, captioner.tensors());
  captioner.decoder->eval();
  return captioner;
}

namespace {

Caption caption_of(const Captioner& captioner, const Hypothesis& best) {
  Caption caption{.words = captioner.vocabulary->decode(best.tokens),
                  .score = best.score,
                  .attention = best.attention};
  if (caption.attention.defined()) {
    caption.attention =
        caption.attention.unflatten(1, {captioner.encoder->height(), captioner.encoder->width()});
  }
  return caption;
}

}  // namespace

std::vector<Caption> find_captions(const Captioner& captioner, const at::Tensor& features,
                                   const BeamOptions& options) {
  at::NoGradGuard no_grad;
  const EvaluationMode mode(*captioner.decoder);
  const Looking looking = captioner.looking();
  const auto decode = [&](const at::Tensor& words, const std::vector<at::Tensor>& state) {
    return captioner.decoder->step(words, state, looking);
  };
  std::vector<Caption> captions;
  for (const at::Tensor& some : features.split(kImagesAtOnce)) {
    for (const std::vector<Hypothesis>& hypotheses :
         beam_search(decode, captioner.decoder->start(captioner.scaled(some)), options)) {
      captions.push_back(caption_of(captioner, hypotheses.front()));
    }
  }
  return captions;
}

std::vector<Caption> caption_images(const Captioner& captioner,
                                    std::span<const std::filesystem::path> images,
                                    const BeamOptions& options) {
  at::NoGradGuard no_grad;
  std::vector<Caption> captions;
  for (size_t from = 0; from < images.size(); from += kImagesAtOnce) {
    const auto some = images.subspan(from, std::min<size_t>(kImagesAtOnce, images.size() - from));
    for (Caption& caption : find_captions(captioner, captioner.encoder->features(some), options)) {
      captions.push_back(std::move(caption));
    }
  }
  return captions;
}

}  // namespace striate
