#include "actors/common/allocator.hpp"

#include <cstddef>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace veranda {

void settle_allocator() noexcept {
#ifdef __GLIBC__
  static const bool done = mallopt(M_ARENA_MAX, 2) != 0 && mallopt(M_MMAP_THRESHOLD, 256 << 10) != 0 && mallopt(M_TRIM_THRESHOLD, 1 << 20) != 0;
  static_cast<void>(done);
#endif
}

void give_memory_back() noexcept {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

} // namespace veranda
