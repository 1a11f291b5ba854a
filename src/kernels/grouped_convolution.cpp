#include "kernels/grouped_convolution.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/grouped_convolution.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/grouped_convolution-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// How a row of inputs becomes a row of outputs.
enum class Walk {
  kEach,      // stride 1
  kEvery2nd,  // stride 2
  kSpread,    // the gradient of stride 2: an input goes to outputs 2 apart
};

// The output of a block that takes an input by a column of a kernel; outside [0, pixels): none.
template <Walk walk>
constexpr int target(int input, int column) {
  if (walk == Walk::kEach) return input - column;
  if (walk == Walk::kSpread) return 2 * input + column - 2;
  return (input - column) % 2 == 0 ? (input - column) / 2 : -1;
}

// Inputs that a block's outputs take.
template <Walk walk>
constexpr int64_t reach(int64_t pixels) {
  if (walk == Walk::kEach) return pixels + 2;
  return walk == Walk::kSpread ? pixels / 2 + 1 : 2 * pixels + 1;
}

// Outputs of a vector of channels that lie side by side in a row.
struct Block {
  const GroupedShape* shape;
  const float* rows[3];  // inputs from the block's first on, by rows of the kernel; null: padding
  int64_t vector_size;   // from a vector of inputs to the next
  const float* packed;   // [row of the kernel][channel][column][lane]
  const float* bias;     // or null
  bool relu;
  float* output;  // of the first one
  int64_t begin;  // those that are stored
  int64_t end;
  int64_t left;  // channels
};

template <int pixels>
HWY_INLINE void store_block(const Block& b, V (&sums)[pixels]) {
#pragma GCC unroll 16
  for (int p = 0; p < pixels; ++p) {
    const V y = b.relu ? relu(sums[p]) : sums[p];
    if (p >= b.begin && p < b.end) store(y, b.output + p * b.shape->channels, 0, b.left);
  }
}

template <int pixels, Walk walk, bool several_groups>
void convolve_block(const Block& b) {
  const D d;
  constexpr int kInputs = reach<walk>(pixels);
  V sums[pixels];
  const V start = b.bias != nullptr ? load(b.bias, 0, b.left) : hn::Zero(d);
#pragma GCC unroll 16
  for (int p = 0; p < pixels; ++p) sums[p] = start;
  const int64_t channels = b.shape->group_channels;
  for (int row = 0; row < 3; ++row) {
    if (b.rows[row] == nullptr) continue;
    const float* kernel = b.packed + row * channels * 3 * kLanes;
    for (int64_t c = 0; c < channels; ++c, kernel += 3 * kLanes) {
      const Channel<several_groups> channel(*b.shape, c, b.vector_size);
      const V columns[3] = {hn::LoadU(d, kernel), hn::LoadU(d, kernel + kLanes),
                            hn::LoadU(d, kernel + 2 * kLanes)};
#pragma GCC unroll 33
      for (int i = 0; i < kInputs; ++i) {
        const V x = channel(b.rows[row] + i * kLanes);
#pragma GCC unroll 3
        for (int column = 0; column < 3; ++column) {
          const int p = target<walk>(i, column);
          if (p >= 0 && p < pixels) sums[p] = hn::MulAdd(x, columns[column], sums[p]);
        }
      }
    }
  }
  store_block(b, sums);
}

using BlockKernel = void (*)(const Block&);

template <int pixels, bool several_groups>
BlockKernel block_kernel(Walk walk) {
  if (walk == Walk::kEach) return convolve_block<pixels, Walk::kEach, several_groups>;
  if (walk == Walk::kEvery2nd) return convolve_block<pixels, Walk::kEvery2nd, several_groups>;
  return convolve_block<pixels / 2 * 2, Walk::kSpread, several_groups>;
}

