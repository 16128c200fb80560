#pragma once

#include "fork_lock.hpp"

#include <cstddef>

#include <sys/mman.h>

namespace sysguard::process::detail {

/// Memory of zeros that this process shares with a task that gets a copy of everything else. No worker that another
/// thread forks meanwhile has it. Wiped at the end.
class SharedMemory {
public:
    /// Where there is none, `get` is nullptr.
    explicit SharedMemory(std::size_t size) noexcept : size_{size} {
        const ForkLock lock;
        void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        memory_ = memory;
        if (share_with_forks(false)) return;
        ::munmap(memory, size);
        memory_ = nullptr;
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() {
        if (memory_ == nullptr) return;
        __builtin_memset(memory_, 0, size_);
        __asm__ volatile("" : : "r"(memory_) : "memory");
        ::munmap(memory_, size_);
    }

    void* get() const noexcept { return memory_; }

    /// Whether processes that are forked from now on have it. The `ForkLock` is to be held while they do. Returns false
    /// on failure (errno). MADV_DONTFORK, madvise(2).
    bool share_with_forks(bool shared) const noexcept {
        return ::madvise(memory_, size_, shared ? MADV_DOFORK : MADV_DONTFORK) == 0;
    }

private:
    std::size_t size_;
    void* memory_ = nullptr;
};

}  // namespace sysguard::process::detail
