#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "striate/sequence/language_model.h"

namespace striate::cli {

/// `bench data`: how fast the loader alone makes batches.
void add_data_mode(CLI::App& bench);
/// `bench look`: how fast an attribution is computed.
void add_look_mode(CLI::App& bench);

struct Measurement {
  std::string model;
  int64_t batch_size = 0;
  int64_t chunk = 1;            ///< tokens of each member of the batch
  std::string unit = "images";  ///< what is counted
  int64_t steps = 0;
  int64_t warmup_steps = 0;
  bool json = false;
};
/// Times steps, and prints their median, the spread, and the peak of memory.
void measure(const Measurement& measurement, const std::function<void()>& step);

/// `bench train` of a language model, by its usual recipe, on random tokens.
void bench_language(const LanguageModelEntry& entry, Measurement measurement);

/// `bench embed`: t-SNE of a data set.
void add_embed_mode(CLI::App& bench);

}  // namespace striate::cli
