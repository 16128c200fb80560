#pragma once

#include "raw_call.hpp"

#include <cerrno>
#include <cstdint>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <csignal>

namespace sysguard::process::detail {

/// Blocks every signal, libc's own among them, so that no handler of the host's runs in a task that is about to become
/// a worker.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept {
        const std::uint64_t all = ~0ULL;
        raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, 8);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, 8); }

private:
    std::uint64_t before_ = 0;
};

/// Waits for a child of the host's that nobody will ask about.
inline void reap_quietly(long pid) noexcept {
    while (raw_call(SYS_wait4, pid, nullptr, __WALL, nullptr) == -EINTR) {
    }
}

}  // namespace sysguard::process::detail
