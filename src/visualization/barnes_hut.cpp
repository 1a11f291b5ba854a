// Van der Maaten, "Accelerating t-SNE using tree-based algorithms", 2014,
// https://jmlr.org/papers/v15/vandermaaten14a.html, section 4.2.
//
// Departures: the points of a leaf share one list of cells, chosen by the distance from the leaf's
// box (barnes1990), so that whole vectors of a processor are filled; a cell's size is that of the
// box around its points.

#include "visualization/features.h"
#include "visualization/quad_tree.h"
#include "visualization/repulsion.h"

namespace striate {

namespace {

class BarnesHut final : public Repulsion {
 public:
  explicit BarnesHut(double theta) : theta_(theta) {}

  double compute(const float* points, int64_t count, float* forces) override {
    tree_.build(points, count, theta_);
    weights_.resize(static_cast<size_t>(count));
    x_.resize(static_cast<size_t>(count));
    y_.resize(static_cast<size_t>(count));
    const int64_t threads = at::get_num_threads();
    bodies_.resize(static_cast<size_t>(threads));
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) repel_leaves(i, threads, forces);
    });
    double sum = 0;
    for (const float weight : weights_) sum += weight - 1.0;  // a point's weight on itself is 1
    return sum;
  }

 private:
  // Every `step`-th leaf: near ones take alike long.
  void repel_leaves(int64_t first, int64_t step, float* forces) {
    QuadTree::Bodies& bodies = bodies_[static_cast<size_t>(first)];
    const auto leaves = static_cast<int64_t>(tree_.leaves().size());
    for (int64_t i = first; i < leaves; i += step) {
      const int32_t leaf = tree_.leaves()[static_cast<size_t>(i)];
      const QuadTree::Node& node = tree_.nodes()[static_cast<size_t>(leaf)];
      tree_.collect(node.box, bodies);
      const int64_t begin = node.begin;
      kernels::repel({bodies.x.data(), bodies.y.data(), bodies.mass.data(), bodies.count},
                     {tree_.x().data() + begin, tree_.y().data() + begin, node.end - begin,
                      weights_.data() + begin, x_.data() + begin, y_.data() + begin});
      for (int64_t k = begin; k < node.end; ++k) {
        forces[2 * tree_.place(k)] = x_[static_cast<size_t>(k)];
        forces[2 * tree_.place(k) + 1] = y_[static_cast<size_t>(k)];
      }
    }
  }

  double theta_;
  QuadTree tree_;
  std::vector<QuadTree::Bodies> bodies_;  // of each thread
  std::vector<float> weights_;            // in the tree's order
  std::vector<float> x_;
  std::vector<float> y_;
};

}  // namespace

std::unique_ptr<Repulsion> make_barnes_hut(double theta) {
  return std::make_unique<BarnesHut>(theta);
}

}  // namespace striate
