#pragma once

#include <ATen/core/Tensor.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/results.h"
#include "striate/image/image.h"
#include "striate/runtime/network.h"
#include "striate/visualization/pixels.h"

namespace striate::cli {

/// What every `look` command takes.
struct LookOptions {
  std::string weights;
  std::vector<std::string> images;
  DataOptions data;
  std::string node;
  std::string class_name;  ///< or its number; empty: the one that the network sees
  std::string out;
  ModelFileOptions model;
  bool json = false;
};

/// One of the images that the user gave, or of the data set.
struct LookImage {
  std::string name;    ///< for the names of files: "cat", "test-12"
  std::string origin;  ///< for messages
  at::Tensor values;   ///< (C, H, W), normalised
};

/// Which of the flags a command has.
struct LookFlags {
  bool images = true;  ///< image files, --data and --limit
  bool node = false;
  bool class_name = false;
  bool out = true;
};

/// Adds a command. `run` is called with the options.
CLI::App* add_look_command(CLI::App& look, const std::string& name, const std::string& text,
                           const LookFlags& flags, std::function<void(const LookOptions&)> run);

/// The network that is looked into, and the files that come of it.
class LookSession {
 public:
  explicit LookSession(const LookOptions& options);

  const LoadedModel& model() const { return model_; }
  Network& network() const { return *model_.network; }
  const Graph& graph() const { return model_.network->graph(); }
  const PixelScale& scale() const { return scale_; }
  const LookOptions& options() const { return options_; }

  /// The files and the data set's first images; of these `most` at most, with --limit as many as
  /// that says. @throws UsageError  there are none.
  std::vector<LookImage> images(std::optional<int64_t> most = {}) const;
  /// --node, checked, or this.
  std::string node_or(const std::string& otherwise) const;
  /// --class as a number; nothing if it was not given.
  /// @throws LookupError  no class has that name (the message lists the nearest).
  std::optional<int64_t> given_class() const;
  int64_t class_index(const std::string& name_or_number) const;
  std::string class_name(int64_t index) const;
  /// Of each image the class that the network sees, and its probability.
  struct Seen {
    int64_t index = 0;
    double probability = 0;
  };
  std::vector<Seen> seen(const at::Tensor& images) const;

  /// The image as a picture.
  Image picture(const at::Tensor& values) const;

  /// Writes OUT/`name`.png and remembers it with these facts.
  void write(const std::string& name, const Image& image, Json facts = Json::object());
  /// Adds facts that belong to no file.
  void report(const std::string& key, const Json& value) { report_[key] = value; }
  /// Prints the files, or, with --json, them and what was reported.
  void finish() const;

 private:
  const LookOptions& options_;
  LoadedModel model_;
  PixelScale scale_;
  Json files_ = Json::array();
  Json report_ = Json::object();
};

/// Calls `body` with each batch of a data set, and the number of its first image.
void for_batches(const LookSession& session, const Dataset& data,
                 const std::function<void(const at::Tensor& images, int64_t first)>& body);

void add_look_cells(CLI::App& look);        // what a language model's cells hold
void add_look_layers(CLI::App& look);       // nodes, kernels, activations
void add_look_attribution(CLI::App& look);  // saliency and its kin
void add_look_ascent(CLI::App& look);       // ascend, dream, invert, fool
void add_look_embedding(CLI::App& look);    // embed, neighbours
void add_look_report(CLI::App& look);       // the page
void add_look_attention(CLI::App& look);    // where each word looked

}  // namespace striate::cli
