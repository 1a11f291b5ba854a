#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace striate {

/// A small random generator (splitmix64) that is seeded by numbers, for instance
/// (seed, epoch, sample), so that what it draws depends on those and on nothing else: not on the
/// thread, the machine or what was drawn before. Source: steele2014.
class Random {
 public:
  explicit Random(std::initializer_list<uint64_t> seeds);

  uint64_t next();
  /// In [0, 1), a multiple of 2^-53.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// In [0, count). @throws std::invalid_argument  count < 1.
  int64_t below(int64_t count);
  bool chance(double probability) { return uniform() < probability; }
  /// Standard normal (Box and Muller).
  double normal();
  /// A random order of 0 … count-1 (Fisher and Yates).
  std::vector<int64_t> permutation(int64_t count);

 private:
  uint64_t state_;
};

/// FNV-1a of a text, 64 bits: a seed from a name.
uint64_t hash_name(const char* text);

}  // namespace striate
