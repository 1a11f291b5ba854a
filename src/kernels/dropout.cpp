#include "kernels/dropout.h"

#include <algorithm>
#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Generators side by side: as many on every machine, in one vector or several.
constexpr int64_t kStreams = 16;
using Numbers = hn::CappedTag<uint32_t, kStreams>;
using N = hn::Vec<Numbers>;
using Values = hn::Rebind<float, Numbers>;
constexpr int64_t kWidth = hn::MaxLanes(Numbers());
constexpr int64_t kVectors = kStreams / kWidth;

// steele2014
uint64_t splitmix(uint64_t& state) {
  state += 0x9E3779B97F4A7C15U;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

// The words of all generators.
using State = std::array<std::array<uint32_t, kStreams>, 4>;

State state_of(uint64_t seed) {
  State state;
  for (auto& word : state) {
    for (int64_t i = 0; i < kStreams; i += 2) {
      const uint64_t two = splitmix(seed);
      word[i] = static_cast<uint32_t>(two);
      word[i + 1] = static_cast<uint32_t>(two >> 32);
    }
  }
  return state;
}

// blackman2021, xoshiro128+: its high bits are what is compared.
HWY_INLINE N next(N& s0, N& s1, N& s2, N& s3) {
  const N number = hn::Add(s0, s3);
  const N shifted = hn::ShiftLeft<9>(s1);
  s2 = hn::Xor(s2, s0);
  s3 = hn::Xor(s3, s1);
  s1 = hn::Xor(s1, s2);
  s0 = hn::Xor(s0, s3);
  s2 = hn::Xor(s2, shifted);
  s3 = hn::Or(hn::ShiftLeft<11>(s3), hn::ShiftRight<21>(s3));
  return number;
}

// The values of one vector's generators: every kStreams-th vector of the block.
HWY_INLINE void drop(const Dropout& s, const State& state, int64_t vector, int64_t begin,
                     int64_t end) {
  constexpr double kCount = 4294967296;  // numbers of 32 bits
  const Numbers numbers;
  const Values values;
  const auto threshold =
      hn::Set(numbers, static_cast<uint32_t>(std::min(s.p * kCount, kCount - 1)));
  const auto scale = hn::Set(values, s.p < 1 ? static_cast<float>(1 / (1 - s.p)) : 0.0F);
  N s0 = hn::LoadU(numbers, state[0].data() + vector * kWidth);
  N s1 = hn::LoadU(numbers, state[1].data() + vector * kWidth);
  N s2 = hn::LoadU(numbers, state[2].data() + vector * kWidth);
  N s3 = hn::LoadU(numbers, state[3].data() + vector * kWidth);
  for (int64_t i = begin + vector * kWidth; i < end; i += kStreams) {
    const auto falls = hn::RebindMask(values, hn::Lt(next(s0, s1, s2, s3), threshold));
    const int64_t count = std::min(kWidth, end - i);
    if (count == kWidth) {
      const auto kept = hn::Mul(hn::LoadU(values, s.x + i), scale);
      hn::StoreU(hn::IfThenZeroElse(falls, kept), values, s.y + i);
      continue;
    }
    std::array<float, kStreams> last{};
    std::copy_n(s.x + i, count, last.data());
    const auto kept = hn::Mul(hn::LoadU(values, last.data()), scale);
    hn::StoreU(hn::IfThenZeroElse(falls, kept), values, last.data());
    std::copy_n(last.data(), count, s.y + i);
  }
}

void DropBlocks(const Dropout& s, int64_t block_begin, int64_t block_end) {
  for (int64_t block = block_begin; block < block_end; ++block) {
    uint64_t of_block = s.seed + static_cast<uint64_t>(block);
    const State state = state_of(splitmix(of_block));
    const int64_t end = std::min((block + 1) * kDropoutBlock, s.count);
    for (int64_t vector = 0; vector < kVectors; ++vector) {
      drop(s, state, vector, block * kDropoutBlock, end);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(DropBlocks);

void dropout(const Dropout& step, int64_t block_begin, int64_t block_end) {
  HWY_DYNAMIC_DISPATCH(DropBlocks)(step, block_begin, block_end);
}

}  // namespace striate::kernels
#endif
