#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace striate {

enum class PcaMethod {
  kAuto,        ///< randomised if there are more than 1000 features and few components
  kExact,       ///< all eigenvectors of the covariance, or of the Gram matrix if that is smaller
  kRandomized,  ///< subspace iteration from a random start
};

struct PcaOptions {
  int64_t components = 2;
  PcaMethod method = PcaMethod::kAuto;
  uint64_t seed = 0;  ///< of the random start
};

/// Principal components. Each has length 1, and its entry of the largest size is positive.
struct Pca {
  at::Tensor mean;        ///< (D) float32
  at::Tensor components;  ///< (K, D) float32, by falling variance
  at::Tensor
      explained_variance;      ///< (K) float32, along each component; of N - 1 degrees of freedom
  at::Tensor explained_ratio;  ///< (K) float32, in [0, 1]: of the variance of all features
};

/// The directions along which features vary most. Inside it computes in float64. The same bytes
/// come out for any number of threads.
/// @param features  (N, D) float32, N >= 2, finite.
/// @throws ShapeError             features of another form, type or device.
/// @throws std::invalid_argument  components not in [1, min(N, D)], or what is not a number.
/// Error: exact components within 1e-6 of float64's, where variances differ by more than 1e-6 of
/// the largest; randomised ones within 1e-3 where the spectrum falls.
/// Source: halko2011, algorithm 4.4 (randomised).
Pca fit_pca(const at::Tensor& features, const PcaOptions& options);

/// Features in the components' coordinates.
/// @param features  (N, D) float32.
/// @return          (N, K) float32.
/// @throws ShapeError  another D.
at::Tensor transform(const Pca& pca, const at::Tensor& features);

}  // namespace striate
