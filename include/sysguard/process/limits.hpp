#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace sysguard {

/// What a worker may use at most. What is left out is not limited.
struct Limits {
    /// Address space in bytes, beyond what a forked worker shares with the host (RLIMIT_AS, getrlimit(2)).
    std::optional<std::uint64_t> memory{};

    /// Processor time; the kernel counts whole seconds, so it is rounded up (RLIMIT_CPU).
    std::optional<std::chrono::milliseconds> cpu{};

    /// Time from start to end. The host ends the worker.
    std::optional<std::chrono::milliseconds> wall{};

    /// Processes and threads beyond those that the user already runs (RLIMIT_NPROC). The kernel does not hold root to
    /// it: a sandbox whose policy lets workers of root start tasks is refused with ENOTSUP.
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
