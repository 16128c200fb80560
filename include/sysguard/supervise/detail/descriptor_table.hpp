#pragma once

#include "bare_text.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>

namespace sysguard::supervise::detail {

/// How many descriptors of a /proc/<pid>/fd have numbers below a limit; -1 where that cannot be seen.
SYSGUARD_BARE inline long count_below(const char* path, unsigned long limit) noexcept {
    const long opened = raw_call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0) return -1;
    Handle directory;
    directory.own(opened);
    struct Entry {  // linux_dirent64, getdents(2)
        std::uint64_t inode;
        std::int64_t offset;
        unsigned short size;
        unsigned char type;
        char name[1];
    };
    alignas(Entry) char entries[2048];
    long count = 0;
    for (;;) {
        const long bytes = raw_call(SYS_getdents64, directory.get(), entries, sizeof entries);
        if (bytes <= 0) return bytes < 0 ? -1 : count;
        for (long at = 0; at < bytes;) {
            const char* const entry = entries + at;
            const char* name = entry + offsetof(Entry, name);
            unsigned short size;
            __builtin_memcpy(&size, entry + offsetof(Entry, size), sizeof size);
            if (is_number(name) && parse(name) < limit) ++count;
            at += size;
        }
    }
}

/// Whether a thread has as many descriptors as it may have (RLIMIT_NOFILE). False where that cannot be seen. Bare code.
SYSGUARD_BARE inline bool is_table_full(pid_t thread) noexcept {
    char path[64], text[2048];
    char* const end = append(append(path, "/proc/"), static_cast<unsigned long>(thread));
    append(end, "/limits");
    if (read_text(AT_FDCWD, path, text, sizeof text) < 0) return false;
    const char* at = find_line(text, "Max open files");
    if (at == nullptr) return false;
    while (*at == ' ') ++at;
    const unsigned long limit = parse(at);
    if (limit > 0) {
        struct stat status;
        append(append(end, "/fd/"), limit - 1);
        if (raw_call(SYS_newfstatat, AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) < 0) return false;
    }
    append(end, "/fd");
    return count_below(path, limit) == static_cast<long>(limit);
}

}  // namespace sysguard::supervise::detail
