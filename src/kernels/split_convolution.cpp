#include "kernels/split_convolution.h"

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

int64_t PackedSize(const ConvolutionShape& s) {
  return kTileParts<float> * packed_size<BFloat16>(s);
}
int64_t ScratchSize(const ConvolutionShape& s) {
  return tile_scratch_size<float>(s);
}
void Pack(const ConvolutionShape& s, const ConvolutionKernels& kernels, BFloat16* packed,
          int64_t panel_begin, int64_t panel_end) {
  pack_for_tiles<float>(s, kernels, packed, panel_begin, panel_end);
}
void Convolve(const ConvolutionShape& s, const DirectConvolution<float>& c, const BFloat16* packed,
              int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
              BFloat16* scratch) {
  convolve_by_tiles(s, c, {packed, scratch}, row_begin, row_end, panel_begin, panel_end);
}

#else

int64_t PackedSize(const ConvolutionShape&) {
  return 0;
}
int64_t ScratchSize(const ConvolutionShape&) {
  return 0;
}
void Pack(const ConvolutionShape&, const ConvolutionKernels&, BFloat16*, int64_t, int64_t) {
  HWY_ABORT("this processor has no matrix tiles");
}
void Convolve(const ConvolutionShape&, const DirectConvolution<float>&, const BFloat16*, int64_t,
              int64_t, int64_t, int64_t, BFloat16*) {
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

int64_t split_packed_size(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(PackedSize)(s);
}

void split_pack(const ConvolutionShape& s, const ConvolutionKernels& kernels, BFloat16* packed,
                int64_t panel_begin, int64_t panel_end) {
  HWY_DYNAMIC_DISPATCH(Pack)(s, kernels, packed, panel_begin, panel_end);
}

int64_t split_scratch_size(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(ScratchSize)(s);
}

void split_convolve(const ConvolutionShape& s, const DirectConvolution<float>& c,
                    const BFloat16* packed, int64_t row_begin, int64_t row_end, int64_t panel_begin,
                    int64_t panel_end, BFloat16* scratch) {
  HWY_DYNAMIC_DISPATCH(Convolve)(s, c, packed, row_begin, row_end, panel_begin, panel_end, scratch);
}

}  // namespace striate::kernels
#endif
