#pragma once

#include "../descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <unistd.h>

/// The files of a cgroup (Documentation/admin-guide/cgroup-v2.rst), and where it is.
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

/// The next field of a line of /proc/self/mountinfo, with what it writes as \040 and the like put back.
inline std::string next_field(const char*& at) {
    std::string field;
    while (*at == ' ') ++at;
    for (; *at != 0 && *at != ' ' && *at != '\n'; ++at) {
        char c = *at;
        if (c == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] != 0 && at[3] != 0) {
            c = static_cast<char>((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 3;
        }
        field.push_back(c);
    }
    return field;
}

/// Where the directory of a cgroup is, by a line of /proc/self/mountinfo (proc_pid_mountinfo(5)); empty where that line
/// does not mount cgroup v2 in such a way that the cgroup is below it.
inline std::string path_by_mount(const char* line, const char* cgroup) {
    const char* at = line;
    for (int skipped = 0; skipped < 3; ++skipped) next_field(at);
    const std::string root = next_field(at);
    std::string point = next_field(at);
    const char* const type = std::strstr(at, " - cgroup2 ");
    if (type == nullptr) return {};
    const std::size_t above = root.size() > 1 ? root.size() : 0;
    if (std::strncmp(cgroup, root.c_str(), above) != 0) return {};
    const char* const rest = cgroup + above;
    if (*rest != '/' && *rest != 0) return {};
    if (rest[0] != 0 && rest[1] != 0) point.append(rest);
    return point;
}

/// The directory of this process's cgroup; empty where cgroup v2 is not mounted, or not so that it can be seen.
inline std::string own_cgroup_path() {
    const FileText own{AT_FDCWD, "/proc/self/cgroup"};
    const char* line = own.text;
    while (line != nullptr && std::strncmp(line, "0::", 3) != 0) line = FileText::next(line);
    if (line == nullptr) return {};
    std::string cgroup = line + 3;
    if (const char* const end = std::strchr(line, '\n'); end != nullptr)
        cgroup.resize(static_cast<std::size_t>(end - line - 3));
    if (std::strncmp(cgroup.c_str(), "/..", 3) == 0) return {};
    std::FILE* const mounts = std::fopen("/proc/self/mountinfo", "re");
    if (mounts == nullptr) return {};
    std::string path;
    char* text = nullptr;
    std::size_t room = 0;
    while (path.empty() && ::getline(&text, &room, mounts) > 0) path = path_by_mount(text, cgroup.c_str());
    std::free(text);
    std::fclose(mounts);
    return path;
}

}  // namespace sysguard::process::detail
