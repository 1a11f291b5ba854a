#include "striate/data/loader.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "data/prepare.h"
#include "striate/base/error.h"

namespace striate {

namespace {

// Batches that may wait for the consumer, for each thread.
constexpr int64_t kAhead = 3;

using Clock = std::chrono::steady_clock;

}  // namespace

class Loader::Workers {
 public:
  Workers(const Dataset& dataset, const Preprocessing& preprocessing, LoaderOptions options)
      : dataset_(dataset), preparation_(preprocessing.transforms()), options_(options) {
    if (options_.batch_size < 1) throw std::invalid_argument("a batch needs at least one image");
    if (options_.threads < 1) throw std::invalid_argument("a loader needs at least one thread");
    if (batch_count() < 1) {
      throw std::invalid_argument(fmt::format("{} samples do not fill a batch of {}",
                                              dataset_.size(), options_.batch_size));
    }
  }

  ~Workers() { stop(); }

  int64_t batch_count() const {
    const int64_t size = dataset_.size();
    const bool partial = options_.last_batch == LastBatch::kKeep && size % options_.batch_size != 0;
    return size / options_.batch_size + (partial ? 1 : 0);
  }

  void start(int64_t epoch, int64_t first_batch) {
    if (first_batch < 0 || first_batch > batch_count()) {
      throw std::invalid_argument(fmt::format("an epoch of {} batches can't start at batch {}",
                                              batch_count(), first_batch));
    }
    stop();
    epoch_ = epoch;
    order_.resize(static_cast<size_t>(dataset_.size()));
    std::iota(order_.begin(), order_.end(), int64_t{0});
    if (options_.order == Order::kShuffled) {
      order_ = Random({options_.seed, hash_name("order"), static_cast<uint64_t>(epoch)})
                   .permutation(dataset_.size());
    }
    next_made_ = first_batch;
    next_taken_ = first_batch;
    waited_ = 0;
    stopping_ = false;
    ready_.clear();
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
  }

  std::optional<Batch> next() {
    if (threads_.empty()) throw std::logic_error("a loader's next comes after its start");
    if (next_taken_ >= batch_count()) return std::nullopt;
    const Clock::time_point before = Clock::now();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready_.contains(next_taken_); });
    waited_ += std::chrono::duration<double>(Clock::now() - before).count();
    Made made = std::move(ready_.extract(next_taken_).mapped());
    ++next_taken_;
    changed_.notify_all();
    if (made.error) std::rethrow_exception(made.error);
    return std::move(made.batch);
  }

  double waited_seconds() const { return waited_; }

 private:
  struct Made {
    Batch batch;
    std::exception_ptr error;
  };

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  void work() {
    while (true) {
      int64_t number = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] {
          return stopping_ || next_made_ < next_taken_ + kAhead * options_.threads;
        });
        if (stopping_ || next_made_ >= batch_count()) return;
        number = next_made_++;
      }
      Made made;
      try {
        made.batch = make_batch(number);
      } catch (...) {
        made.error = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      ready_[number] = std::move(made);
      changed_.notify_all();
    }
  }

  Batch make_batch(int64_t number) const {
    const int64_t first = number * options_.batch_size;
    const int64_t last = first + std::min(options_.batch_size, dataset_.size() - first);
    Batch batch;
    batch.indices = {order_.begin() + first, order_.begin() + last};
    batch.labels = at::empty({last - first}, at::kLong);
    auto* labels = batch.labels.data_ptr<int64_t>();
    for (int64_t i = 0; i < last - first; ++i) {
      const int64_t index = batch.indices[static_cast<size_t>(i)];
      Random random({options_.seed, hash_name("sample"), static_cast<uint64_t>(epoch_),
                     static_cast<uint64_t>(index)});
      PendingSample sample = dataset_.pending(index);
      labels[i] = sample.label;
      place(batch, prepare(std::move(sample.image), random, index), i, last - first);
    }
    return batch;
  }

  PreparedImage prepare(PendingImage image, Random& random, int64_t index) const {
    try {
      return preparation_.prepare(std::move(image), random);
    } catch (const ShapeError& error) {
      throw ShapeError(fmt::format("{}: {}", dataset_.origin(index), error.what()), error.hint());
    }
  }

  // Writes the views of one image; interleaved channels are a channels-last tensor's memory.
  void place(Batch& batch, const PreparedImage& image, int64_t position, int64_t count) const {
    const int64_t per_image = image.views();
    for (int64_t v = 0; v < per_image; ++v) {
      const ViewShape shape = image.shape(v);
      if (!batch.images.defined()) {
        batch.images = at::empty({count * per_image, shape[0], shape[1], shape[2]},
                                 at::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast));
      }
      const at::IntArrayRef sizes = batch.images.sizes();
      if (sizes[1] != shape[0] || sizes[2] != shape[1] || sizes[3] != shape[2]) {
        const int64_t index = batch.indices[static_cast<size_t>(position)];
        throw ShapeError(
            fmt::format("{} gives ({}, {}, {}), the batch has ({}, {}, {})", dataset_.origin(index),
                        shape[0], shape[1], shape[2], sizes[1], sizes[2], sizes[3]),
            "crop or resize to one size, and convert to one number of channels, in the transforms");
      }
      const int64_t size = shape[0] * shape[1] * shape[2];
      image.write(v, batch.images.data_ptr<float>() + (position * per_image + v) * size);
    }
  }

  const Dataset& dataset_;
  const Preparation preparation_;
  const LoaderOptions options_;
  std::vector<int64_t> order_;
  int64_t epoch_ = 0;

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, Made> ready_;
  int64_t next_made_ = 0;
  int64_t next_taken_ = 0;
  double waited_ = 0;
  bool stopping_ = true;
};

Loader::Loader(const Dataset& dataset, const Preprocessing& preprocessing, LoaderOptions options)
    : workers_(std::make_unique<Workers>(dataset, preprocessing, options)) {}
Loader::~Loader() = default;
int64_t Loader::batch_count() const {
  return workers_->batch_count();
}
void Loader::start(int64_t epoch, int64_t first_batch) {
  workers_->start(epoch, first_batch);
}
std::optional<Batch> Loader::next() {
  return workers_->next();
}
double Loader::waited_seconds() const {
  return workers_->waited_seconds();
}

}  // namespace striate
