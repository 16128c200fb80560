#pragma once

#include "../../process/descriptor.hpp"
#include "../detail/bare_text.hpp"
#include "../memory.hpp"

#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise {

/// The memory of a thread's process, where it is there: a page that is not, which is on its way for as long as the
/// worker likes where userfaultfd(2) or a file of FUSE is behind it, is not read at all (/proc/<pid>/pagemap,
/// proc_pid_pagemap(5); CONFIG_PROC_PAGE_MONITOR). Reading may wait nevertheless where another thread of the worker
/// drops a page between the look and the read; then it waits until the worker ends, as any look at a worker's memory.
class PresentMemory {
public:
    explicit PresentMemory(pid_t thread) noexcept : thread_{thread}, page_{static_cast<std::uint64_t>(page())} {
        if (thread <= 0) return;
        char path[40];
        detail::append(detail::append(detail::append(path, "/proc/"), static_cast<unsigned long>(thread)), "/pagemap");
        map_.reset(::open(path, O_RDONLY | O_CLOEXEC));
    }

    /// Whether anything can be read at all.
    explicit operator bool() const noexcept { return static_cast<bool>(map_); }

    std::uint64_t page_size() const noexcept { return page_; }

    /// Says for `count` pages from `first` on, an address at a page's beginning, whether each is there.
    void look(std::uint64_t first, std::size_t count, unsigned char* is_there) const noexcept {
        constexpr std::size_t most = 64;
        for (std::size_t done = 0; done < count;) {
            std::uint64_t entries[most];
            const std::size_t wanted = count - done < most ? count - done : most;
            const std::uint64_t at = (first / page_ + done) * sizeof entries[0];
            const ssize_t bytes =
                map_ ? ::pread(map_.get(), entries, wanted * sizeof entries[0], static_cast<off_t>(at)) : -1;
            const std::size_t got = bytes > 0 ? static_cast<std::size_t>(bytes) / sizeof entries[0] : 0;
            for (std::size_t i = 0; i < wanted; ++i)
                is_there[done + i] = i < got && (entries[i] & (present | swapped)) != 0;
            done += wanted;
        }
    }

    /// Copies `size` bytes, at most a page, if they can be had. Returns whether they could.
    bool read(std::uint64_t address, void* to, std::size_t size) const noexcept {
        if (size == 0 || size > page_ || address > UINT64_MAX - size) return false;
        const std::uint64_t first = address - address % page_;
        const std::size_t pages = (address + size - 1) / page_ == address / page_ ? 1 : 2;
        unsigned char is_there[2] = {1, 1};
        look(first, pages, is_there);
        return is_there[0] != 0 && is_there[1] != 0 &&
               read_memory(thread_, address, static_cast<char*>(to), size) == size;
    }

private:
    static constexpr std::uint64_t present = std::uint64_t{1} << 63;
    static constexpr std::uint64_t swapped = std::uint64_t{1} << 62;

    static long page() noexcept {
        const long size = ::sysconf(_SC_PAGESIZE);
        return size > 0 ? size : 4096;
    }

    pid_t thread_;
    std::uint64_t page_;
    process::Descriptor map_{};
};

}  // namespace sysguard::supervise
