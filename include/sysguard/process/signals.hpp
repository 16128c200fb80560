#pragma once

#include "detail/raw_call.hpp"

#include <cstdint>

#include <sys/syscall.h>
#include <csignal>

namespace sysguard::process {

/// Blocks every signal on the calling thread while it lives, libc's own among them, so that no handler of the host's
/// runs in a task that starts meanwhile: one about to become a worker, or one of the host's helpers.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept : SignalsBlocked{~0ULL} {}
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { detail::raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, 8); }

protected:
    explicit SignalsBlocked(std::uint64_t which) noexcept {
        detail::raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &which, &before_, 8);
    }

private:
    std::uint64_t before_ = 0;
};

/// The same, but for libc's own signals: for a thread that starts meanwhile. With 33, setuid(2) and its like make every
/// thread of a process take the new ids, and wait until it has (nptl(7)).
class HandlersBlocked : public SignalsBlocked {
public:
    HandlersBlocked() noexcept : SignalsBlocked{~(3ULL << 31)} {}
};

/// While it lives, writing to a pipe that nobody reads fails on the calling thread with EPIPE and nothing else: SIGPIPE
/// is blocked, and one that came of the writing is taken away. One that was pending before stays.
class PipeSignalHeld {
public:
    PipeSignalHeld() noexcept {
        std::uint64_t pending = 0;
        detail::raw_call(SYS_rt_sigpending, &pending, 8);
        was_pending_ = (pending & pipe) != 0;
        const std::uint64_t blocked = pipe;
        detail::raw_call(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, &before_, 8);
    }
    PipeSignalHeld(const PipeSignalHeld&) = delete;
    PipeSignalHeld& operator=(const PipeSignalHeld&) = delete;
    ~PipeSignalHeld() {
        const std::uint64_t wanted = pipe;
        const std::int64_t at_once[2] = {};
        if (!was_pending_) detail::raw_call(SYS_rt_sigtimedwait, &wanted, nullptr, at_once, 8);
        detail::raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, 8);
    }

private:
    static constexpr std::uint64_t pipe = 1ULL << (SIGPIPE - 1);

    std::uint64_t before_ = 0;
    bool was_pending_ = false;
};

}  // namespace sysguard::process
