#include "striate/base/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>

namespace striate {

namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::initializer_list<uint64_t> seeds) : state_(0) {
  for (const uint64_t seed : seeds) state_ = mix(state_ + kGolden + mix(seed + kGolden));
}

uint64_t Random::next() {
  state_ += kGolden;
  return mix(state_);
}

double Random::uniform() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

int64_t Random::below(int64_t count) {
  if (count < 1) throw std::invalid_argument("Random::below needs a count of at least 1");
  // The high half of a 128-bit product; its bias, below count / 2^64, does not matter here.
  return static_cast<int64_t>(static_cast<unsigned __int128>(next()) * count >> 64);
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<int64_t> Random::permutation(int64_t count) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = count - 1; i > 0; --i) std::swap(order[i], order[below(i + 1)]);
  return order;
}

uint64_t hash_name(const char* text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (; *text != '\0'; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * 0x100000001B3;
  return hash;
}

}  // namespace striate
