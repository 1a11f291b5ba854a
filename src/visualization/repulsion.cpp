#include "visualization/repulsion.h"

#include <array>

#include "kernels/map_forces.h"
#include "visualization/features.h"

namespace striate {

namespace {

constexpr int64_t kPointsTogether = 64;

class Exact final : public Repulsion {
 public:
  double compute(const float* points, int64_t count, float* forces) override {
    const Coordinates all = coordinates(points, count);
    const std::vector<float> ones(static_cast<size_t>(count), 1);
    std::vector<float> weights(static_cast<size_t>(count));
    const kernels::Bodies bodies{all.x.data(), all.y.data(), ones.data(), count};
    const int64_t parts = (count + kPointsTogether - 1) / kPointsTogether;
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part) {
        const int64_t begin = part * kPointsTogether;
        const int64_t some = std::min(kPointsTogether, count - begin);
        std::array<float, kPointsTogether> x{};
        std::array<float, kPointsTogether> y{};
        kernels::repel(bodies, {all.x.data() + begin, all.y.data() + begin, some,
                                weights.data() + begin, x.data(), y.data()});
        for (int64_t i = 0; i < some; ++i) {
          forces[2 * (begin + i)] = x[static_cast<size_t>(i)];
          forces[2 * (begin + i) + 1] = y[static_cast<size_t>(i)];
        }
      }
    });
    double sum = 0;
    for (const float weight : weights) sum += weight - 1.0;  // a point's weight on itself is 1
    return sum;
  }
};

}  // namespace

Coordinates coordinates(const float* points, int64_t count) {
  Coordinates result{std::vector<float>(static_cast<size_t>(count)),
                     std::vector<float>(static_cast<size_t>(count))};
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    result.x[i] = points[2 * i];
    result.y[i] = points[2 * i + 1];
  }
  return result;
}

std::unique_ptr<Repulsion> make_repulsion(TsneMethod method, double theta) {
  if (method == TsneMethod::kBarnesHut) return make_barnes_hut(theta);
  if (method == TsneMethod::kInterpolation) return make_interpolation();
  return std::make_unique<Exact>();
}

}  // namespace striate