// Outputs of a block; their sums and the operands fit into the registers.
#if HWY_TARGET <= HWY_AVX3
constexpr int64_t kBlocks[] = {16, 14, 8, 7};
#else
constexpr int64_t kBlocks[] = {8, 7};
#endif

template <bool several_groups>
BlockKernel block_kernel(Walk walk, int64_t pixels) {
#if HWY_TARGET <= HWY_AVX3
  if (pixels == 16) return block_kernel<16, several_groups>(walk);
  if (pixels == 14) return block_kernel<14, several_groups>(walk);
#endif
  if (pixels == 8) return block_kernel<8, several_groups>(walk);
  return block_kernel<7, several_groups>(walk);
}

// A convolution, or the gradient of its input, as rows of inputs that become rows of outputs.
struct Pass {
  Walk walk;
  GroupedShape shape;  // of the layer
  int64_t in_height;
  int64_t in_width;
  int64_t out_height;
  int64_t out_width;
  int64_t pad_height;  // of inputs; for kSpread: outputs that lie in front of the image
  int64_t pad_width;
  // Set by `blocked`.
  int64_t pixels = 0;   // of a block
  int64_t blocks = 0;   // of a row
  int64_t columns = 0;  // of a copied row

  int64_t dropped() const { return walk == Walk::kSpread ? pad_width : 0; }
  int64_t margin() const { return walk == Walk::kSpread ? 1 : pad_width; }
  int64_t vector_size() const { return columns * kLanes; }
  int64_t row_size() const { return unit_vectors(shape) * vector_size(); }

  // The row of inputs that a row of the kernel takes for an output; outside the image: none.
  int64_t input_row(int64_t y, int64_t row) const {
    if (walk == Walk::kEach) return y + row - pad_height;
    if (walk == Walk::kEvery2nd) return 2 * y + row - pad_height;
    return (y + pad_height - row) % 2 == 0 ? (y + pad_height - row) / 2 : -1;
  }
  // The last one that any row of the kernel takes.
  int64_t last_row(int64_t y) const {
    if (walk == Walk::kSpread) return (y + pad_height) / 2;
    return input_row(y, 2);
  }
  int64_t first_row(int64_t y) const {
    if (walk == Walk::kSpread) return std::max<int64_t>(0, (y + pad_height - 1) / 2);
    return std::max<int64_t>(0, input_row(y, 0));
  }
};

// With blocks that leave the least of their last one unused.
Pass blocked(Pass pass) {
  const int64_t outputs = pass.out_width + pass.dropped();
  for (const int64_t pixels : kBlocks) {
    if (pass.walk == Walk::kSpread && pixels % 2 != 0) continue;
    const int64_t blocks = (outputs + pixels - 1) / pixels;
    if (pass.pixels != 0 && blocks * pixels >= pass.blocks * pass.pixels) continue;
    pass.pixels = pixels;
    pass.blocks = blocks;
  }
  const int64_t all = pass.blocks * pass.pixels;
  const int64_t taken = pass.walk == Walk::kEach     ? reach<Walk::kEach>(all)
                        : pass.walk == Walk::kSpread ? reach<Walk::kSpread>(all)
                                                     : reach<Walk::kEvery2nd>(all);
  pass.columns = std::max(taken, pass.margin() + pass.in_width);
  return pass;
}

Pass output_pass(const GroupedShape& s) {
  return blocked({.walk = s.stride == 1 ? Walk::kEach : Walk::kEvery2nd,
                  .shape = s,
                  .in_height = s.height,
                  .in_width = s.width,
                  .out_height = s.out_height(),
                  .out_width = s.out_width(),
                  .pad_height = s.pad_height,
                  .pad_width = s.pad_width});
}

Pass input_gradient_pass(const GroupedShape& s) {
  const bool each = s.stride == 1;
  return blocked({.walk = each ? Walk::kEach : Walk::kSpread,
                  .shape = s,
                  .in_height = s.out_height(),
                  .in_width = s.out_width(),
                  .out_height = s.height,
                  .out_width = s.width,
                  .pad_height = each ? 2 - s.pad_height : s.pad_height,
                  .pad_width = each ? 2 - s.pad_width : s.pad_width});
}

