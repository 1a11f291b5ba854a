#include "striate/training/evaluate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/runtime/fused_network.h"
#include "striate/runtime/network.h"

namespace striate {

namespace {

double mean_cross_entropy(const at::Tensor& probabilities, const at::Tensor& labels) {
  const at::Tensor right = probabilities.gather(1, labels.unsqueeze(1));
  return -right.clamp_min(1e-12).log().mean().item<double>();
}

// Evaluation mode while it lives.
class EvaluationMode {
 public:
  explicit EvaluationMode(Network& network) : network_(network), before_(network.is_training()) {
    network_.eval();
  }
  ~EvaluationMode() { network_.train(before_); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  Network& network_;
  bool before_;
};

void check_labels(const Network& network, const at::Tensor& labels) {
  const int64_t classes = network.graph().shape(network.graph().outputs().front().second)[0];
  const int64_t largest = labels.max().item<int64_t>();
  if (largest >= classes) {
    throw ShapeError(fmt::format("the data has a label {}, the network {} classes (0 to {})",
                                 largest, classes, classes - 1));
  }
}

}  // namespace

Predictions predict(Network& network, Loader& loader,
                    const std::function<void(int64_t)>& progress) {
  at::NoGradGuard no_grad;
  const EvaluationMode mode(network);
  const at::TensorOptions options = network.tensors().front().second.options();
  const auto logits_of = predictor(network);
  std::vector<at::Tensor> probabilities;
  std::vector<at::Tensor> labels;
  int64_t done = 0;
  loader.start(0);
  while (std::optional<Batch> batch = loader.next()) {
    check_labels(network, batch->labels);
    const at::Tensor logits = logits_of(batch->images.to(options));
    const int64_t count = batch->labels.size(0);
    const int64_t views = logits.size(0) / count;
    probabilities.push_back(
        logits.softmax(1).view({count, views, -1}).mean(1).to(at::kCPU, at::kFloat));
    labels.push_back(batch->labels);
    done += count;
    if (progress) progress(done);
  }
  Predictions result{.probabilities = at::cat(probabilities), .labels = at::cat(labels)};
  result.loss = mean_cross_entropy(result.probabilities, result.labels);
  return result;
}

void measure_statistics(Network& network, Loader& loader, int64_t batches) {
  at::NoGradGuard no_grad;
  const EvaluationMode mode(network);
  const at::TensorOptions options = network.tensors().front().second.options();
  int64_t done = 0;
  loader.start(0);
  while (done < batches) {
    const std::optional<Batch> batch = loader.next();
    if (!batch.has_value()) break;
    ++done;
    network.forward(batch->images.to(options),
                    {.statistics_momentum = 1.0 / static_cast<double>(done)});
  }
}

Predictions average(const std::vector<Predictions>& members) {
  if (members.empty()) throw std::invalid_argument("an ensemble needs a member");
  Predictions result{.probabilities = at::zeros_like(members[0].probabilities),
                     .labels = members[0].labels};
  for (const Predictions& member : members) {
    if (member.probabilities.sizes() != result.probabilities.sizes() ||
        !member.labels.equal(result.labels)) {
      throw std::invalid_argument("the members of an ensemble predict different data");
    }
    result.probabilities += member.probabilities / static_cast<double>(members.size());
  }
  result.loss = mean_cross_entropy(result.probabilities, result.labels);
  return result;
}

Accuracy accuracy(const Predictions& predictions) {
  const at::Tensor& p = predictions.probabilities;
  const int64_t best = std::min<int64_t>(5, p.size(1));
  const at::Tensor top = std::get<1>(p.topk(best, 1));
  const at::Tensor hits = top.eq(predictions.labels.unsqueeze(1));
  Accuracy result{.images = p.size(0), .correct = hits.select(1, 0).sum().item<int64_t>()};
  const auto count = static_cast<double>(result.images);
  result.top1 = static_cast<double>(result.correct) / count;
  result.top5 = static_cast<double>(hits.sum().item<int64_t>()) / count;
  return result;
}

std::vector<std::vector<int64_t>> confusion_matrix(const Predictions& predictions) {
  const auto classes = static_cast<size_t>(predictions.probabilities.size(1));
  std::vector<std::vector<int64_t>> matrix(classes, std::vector<int64_t>(classes));
  const at::Tensor predicted = predictions.probabilities.argmax(1);
  for (int64_t i = 0; i < predicted.size(0); ++i) {
    const auto truth = static_cast<size_t>(predictions.labels.data_ptr<int64_t>()[i]);
    ++matrix[truth][static_cast<size_t>(predicted.data_ptr<int64_t>()[i])];
  }
  return matrix;
}

std::vector<int64_t> most_confident_mistakes(const Predictions& predictions, int64_t most) {
  const auto [confidence, predicted] = predictions.probabilities.max(1);
  const at::Tensor wrong = predicted.ne(predictions.labels);
  std::vector<int64_t> mistakes;
  for (int64_t i = 0; i < wrong.size(0); ++i) {
    if (wrong.data_ptr<bool>()[i]) mistakes.push_back(i);
  }
  const float* sure = confidence.data_ptr<float>();
  std::ranges::stable_sort(mistakes, std::ranges::greater{}, [&](int64_t i) { return sure[i]; });
  if (static_cast<int64_t>(mistakes.size()) > most) mistakes.resize(static_cast<size_t>(most));
  return mistakes;
}

}  // namespace striate
