#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "cli/look.h"

namespace striate::cli {

/// A node's values for every image of a data set, and the images' classes.
struct Features {
  at::Tensor values;  ///< (N, F) float32
  std::vector<int64_t> labels;
};
Features features_of(const LookSession& session, const Dataset& data, const std::string& node);

/// What the classifier's last layer reads: the usual node for an embedding.
std::string default_features(const Graph& graph);

struct MapOptions {
  std::string method = "tsne";  ///< or "pca"
  int64_t components = 50;      ///< t-SNE sees so many principal components
  double perplexity = 30;
  uint64_t seed = 0;
};
struct Map {
  at::Tensor points;      ///< (N, 2)
  double divergence = 0;  ///< t-SNE's
};
/// @throws UsageError  there are too few images for the perplexity.
Map map_of(const at::Tensor& features, const MapOptions& options);

/// Small pictures of a data set's images, row by row in sheets.
struct Thumbnails {
  int64_t side = 0;
  int64_t columns = 0;
  int64_t rows = 0;
  std::vector<Image> sheets;
};
Thumbnails thumbnails_of(const Dataset& data, int64_t side);

}  // namespace striate::cli
