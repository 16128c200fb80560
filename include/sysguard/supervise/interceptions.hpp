#pragma once

#include "../abi/table.hpp"

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace sysguard::supervise {

/// Which calls are intercepted, and in which processes that is told: the books of an `Interceptor`. Each request is
/// checked in this order: arguments, permission, state, whether it is so already. Pid 0 means every process. Not
/// thread-safe. What adds to the books throws std::bad_alloc, and has then changed nothing.
class Interceptions {
public:
    /// Who asks, and of which process.
    struct Standing {
        bool is_root = false;
        bool is_alive = true;  ///< the process
        bool is_own = false;   ///< the process is the asker's
    };

    /// Begins to intercept a native call.
    std::errc intercept(int number, bool is_root) {
        if (!abi::is_known(number)) return std::errc::invalid_argument;
        if (!is_root) return std::errc::operation_not_permitted;
        if (find(number) != nullptr) return std::errc::device_or_resource_busy;
        entries_.push_back({number, false, {}});
        return {};
    }

    /// Ends that, and forgets in which processes.
    std::errc release(int number, bool is_root) noexcept {
        if (!abi::is_known(number)) return std::errc::invalid_argument;
        if (!is_root) return std::errc::operation_not_permitted;
        const Entry* const entry = find(number);
        if (entry == nullptr) return std::errc::invalid_argument;
        entries_.erase(entries_.begin() + (entry - entries_.data()));
        return {};
    }

    /// A process's calls are told from now on. After "every process" and an exception for this one, the exception ends;
    /// after some processes, "every process" is these and all others.
    std::errc monitor(int number, pid_t pid, const Standing& standing) {
        if (const std::errc error = check(number, pid, standing); error != std::errc{}) return error;
        Entry* const entry = find(number);
        if (entry == nullptr) return std::errc::invalid_argument;
        if (pid == 0) {
            if (entry->all && entry->pids.empty()) return std::errc::device_or_resource_busy;
            entry->pids.clear();
            entry->all = true;
            return {};
        }
        if (is_told(*entry, pid)) return std::errc::device_or_resource_busy;
        change(*entry, pid, entry->all);
        return {};
    }

    /// A process's calls are not told any more. After "every process" that is an exception.
    std::errc unmonitor(int number, pid_t pid, const Standing& standing) {
        if (const std::errc error = check(number, pid, standing); error != std::errc{}) return error;
        Entry* const entry = find(number);
        if (entry == nullptr) return std::errc::invalid_argument;
        if (pid == 0) {
            if (!entry->all && entry->pids.empty()) return std::errc::invalid_argument;
            entry->pids.clear();
            entry->all = false;
            return {};
        }
        if (!is_told(*entry, pid)) return std::errc::invalid_argument;
        change(*entry, pid, !entry->all);
        return {};
    }

    /// Whether a process's call is told.
    bool is_told(int number, pid_t pid) const noexcept {
        const Entry* const entry = find(number);
        return entry != nullptr && is_told(*entry, pid);
    }

    /// Whether some of a process's calls are.
    bool is_watched(pid_t pid) const noexcept {
        return std::any_of(entries_.begin(), entries_.end(), [pid](const Entry& entry) { return is_told(entry, pid); });
    }

    /// Whether some call of every process is told, but for exceptions.
    bool is_everybody_watched() const noexcept {
        return std::any_of(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.all; });
    }

    bool is_intercepted(int number) const noexcept { return find(number) != nullptr; }

    /// A process that has ended leaves every list.
    void forget(pid_t pid) noexcept {
        for (Entry& entry : entries_) std::erase(entry.pids, pid);
    }

    /// Releases everything.
    void clear() noexcept { entries_.clear(); }

private:
    struct Entry {
        int number;
        bool all;                 ///< every process, but for `pids`
        std::vector<pid_t> pids;  ///< otherwise those alone
    };

    static std::errc check(int number, pid_t pid, const Standing& standing) noexcept {
        if (!abi::is_known(number) || pid < 0 || (pid != 0 && !standing.is_alive)) return std::errc::invalid_argument;
        if (!standing.is_root && (pid == 0 || !standing.is_own)) return std::errc::operation_not_permitted;
        return {};
    }

    static bool is_listed(const Entry& entry, pid_t pid) noexcept {
        return std::find(entry.pids.begin(), entry.pids.end(), pid) != entry.pids.end();
    }

    static bool is_told(const Entry& entry, pid_t pid) noexcept { return is_listed(entry, pid) != entry.all; }

    /// Takes a process from the list, or puts it there.
    static void change(Entry& entry, pid_t pid, bool away) {
        if (away)
            std::erase(entry.pids, pid);
        else
            entry.pids.push_back(pid);
    }

    Entry* find(int number) noexcept { return const_cast<Entry*>(std::as_const(*this).find(number)); }

    const Entry* find(int number) const noexcept {
        for (const Entry& entry : entries_)
            if (entry.number == number) return &entry;
        return nullptr;
    }

    std::vector<Entry> entries_;
};

}  // namespace sysguard::supervise
