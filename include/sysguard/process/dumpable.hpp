#pragma once

#include <cstdint>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::process {

/// The host's PR_SET_DUMPABLE, which a task that shares the host's memory clears before it takes on a worker's
/// credentials: one that performs a call, or one that becomes a program. It is set again, if it was set, when no such
/// task of the process is left: while there is one, whoever has the same credentials could ptrace it, and with it the
/// host. Thread-safe. Does not wait in a forked process for
/// threads that it does not have.
class Dumpable {
public:
    /// Before such a task starts.
    static void enter() noexcept {
        const std::uint64_t count = lock();
        if (count == 0) before_ = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
        unlock(count + 1);
    }

    /// After it has been reaped, or could not start.
    static void leave() noexcept {
        const std::uint64_t count = lock();
        if (count == 1 && before_ == 1) ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        unlock(count > 0 ? count - 1 : 0);
    }

private:
    static constexpr std::uint64_t locked = 0xffffffff;

    static std::uint64_t word(std::uint64_t count) noexcept {
        return static_cast<std::uint64_t>(::getpid()) << 32 | count;
    }

    static std::uint64_t lock() noexcept {
        for (;;) {
            std::uint64_t seen = __atomic_load_n(&word_, __ATOMIC_RELAXED);
            const bool is_own = seen >> 32 == static_cast<std::uint64_t>(::getpid());
            const std::uint64_t count = is_own ? seen & locked : 0;
            if (count != locked &&
                __atomic_compare_exchange_n(&word_, &seen, word(locked), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return count;
            ::sched_yield();
        }
    }

    static void unlock(std::uint64_t count) noexcept { __atomic_store_n(&word_, word(count), __ATOMIC_RELEASE); }

    static inline std::uint64_t word_ = 0;  ///< the process id, and how many such tasks there are, or `locked`
    static inline int before_ = 0;
};

}  // namespace sysguard::process
