#pragma once

#include "../policy/action.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

/// The most instructions that the kernel takes in one filter (BPF_MAXINSNS, bpf(4)).
inline constexpr std::size_t max_instructions = BPF_MAXINSNS;

/// A seccomp filter of any length: instructions that somebody else owns.
struct ProgramView {
    const sock_filter* code = nullptr;
    std::size_t size = 0;

    constexpr const sock_filter* begin() const noexcept { return code; }
    constexpr const sock_filter* end() const noexcept { return code + size; }
    constexpr const sock_filter& operator[](std::size_t i) const noexcept { return code[i]; }
};

/// A seccomp filter as a value, constant where its policy is.
template <std::size_t capacity>
struct Program {
    sock_filter code[capacity]{};
    std::size_t size = 0;

    constexpr operator ProgramView() const noexcept { return {code, size}; }
};

/// What a filter returns for a decision (seccomp(2)). The host answers for `handle`, for `kill`, and for a `fake` that
/// is not 0.
constexpr std::uint32_t return_value(const Decision& decision) noexcept {
    switch (decision.action) {
        case Action::allow: return SECCOMP_RET_ALLOW;
        case Action::log: return SECCOMP_RET_LOG;
        case Action::deny: return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(decision.value);
        case Action::fake: return decision.value == 0 ? SECCOMP_RET_ERRNO : SECCOMP_RET_USER_NOTIF;
        case Action::handle:
        case Action::kill: return SECCOMP_RET_USER_NOTIF;
        case Action::kill_now: return SECCOMP_RET_KILL_PROCESS;
        case Action::kill_thread: return SECCOMP_RET_KILL_THREAD;
        case Action::trap: return SECCOMP_RET_TRAP | (static_cast<std::uint32_t>(decision.value) & SECCOMP_RET_DATA);
        case Action::trace: return SECCOMP_RET_TRACE | (static_cast<std::uint32_t>(decision.value) & SECCOMP_RET_DATA);
    }
    return SECCOMP_RET_KILL_PROCESS;
}

}  // namespace sysguard::filter
