#include "striate/visualization/neighbours.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/neighbours.h"
#include "striate/base/error.h"
#include "visualization/distances.h"
#include "visualization/features.h"

namespace striate {

namespace {

// float32 may take near neighbours in another order than float64: so many more are compared.
constexpr int64_t kSpare = 16;
constexpr int64_t kRowsTogether = 224;

// A key and an index in one number that has their order: by key, then by index.
uint64_t pack(float key, int64_t index) {
  const auto bits = std::bit_cast<uint32_t>(key);
  const uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return uint64_t{ordered} << 32 | static_cast<uint32_t>(index);
}

float key_of(uint64_t packed) {
  const auto ordered = static_cast<uint32_t>(packed >> 32);
  return std::bit_cast<float>((ordered >> 31) != 0 ? ordered & 0x7FFFFFFFU : ~ordered);
}

int64_t index_of(uint64_t packed) {
  return static_cast<int64_t>(packed & 0xFFFFFFFFU);
}

// The candidates of one row: at least the `kept` best of those that were added.
class Selection {
 public:
  explicit Selection(int64_t kept) : kept_(static_cast<size_t>(kept)) {}

  float limit() const { return limit_; }
  void add(float key, int64_t index) {
    all_.push_back(pack(key, index));
    if (all_.size() >= 2 * kept_ + 256) prune();
  }
  const std::vector<uint64_t>& finish() {
    prune();
    return all_;
  }

 private:
  void prune() {
    if (all_.size() <= kept_) return;
    std::nth_element(all_.begin(), all_.begin() + static_cast<int64_t>(kept_) - 1, all_.end());
    all_.resize(kept_);
    // What comes later has a higher index, so that of equal keys it loses.
    limit_ = key_of(all_.back());
  }

  size_t kept_;
  float limit_ = std::numeric_limits<float>::infinity();
  std::vector<uint64_t> all_;
};

struct Search {
  const Distances& distances;
  bool among_themselves;  // a point is not its own neighbour
  int64_t count;
};

// Sorts by the distance in float64, and writes the nearest.
void write_nearest(const Search& search, int64_t row, const std::vector<uint64_t>& candidates,
                   Neighbours& to) {
  std::vector<std::pair<double, int64_t>> sorted;
  for (const uint64_t candidate : candidates) {
    const int64_t index = index_of(candidate);
    sorted.emplace_back(search.distances.exact(row, index), index);
  }
  std::sort(sorted.begin(), sorted.end());
  int64_t* indices = to.indices.data_ptr<int64_t>() + row * search.count;
  float* distances = to.distances.data_ptr<float>() + row * search.count;
  for (int64_t i = 0; i < search.count; ++i) {
    distances[i] = static_cast<float>(sorted[static_cast<size_t>(i)].first);
    indices[i] = sorted[static_cast<size_t>(i)].second;
  }
}

void find_nearest(const Search& search, int64_t begin, int64_t end, Neighbours& to) {
  std::vector<Selection> selections(static_cast<size_t>(end - begin),
                                    Selection(search.count + kSpare));
  std::vector<int32_t> below;
  search.distances.for_blocks(
      begin, end, [&](int64_t row, int64_t first, const float* keys, int64_t count) {
        below.resize(static_cast<size_t>(count));
        Selection& selection = selections[static_cast<size_t>(row - begin)];
        const int64_t found = kernels::find_below(keys, count, selection.limit(), below.data());
        for (int64_t i = 0; i < found; ++i) {
          const int32_t column = below[static_cast<size_t>(i)];
          const int64_t index = first + column;
          if (!search.among_themselves || index != row) selection.add(keys[column], index);
        }
      });
  for (int64_t row = begin; row < end; ++row) {
    write_nearest(search, row, selections[static_cast<size_t>(row - begin)].finish(), to);
  }
}

Neighbours search_all(const Search& search) {
  const int64_t rows = search.distances.rows();
  const int64_t most = search.distances.columns() - (search.among_themselves ? 1 : 0);
  if (search.count < 1 || search.count > most) {
    throw std::invalid_argument(
        fmt::format("a point has 1 to {} neighbours here, not {}", most, search.count));
  }
  Neighbours result{at::empty({rows, search.count}, at::kLong),
                    at::empty({rows, search.count}, at::kFloat)};
  const int64_t parts = (rows + kRowsTogether - 1) / kRowsTogether;
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      find_nearest(search, i * kRowsTogether, std::min(rows, (i + 1) * kRowsTogether), result);
    }
  });
  return result;
}

}  // namespace

Neighbours nearest_neighbours(const at::Tensor& features, const NeighbourOptions& options) {
  const at::Tensor x = checked_features(features, "features");
  const Distances distances(x, x, options.distance);
  return search_all({distances, /*among_themselves=*/true, options.count});
}

Neighbours nearest_neighbours(const at::Tensor& queries, const at::Tensor& features,
                              const NeighbourOptions& options) {
  const at::Tensor from = checked_features(queries, "queries");
  const at::Tensor x = checked_features(features, "features");
  if (from.size(1) != x.size(1)) {
    throw ShapeError(
        fmt::format("queries have {} features, those searched {}", from.size(1), x.size(1)));
  }
  const Distances distances(from, x, options.distance);
  return search_all({distances, /*among_themselves=*/false, options.count});
}

}  // namespace striate
