#include "striate/runtime/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace striate {

namespace {

constexpr size_t kHugePage = size_t{1} << 21;
constexpr size_t kGranule = size_t{1} << 14;
constexpr size_t kSmallest = size_t{1} << 17;  // smaller blocks are the C library's

size_t round_up(size_t size, size_t to) {
  return (size + to - 1) / to * to;
}

// Blocks of one range of addresses. The smallest free block that is large enough is taken, the
// lowest of equals; neighbours that are free become one. Pages are touched as they are needed.
class Pool {
 public:
  // Nothing is given out where the range can't be had.
  Pool() {
    const size_t physical =
        static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_ = round_up(2 * physical, kHugePage);
    void* range = mmap(nullptr, size_ + kHugePage, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) return;
    const auto address = reinterpret_cast<uintptr_t>(range);
    start_ = reinterpret_cast<char*>(round_up(address, kHugePage));
    madvise(start_, size_, MADV_HUGEPAGE);
    add_free(0, size_);
  }

  bool holds(const void* block) const {
    const auto* at = static_cast<const char*>(block);
    return start_ != nullptr && at >= start_ && at < start_ + size_;
  }

  // Null when there is none.
  void* take(size_t size) {
    const std::lock_guard lock(mutex_);
    const size_t wanted = round_up(size, kGranule);
    const auto found = by_size_.lower_bound({wanted, 0});
    if (found == by_size_.end()) return nullptr;
    const auto [free_size, offset] = *found;
    remove_free(offset, free_size);
    if (free_size > wanted) add_free(offset + wanted, free_size - wanted);
    used_[offset] = wanted;
    return start_ + offset;
  }

  void give_back(void* block) {
    const std::lock_guard lock(mutex_);
    size_t offset = static_cast<size_t>(static_cast<char*>(block) - start_);
    const auto found = used_.find(offset);
    size_t size = found->second;
    used_.erase(found);
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && next->first == offset + size) {
      const auto [next_offset, next_size] = *next;
      remove_free(next_offset, next_size);
      size += next_size;
    }
    next = free_.lower_bound(offset);
    if (next != free_.begin() && std::prev(next)->first + std::prev(next)->second == offset) {
      const auto [before, before_size] = *std::prev(next);
      remove_free(before, before_size);
      offset = before;
      size += before_size;
    }
    add_free(offset, size);
  }

 private:
  void add_free(size_t offset, size_t size) {
    free_[offset] = size;
    by_size_.insert({size, offset});
  }
  void remove_free(size_t offset, size_t size) {
    free_.erase(offset);
    by_size_.erase({size, offset});
  }

  std::mutex mutex_;
  char* start_ = nullptr;
  size_t size_ = 0;
  std::map<size_t, size_t> used_;                // offset to size
  std::map<size_t, size_t> free_;                // likewise
  std::set<std::pair<size_t, size_t>> by_size_;  // the same, (size, offset)
};

// Lives as long as the process: tensors may be freed at its very end.
Pool& pool() {
  static Pool* const pool = new Pool();
  return *pool;
}

void give_back(void* block) {
  c10::profiledCPUMemoryReporter().Delete(block);
  if (pool().holds(block)) {
    pool().give_back(block);
  } else {
    c10::free_cpu(block);
  }
}

class PooledAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    void* block = size < kSmallest ? nullptr : pool().take(size);
    if (block == nullptr) block = c10::alloc_cpu(size);
    c10::profiledCPUMemoryReporter().New(block, size);
    return {block, block, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, size_t size) const override {
    std::memcpy(to, from, size);
  }
};

}  // namespace

void pool_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
#endif
  static PooledAllocator allocator;
  constexpr uint8_t kPriority = 1;  // above LibTorch's own
  c10::SetCPUAllocator(&allocator, kPriority);
}

}  // namespace striate
