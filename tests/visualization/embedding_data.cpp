#include "visualization/embedding_data.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include "striate/base/random.h"

namespace striate {

const Json& embedding_reference() {
  static const Json reference =
      read_json(std::string(STRIATE_SOURCE_DIR) + "/tests/reference/embedding.json");
  return reference;
}

at::Tensor matrix(const Json& rows) {
  at::Tensor result = at::empty(
      {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.at(0).size())}, at::kDouble);
  double* value = result.data_ptr<double>();
  for (const Json& row : rows) {
    for (const Json& number : row) *value++ = number.get<double>();
  }
  return result;
}

at::Tensor normal_points(int64_t points, int64_t features, double deviation, uint64_t seed) {
  Random random({seed});
  at::Tensor result = at::empty({points, features}, at::kFloat);
  float* values = result.data_ptr<float>();
  for (int64_t i = 0; i < result.numel(); ++i) {
    values[i] = static_cast<float>(deviation * random.normal());
  }
  return result;
}

at::Tensor grouped_features(int64_t points, int64_t features, uint64_t seed) {
  const at::Tensor groups = normal_points(10, features, 3, seed);
  at::Tensor result = normal_points(points, features, 1, seed + 1);
  for (int64_t i = 0; i < points; ++i) result[i].add_(groups[i % 10]);
  return result;
}

bool same_for_any_threads(const std::function<at::Tensor()>& make) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = make();
  bool same = true;
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    same &= at::equal(one, make());
  }
  at::set_num_threads(before);
  return same;
}

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wanted = b.to(at::kDouble);
  return (a.to(at::kDouble) - wanted).norm().item<double>() / wanted.norm().item<double>();
}

}  // namespace striate
