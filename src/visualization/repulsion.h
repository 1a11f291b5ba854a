#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "striate/visualization/tsne.h"

namespace striate {

/// The force that all points of a map have on each other, before it is divided by the sum over all
/// pairs (vandermaaten2008, eq. 5): F_i = sum_j w_ij² (y_i - y_j), w = 1 / (1 + distance²).
class Repulsion {
 public:
  virtual ~Repulsion() = default;
  /// @param points  (count, 2), finite
  /// @param forces  (count, 2), written
  /// @return        the sum of w over all ordered pairs of different points
  virtual double compute(const float* points, int64_t count, float* forces) = 0;
};

/// @param theta  of Barnes-Hut.
std::unique_ptr<Repulsion> make_repulsion(TsneMethod method, double theta);

std::unique_ptr<Repulsion> make_barnes_hut(double theta);
std::unique_ptr<Repulsion> make_interpolation();

/// Coordinates of points (count, 2) apart.
struct Coordinates {
  std::vector<float> x;
  std::vector<float> y;
};
Coordinates coordinates(const float* points, int64_t count);

}  // namespace striate
