#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/graph/graph.h"

namespace striate {

/// One tensor of a network, as weight files name it.
struct TensorSpec {
  enum class Kind {
    kParameter,  ///< trained
    kBuffer,     ///< kept with the weights but not trained: running statistics, fixed codes
    kCounter,    ///< `num_batches_tracked`: one int64
  };
  std::string key;  ///< "layer1.0.conv1.weight"
  Shape shape;
  Kind kind = Kind::kParameter;
  int64_t node = 0;
  Initializer initializer;
  int64_t fan_in = 1;
  int64_t fan_out = 1;
  int64_t count = 0;  ///< values that matter: less than the volume under a connection table
};

/// The tensors of one node, and of a whole network in the order of its nodes.
std::vector<TensorSpec> tensors(const Graph& graph, Value value);
std::vector<TensorSpec> tensors(const Graph& graph);

/// Trained numbers of one node, and of the whole network.
int64_t parameter_count(const Graph& graph, Value value);
int64_t parameter_count(const Graph& graph);

/// Multiplications of a weight with an activation, per image: convolutions, linear layers and
/// distances. Normalisation, activation functions and pooling count as none, as published figures
/// have it.
int64_t multiply_adds(const Graph& graph, Value value);
int64_t multiply_adds(const Graph& graph);

/// Memory of the activations of one float32 image.
struct ActivationMemory {
  int64_t all_bytes = 0;       ///< every node's output stored once (a flattened view: not again)
  int64_t in_place_bytes = 0;  ///< the same, where ReLU and dropout overwrite their input
  int64_t peak_bytes = 0;      ///< the most alive at once when each is freed after its last use
  int64_t backward_bytes = 0;  ///< what must stay until the backward pass
};
ActivationMemory activation_memory(const Graph& graph);
/// Bytes of one node's output, 0 for a view.
int64_t output_bytes(const Node& node);

/// What of the input one value can see, in pixels; borders are ignored.
struct ReceptiveField {
  Size2 size = 1;
  Size2 stride = 1;  ///< pixels between neighbouring values
  Size2 begin = 0;   ///< the first pixel of the first value's; below 0 in the padding
};
/// For every node; where branches meet, what any of them sees.
std::vector<ReceptiveField> receptive_fields(const Graph& graph);

/// For each node, whether a value depends on it; on its own node it does.
std::vector<bool> with_ancestors(const Graph& graph, Value value);

/// The layer with trained weights nearest before a value: of "logits", the classifier's last.
/// @throws LookupError  there is none.
Value last_weighted(const Graph& graph, Value value);

/// The batch-norm that ends the residual branch of each block: the deepest one that goes straight
/// into an Add. Its `weight` at zero makes the block the identity.
std::vector<Value> last_scales(const Graph& graph);
/// Rewrite: those weights start at zero (goyal2017, 5.1).
Graph with_zero_last_scales(Graph graph);
/// Rewrite: the residual branch of block l of L survives a step of training with probability
/// 1 - l / L (1 - final_survival) (huang2016, eq. 4).
/// @throws std::invalid_argument  there are no residual blocks, or the probability is not in (0,
/// 1].
Graph with_stochastic_depth(const Graph& graph, double final_survival);

/// What of a graph is wanted.
struct GraphPart {
  /// A node whose value becomes the input; "": the graph's input.
  std::string begin = {};
  Shape input = {};  ///< the input's shape; empty: as it was
  /// Nodes that become the outputs, by their own names; what they do not need is left out. Empty:
  /// everything, with the outputs as they were.
  std::vector<std::string> ends = {};
};
/// Rewrite: a part of a graph, or all of it for another input. Names stay as they are.
/// @throws LookupError  no node has that name; ShapeError  a layer does not fit the input;
/// std::invalid_argument  an end needs more of the images than `begin`.
Graph part_of(const Graph& graph, const GraphPart& part);

}  // namespace striate
