#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <ratio>

namespace sysguard {

/// A length of time, from any duration of std::chrono, rounded up to milliseconds, at most a hundred years.
class TimeLimit {
public:
    template <class Rep, class Period>
    constexpr TimeLimit(std::chrono::duration<Rep, Period> time) noexcept {
        const double milliseconds = std::chrono::duration<double, std::milli>{time}.count();
        constexpr double most = 100 * 365 * 86400e3;
        const double bounded = milliseconds < most ? milliseconds : most;
        const auto whole = static_cast<std::int64_t>(bounded);
        time_ = std::chrono::milliseconds{whole + (static_cast<double>(whole) < bounded)};
    }

    constexpr std::chrono::milliseconds time() const noexcept { return time_; }

private:
    std::chrono::milliseconds time_{};
};

/// A limit that can end a worker.
enum class Limit : std::uint8_t {
    none,
    memory,     ///< a function's std::bad_alloc, or the kernel at the limit of its cgroup
    cpu,        ///< SIGXCPU, or the host
    wall,       ///< the host
    file_size,  ///< SIGXFSZ
};

constexpr const char* name(Limit limit) noexcept {
    switch (limit) {
        case Limit::none: return "none";
        case Limit::memory: return "memory";
        case Limit::cpu: return "cpu";
        case Limit::wall: return "wall";
        case Limit::file_size: return "file_size";
    }
    return "?";
}

/// What a worker may use at most. What is left out is not limited. Only `wall` holds for a worker as a whole: the
/// kernel holds each of its processes by itself to the others, and `processes` is counted for the user. With a cgroup
/// (`Options::cgroup`) `memory`, `cpu` and `processes` hold for the worker as a whole, too.
struct Limits {
    /// Address space in bytes, beyond what a forked worker shares with the host (RLIMIT_AS, getrlimit(2)). A function
    /// that gets no more memory ends as `out_of_memory`; a program ends as it will, by an exit code or a signal.
    /// In a cgroup also memory that is really used, by all of its processes together, files in its page cache and
    /// without swap: beyond it the kernel kills the whole worker (memory.max, memory.oom.group).
    std::optional<std::uint64_t> memory{};

    /// Processor time of each process; the kernel counts whole seconds, so it is rounded up (RLIMIT_CPU).
    /// In a cgroup also of all of its processes together: then the host ends the worker, some milliseconds late.
    std::optional<TimeLimit> cpu{};

    /// Time from start to end of the worker, until its program has been found and loaded included. The host ends it,
    /// with all that it started.
    std::optional<TimeLimit> wall{};

    /// Processes and threads beyond those that the user already runs (RLIMIT_NPROC). The kernel does not hold root, nor
    /// who has CAP_SYS_RESOURCE or CAP_SYS_ADMIN, to it: a sandbox whose policy lets such workers start tasks is
    /// refused with ENOTSUP. Of a function's, where the policy asks the host for anything, its start has used one up.
    /// In a cgroup instead those of the worker, itself included, whoever runs it (pids.max); a function whose policy
    /// asks the host needs 3 to start.
    std::optional<std::uint64_t> processes{};

    /// One more than the highest descriptor (RLIMIT_NOFILE).
    std::optional<std::uint64_t> open_files{};

    /// Bytes that a file may grow to (RLIMIT_FSIZE).
    std::optional<std::uint64_t> file_size{};

    /// Bytes of stack of the first thread (RLIMIT_STACK).
    std::optional<std::uint64_t> stack{};
};

inline namespace literals {

constexpr std::uint64_t operator""_KiB(unsigned long long value) noexcept {
    return value << 10;
}
constexpr std::uint64_t operator""_MiB(unsigned long long value) noexcept {
    return value << 20;
}
constexpr std::uint64_t operator""_GiB(unsigned long long value) noexcept {
    return value << 30;
}

}  // namespace literals

}  // namespace sysguard
