#include "adapters/git/memory_bound.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <git2.h>
#include <git2/sys/alloc.h>
#include <limits>
#include <malloc.h>

namespace veranda::git {

namespace {

constexpr std::size_t counted_from = 64U << 10U;

thread_local memory_bound* current = nullptr;

} // namespace

struct bounded_allocator {
  /// Whether `more` bytes may be had while `less` are given back.
  static bool allows(std::size_t more, std::size_t less) noexcept {
    if (current == nullptr || more < counted_from) return true;
    const bool fits = more <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) &&
                      static_cast<std::int64_t>(more) - static_cast<std::int64_t>(less) <= current->bytes_ - current->used_;
    current->exceeded_ = current->exceeded_ || !fits;
    return fits;
  }
  static std::size_t counted(void* piece) noexcept {
    if (current == nullptr || piece == nullptr) return 0;
    const auto size = ::malloc_usable_size(piece);
    return size >= counted_from ? size : 0;
  }
  static void* took(void* piece, std::size_t gave_back = 0) noexcept {
    if (current != nullptr) current->used_ += static_cast<std::int64_t>(counted(piece)) - static_cast<std::int64_t>(gave_back);
    return piece;
  }

  static void* allocate(std::size_t size, const char*, int) { return allows(size, 0) ? took(std::malloc(size)) : nullptr; }
  static void* allocate_zeroed(std::size_t count, std::size_t size, const char*, int) {
    std::size_t all = 0;
    if (__builtin_mul_overflow(count, size, &all)) return nullptr;
    return allows(all, 0) ? took(std::calloc(count, size)) : nullptr;
  }
  static void* reallocate(void* piece, std::size_t size, const char*, int) {
    const auto before = counted(piece);
    if (!allows(size, before)) return nullptr;
    void* moved = std::realloc(piece, size);
    return moved == nullptr ? nullptr : took(moved, before);
  }
  static void release(void* piece) {
    took(nullptr, counted(piece));
    std::free(piece);
  }

  static void* allocate_array(std::size_t count, std::size_t size, const char* file, int line) { return reallocate_array(nullptr, count, size, file, line); }
  static void* reallocate_array(void* piece, std::size_t count, std::size_t size, const char* file, int line) {
    std::size_t all = 0;
    return __builtin_mul_overflow(count, size, &all) ? nullptr : reallocate(piece, all, file, line);
  }
  static char* copy_bytes(const char* text, std::size_t size, const char* file, int line) {
    auto* out = static_cast<char*>(allocate(size + 1, file, line));
    if (out == nullptr) return nullptr;
    std::memcpy(out, text, size);
    out[size] = '\0';
    return out;
  }
  static char* copy_up_to(const char* text, std::size_t size, const char* file, int line) { return copy_bytes(text, ::strnlen(text, size), file, line); }
  static char* copy_text(const char* text, const char* file, int line) { return copy_bytes(text, std::strlen(text), file, line); }
};

memory_bound::memory_bound(std::uint64_t bytes) noexcept
    : bytes_(static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, std::numeric_limits<std::int64_t>::max() / 2))), outer_(current) {
  current = this;
}

memory_bound::~memory_bound() { current = outer_; }

void memory_bound::install() {
  using a = bounded_allocator;
#if LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR < 6
  static git_allocator allocator{&a::allocate,   &a::allocate_zeroed,  &a::copy_text,      &a::copy_up_to, &a::copy_bytes,
                                 &a::reallocate, &a::reallocate_array, &a::allocate_array, &a::release};
#else // fewer functions, the rest is made of them
  static git_allocator allocator{&a::allocate, &a::reallocate, &a::release};
#endif
  git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, &allocator);
}

} // namespace veranda::git
