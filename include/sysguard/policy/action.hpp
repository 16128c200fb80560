#pragma once

#include <cstdint>

namespace sysguard {

/// What becomes of a system call.
enum class Action : std::uint8_t {
    kill,      ///< the whole worker is killed, and the outcome tells what it tried
    kill_now,  ///< the kernel kills the process on the spot; the outcome knows no details
    deny,      ///< it does not run and fails with an errno
    fake,      ///< it does not run and is said to have returned a value
    handle,    ///< the host decides: a handler, or a condition on what a pointer leads to
    log,       ///< the kernel runs it and writes it to the audit log (seccomp(2), SECCOMP_RET_LOG; Linux 4.14)
    allow,     ///< the kernel runs it
    // What profiles of others say (SECCOMP_RET_* of seccomp(2)); where a rule looks at memory first, all of them kill.
    kill_thread,  ///< the kernel kills the thread that calls
    trap,         ///< it does not run; the thread gets a SIGSYS with a value of 16 bits (si_errno)
    trace,        ///< a tracer that the worker may have decides, and is told a value of 16 bits; without one, ENOSYS
};

constexpr const char* name(Action action) noexcept {
    switch (action) {
        case Action::allow: return "allow";
        case Action::log: return "log";
        case Action::deny: return "deny";
        case Action::fake: return "fake";
        case Action::kill: return "kill";
        case Action::handle: return "handle";
        case Action::kill_now: return "kill_now";
        case Action::kill_thread: return "kill_thread";
        case Action::trap: return "trap";
        case Action::trace: return "trace";
    }
    return "?";
}

/// An action with its value: the errno of `deny`, the result of `fake`, what `trap` and `trace` tell; of `handle`, 1
/// where somebody is asked.
struct Decision {
    Action action = Action::kill;
    std::int64_t value = 0;

    friend constexpr bool operator==(const Decision&, const Decision&) = default;
    friend constexpr bool operator==(const Decision& decision, Action expected) noexcept {
        return decision.action == expected;
    }
};

}  // namespace sysguard
