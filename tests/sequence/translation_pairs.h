#pragma once

#include <cstdint>
#include <string>

#include "striate/sequence/sentence_pairs.h"
#include "striate/sequence/translation_task.h"

namespace striate {

/// A language of four words and its translation, word by word: 64 sentences of one to three words.
inline SentencePairs word_by_word_pairs() {
  const char* const from[] = {"one", "two", "three", "four"};
  const char* const to[] = {"eins", "Zwei", "drei", "Vier"};
  SentencePairs pairs;
  for (size_t i = 0; i < 64; ++i) {
    std::string source;
    std::string target;
    for (size_t k = 0, rest = i; k <= i % 3; ++k, rest /= 4) {
      source += std::string(k > 0 ? " " : "") + from[rest % 4];
      target += std::string(k > 0 ? " " : "") + to[rest % 4];
    }
    pairs.source.push_back(source + ".");
    pairs.target.push_back(target + "!");
  }
  return pairs;
}

inline TranslationTaskOptions small_task_options() {
  return {.model = {.embedding_size = 8, .hidden_size = 16}, .codec = {.merges = 30}};
}

}  // namespace striate
