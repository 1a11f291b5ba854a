#pragma once

#include <ATen/core/Tensor.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "striate/graph/graph.h"

namespace striate::cli {

/// `bench data`: how fast the loader alone makes batches.
void add_data_mode(CLI::App& bench);
/// `bench look`: how fast an attribution is computed.
void add_look_mode(CLI::App& bench);

/// `bench embed`: t-SNE of a data set.
void add_embed_mode(CLI::App& bench);
/// `bench proposals`: which objects selective search finds, and how fast.
void add_proposals_mode(CLI::App& bench);

/// Steps of a network on random images: what to run and how often.
struct StepOptions {
  std::string model;
  int64_t batch_size = 16;
  int64_t size = 0;  // 0: the network's own
  int64_t steps = 5;
  int64_t warmup_steps = 2;
  int threads = 0;  // 0: all
  bool json = false;
};
void add_step_flags(CLI::App& command, StepOptions& options);
/// The network, with images of the size that is asked for.
Graph graph_for(const StepOptions& options);
/// Images of the network's input, from a seed.
at::Tensor random_images(const Graph& graph, int64_t batch_size);
/// How many of what each member of a batch holds.
struct Items {
  int64_t count = 1;
  std::string name = "images";
};
/// Times steps by so many threads, and prints their median, the spread, and the peak of memory.
void measure(const StepOptions& options, const std::function<void()>& step,
             const Items& items = {});

}  // namespace striate::cli