// The inputs of a unit of an image, of which the latest three rows are kept.
class InputRows {
 public:
  InputRows(const Pass& pass, const float* image, int64_t first_channel, int64_t first_row,
            float* memory)
      : pass_(pass),
        image_(image),
        first_channel_(first_channel),
        next_(first_row),
        memory_(memory) {}

  void copy_until(int64_t last) {
    const int64_t channels = pass_.shape.channels;
    for (; next_ <= std::min(last, pass_.in_height - 1); ++next_) {
      copy_row(image_ + next_ * pass_.in_width * channels, channels, pass_.in_width, first_channel_,
               unit_vectors(pass_.shape),
               memory_ + next_ % 3 * pass_.row_size() + pass_.margin() * kLanes,
               pass_.vector_size());
    }
  }

  const float* row(int64_t y) const {
    if (y < 0 || y >= pass_.in_height) return nullptr;
    return memory_ + y % 3 * pass_.row_size();
  }

 private:
  const Pass& pass_;
  const float* image_;
  int64_t first_channel_;
  int64_t next_;
  float* memory_;
};

// Where a pass reads and writes.
struct Arrays {
  const float* input;
  const float* packed;
  GroupedEpilogue epilogue;
  float* output;
  float* scratch;
};

// A row of outputs of a unit.
void convolve_row(const Pass& pass, BlockKernel kernel, const InputRows& inputs, int64_t y,
                  int64_t unit, const Arrays& arrays, float* output) {
  const GroupedShape& s = pass.shape;
  const int64_t step = pass.walk == Walk::kEach       ? pass.pixels
                       : pass.walk == Walk::kEvery2nd ? 2 * pass.pixels
                                                      : pass.pixels / 2;
  for (int64_t v = 0; v < unit_vectors(s); ++v) {
    const int64_t channel = unit * unit_channels(s) + v * kLanes;
    if (channel >= s.channels) return;
    Block block{.shape = &s,
                .rows = {},
                .vector_size = pass.vector_size(),
                .packed = arrays.packed + unit * unit_kernels(s) + v * kernel_vectors(s) * kLanes,
                .bias = arrays.epilogue.bias == nullptr ? nullptr : arrays.epilogue.bias + channel,
                .relu = arrays.epilogue.relu,
                .output = output + channel - pass.dropped() * s.channels,
                .begin = pass.dropped(),
                .end = pass.dropped() + pass.out_width,
                .left = s.channels - channel};
    for (int64_t row = 0; row < 3; ++row) block.rows[row] = inputs.row(pass.input_row(y, row));
    for (int64_t i = 0; i < pass.blocks; ++i) {
      kernel(block);
      block.output += pass.pixels * s.channels;
      block.begin -= pass.pixels;
      block.end -= pass.pixels;
      for (const float*& row : block.rows) {
        if (row != nullptr) row += step * kLanes;
      }
    }
  }
}

// Outputs that are worked on unit by unit: what they read stays in the cache.
constexpr int64_t kPartPixels = 784;

void run(const Pass& pass, const Arrays& arrays, int64_t row_begin, int64_t row_end) {
  const GroupedShape& s = pass.shape;
  const BlockKernel kernel = s.group_channels < kLanes
                                 ? block_kernel<true>(pass.walk, pass.pixels)
                                 : block_kernel<false>(pass.walk, pass.pixels);
  std::fill_n(arrays.scratch, 3 * pass.row_size(), 0.0F);
  const int64_t step = std::max<int64_t>(1, kPartPixels / pass.out_width);
  for (int64_t first = row_begin; first < row_end; first += step) {
    const int64_t last = std::min(row_end, first + step);
    for (int64_t unit = 0; unit < unit_count(s); ++unit) {
      for_images(first, last, pass.out_height, [&](int64_t image, int64_t begin, int64_t end) {
        const float* from = arrays.input + image * pass.in_height * pass.in_width * s.channels;
        float* to = arrays.output + image * pass.out_height * pass.out_width * s.channels;
        InputRows inputs(pass, from, unit * unit_channels(s), pass.first_row(begin),
                         arrays.scratch);
        for (int64_t y = begin; y < end; ++y) {
          inputs.copy_until(pass.last_row(y));
          convolve_row(pass, kernel, inputs, y, unit, arrays, to + y * pass.out_width * s.channels);
        }
      });
    }
  }
}

