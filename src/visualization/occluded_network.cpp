#include "visualization/occluded_network.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <utility>

#include "striate/graph/analysis.h"
#include "striate/runtime/fused_network.h"
#include "visualization/derived_network.h"
#include "visualization/score.h"

namespace striate {

namespace {

struct Span {
  int64_t begin;
  int64_t end;
};

// Parts start and end where a value's stride does, so that their values are the image's.
int64_t part_of_side(int64_t pixels, int64_t stride, int64_t size, int64_t window) {
  const int64_t least = window + 2 * (size - 1) + stride - 1;
  if (least >= pixels) return pixels;
  return pixels - (pixels - least) / stride * stride;
}

// The values that see any of some pixels.
Span seeing(const StemAxis& axis, int64_t begin, int64_t end) {
  const int64_t before = begin - axis.begin - axis.size + 1;
  const int64_t first = before <= 0 ? 0 : (before + axis.stride - 1) / axis.stride;
  return {first, std::min(axis.values, (end - 1 - axis.begin) / axis.stride + 1)};
}

// The first pixel of the part in which they are computed.
int64_t part_begin(const StemAxis& axis, const Span& values) {
  const int64_t first = std::max<int64_t>(0, values.begin * axis.stride + axis.begin);
  return std::min(first / axis.stride * axis.stride, axis.pixels - axis.part);
}

StemAxis axis_of(int64_t pixels, int64_t values, int64_t stride, int64_t size, int64_t begin,
                 int64_t window) {
  return {pixels, values, stride, size, begin, part_of_side(pixels, stride, size, window)};
}

StemEnd end_at(const Graph& graph, Value node, const ReceptiveField& field, int64_t window) {
  const Shape& image = graph.input_shape();
  const Shape& shape = graph.shape(node);
  const bool is_image = node.node == graph.input().node;
  return {.node = is_image ? "" : graph.node(node).name,
          .rows = axis_of(image[1], shape[1], field.stride.height, field.size.height,
                          field.begin.height, window),
          .columns = axis_of(image[2], shape[2], field.stride.width, field.size.width,
                             field.begin.width, window)};
}

// What of an image such a part is.
double share_of(const StemEnd& end) {
  return static_cast<double>(end.rows.part * end.columns.part) /
         static_cast<double>(end.rows.pixels * end.columns.pixels);
}

int64_t multiply_adds_up_to(const Graph& graph, Value end) {
  const std::vector<bool> needed = with_ancestors(graph, end);
  int64_t sum = 0;
  for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
    if (needed[static_cast<size_t>(i)]) sum += multiply_adds(graph, {i});
  }
  return sum;
}

}  // namespace

OccludedNetwork::OccludedNetwork(const Network& network, const Target& target, int64_t window)
    : end_(end_at(network.graph(), network.graph().input(), {}, window)) {
  const Graph& graph = network.graph();
  const std::string wanted = target_node(graph, target);
  const Value end = graph.find(wanted);
  const std::vector<bool> needed = with_ancestors(graph, end);
  const std::vector<ReceptiveField> fields = receptive_fields(graph);
  double most = 0;
  for (int64_t i = 1; i < end.node; ++i) {
    if (!needed[static_cast<size_t>(i)] || graph.shape({i}).size() != 3) continue;
    if (!is_cut(graph, {i}, end)) continue;
    StemEnd here = end_at(graph, {i}, fields[static_cast<size_t>(i)], window);
    const double saved =
        (1 - share_of(here)) * static_cast<double>(multiply_adds_up_to(graph, {i}));
    if (saved <= most) continue;
    most = saved;
    end_ = std::move(here);
  }
  const Shape& image = graph.input_shape();
  stem_ = stem_for(network, image);
  around_ = stem_for(network, {image[0], end_.rows.part, end_.columns.part});
  networks_.push_back(
      derived_network(network, {.ends = {wanted}, .begin = end_.node, .fold = false}));
  rest_ = predictor(*networks_.back());
}

OccludedNetwork::Predictor OccludedNetwork::stem_for(const Network& network, const Shape& shape) {
  if (end_.node.empty()) return [](const at::Tensor& x) { return x; };
  networks_.push_back(
      derived_network(network, {.ends = {end_.node}, .input = shape, .fold = false}));
  return predictor(*networks_.back());
}

at::Tensor OccludedNetwork::occluded_stem(const at::Tensor& image, const at::Tensor& stem,
                                          const std::vector<Square>& squares, double fill) const {
  const StemAxis& rows = end_.rows;
  const StemAxis& columns = end_.columns;
  std::vector<at::Tensor> parts;
  for (const Square& square : squares) {
    const int64_t top = part_begin(rows, seeing(rows, square.top, square.bottom));
    const int64_t left = part_begin(columns, seeing(columns, square.left, square.right));
    at::Tensor part = image.narrow(2, top, rows.part).narrow(3, left, columns.part).clone();
    Square{square.top - top, square.left - left, square.bottom - top, square.right - left}
        .of(part)
        .fill_(fill);
    parts.push_back(part);
  }
  const at::Tensor around = around_(at::cat(parts));
  at::Tensor values = stem.repeat({std::ssize(squares), 1, 1, 1});
  for (size_t i = 0; i < squares.size(); ++i) {
    const Span y = seeing(rows, squares[i].top, squares[i].bottom);
    const Span x = seeing(columns, squares[i].left, squares[i].right);
    const int64_t top = part_begin(rows, y) / rows.stride;
    const int64_t left = part_begin(columns, x) / columns.stride;
    if (y.begin >= y.end || x.begin >= x.end) continue;
    const auto index = static_cast<int64_t>(i);
    Square{y.begin, x.begin, y.end, x.end}
        .of(values[index])
        .copy_(Square{y.begin - top, x.begin - left, y.end - top, x.end - left}.of(around[index]));
  }
  return values;
}

}  // namespace striate
