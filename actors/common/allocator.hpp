#pragma once

namespace veranda {

/// Makes what is freed go back to the system more often: large blocks get pages of their own, whatever sizes were freed before, and threads share two heaps. To be called
/// before the threads that allocate much begin. Once does; thread safe.
void settle_allocator() noexcept;

/// Gives pages back that hold nothing any more, also those between others that do. Takes milliseconds for each hundred MiB of heap; thread safe.
void give_memory_back() noexcept;

} // namespace veranda