void Convolve(const GroupedShape& s, const float* input, const float* packed,
              const GroupedEpilogue& epilogue, float* output, int64_t row_begin, int64_t row_end,
              float* scratch) {
  run(output_pass(s), {input, packed, epilogue, output, scratch}, row_begin, row_end);
}

void InputGradient(const GroupedShape& s, const float* gradient, const float* packed,
                   float* input_gradient, int64_t row_begin, int64_t row_end, float* scratch) {
  run(input_gradient_pass(s), {gradient, packed, {}, input_gradient, scratch}, row_begin, row_end);
}

void Pack(GroupedUse use, const GroupedShape& s, const float* kernels, float* packed,
          int64_t unit_begin, int64_t unit_end) {
  const int64_t size = s.group_channels;
  const bool output = use == GroupedUse::kOutput;
  for_kernels(s, unit_begin, unit_end, [&](int64_t k, int64_t tap, int64_t c, int64_t place) {
    const int64_t from =
        output ? (k * 9 + tap) * size + c
               : ((k / size * size + c) * 9 + (s.stride == 1 ? 8 - tap : tap)) * size + k % size;
    packed[place] = k < s.channels ? kernels[from] : 0.0F;
  });
}

int64_t Units(const GroupedShape& s) {
  return unit_count(s);
}

int64_t PackedSize(const GroupedShape& s) {
  return unit_count(s) * unit_kernels(s);
}

int64_t ScratchSize(const GroupedShape& s) {
  return 3 * std::max(output_pass(s).row_size(), input_gradient_pass(s).row_size());
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Units);
HWY_EXPORT(PackedSize);
HWY_EXPORT(ScratchSize);
HWY_EXPORT(Pack);
HWY_EXPORT(Convolve);
HWY_EXPORT(InputGradient);

int64_t grouped_units(const GroupedShape& shape) {
  return HWY_DYNAMIC_DISPATCH(Units)(shape);
}

int64_t grouped_packed_size(const GroupedShape& shape) {
  return HWY_DYNAMIC_DISPATCH(PackedSize)(shape);
}

int64_t grouped_scratch_size(const GroupedShape& shape) {
  return HWY_DYNAMIC_DISPATCH(ScratchSize)(shape);
}

void grouped_pack(GroupedUse use, const GroupedShape& shape, const float* kernels, float* packed,
                  int64_t unit_begin, int64_t unit_end) {
  HWY_DYNAMIC_DISPATCH(Pack)(use, shape, kernels, packed, unit_begin, unit_end);
}

void grouped_convolve(const GroupedShape& shape, const float* input, const float* packed,
                      const GroupedEpilogue& epilogue, float* output, int64_t row_begin,
                      int64_t row_end, float* scratch) {
  HWY_DYNAMIC_DISPATCH(Convolve)
  (shape, input, packed, epilogue, output, row_begin, row_end, scratch);
}

void grouped_input_gradient(const GroupedShape& shape, const float* gradient, const float* packed,
                            float* input_gradient, int64_t row_begin, int64_t row_end,
                            float* scratch) {
  HWY_DYNAMIC_DISPATCH(InputGradient)
  (shape, gradient, packed, input_gradient, row_begin, row_end, scratch);
}

}  // namespace striate::kernels
#endif
