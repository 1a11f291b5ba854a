// LIBLINEAR: A Library for Large Linear Classification
// R.-E. Fan, K.-W. Chang, C.-J. Hsieh, X.-R. Wang, C.-J. Lin, 2008
// https://www.jmlr.org/papers/v9/fan08a.html
#include "striate/detection/linear_svm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <linear.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

namespace striate {

namespace {

// Examples as liblinear takes them: what is not 0, and its place from 1 on.
class Examples {
 public:
  void append(const at::Tensor& rows, double label) {
    for (int64_t row = 0; row < rows.size(0); ++row) {
      const at::Tensor values = rows[row].to(at::kFloat).contiguous();
      const auto* x = values.const_data_ptr<float>();
      begins_.push_back(nodes_.size());
      for (int64_t i = 0; i < values.numel(); ++i) {
        if (x[i] != 0) nodes_.push_back({.index = static_cast<int>(i + 1), .value = x[i]});
      }
      const auto bias = static_cast<int>(values.numel() + 1);
      nodes_.push_back({.index = bias, .value = 1});
      nodes_.push_back({.index = -1, .value = 0});
      labels_.push_back(label);
    }
  }

  // Valid as long as nothing is appended.
  problem as_problem(int64_t size) {
    rows_.clear();
    for (const size_t begin : begins_) rows_.push_back(nodes_.data() + begin);
    return {.l = static_cast<int>(rows_.size()),
            .n = static_cast<int>(size + 1),
            .y = labels_.data(),
            .x = rows_.data(),
            .bias = 1};
  }

 private:
  std::vector<feature_node> nodes_;
  std::vector<size_t> begins_;
  std::vector<double> labels_;
  std::vector<feature_node*> rows_;
};

struct FreeModel {
  void operator()(model* trained) const { free_and_destroy_model(&trained); }
};

void check(const at::Tensor& positive, const at::Tensor& negative,
           const LinearSvmOptions& options) {
  const bool fits = positive.dim() == 2 && negative.dim() == 2 &&
                    positive.size(1) == negative.size(1) && positive.size(1) > 0;
  if (!fits) throw std::invalid_argument("an SVM needs examples (N, D) of one size");
  if (positive.size(0) < 1 || negative.size(0) < 1) {
    throw std::invalid_argument(
        fmt::format("an SVM needs examples of both classes, got {} positive and {} negative ones",
                    positive.size(0), negative.size(0)));
  }
  if (!(options.cost > 0) || !(options.tolerance > 0)) {
    throw std::invalid_argument("an SVM's cost and tolerance must be above 0");
  }
}

}  // namespace

LinearSvm train_linear_svm(const at::Tensor& positive, const at::Tensor& negative,
                           const LinearSvmOptions& options) {
  check(positive, negative, options);
  const int64_t size = positive.size(1);
  Examples examples;
  examples.append(positive, 1);  // the first example's class is the one with positive sums
  examples.append(negative, -1);
  const problem wanted = examples.as_problem(size);
  parameter how{};
  how.solver_type = L2R_L1LOSS_SVC_DUAL;
  how.eps = options.tolerance;
  how.C = options.cost;
  set_print_string_function([](const char*) {});
  std::srand(1);  // its order of examples
  const std::unique_ptr<model, FreeModel> trained(train(&wanted, &how));
  LinearSvm svm{.weight = at::empty({size}, at::kFloat), .bias = trained->w[size]};
  for (int64_t i = 0; i < size; ++i) {
    svm.weight.data_ptr<float>()[i] = static_cast<float>(trained->w[i]);
  }
  return svm;
}

}  // namespace striate
