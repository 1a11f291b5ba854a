#include "kernels/split_convolution.h"

#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/split_convolution.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/convolution_rows-inl.h"
#include "kernels/tile_convolution-inl.h"
#include "kernels/tile_packing-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

bool SplitsProducts() {
  return takes_tiles();
}

#if STRIATE_TILES

// Calls body(parts) with a constant.
template <typename Body>
auto with_parts(KernelUse use, const Body& body) {
  return use == KernelUse::kOutput ? body(std::integral_constant<int64_t, kFloatParts>())
                                   : body(std::integral_constant<int64_t, kCoarseParts>());
}

int64_t PackedSize(KernelUse use, const ConvolutionShape& s) {
  return with_parts(use, [](auto parts) { return parts(); }) * packed_size<BFloat16>(s);
}
int64_t ScratchSize(KernelUse use, const ConvolutionShape& s) {
  return with_parts(use, [&](auto parts) { return tile_scratch_size<parts()>(s); });
}
void Pack(const ConvolutionShape& s, const ConvolutionKernels& kernels, BFloat16* packed,
          int64_t panel_begin, int64_t panel_end) {
  with_parts(kernels.use, [&](auto parts) {
    pack_for_tiles<parts()>(s, kernels, packed, panel_begin, panel_end);
  });
}
void Convolve(KernelUse use, const ConvolutionShape& s, const DirectConvolution<float>& c,
              const BFloat16* packed, int64_t row_begin, int64_t row_end, int64_t panel_begin,
              int64_t panel_end, BFloat16* scratch) {
  with_parts(use, [&](auto parts) {
    convolve_by_tiles<parts()>(s, c, {packed, scratch}, row_begin, row_end, panel_begin, panel_end);
  });
}

#else

int64_t PackedSize(KernelUse, const ConvolutionShape&) {
  return 0;
}
int64_t ScratchSize(KernelUse, const ConvolutionShape&) {
  return 0;
}
void Pack(const ConvolutionShape&, const ConvolutionKernels&, BFloat16*, int64_t, int64_t) {
  HWY_ABORT("this processor has no matrix tiles");
}
void Convolve(KernelUse, const ConvolutionShape&, const DirectConvolution<float>&, const BFloat16*,
              int64_t, int64_t, int64_t, int64_t, BFloat16*) {
  HWY_ABORT("this processor has no matrix tiles");
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(SplitsProducts);
HWY_EXPORT(PackedSize);
HWY_EXPORT(ScratchSize);
HWY_EXPORT(Pack);
HWY_EXPORT(Convolve);

bool splits_products() {
  return HWY_DYNAMIC_DISPATCH(SplitsProducts)();
}

int64_t split_packed_size(KernelUse use, const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(PackedSize)(use, s);
}

void split_pack(const ConvolutionShape& s, const ConvolutionKernels& kernels, BFloat16* packed,
                int64_t panel_begin, int64_t panel_end) {
  HWY_DYNAMIC_DISPATCH(Pack)(s, kernels, packed, panel_begin, panel_end);
}

int64_t split_scratch_size(KernelUse use, const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(ScratchSize)(use, s);
}

void split_convolve(KernelUse use, const ConvolutionShape& s, const DirectConvolution<float>& c,
                    const BFloat16* packed, int64_t row_begin, int64_t row_end, int64_t panel_begin,
                    int64_t panel_end, BFloat16* scratch) {
  HWY_DYNAMIC_DISPATCH(Convolve)
  (use, s, c, packed, row_begin, row_end, panel_begin, panel_end, scratch);
}

}  // namespace striate::kernels
#endif
