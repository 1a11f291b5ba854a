#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "striate/image/image.h"
#include "striate/runtime/network.h"

namespace striate {

struct KernelPictureOptions {
  int64_t most = 128;  ///< kernels at most; of deeper layers, rows and columns at most 32
  /// Each pixel becomes a square of this side; 0: so that the picture is about 512 pixels wide.
  int64_t enlarge = 0;
};
/// The kernels of a convolution, (K, C, h, w). Those on grey or colour images are shown as such,
/// each scaled by itself (krizhevsky2012, Fig. 3); of others a row for each kernel and a column for
/// each input channel, blue below zero and red above.
/// @throws ShapeError  another shape.
Image kernel_picture(const at::Tensor& weight, const KernelPictureOptions& options = {});

/// What the numbers of one tensor are like.
struct TensorStatistics {
  std::string key;
  Shape shape;
  double mean = 0;
  double deviation = 0;  ///< standard
  double minimum = 0;
  double maximum = 0;
  double zeros = 0;                ///< share in [0, 1]
  std::vector<int64_t> histogram;  ///< of equal parts of [minimum, maximum]
};
TensorStatistics tensor_statistics(const std::string& key, const at::Tensor& tensor);
/// Of every weight but counters, in the network's order.
std::vector<TensorStatistics> weight_statistics(const Network& network);

}  // namespace striate
