#pragma once

#include "raw_call.hpp"

#include <cstdint>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::process::detail {

/// The entries of a directory whose names are numbers, as /proc and /proc/self/fd have them, without libc.
class NumberedEntries {
public:
    SYSGUARD_BARE explicit NumberedEntries(const char* path) noexcept
        : fd_{raw_call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)} {}
    NumberedEntries(const NumberedEntries&) = delete;
    NumberedEntries& operator=(const NumberedEntries&) = delete;
    SYSGUARD_BARE ~NumberedEntries() {
        if (fd_ >= 0) raw_call(SYS_close, fd_);
    }

    /// The directory's descriptor, or a negative errno.
    SYSGUARD_BARE long fd() const noexcept { return fd_; }

    /// The next number, or -1 at the end.
    SYSGUARD_BARE int next() noexcept {
        for (;;) {
            if (at_ >= bytes_) {
                bytes_ = raw_call(SYS_getdents64, fd_, entries_, sizeof entries_);
                if (bytes_ <= 0) return -1;
                at_ = 0;
            }
            // struct linux_dirent64 (getdents(2)): inode, offset, length of the entry, type, name.
            const char* const entry = entries_ + at_;
            std::uint16_t length;
            __builtin_memcpy(&length, entry + 16, sizeof length);
            at_ += length;
            const int number = parse(entry + 19);
            if (number >= 0) return number;
        }
    }

    /// From the beginning again.
    SYSGUARD_BARE void rewind() noexcept {
        raw_call(SYS_lseek, fd_, 0, SEEK_SET);
        at_ = bytes_ = 0;
    }

private:
    SYSGUARD_BARE static int parse(const char* name) noexcept {
        int number = *name != 0 ? 0 : -1;
        for (; *name != 0; ++name) {
            if (*name < '0' || *name > '9') return -1;
            number = number * 10 + (*name - '0');
        }
        return number;
    }

    long fd_;
    long bytes_ = 0;
    long at_ = 0;
    alignas(8) char entries_[1024];
};

}  // namespace sysguard::process::detail
