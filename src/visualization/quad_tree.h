#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/map_forces.h"

namespace striate {

/// A square that is halved both ways until few points are in each part. Points near each other are
/// near in its order.
class QuadTree {
 public:
  struct Box {
    float left, top, right, bottom;
  };
  struct Node {
    float x, y, mass;  // the centre of its points, and how many
    float reach;       // squared distance from which on it is one point
    int32_t begin;     // its points, in the tree's order
    int32_t end;
    int32_t next;  // the node after its parts
    bool leaf;
    Box box;  // just around its points
  };

  /// @param points  (count, 2)
  /// @param theta   how large a cell may be for its distance to be taken as one point
  void build(const float* points, int64_t count, double theta);

  /// Points and cells that act on the points of a box.
  struct Bodies {
    std::vector<float> x;
    std::vector<float> y;
    std::vector<float> mass;
    int64_t count = 0;
  };
  void collect(const Box& box, Bodies& to) const;

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<int32_t>& leaves() const { return leaves_; }
  /// Coordinates in the tree's order, and where the points were.
  const std::vector<float>& x() const { return x_; }
  const std::vector<float>& y() const { return y_; }
  int64_t place(int64_t i) const {
    return static_cast<int64_t>(keys_[static_cast<size_t>(i)] & 0xFFFFFFFF);
  }

 private:
  void sort(const float* points, int64_t count);
  void add_node(int32_t begin, int32_t end, int shift);
  void sum_points(Node& node) const;
  void sum_parts(Node& node, int32_t index) const;

  float inverse_theta_ = 2;
  std::vector<uint64_t> keys_;  // the place on a curve through the square, and the point's index
  std::vector<uint64_t> other_keys_;
  std::vector<float> x_;
  std::vector<float> y_;
  std::vector<Node> nodes_;
  std::vector<int32_t> leaves_;
};

}  // namespace striate
