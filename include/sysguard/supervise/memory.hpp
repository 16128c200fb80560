#pragma once

#include "../process/descriptor.hpp"
#include "detail/bare_text.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

#include <fcntl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace sysguard::supervise {

inline constexpr std::size_t page_size = 4096;  ///< the least: a read never crosses more than this may

namespace detail {

/// The same as `read_memory`, where a filter that the host runs under refuses process_vm_readv(2), as some containers'
/// do. Reads what the thread itself may not read, too (proc_pid_mem(5)): it could have allowed itself that.
inline std::size_t read_memory_file(pid_t thread, std::uint64_t address, char* to, std::size_t size) noexcept {
    if (thread <= 0 || address > INT64_MAX) return 0;
    char path[40];
    append(append(append(path, "/proc/"), static_cast<unsigned long>(thread)), "/mem");
    const process::Descriptor memory{::open(path, O_RDONLY | O_CLOEXEC)};
    std::size_t done = 0;
    while (memory && done < size) {
        const ssize_t got = ::pread(memory.get(), to + done, size - done, static_cast<off_t>(address + done));
        if (got <= 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

}  // namespace detail

/// Copies `size` bytes out of a thread's memory. Returns how many could be read, from the first on. What is there can
/// change at any time; who asks must see afterwards that the thread's call is still pending, or else it may have been
/// somebody else's memory. May wait for as long as a page of the memory is on its way (userfaultfd(2), FUSE).
inline std::size_t read_memory(pid_t thread, std::uint64_t address, char* to, std::size_t size) noexcept {
    std::size_t done = 0;
    while (done < size) {
        constexpr std::size_t most = 64;
        iovec remote[most];
        std::size_t count = 0;
        std::size_t asked = 0;
        for (; count < most && done + asked < size; ++count) {  // a transfer ends at the first piece that fails
            const std::uint64_t from = address + done + asked;
            const std::size_t in_page = page_size - from % page_size;
            const std::size_t left = size - done - asked;
            remote[count] = {reinterpret_cast<void*>(from), in_page < left ? in_page : left};
            asked += remote[count].iov_len;
        }
        const iovec local{to + done, asked};
        const ssize_t got = ::process_vm_readv(thread, &local, 1, remote, count, 0);
        if (got < 0 && (errno == EPERM || errno == ENOSYS))
            return done + detail::read_memory_file(thread, address + done, to + done, size - done);
        if (got <= 0) break;
        done += static_cast<std::size_t>(got);
        if (static_cast<std::size_t>(got) < asked) break;
    }
    return done;
}

/// Copies a string of at most `most` bytes, without its end. Returns 0, EFAULT, or ENAMETOOLONG where it is longer.
/// Throws std::bad_alloc.
inline int read_string(pid_t thread, std::uint64_t address, std::size_t most, std::string& to) {
    constexpr std::size_t usual = 256;
    to.clear();
    while (to.size() <= most) {
        char piece[page_size];
        const std::size_t left = most + 1 - to.size();
        const std::size_t step = to.empty() ? usual : page_size - (address + to.size()) % page_size;
        const std::size_t wanted = step < left ? step : left;
        const std::size_t got = read_memory(thread, address + to.size(), piece, wanted);
        if (const void* const end = __builtin_memchr(piece, 0, got); end != nullptr) {
            to.append(piece, static_cast<std::size_t>(static_cast<const char*>(end) - piece));
            return 0;
        }
        to.append(piece, got);
        if (got < wanted) return EFAULT;
    }
    return ENAMETOOLONG;
}

/// Writes to a thread's memory, as far as the thread itself may write there. Returns whether all of it was written. Who
/// asks must have seen just before that the thread's call is still pending. There is no other way than
/// process_vm_writev(2): /proc/<pid>/mem would write to what the thread may only read or execute.
inline bool write_memory(pid_t thread, std::uint64_t address, const char* from, std::size_t size) noexcept {
    for (std::size_t done = 0; done < size;) {
        const iovec local{const_cast<char*>(from) + done, size - done};
        const iovec remote{reinterpret_cast<void*>(address + done), size - done};
        const ssize_t wrote = ::process_vm_writev(thread, &local, 1, &remote, 1, 0);
        if (wrote <= 0) return false;
        done += static_cast<std::size_t>(wrote);
    }
    return true;
}

}  // namespace sysguard::supervise
