#include "kernels/cache.h"

#include <unistd.h>

namespace striate::kernels {

int64_t cache_size() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const int64_t known = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (known > 0) return known;
#endif
  return int64_t{1} << 20;
}

}  // namespace striate::kernels
