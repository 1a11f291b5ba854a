#include "striate/sequence/caption_decoder.h"

#include <fmt/format.h>

namespace striate {

namespace {

constexpr int64_t kLargestSize = 65536;

}  // namespace

Json to_json(const CaptionDecoderOptions& o) {
  return {{"embedding_size", o.embedding_size},
          {"hidden_size", o.hidden_size},
          {"attention_size", o.attention_size},
          {"dropout", o.dropout}};
}

CaptionDecoderOptions read_caption_decoder_options(JsonReader& reader) {
  CaptionDecoderOptions o;
  for (const auto& [key, value] :
       {std::pair{"embedding_size", &o.embedding_size}, std::pair{"hidden_size", &o.hidden_size},
        std::pair{"attention_size", &o.attention_size}}) {
    *value = reader.get<int64_t>(key);
    if (*value < 1 || *value > kLargestSize) {
      throw reader.error(key, fmt::format("must be in [1, {}], got {}", kLargestSize, *value));
    }
  }
  o.dropout = reader.get("dropout", o.dropout);
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw reader.error("dropout", fmt::format("must be in [0, 1), got {}", o.dropout));
  }
  return o;
}

NamedTensors CaptionDecoder::tensors() const {
  NamedTensors tensors;
  for (const auto& item : named_parameters()) tensors.emplace_back(item.key(), item.value());
  return tensors;
}

}  // namespace striate
