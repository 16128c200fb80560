#pragma once

#include "../process/descriptor.hpp"
#include "detail/bare_text.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise {

/// One mapping of a process's memory, as a line of /proc/<pid>/maps says it (proc_pid_maps(5)).
struct Mapping {
    std::uint64_t low = 0;
    std::uint64_t high = 0;    ///< behind its last byte
    std::uint64_t offset = 0;  ///< of `low` in the file
    std::uint64_t inode = 0;
    std::uint64_t device_major = 0;
    std::uint64_t device_minor = 0;
    bool is_executable = false;
    std::string_view name{};  ///< whatever the worker has called its files, but for line feeds; cut where it is long

    bool contains(std::uint64_t address) const noexcept { return low <= address && address < high; }
};

/// Reads the mappings of a thread's memory, from the lowest on: no more of them than a process has unless the machine's
/// vm.max_map_count was raised, whatever their names. The process may change them meanwhile. Throws nothing.
class MappingReader {
public:
    explicit MappingReader(pid_t thread) noexcept {
        if (thread <= 0) return;
        char path[40];
        detail::append(detail::append(detail::append(path, "/proc/"), static_cast<unsigned long>(thread)), "/maps");
        file_.reset(::open(path, O_RDONLY | O_CLOEXEC));
    }

    /// Gets the next one, whose name is there until the one after. Returns false behind the last.
    bool next(Mapping& mapping) noexcept {
        while (lines_ < most_lines) {
            const char* const line = next_line();
            if (line == nullptr) return false;
            ++lines_;
            if (parse(line, mapping)) return true;
        }
        return false;
    }

    /// Whether there were more than it reads.
    bool is_cut() const noexcept { return lines_ == most_lines; }

private:
    static constexpr int most_lines = 65600;         ///< vm.max_map_count is 65530 by default
    static constexpr std::size_t most_bytes = 8192;  ///< of a line; the rest of its name is left out

    /// A line, ended by a zero byte; nullptr where there is none any more. Of one that is too long, the beginning.
    char* next_line() noexcept {
        for (;;) {
            char* const begin = buffer_ + begin_;
            if (auto* const feed = static_cast<char*>(std::memchr(begin, '\n', end_ - begin_)); feed != nullptr) {
                *feed = 0;
                begin_ = static_cast<std::size_t>(feed - buffer_) + 1;
                if (!is_rest_) return begin;
                is_rest_ = false;
                continue;
            }
            std::memmove(buffer_, begin, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
            if (end_ == most_bytes) {
                buffer_[most_bytes] = 0;
                begin_ = end_;
                if (!std::exchange(is_rest_, true)) return buffer_;
                continue;
            }
            const ssize_t bytes = file_ ? ::read(file_.get(), buffer_ + end_, most_bytes - end_) : 0;
            if (bytes <= 0) return nullptr;
            end_ += static_cast<std::size_t>(bytes);
        }
    }

    /// A number in hexadecimal that `end` follows; moves behind that.
    static bool number(const char*& at, char end, std::uint64_t& to) noexcept {
        to = detail::parse(at, 16);
        return *at != 0 && *at++ == end;
    }

    static bool parse(const char* at, Mapping& mapping) noexcept {
        if (!number(at, '-', mapping.low) || !number(at, ' ', mapping.high) || std::strlen(at) < 5) return false;
        mapping.is_executable = at[2] == 'x';
        at += 5;
        if (!number(at, ' ', mapping.offset) || !number(at, ':', mapping.device_major) ||
            !number(at, ' ', mapping.device_minor))
            return false;
        mapping.inode = detail::parse(at);
        while (*at == ' ') ++at;
        mapping.name = at;
        return true;
    }

    process::Descriptor file_{};
    int lines_ = 0;
    bool is_rest_ = false;  ///< what comes next belongs to a line whose beginning has been returned
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    char buffer_[most_bytes + 1];
};

/// A text of a worker's that a terminal may show: no more than `most` bytes of it, with \xNN for what is not printable
/// ASCII.
inline std::string printable(std::string_view text, std::size_t most = 4096) {
    std::string shown;
    for (const char c : text.substr(0, most)) {
        const auto byte = static_cast<unsigned char>(c);
        constexpr const char* digits = "0123456789abcdef";
        if (byte >= 0x20 && byte < 0x7f)
            shown += c;
        else
            ((shown += "\\x") += digits[byte / 16]) += digits[byte % 16];
    }
    return text.size() > most ? shown + "..." : shown;
}

/// What an address of a thread's memory lies in, and how far behind its beginning in the file:
/// "/usr/lib/libc.so.6+0xf79b7", "[vdso]+0x9f2"; "" where it is in nothing that has a name.
inline std::string mapping_of(pid_t thread, std::uint64_t address) {
    MappingReader mappings{thread};
    for (Mapping mapping; mappings.next(mapping);) {
        if (!mapping.contains(address)) continue;
        if (mapping.name.empty()) break;
        char behind[24];
        std::snprintf(behind, sizeof behind, "+%#llx",
                      static_cast<unsigned long long>(address - mapping.low + mapping.offset));
        return printable(mapping.name) + behind;
    }
    return {};
}

}  // namespace sysguard::supervise
