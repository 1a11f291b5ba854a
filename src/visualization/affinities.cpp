// Van der Maaten, Hinton, "Visualizing data using t-SNE", 2008,
// https://jmlr.org/papers/v9/vandermaaten08a.html, section 2 and 3.1.
//
// Departure: only the nearest 3 perplexity neighbours have a probability (van der Maaten,
// "Accelerating t-SNE using tree-based algorithms", 2014, section 4.1), unless all are asked for.

#include "visualization/affinities.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/visualization/neighbours.h"
#include "striate/visualization/tsne.h"
#include "visualization/features.h"

namespace striate {

namespace {

constexpr int kMostSteps = 100;
constexpr double kEntropyTolerance = 1e-8;

// The sums of exp(-beta d) and of d exp(-beta d), where d is a squared distance less the smallest.
struct Sums {
  double weights = 0;
  double weighted_distances = 0;
};

Sums sums(const std::vector<double>& squares, double beta) {
  Sums sums;
  for (const double square : squares) {
    const double weight = std::exp(-beta * square);
    sums.weights += weight;
    sums.weighted_distances += square * weight;
  }
  return sums;
}

// The precision beta = 1 / (2 sigma²) at which the entropy is `entropy`.
double find_precision(const std::vector<double>& squares, double entropy) {
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  const double mean =
      std::accumulate(squares.begin(), squares.end(), 0.0) / static_cast<double>(squares.size());
  double beta = mean > 0 ? 1 / mean : 1;
  for (int step = 0; step < kMostSteps; ++step) {
    const Sums s = sums(squares, beta);
    const double excess = std::log(s.weights) + beta * s.weighted_distances / s.weights - entropy;
    if (std::abs(excess) < kEntropyTolerance) break;
    (excess > 0 ? low : high) = beta;
    beta = std::isinf(high) ? 2 * beta : (low + high) / 2;
  }
  return beta;
}

void check_perplexity(int64_t points, double perplexity) {
  if (!(perplexity >= 1) || static_cast<double>(points) < 3 * perplexity + 1) {
    throw std::invalid_argument(
        fmt::format("a perplexity of {} needs at least {:.0f} points, got {}: it is 1 or more, and "
                    "at most a third of the other points",
                    perplexity, std::ceil(3 * perplexity + 1), points));
  }
}

// p_j|i of every point's nearest neighbours.
struct Conditional {
  int64_t count;  // of each point
  std::vector<int32_t> columns;
  std::vector<float> values;
};

Conditional conditional(const at::Tensor& features, const AffinityOptions& options) {
  const int64_t n = features.size(0);
  const auto nearest = static_cast<int64_t>(3 * options.perplexity);
  const int64_t count = options.all_points ? n - 1 : nearest;
  const Neighbours neighbours = nearest_neighbours(features, {.count = count});
  const int64_t* indices = neighbours.indices.const_data_ptr<int64_t>();
  const float* distances = neighbours.distances.const_data_ptr<float>();
  Conditional result{.count = count};
  result.columns.resize(static_cast<size_t>(n * count));
  result.values.resize(static_cast<size_t>(n * count));
  std::copy(indices, indices + n * count, result.columns.begin());
  for_chunks(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      conditional_probabilities(distances + i * count, count, options.perplexity,
                                result.values.data() + i * count);
    }
  });
  return result;
}

struct Entry {
  int32_t column;
  float value;
};

// Every value at (i, j) also at (j, i); in a row in no order yet.
std::vector<Entry> with_transpose(const Conditional& p, int64_t n, std::vector<int64_t>& begins) {
  begins.assign(static_cast<size_t>(n) + 1, 0);
  for (int64_t i = 0; i < n; ++i) begins[static_cast<size_t>(i) + 1] = p.count;
  for (const int32_t column : p.columns) ++begins[static_cast<size_t>(column) + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  std::vector<Entry> entries(p.columns.size() * 2);
  std::vector<int64_t> ends(begins.begin(), begins.end() - 1);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t e = i * p.count; e < (i + 1) * p.count; ++e) {
      const int32_t j = p.columns[static_cast<size_t>(e)];
      const float value = p.values[static_cast<size_t>(e)];
      entries[static_cast<size_t>(ends[static_cast<size_t>(i)]++)] = {j, value};
      entries[static_cast<size_t>(ends[static_cast<size_t>(j)]++)] = {static_cast<int32_t>(i),
                                                                      value};
    }
  }
  return entries;
}

// Sorts a row by its columns, and adds up what is in it twice. @return  how many are left.
int64_t merge_row(Entry* begin, Entry* end) {
  std::sort(begin, end, [](const Entry& a, const Entry& b) { return a.column < b.column; });
  Entry* to = begin;
  for (Entry* from = begin; from != end; ++to) {
    *to = *from++;
    if (from != end && from->column == to->column) to->value += (from++)->value;
  }
  return to - begin;
}

}  // namespace

void conditional_probabilities(const float* distances, int64_t count, double perplexity,
                               float* probabilities) {
  std::vector<double> squares(static_cast<size_t>(count));
  const double nearest = static_cast<double>(distances[0]) * distances[0];
  for (int64_t j = 0; j < count; ++j) {
    squares[static_cast<size_t>(j)] = static_cast<double>(distances[j]) * distances[j] - nearest;
  }
  const double beta = find_precision(squares, std::log(perplexity));
  const double sum = sums(squares, beta).weights;
  for (int64_t j = 0; j < count; ++j) {
    probabilities[j] = static_cast<float>(std::exp(-beta * squares[static_cast<size_t>(j)]) / sum);
  }
}

Affinities tsne_affinities(const at::Tensor& features, const AffinityOptions& options) {
  const at::Tensor x = checked_features(features, "features of t-SNE");
  const int64_t n = x.size(0);
  check_perplexity(n, options.perplexity);
  const Conditional p = conditional(x, options);
  std::vector<int64_t> begins;
  std::vector<Entry> entries = with_transpose(p, n, begins);
  Affinities result;
  result.begins.assign(static_cast<size_t>(n) + 1, 0);
  for_chunks(n, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      result.begins[i + 1] = merge_row(entries.data() + begins[i], entries.data() + begins[i + 1]);
    }
  });
  std::partial_sum(result.begins.begin(), result.begins.end(), result.begins.begin());
  result.columns.resize(static_cast<size_t>(result.begins.back()));
  result.values.resize(static_cast<size_t>(result.begins.back()));
  // p_ij = (p_j|i + p_i|j) / 2N
  const double scale = 1 / (2 * static_cast<double>(n));
  for_chunks(n, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const Entry* from = entries.data() + begins[i];
      for (int64_t to = result.begins[i]; to < result.begins[i + 1]; ++to, ++from) {
        result.columns[static_cast<size_t>(to)] = from->column;
        result.values[static_cast<size_t>(to)] = static_cast<float>(from->value * scale);
      }
    }
  });
  return result;
}

}  // namespace striate
