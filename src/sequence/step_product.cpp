#include "sequence/step_product.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>

#include <vector>

#include "kernels/direct_convolution.h"

namespace striate {

namespace {

// A matrix that stays in a core's own cache, or nearly.
constexpr int64_t kLargestBytes = int64_t{4} << 20;
// Packing reads the matrix as often as a few rows do.
constexpr int64_t kFewestRows = 64;

// The rows as pixels of a 1x1 convolution.
kernels::ConvolutionShape shape_of(const at::Tensor& matrix, int64_t rows) {
  return {.batch = rows,
          .height = 1,
          .width = 1,
          .in_channels = matrix.size(1),
          .out_channels = matrix.size(0)};
}

at::Tensor packed(const at::Tensor& matrix) {
  const kernels::ConvolutionShape shape = shape_of(matrix, 1);
  const at::Tensor to =
      at::empty({kernels::direct_packed_size<float>(shape)}, matrix.options().requires_grad(false));
  const int64_t panel = kernels::direct_panel();
  at::parallel_for(0, (matrix.size(0) + panel - 1) / panel, 1, [&](int64_t begin, int64_t end) {
    kernels::direct_pack(shape, {matrix.const_data_ptr<float>()}, to.data_ptr<float>(), begin, end);
  });
  return to;
}

}  // namespace

StepProduct::StepProduct(const at::Tensor& matrix, int64_t rows) : matrix_(matrix.detach()) {
  const bool pays = matrix.scalar_type() == at::kFloat && rows >= kFewestRows &&
                    static_cast<int64_t>(matrix.nbytes()) <= kLargestBytes;
  if (pays) packed_ = packed(matrix_);
}

at::Tensor StepProduct::of_all(const at::Tensor& a, const at::Tensor& bias) const {
  if (!packed_.defined()) {
    return bias.defined() ? at::addmm(bias, a, matrix_.t()) : at::mm(a, matrix_.t());
  }
  at::Tensor result = at::empty({a.size(0), matrix_.size(0)}, matrix_.options());
  for_independent_rows(a.size(0), [&](int64_t begin, int64_t end) {
    multiply(a.const_data_ptr<float>(), result.data_ptr<float>(),
             {.begin = begin,
              .end = end,
              .bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr});
  });
  return result;
}

void StepProduct::multiply(const float* a, float* result, const Rows& rows) const {
  if (!packed_.defined()) return multiply_by_libtorch(a, result, rows);
  const kernels::ConvolutionShape shape = shape_of(matrix_, rows.end);
  const int64_t panel = kernels::direct_panel();
  kernels::DirectConvolution<float> product{.input = a,
                                            .input_stride = shape.in_channels,
                                            .packed = packed_.const_data_ptr<float>(),
                                            .epilogue = {.bias = rows.bias},
                                            .output = result,
                                            .output_stride = shape.out_channels};
  if (rows.add) {
    product.epilogue.residual = result;
    product.epilogue.residual_stride = shape.out_channels;
  }
  thread_local std::vector<float> scratch;
  scratch.resize(static_cast<size_t>(kernels::direct_scratch_size<float>(shape)));
  kernels::direct_convolve(shape, product, rows.begin, rows.end, 0,
                           (shape.out_channels + panel - 1) / panel, scratch.data());
}

void StepProduct::multiply(const double* a, double* result, const Rows& rows) const {
  multiply_by_libtorch(a, result, rows);
}

template <typename T>
void StepProduct::multiply_by_libtorch(const T* a, T* result, const Rows& rows) const {
  const auto values = [&](const T* from, int64_t columns) {
    return at::from_blob(const_cast<T*>(from) + rows.begin * columns,
                         {rows.end - rows.begin, columns}, matrix_.options());
  };
  at::Tensor sums = values(result, matrix_.size(0));
  const at::Tensor factor = values(a, matrix_.size(1));
  if (rows.add) {
    sums.addmm_(factor, matrix_.t());
  } else {
    at::mm_out(sums, factor, matrix_.t());
  }
}

}  // namespace striate
