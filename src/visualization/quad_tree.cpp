#include "visualization/quad_tree.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace striate {

namespace {

constexpr int32_t kLeafPoints = 32;
constexpr int kLevels = 16;

// A bit between any two of 16 bits.
uint32_t spread_bits(uint32_t bits) {
  bits = (bits | bits << 8) & 0x00FF00FF;
  bits = (bits | bits << 4) & 0x0F0F0F0F;
  bits = (bits | bits << 2) & 0x33333333;
  return (bits | bits << 1) & 0x55555555;
}

// Sorts by the upper 32 bits; equal ones stay in their order.
void radix_sort(std::vector<uint64_t>& keys, std::vector<uint64_t>& other) {
  constexpr int kBits = 11;
  constexpr size_t kBuckets = size_t{1} << kBits;
  other.resize(keys.size());
  for (int shift = 32; shift < 64; shift += kBits) {
    std::array<uint32_t, kBuckets> places{};
    for (const uint64_t key : keys) ++places[key >> shift & (kBuckets - 1)];
    uint32_t sum = 0;
    for (uint32_t& place : places) sum += std::exchange(place, sum);
    for (const uint64_t key : keys) other[places[key >> shift & (kBuckets - 1)]++] = key;
    std::swap(keys, other);
  }
}

float largest_side(const QuadTree::Box& box) {
  return std::max(box.right - box.left, box.bottom - box.top);
}

}  // namespace

void QuadTree::sort(const float* points, int64_t count) {
  float left = std::numeric_limits<float>::max();
  float top = left;
  float right = -left;
  float bottom = -left;
  for (int64_t i = 0; i < count; ++i) {
    left = std::min(left, points[2 * i]);
    right = std::max(right, points[2 * i]);
    top = std::min(top, points[2 * i + 1]);
    bottom = std::max(bottom, points[2 * i + 1]);
  }
  const float side = std::max({right - left, bottom - top, std::numeric_limits<float>::min()});
  const float scale = ((1 << kLevels) - 1) / side;
  keys_.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto column = static_cast<uint32_t>((points[2 * i] - left) * scale);
    const auto row = static_cast<uint32_t>((points[2 * i + 1] - top) * scale);
    const uint64_t place = spread_bits(row) << 1 | spread_bits(column);
    keys_[static_cast<size_t>(i)] = place << 32 | static_cast<uint64_t>(i);
  }
  radix_sort(keys_, other_keys_);
  x_.resize(keys_.size());
  y_.resize(keys_.size());
  for (int64_t i = 0; i < count; ++i) {
    x_[static_cast<size_t>(i)] = points[2 * place(i)];
    y_[static_cast<size_t>(i)] = points[2 * place(i) + 1];
  }
}

void QuadTree::build(const float* points, int64_t count, double theta) {
  inverse_theta_ = theta > 0 ? static_cast<float>(1 / theta) : std::numeric_limits<float>::max();
  sort(points, count);
  nodes_.clear();
  leaves_.clear();
  add_node(0, static_cast<int32_t>(count), 62);
}

void QuadTree::sum_points(Node& node) const {
  double x = 0;
  double y = 0;
  node.box = {x_[static_cast<size_t>(node.begin)], y_[static_cast<size_t>(node.begin)],
              x_[static_cast<size_t>(node.begin)], y_[static_cast<size_t>(node.begin)]};
  for (auto i = static_cast<size_t>(node.begin); i < static_cast<size_t>(node.end); ++i) {
    x += x_[i];
    y += y_[i];
    node.box.left = std::min(node.box.left, x_[i]);
    node.box.right = std::max(node.box.right, x_[i]);
    node.box.top = std::min(node.box.top, y_[i]);
    node.box.bottom = std::max(node.box.bottom, y_[i]);
  }
  node.x = static_cast<float>(x / node.mass);
  node.y = static_cast<float>(y / node.mass);
}

void QuadTree::sum_parts(Node& node, int32_t index) const {
  double x = 0;
  double y = 0;
  const auto last = static_cast<int32_t>(nodes_.size());
  node.box = nodes_[static_cast<size_t>(index) + 1].box;
  for (int32_t i = index + 1; i < last; i = nodes_[static_cast<size_t>(i)].next) {
    const Node& part = nodes_[static_cast<size_t>(i)];
    x += static_cast<double>(part.mass) * part.x;
    y += static_cast<double>(part.mass) * part.y;
    node.box.left = std::min(node.box.left, part.box.left);
    node.box.right = std::max(node.box.right, part.box.right);
    node.box.top = std::min(node.box.top, part.box.top);
    node.box.bottom = std::max(node.box.bottom, part.box.bottom);
  }
  node.x = static_cast<float>(x / node.mass);
  node.y = static_cast<float>(y / node.mass);
}

// The points [begin, end), whose keys agree above the two bits at `shift`.
void QuadTree::add_node(int32_t begin, int32_t end, int shift) {
  const auto index = static_cast<int32_t>(nodes_.size());
  Node node{.mass = static_cast<float>(end - begin), .begin = begin, .end = end};
  // Levels on which all points lie in one part have no node.
  const auto keys = keys_.begin();
  while (shift >= 32 && keys[begin] >> shift == keys[end - 1] >> shift) shift -= 2;
  node.leaf = end - begin <= kLeafPoints || shift < 32;
  nodes_.push_back(node);
  if (node.leaf) {
    leaves_.push_back(index);
    sum_points(node);
  } else {
    for (int32_t first = begin; first < end;) {
      const uint64_t next = (keys[first] >> shift) + 1;
      const auto last = std::partition_point(keys + first, keys + end,
                                             [&](uint64_t key) { return key >> shift < next; });
      const auto part_end = static_cast<int32_t>(last - keys);
      add_node(first, part_end, shift - 2);
      first = part_end;
    }
    sum_parts(node, index);
  }
  node.next = static_cast<int32_t>(nodes_.size());
  const float far = largest_side(node.box) * inverse_theta_;
  node.reach = far * far;
  nodes_[static_cast<size_t>(index)] = node;
}

void QuadTree::collect(const Box& box, Bodies& to) const {
  const size_t most = x_.size() + nodes_.size();
  if (to.x.size() < most) {
    to.x.resize(most);
    to.y.resize(most);
    to.mass.resize(most);
  }
  int64_t count = 0;
  const auto end = static_cast<int32_t>(nodes_.size());
  for (int32_t i = 0; i < end;) {
    const Node& node = nodes_[static_cast<size_t>(i)];
    const float dx = std::max({0.0F, box.left - node.x, node.x - box.right});
    const float dy = std::max({0.0F, box.top - node.y, node.y - box.bottom});
    if (dx * dx + dy * dy > node.reach) {
      to.x[static_cast<size_t>(count)] = node.x;
      to.y[static_cast<size_t>(count)] = node.y;
      to.mass[static_cast<size_t>(count++)] = node.mass;
      i = node.next;
    } else if (node.leaf) {
      std::copy(x_.begin() + node.begin, x_.begin() + node.end, to.x.begin() + count);
      std::copy(y_.begin() + node.begin, y_.begin() + node.end, to.y.begin() + count);
      std::fill_n(to.mass.begin() + count, node.end - node.begin, 1.0F);
      count += node.end - node.begin;
      i = node.next;
    } else {
      ++i;
    }
  }
  to.count = count;
}

}  // namespace striate
