#pragma once

#include "../../process/session.hpp"

#include <cstddef>

#include <fcntl.h>
#include <sys/syscall.h>

/// Text and files for bare code: no libc, no allocation.
namespace sysguard::supervise::detail {

using process::detail::raw_call;

SYSGUARD_BARE inline bool equal(const char* one, const char* other) noexcept {
    for (; *one != 0 && *one == *other; ++one) ++other;
    return *one == *other;
}

/// Whether `text` begins with `start`.
SYSGUARD_BARE inline bool begins_with(const char* text, const char* start) noexcept {
    for (; *start != 0; ++start)
        if (*text++ != *start) return false;
    return true;
}

SYSGUARD_BARE inline bool is_number(const char* text) noexcept {
    if (*text == 0) return false;
    for (; *text != 0; ++text)
        if (*text < '0' || *text > '9') return false;
    return true;
}

/// Appends; returns the new end, where the closing zero byte is.
SYSGUARD_BARE inline char* append(char* end, const char* text) noexcept {
    while ((*end = *text++) != 0) ++end;
    return end;
}

SYSGUARD_BARE inline char* append(char* end, unsigned long number) noexcept {
    char digits[24];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    while (count > 0) *end++ = digits[--count];
    *end = 0;
    return end;
}

/// Reads a number and moves behind it; base 10 or 16.
SYSGUARD_BARE inline unsigned long parse(const char*& text, unsigned base = 10) noexcept {
    unsigned long number = 0;
    for (;; ++text) {
        const char c = *text;
        if (c >= '0' && c <= '9')
            number = number * base + static_cast<unsigned long>(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f')
            number = number * base + static_cast<unsigned long>(c - 'a' + 10);
        else
            return number;
    }
}

/// Behind `key` at the beginning of a line, or nullptr.
SYSGUARD_BARE inline const char* find_line(const char* text, const char* key) noexcept {
    while (!begins_with(text, key)) {
        while (*text != 0 && *text != '\n') ++text;
        if (*text++ == 0) return nullptr;
    }
    while (*key++ != 0) ++text;
    return text;
}

/// Reads a file as text that a zero byte ends. Returns its bytes, at most `capacity - 1`, or a negative errno.
SYSGUARD_BARE inline long read_text(int directory, const char* path, char* text, std::size_t capacity) noexcept {
    const long file = raw_call(SYS_openat, directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0) return file;
    std::size_t size = 0;
    long bytes = 0;
    while (size < capacity - 1 && (bytes = raw_call(SYS_read, file, text + size, capacity - 1 - size)) > 0)
        size += static_cast<std::size_t>(bytes);
    raw_call(SYS_close, file);
    text[size] = 0;
    return bytes < 0 ? bytes : static_cast<long>(size);
}

/// The path of one of the task's own descriptors: a magic link to the very object.
struct FdPath {
    SYSGUARD_BARE explicit FdPath(int fd) noexcept {
        append(append(text, "/proc/thread-self/fd/"), static_cast<unsigned long>(fd));
    }
    char text[48];
};

/// A descriptor, the task's own or borrowed.
class Handle {
public:
    SYSGUARD_BARE Handle() noexcept {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    SYSGUARD_BARE ~Handle() { borrow(-1); }

    SYSGUARD_BARE int get() const noexcept { return fd_; }
    SYSGUARD_BARE void borrow(int fd) noexcept {
        if (owned_) raw_call(SYS_close, fd_);
        fd_ = fd;
        owned_ = false;
    }
    SYSGUARD_BARE void own(long fd) noexcept {
        borrow(static_cast<int>(fd));
        owned_ = true;
    }
    SYSGUARD_BARE void take(Handle& other) noexcept {
        borrow(other.fd_);
        owned_ = other.owned_;
        other.owned_ = false;
    }
    /// The descriptor for the caller to close, or a negative errno.
    SYSGUARD_BARE long release() noexcept {
        if (!owned_) return raw_call(SYS_fcntl, fd_, F_DUPFD_CLOEXEC, 0);
        owned_ = false;
        return fd_;
    }

private:
    int fd_ = -1;
    bool owned_ = false;
};

}  // namespace sysguard::supervise::detail
