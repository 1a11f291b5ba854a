// What the kernels of grouped convolutions share, once for each instruction set.

#if defined(STRIATE_GROUPED_CONVOLUTION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_GROUPED_CONVOLUTION_INL_H
#undef STRIATE_GROUPED_CONVOLUTION_INL_H
#else
#define STRIATE_GROUPED_CONVOLUTION_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "kernels/grouped_convolution.h"
#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// A unit of channels is some groups that share a vector, or one group of some vectors. What a
// kernel reads was copied to where a unit's vectors lie beside each other: rows of [vector of the
// unit][column][lane], with zeros where the image is padded.

inline int64_t unit_channels(const GroupedShape& s) {
  return std::max(kLanes, s.group_channels);
}

inline int64_t unit_vectors(const GroupedShape& s) {
  return unit_channels(s) / kLanes;
}

inline int64_t unit_count(const GroupedShape& s) {
  return (s.channels + unit_channels(s) - 1) / unit_channels(s);
}

// Vectors of kernels that belong to a vector of output channels.
inline int64_t kernel_vectors(const GroupedShape& s) {
  return 9 * s.group_channels;
}

inline int64_t unit_kernels(const GroupedShape& s) {
  return unit_vectors(s) * kernel_vectors(s) * kLanes;
}

// What a channel of a group is for each lane: lanes of one vector may belong to several groups.
template <bool several_groups>
struct Channel {
  Channel() = default;
  Channel(const GroupedShape& s, int64_t channel, int64_t /*vector_size*/) {
    const hn::RebindToSigned<D> d;
    const auto first = hn::And(hn::Iota(d, 0), hn::Set(d, static_cast<int32_t>(-s.group_channels)));
    lanes = hn::Add(first, hn::Set(d, static_cast<int32_t>(channel)));
  }
  HWY_INLINE V operator()(const float* pixel) const {
    const D d;
    return hn::TableLookupLanes(hn::LoadU(d, pixel), hn::IndicesFromVec(d, lanes));
  }
  hn::Vec<hn::RebindToSigned<D>> lanes;
};

template <>
struct Channel<false> {
  Channel() = default;
  Channel(const GroupedShape& /*s*/, int64_t channel, int64_t vector_size)
      : offset(channel / kLanes * vector_size + channel % kLanes) {}
  HWY_INLINE V operator()(const float* pixel) const { return hn::Set(D(), pixel[offset]); }
  int64_t offset;
};

// Some vectors of the channels of a row of an image, each with its columns side by side.
inline void copy_row(const float* from, int64_t channels, int64_t width, int64_t first_channel,
                     int64_t vectors, float* to, int64_t vector_size) {
  for (int64_t v = 0; v < vectors; ++v) {
    const int64_t left = channels - first_channel - v * kLanes;
    if (left <= 0) return;
    const float* source = from + first_channel + v * kLanes;
    float* target = to + v * vector_size;
    for (int64_t x = 0; x < width; ++x) {
      hn::StoreU(load(source + x * channels, 0, left), D(), target + x * kLanes);
    }
  }
}

// Calls body(image, begin, end) for each image that rows [begin, end) of all images lie in.
template <typename Body>
void for_images(int64_t begin, int64_t end, int64_t height, const Body& body) {
  while (begin < end) {
    const int64_t image = begin / height;
    const int64_t next = std::min(end, (image + 1) * height);
    body(image, begin - image * height, next - image * height);
    begin = next;
  }
}

// Calls body(output channel, tap, channel of its group, place in the packed kernels).
template <typename Body>
void for_kernels(const GroupedShape& s, int64_t unit_begin, int64_t unit_end, const Body& body) {
  const int64_t begin = unit_begin * unit_channels(s);
  const int64_t end = unit_end * unit_channels(s);
  for (int64_t first = begin; first < end; first += kLanes) {
    for (int64_t tap = 0; tap < 9; ++tap) {
      for (int64_t c = 0; c < s.group_channels; ++c) {
        const int64_t vector = (tap / 3 * s.group_channels + c) * 3 + tap % 3;
        const int64_t place = (first / kLanes * kernel_vectors(s) + vector) * kLanes;
        for (int64_t lane = 0; lane < kLanes; ++lane) body(first + lane, tap, c, place + lane);
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
