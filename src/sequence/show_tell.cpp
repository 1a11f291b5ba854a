// Show and Tell: A Neural Image Caption Generator. O. Vinyals, A. Toshev, S. Bengio, D. Erhan,
// 2015. https://arxiv.org/abs/1411.4555 The image is the mean of the encoder's vectors, as its
// network's last pooling has it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>

#include "runtime/dropout.h"
#include "sequence/linear.h"
#include "striate/sequence/caption_decoder.h"
#include "striate/sequence/recurrent.h"

namespace striate {

namespace {

class ShowTell final : public CaptionDecoder {
 public:
  ShowTell(const CaptionSizes& sizes, const CaptionDecoderOptions& options, uint64_t seed)
      : dropout_(options.dropout),
        image_(add_linear(*this, "image", {sizes.feature_size, options.embedding_size}, seed)),
        embedding_(add_parameter(*this, "embedding.weight",
                                 {sizes.vocabulary, options.embedding_size}, kEmbeddingRange,
                                 seed)),
        lstm_(register_module("lstm", std::make_shared<Recurrent>(
                                          RecurrentOptions{.cell = Cell::kLstm,
                                                           .input_size = options.embedding_size,
                                                           .hidden_size = options.hidden_size},
                                          seed))),
        output_(add_linear(*this, "output", {options.hidden_size, sizes.vocabulary}, seed)) {}

  CaptionOutput forward(const at::Tensor& features, const at::Tensor& words,
                        const Looking& /*looking*/) override {
    const at::Tensor inputs = at::cat({image_of(features), dropped(embedded(words))});
    const at::Tensor y = lstm_->forward(inputs).y.slice(0, 1);  // what follows the image is a word
    return {.logits = output_(dropped(y)), .attention = {}, .looked_at = {}, .drawn = {}};
  }

  std::vector<at::Tensor> start(const at::Tensor& features) override {
    const RecurrentState state = lstm_->forward(image_of(features)).state;
    return {state.h[0], state.c[0]};
  }

  DecoderStep step(const at::Tensor& words, const std::vector<at::Tensor>& state,
                   const Looking& /*looking*/) override {
    const RecurrentState next =
        lstm_step(embedded(words), {.h = state[0], .c = state[1]}, lstm_->weights(0));
    return {.log_probabilities = output_(next.h).log_softmax(1),
            .state = {next.h, next.c},
            .attention = {}};
  }

 private:
  at::Tensor image_of(const at::Tensor& features) const {
    return image_(features.mean(1)).unsqueeze(0);  // (1, N, E)
  }
  at::Tensor embedded(const at::Tensor& words) const { return at::embedding(embedding_, words); }
  at::Tensor dropped(const at::Tensor& x) const {
    return striate::dropout(x, dropout_, is_training());
  }

  double dropout_;
  LinearLayer image_;
  at::Tensor embedding_;
  std::shared_ptr<Recurrent> lstm_;
  LinearLayer output_;
};

}  // namespace

std::shared_ptr<CaptionDecoder> make_show_tell(const CaptionSizes& sizes,
                                               const CaptionDecoderOptions& options,
                                               uint64_t seed) {
  return std::make_shared<ShowTell>(sizes, options, seed);
}

}  // namespace striate
