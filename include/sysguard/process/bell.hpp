#pragma once

#include "detail/clone.hpp"
#include "detail/raw_call.hpp"
#include "detail/reap.hpp"
#include "signals.hpp"

#include <cerrno>
#include <cstdint>
#include <ctime>

#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

/// Wakes a thread that waits for its children (wait4(2)) without a signal, whose handling is the host's: a child of
/// that thread, which shares the host's memory, has no exit signal, and ends when it is rung or when its time has come.
/// The thread sees its end, and hangs the bell up again. It ends with the thread.
class Bell {
public:
    Bell() noexcept = default;
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;
    ~Bell() { take_down(); }

    /// Starts the child, where there is none. `when`: nanoseconds of CLOCK_MONOTONIC, when it rings by itself; -1:
    /// never. Returns 0 or an errno. By the thread that waits, as are those below but for `ring`.
    int hang(std::int64_t when = -1) noexcept {
        if (pid_ > 0) return 0;
        when_ = when;
        host_ = ::getpid();
        detail::CloneArguments arguments;
        arguments.flags = CLONE_VM | CLONE_FILES;
        arguments.stack = reinterpret_cast<std::uint64_t>(stack_);
        arguments.stack_size = sizeof stack_;
        const SignalsBlocked blocked;  // for good, in the child
        const long pid = detail::start_task(arguments, wait_for_ring, this);
        pid_ = pid > 0 ? static_cast<pid_t>(pid) : -1;
        return pid < 0 ? static_cast<int>(-pid) : 0;
    }

    /// The child, or -1.
    pid_t pid() const noexcept { return pid_; }

    /// When it rings by itself, or -1.
    std::int64_t when() const noexcept { return when_; }

    /// The child has been waited for: there is none any more, and what has rung so far is done with.
    void answer() noexcept {
        pid_ = -1;
        __atomic_store_n(&rung_, 0, __ATOMIC_SEQ_CST);
    }

    /// Any thread. One that rings while no bell hangs is heard by the next that does.
    void ring() noexcept {
        __atomic_store_n(&rung_, 1, __ATOMIC_SEQ_CST);
        detail::raw_call(SYS_futex, &rung_, FUTEX_WAKE, 1);
    }

    /// Ends the child, if there is one, and waits for it.
    void take_down() noexcept {
        if (pid_ < 0) return;
        ring();
        detail::reap_quietly(pid_);
        answer();
    }

private:
    SYSGUARD_BARE static void wait_for_ring(void* argument) noexcept {
        auto& bell = *static_cast<Bell*>(argument);
        detail::raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (detail::raw_call(SYS_getppid) != bell.host_) return;
        const timespec time{static_cast<std::time_t>(bell.when_ / 1'000'000'000),
                            static_cast<long>(bell.when_ % 1'000'000'000)};
        while (__atomic_load_n(&bell.rung_, __ATOMIC_SEQ_CST) == 0) {
            const long result = detail::raw_call(SYS_futex, &bell.rung_, FUTEX_WAIT_BITSET, 0,
                                                 bell.when_ < 0 ? nullptr : &time, nullptr, FUTEX_BITSET_MATCH_ANY);
            if (result == -ETIMEDOUT) return;
        }
    }

    int rung_ = 0;  ///< futex
    std::int64_t when_ = -1;
    pid_t host_ = 0;
    pid_t pid_ = -1;
    alignas(64) char stack_[8192];
};

}  // namespace sysguard::process
