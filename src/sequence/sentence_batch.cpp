#include "striate/sequence/sentence_batch.h"

#include <ATen/ops/full.h>

#include <algorithm>

#include "striate/sequence/vocabulary.h"

namespace striate {

namespace {

constexpr int64_t kPool = 50;  // batches among which lengths are sorted

}  // namespace

SentenceBatch make_sentence_batch(std::span<const std::vector<int64_t>> sentences) {
  SentenceBatch batch;
  for (const auto& sentence : sentences) {
    batch.lengths.push_back(static_cast<int64_t>(sentence.size()));
  }
  const auto count = static_cast<int64_t>(sentences.size());
  const int64_t longest = *std::ranges::max_element(batch.lengths);
  batch.tokens = at::full({longest, count}, Vocabulary::kPad, at::kLong);
  auto* const tokens = batch.tokens.data_ptr<int64_t>();
  for (int64_t n = 0; n < count; ++n) {
    const auto& sentence = sentences[static_cast<size_t>(n)];
    for (size_t t = 0; t < sentence.size(); ++t) {
      tokens[static_cast<int64_t>(t) * count + n] = sentence[t];
    }
  }
  return batch;
}

std::vector<std::vector<int64_t>> batches_of_similar_length(std::span<const Lengths> lengths,
                                                            int64_t batch_size, Random& random) {
  const auto count = static_cast<int64_t>(lengths.size());
  std::vector<int64_t> order = random.permutation(count);
  for (int64_t from = 0; from < count; from += kPool * batch_size) {
    const auto pool = order.begin() + from;
    std::ranges::stable_sort(pool, pool + std::min(kPool * batch_size, count - from), {},
                             [&](int64_t i) { return lengths[static_cast<size_t>(i)]; });
  }
  std::vector<std::vector<int64_t>> batches;
  for (const int64_t batch : random.permutation(count / batch_size)) {
    const auto first = order.begin() + batch * batch_size;
    batches.emplace_back(first, first + batch_size);
  }
  return batches;
}

}  // namespace striate
