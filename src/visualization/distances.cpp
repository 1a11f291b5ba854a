#include "visualization/distances.h"

#include <algorithm>
#include <stdexcept>

#include "visualization/features.h"

namespace striate {

namespace {

// The mean of all rows, summed in their order.
std::vector<double> middle(const at::Tensor& rows) {
  const int64_t width = rows.size(1);
  std::vector<double> sum(static_cast<size_t>(width));
  const float* value = rows.const_data_ptr<float>();
  for (int64_t row = 0; row < rows.size(0); ++row) {
    for (double& s : sum) s += *value++;
  }
  for (double& s : sum) s /= static_cast<double>(std::max<int64_t>(1, rows.size(0)));
  return sum;
}

double length(const float* row, int64_t width) {
  double squares = 0;
  for (int64_t i = 0; i < width; ++i) squares += static_cast<double>(row[i]) * row[i];
  return std::sqrt(squares);
}

at::Tensor moved(const at::Tensor& rows, const std::vector<double>& by) {
  at::Tensor result = at::empty_like(rows);
  const int64_t width = rows.size(1);
  for_chunks(rows.size(0), [&](int64_t begin, int64_t end) {
    const float* from = rows.const_data_ptr<float>();
    float* to = result.data_ptr<float>();
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t i = 0; i < width; ++i) {
        to[row * width + i] =
            static_cast<float>(from[row * width + i] - by[static_cast<size_t>(i)]);
      }
    }
  });
  return result;
}

at::Tensor of_length_1(const at::Tensor& rows) {
  at::Tensor result = at::empty_like(rows);
  const int64_t width = rows.size(1);
  for_chunks(rows.size(0), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = rows.const_data_ptr<float>() + row * width;
      float* to = result.data_ptr<float>() + row * width;
      const double size = length(from, width);
      for (int64_t i = 0; i < width; ++i) {
        to[i] = size == 0 ? 0 : static_cast<float>(from[i] / size);
      }
    }
  });
  return result;
}

}  // namespace

Distances::Distances(const at::Tensor& rows, const at::Tensor& columns, Distance distance)
    : distance_(distance),
      width_(columns.size(1)),
      given_rows_(rows),
      given_columns_(columns),
      offsets_(static_cast<size_t>(columns.size(0))) {
  if (distance == Distance::kCosine) {
    columns_ = of_length_1(columns);
    rows_ = rows.is_same(columns) ? columns_ : of_length_1(rows);
    return;
  }
  // Far from the origin, differences of products would lose the distances.
  const std::vector<double> mean = middle(columns);
  columns_ = moved(columns, mean);
  rows_ = rows.is_same(columns) ? columns_ : moved(rows, mean);
  for (int64_t i = 0; i < columns_.size(0); ++i) {
    const double size = length(columns_.const_data_ptr<float>() + i * width_, width_);
    offsets_[static_cast<size_t>(i)] = static_cast<float>(size * size / 2);
    if (!std::isfinite(offsets_[static_cast<size_t>(i)])) {
      throw std::invalid_argument("features are too large for distances in float32");
    }
  }
}

double Distances::exact(int64_t row, int64_t column) const {
  const float* a = given_rows_.const_data_ptr<float>() + row * width_;
  const float* b = given_columns_.const_data_ptr<float>() + column * width_;
  double sum = 0;
  if (distance_ == Distance::kCosine) {
    for (int64_t i = 0; i < width_; ++i) sum += static_cast<double>(a[i]) * b[i];
    const double lengths = length(a, width_) * length(b, width_);
    return lengths == 0 ? 1 : std::clamp(1 - sum / lengths, 0.0, 2.0);
  }
  for (int64_t i = 0; i < width_; ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return std::sqrt(sum);
}

}  // namespace striate
