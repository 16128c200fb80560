#pragma once

#include "../descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

/// The files of a cgroup (Documentation/admin-guide/cgroup-v2.rst).
namespace sysguard::process::detail {

/// Returns 0 or an errno.
inline int write_file(int directory, const char* name, const char* text) noexcept {
    const Descriptor file{::openat(directory, name, O_WRONLY | O_CLOEXEC)};
    if (!file) return errno;
    const std::size_t size = std::strlen(text);
    return ::write(file.get(), text, size) == static_cast<ssize_t>(size) ? 0 : errno;
}

/// A small file's text; empty where it is not there.
struct FileText {
    FileText(int directory, const char* name) noexcept {
        const Descriptor file{::openat(directory, name, O_RDONLY | O_CLOEXEC)};
        const ssize_t bytes = file ? ::read(file.get(), text, sizeof text - 1) : -1;
        there = bytes >= 0;
        text[bytes > 0 ? bytes : 0] = 0;
    }

    /// The number that it begins with.
    std::uint64_t number() const noexcept { return std::strtoull(text, nullptr, 10); }

    /// The number behind a key at the beginning of a line; `none` where there is no such line.
    std::uint64_t value(const char* key, std::uint64_t none = 0) const noexcept {
        const std::size_t size = std::strlen(key);
        for (const char* line = text; line != nullptr && *line != 0; line = next(line))
            if (std::strncmp(line, key, size) == 0 && line[size] == ' ') return std::strtoull(line + size, nullptr, 10);
        return none;
    }

    /// The numbers behind `key` in all lines, each written as key=number.
    std::uint64_t sum(const char* key) const noexcept {
        std::uint64_t total = 0;
        for (const char* at = std::strstr(text, key); at != nullptr; at = std::strstr(at + 1, key))
            total += std::strtoull(at + std::strlen(key), nullptr, 10);
        return total;
    }

    /// Whether a word is there, between white space.
    bool has(const char* word) const noexcept {
        const std::size_t size = std::strlen(word);
        for (const char* at = std::strstr(text, word); at != nullptr; at = std::strstr(at + 1, word))
            if ((at == text || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\n' || at[size] == 0)) return true;
        return false;
    }

    static const char* next(const char* line) noexcept {
        const char* const end = std::strchr(line, '\n');
        return end != nullptr ? end + 1 : nullptr;
    }

    bool there = false;
    char text[4096];
};

}  // namespace sysguard::process::detail
