#pragma once

#include <string>

namespace striate {

/// How convolutions of float32 are computed (docs/performance.md has the errors). Those in groups
/// of 4 to 32 channels are direct: by LibTorch for kDirect, otherwise by kernels of ours.
enum class ConvolutionAlgorithm {
  kAuto,      ///< the fastest: on matrix tiles (x86's AMX), Winograd's, or direct
  kDirect,    ///< by products of float32
  kWinograd,  ///< Winograd's for 3x3 kernels of stride 1, otherwise direct
};

/// "auto", "direct", "winograd".
std::string to_string(ConvolutionAlgorithm algorithm);
/// @throws LookupError  no algorithm has that name.
ConvolutionAlgorithm convolution_algorithm(const std::string& name);

/// What convolutions, linear layers and the values between layers are computed in. Weights, the
/// state of an optimiser, the statistics of batch-norms, outputs and losses are float32 in either.
enum class Precision { kFloat32, kBFloat16 };

/// "float32", "bf16".
std::string to_string(Precision precision);
/// @throws LookupError  no precision has that name.
Precision find_precision(const std::string& name);

/// How a network is computed. The defaults are the fastest. They apply to float32 on the processor
/// in channels last; everything else runs on LibTorch's operators alone.
struct Execution {
  ConvolutionAlgorithm convolution = ConvolutionAlgorithm::kAuto;
  /// Batch-norm, the shortcut added to it and the ReLU behind run as one. Such a step, and a
  /// convolution by Winograd's algorithm or in groups, has a first derivative only.
  bool fuse = true;
  /// bfloat16 has 8 significant bits: values between layers are rounded to within 0.4 %. Winograd's
  /// algorithm computes in float32 in between.
  Precision precision = Precision::kFloat32;
};

}  // namespace striate
