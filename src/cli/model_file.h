#pragma once

#include <ATen/core/Tensor.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/models/models.h"
#include "striate/training/run.h"

namespace striate {
class Network;
}

namespace striate::cli {

/// What the user says about a weight file that does not say it itself.
struct ModelFileOptions {
  std::string model;
  std::string preprocess;  ///< a name, or a .json file with a list of transforms
  std::string classes;     ///< a file with the name of a class on each line
  std::string precision = "float32";
  std::optional<int64_t> column;  ///< of a FractalNet, the one to use; absent: all
};

/// --model, --preprocess, --classes and --precision.
void add_model_flags(CLI::App& command, ModelFileOptions& options);

struct LoadedModel {
  std::filesystem::path path;
  std::shared_ptr<Network> network;
  WeightsCard card;
  bool names_its_classes = false;  ///< the file does, or the user; otherwise they are numbers
};

/// Reads weights (a file, or a run's folder: its best) and builds their network.
/// @throws LookupError  neither the file nor the user says which network it is.
LoadedModel load_model(const std::filesystem::path& path, const ModelFileOptions& options);

/// An image file as the network takes it: (views, C, H, W), one view but for a ten-crop.
/// @throws ShapeError  the preprocessing does not lead to the network's input.
at::Tensor prepare_image(const LoadedModel& model, const std::string& path);

/// Input channels and classes as the weights have them, for a network's builder.
ModelOptions options_of_weights(const std::string& model, const Weights& weights);

/// The stochastic depth that weights were trained with, if they are said to be this network's.
double survival_of(const WeightsCard& card, const std::string& model);

/// `check_weights`, whose error also names the network that the weights fit best.
void check_weights_or_explain(const Graph& graph, const Weights& weights,
                              const std::string& origin);

/// The network of the registry whose tensors are most like these; "" when none is alike.
std::string nearest_model(const Weights& weights);

/// A named preprocessing, or that of a .json file.
Preprocessing find_preprocessing(const std::string& name_or_path);

}  // namespace striate::cli
