#pragma once

#include <torch/nn/module.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "striate/graph/analysis.h"
#include "striate/graph/graph.h"
#include "striate/runtime/execution.h"
#include "striate/runtime/weights.h"

namespace striate {

struct NodeTensors;
struct PlannedStep;
struct Stage;

struct ForwardOptions {
  /// Names of nodes whose values are wanted beside the outputs.
  std::vector<std::string> taps = {};
  /// In evaluation mode: batch-norms that are not frozen normalise by the batch nevertheless, and
  /// move their running statistics towards it by so much, while dropout and dropped paths stay out.
  std::optional<double> statistics_momentum = {};
  /// Names of nodes whose values are wanted, too, and from which derivatives are to be taken: they
  /// are cut off from what they were made of and require a gradient. "input" is the images.
  std::vector<std::string> leaves = {};
  /// Images may be of any height and width, where no layer that is needed has a size of its own, as
  /// linear ones have.
  bool any_size = false;
};

/// Values by name: every output of the graph, and every tapped node. Batch first.
using NamedValues = std::map<std::string, at::Tensor>;

/// How images and kernels lie in memory. Both give the same numbers to rounding. Channels last is
/// faster; contiguous is PyTorch's default, and rounds as it does.
enum class Layout { kChannelsLast, kContiguous };

/// Whether a network that is made of weights has a copy of them, or shares those that have its type
/// and layout already.
enum class WeightMemory { kCopied, kShared };

/// A graph with weights, to train or to run. It is a torch::nn::Module whose parameters and buffers
/// have the published names, so it works with any LibTorch program. float32 or float64 (`to`), on
/// the CPU or on CUDA.
class Network final : public torch::nn::Module {
 public:
  /// Weights start from the graph's initialization; the same seed gives the same weights.
  Network(Graph graph, uint64_t seed, Layout layout = Layout::kChannelsLast);
  /// With these weights, as float32; nothing is drawn. @throws ShapeError  as `check_weights`.
  Network(Graph graph, const Weights& weights, Layout layout = Layout::kChannelsLast,
          WeightMemory memory = WeightMemory::kCopied);
  ~Network() override;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const Graph& graph() const { return graph_; }

  using torch::nn::Module::to;
  /// Converts what is of floating point; counters stay whole numbers.
  void to(torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;

  /// The first output, "logits" of a classifier; no other is computed.
  /// @param images  (N, C, H, W), of the network's type, normalised; H and W as the graph's input.
  /// @throws ShapeError  the images are not of the graph's input shape.
  at::Tensor forward(const at::Tensor& images);
  /// Every output, and every tapped node.
  /// @throws LookupError  no node has a tap's name.
  NamedValues forward(const at::Tensor& images, const ForwardOptions& options);

  /// Trains the rest only: the weights of this node and of all that it depends on no longer require
  /// a gradient, and batch-norms among them run in evaluation mode, whatever the network's mode.
  /// @throws LookupError  no node has that name.
  void freeze_up_to(const std::string& node_name);
  /// Batch-norms run in evaluation mode, whatever the network's mode, and their weights no longer
  /// require a gradient.
  void freeze_batch_norms();
  /// A FractalNet: evaluation by one of its columns alone (0 is the shallowest). Without a value:
  /// by all.
  /// @throws std::invalid_argument  the network has no such column.
  void use_column(std::optional<int64_t> column);

  /// How it computes from now on; in Layout::kContiguous always by LibTorch's operators.
  void set_execution(const Execution& execution) { execution_ = execution; }
  const Execution& execution() const { return execution_; }
  Layout layout() const { return layout_; }
  /// The column that evaluation uses; none: all.
  std::optional<int64_t> column() const { return column_; }

  /// In training these parts do not keep their values for the backward pass: they run again there,
  /// which gives the same gradients, to the bit, for less memory and more time. The network must
  /// live until the backward pass. A part is what the names of its nodes have before a dot
  /// ("layer1"), a row of nodes ("conv1..relu"), or "all": all but the last part, cut where the
  /// least must be kept. An empty list: everything is kept.
  /// @throws LookupError            no node has that name.
  /// @throws std::invalid_argument  more than one value enters or leaves the part, or two overlap.
  /// Source: chen2016.
  void set_checkpoint_stages(const std::vector<std::string>& names);

  /// A tensor of the network by its key. @throws LookupError.
  at::Tensor tensor(const std::string& key) const;
  /// Parameters and buffers by key, in the order of the nodes.
  const NamedTensors& tensors() const { return tensors_; }
  /// What describes each of them, in the same order.
  const std::vector<TensorSpec>& specs() const { return specs_; }

 private:
  void register_tensor(const TensorSpec& spec, const at::Tensor& value);
  void plan();
  /// What drop-path and stochastic depth leave of the network in this pass: for each node, which of
  /// its inputs are used; a node that nothing uses is not computed.
  struct Pass;
  /// Nodes whose values a caller wants, and the names that it knows them by.
  using Wanted = std::map<int64_t, std::vector<std::string>>;
  void check_images(const at::Tensor& images, bool any_size) const;
  NamedValues run(const at::Tensor& images, const Wanted& wanted, const std::set<int64_t>& leaves,
                  std::optional<double> statistics_momentum);
  Pass draw_pass(const std::vector<int64_t>& wanted) const;
  at::Tensor execute(const PlannedStep& planned, int64_t index, const Pass& pass,
                     std::vector<at::Tensor>& values, bool reuse_input, bool again = false);
  /// The stage that begins at a node and can be recomputed in this pass, or null.
  const Stage* stage_at(int64_t node, const Pass& pass, const Wanted& wanted) const;
  at::Tensor run_stage(const Stage& stage, const std::shared_ptr<const Pass>& pass,
                       const at::Tensor& input);

  at::Tensor in_layout(const at::Tensor& tensor) const;

  Graph graph_;
  Layout layout_;
  std::vector<TensorSpec> specs_;
  NamedTensors tensors_;
  std::map<std::string, size_t> by_key_;
  std::vector<NodeTensors> steps_;  // by node
  std::vector<PlannedStep> plain_;  // each node by itself
  std::vector<PlannedStep> fused_;  // where nodes run together
  std::vector<Stage> stages_;       // to recompute, in order
  Execution execution_;
  std::optional<int64_t> column_;
  bool drops_ = false;  // some node may leave out its inputs
};

/// The weights of a network by key, sharing its memory.
Weights weights_of(const Network& network);

/// Every tensor of the network must be there with its shape, and no other; `num_batches_tracked`
/// may be missing, as early files lack it, and parts that the graph left out (`Graph::left_out`)
/// may be there. Allocates nothing.
/// @throws ShapeError  naming the keys that are missing, superfluous or of another shape.
void check_weights(const Graph& graph, const Weights& weights);
/// Copies weights into a network, converting to its type.
/// @throws ShapeError  as `check_weights`; the network is unchanged.
void load_weights(Network& network, const Weights& weights);

/// Where a training step went wrong: the first node, in order, whose value is not finite for these
/// images, or the first weight that is not; "" when all are finite.
std::string first_non_finite(Network& network, const at::Tensor& images);

}  // namespace striate
