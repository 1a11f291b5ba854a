#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace striate {

/// confusion[truth][predicted], in images.
using Confusion = std::vector<std::vector<int64_t>>;

/// How one class fares. A ratio without images behind it is NaN.
struct ClassScore {
  int64_t index = 0;
  int64_t images = 0;     // of this class
  int64_t predicted = 0;  // called this class
  int64_t correct = 0;    // both
  double precision = 0;   // correct / predicted
  double recall = 0;      // correct / images
};

struct ConfusedPair {
  int64_t truth = 0;
  int64_t predicted = 0;
  int64_t images = 0;
  double share = 0;  // of the images of `truth`
};

struct ConfusionSummary {
  int64_t images = 0;
  int64_t correct = 0;
  std::vector<ClassScore> classes;
};

struct Interval {
  double low = 0;
  double high = 1;
};

/// @throws std::invalid_argument  not square, a negative count, or more than 2^53 images.
ConfusionSummary summarize(const Confusion& confusion);

/// The `most` largest entries off the diagonal, largest first, none of them 0.
std::vector<ConfusedPair> most_confused(const Confusion& confusion, int64_t most);

/// Where a ratio of `correct` in `images` lies with 95 % confidence. Source: wilson1927.
Interval confidence_interval(int64_t correct, int64_t images);

/// The matrix as a table. @param names  one per class, not escaped.
std::string matrix_markup(const Confusion& confusion, const std::vector<std::string>& names);
/// The largest confusions as a table.
std::string pairs_markup(const Confusion& confusion, const std::vector<std::string>& names);
/// Precision and recall of the given classes, in the given order, as a table.
std::string scores_markup(const std::vector<ClassScore>& scores,
                          const std::vector<std::string>& names);

}  // namespace striate
