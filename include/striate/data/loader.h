#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "striate/data/dataset.h"
#include "striate/data/transforms.h"

namespace striate {

struct Batch {
  at::Tensor images;             // (N * views, C, H, W) float32, channels last in memory
  at::Tensor labels;             // (N) int64
  std::vector<int64_t> indices;  // which samples of the data set
};

enum class Order { kSequential, kShuffled };
enum class LastBatch { kKeep, kDrop };

struct LoaderOptions {
  int64_t batch_size = 128;
  Order order = Order::kSequential;
  LastBatch last_batch = LastBatch::kKeep;
  uint64_t seed = 0;
  int threads = 1;
};

/// Makes batches in threads of its own. What a sample becomes depends on (seed, epoch, index) only
/// and the order on (seed, epoch): the batches are the same for any number of threads.
class Loader {
 public:
  /// The data set must outlive the loader. @throws std::invalid_argument  a size below 1.
  Loader(const Dataset& dataset, const Preprocessing& preprocessing, LoaderOptions options);
  ~Loader();

  /// Batches of one epoch.
  int64_t batch_count() const;
  /// Starts an epoch at one of its batches, dropping what was under way.
  void start(int64_t epoch, int64_t first_batch = 0);
  /// The next batch, or nothing at the end of the epoch.
  /// @throws what reading a sample throws, with its origin; ShapeError  images of several sizes.
  std::optional<Batch> next();
  /// Seconds that `next` has waited since `start`.
  double waited_seconds() const;

 private:
  class Workers;
  std::unique_ptr<Workers> workers_;
};

}  // namespace striate
