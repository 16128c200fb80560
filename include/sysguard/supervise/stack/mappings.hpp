#pragma once

#include "../mapping.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace sysguard::supervise {

/// The executable mappings of a process, and the one that an address, a stack pointer, lies in.
class Mappings {
public:
    struct Range {
        std::uint64_t low = 0;
        std::uint64_t high = 0;
        std::uint64_t offset = 0;  ///< of `low` in the file
        std::uint64_t inode = 0;
        std::uint64_t device_major = 0;
        std::uint64_t device_minor = 0;
        std::uint32_t name = 0;  ///< see `name_of`
        bool is_executable = false;

        bool contains(std::uint64_t address) const noexcept { return low <= address && address < high; }
    };

    static constexpr std::size_t most_ranges = 8192;
    static constexpr std::size_t most_name_bytes = 1 << 20;  ///< of all names together; the rest have none

    Mappings() : names_(1) {}

    /// Reads them; none where that cannot be. Throws std::bad_alloc.
    Mappings(pid_t thread, std::uint64_t stack_pointer) : Mappings{} {
        MappingReader reader{thread};
        for (Mapping mapping; reader.next(mapping);) {
            if (mapping.contains(stack_pointer)) stack_ = range_of(mapping);
            if (!mapping.is_executable) continue;
            if (ranges_.size() == most_ranges) {
                is_cut_ = true;
                continue;
            }
            ranges_.push_back(range_of(mapping));
        }
        is_cut_ = is_cut_ || reader.is_cut();
    }

    /// The executable mapping that an address lies in, or nullptr.
    const Range* find(std::uint64_t address) const noexcept {
        const auto behind = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                             [](std::uint64_t at, const Range& range) { return at < range.low; });
        if (behind == ranges_.begin() || !(behind - 1)->contains(address)) return nullptr;
        return &*(behind - 1);
    }

    /// Where the stack lies; its `high` is 0 where that is nowhere.
    const Range& stack() const noexcept { return stack_; }

    const std::vector<Range>& ranges() const noexcept { return ranges_; }

    /// The path of its file, or such as "[vdso]"; "" where there is none. Whatever bytes the worker has put there.
    const std::string& name_of(const Range& range) const noexcept { return names_[range.name]; }

    /// Whether there were more than are kept.
    bool is_cut() const noexcept { return is_cut_; }

private:
    Range range_of(const Mapping& mapping) {
        return {mapping.low,          mapping.high,         mapping.offset,   mapping.inode,
                mapping.device_major, mapping.device_minor, name_of(mapping), mapping.is_executable};
    }

    std::uint32_t name_of(const Mapping& mapping) {
        if (mapping.name.empty()) return 0;
        if (mapping.name != names_.back()) {
            if (name_bytes_ + mapping.name.size() > most_name_bytes) return 0;
            name_bytes_ += mapping.name.size();
            names_.emplace_back(mapping.name);
        }
        return static_cast<std::uint32_t>(names_.size() - 1);
    }

    std::vector<Range> ranges_{};
    std::vector<std::string> names_;
    std::size_t name_bytes_ = 0;
    Range stack_{};
    bool is_cut_ = false;
};

}  // namespace sysguard::supervise
