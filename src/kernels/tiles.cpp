#include "kernels/tiles.h"

#include <atomic>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace striate::kernels {

namespace {

#if defined(__x86_64__) && defined(__linux__)

// And what rounds their sums to bfloat16.
bool processor_has_tiles() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kTileProducts = 1U << 22;
  constexpr unsigned kTiles = 1U << 24;
  constexpr unsigned kVectorRounding = 1U << 5;
  const bool tiles =
      __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTileProducts) != 0 && (d & kTiles) != 0;
  return tiles && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kVectorRounding) != 0;
}

// Linux keeps the tiles of a process once it has asked for them.
bool system_keeps_tiles() {
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_tiles() {
  static const bool has = processor_has_tiles() && system_keeps_tiles();
  return has;
}

#else

bool has_tiles() {
  return false;
}

#endif

std::atomic<bool> tiles_allowed = true;

}  // namespace

bool multiplies_by_tiles() {
  return tiles_allowed && has_tiles();
}

bool allow_tiles(bool allowed) {
  return tiles_allowed.exchange(allowed);
}

}  // namespace striate::kernels
