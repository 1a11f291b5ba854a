#pragma once

#include <CLI/CLI.hpp>

namespace striate::cli {

/// `bench data`: how fast the loader alone makes batches.
void add_data_mode(CLI::App& bench);

/// `bench embed`: t-SNE of a data set.
void add_embed_mode(CLI::App& bench);

}  // namespace striate::cli
