#pragma once

#include "descriptor.hpp"
#include "detail/plan.hpp"

#include <cerrno>
#include <utility>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace sysguard::process {

/// How a process ended.
struct ExitStatus {
    bool known = true;    ///< false: somebody else in the host waited for the process and took its status
    bool exited = false;  ///< true: `value` is an exit code; false: it is a signal
    int value = 0;
    rusage used{};
};

/// A started worker: its first process and the host's ends of what connects them. Owns all of it: a process that has
/// not been reaped when the child is destroyed is killed and reaped then. Movable, not copyable.
struct Child {
    Child() noexcept = default;
    Child(Child&& other) noexcept
        : pid{std::exchange(other.pid, -1)},
          pidfd{std::move(other.pidfd)},
          listener{std::move(other.listener)},
          channel{std::move(other.channel)},
          input{std::move(other.input)},
          output{std::move(other.output)},
          error{std::move(other.error)},
          failure{other.failure} {}
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (pid < 0) return;
        kill();
        wait();
    }

    bool started() const noexcept { return failure.step == Step::none; }

    /// Kills the first process, by pidfd: never somebody else who got its number.
    void kill() const noexcept { ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0); }

    /// Waits for the first process to end, and reaps it. Until then its ids stay taken.
    ExitStatus wait() noexcept {
        ExitStatus status;
        siginfo_t info{};
        long result = -1;
        do {
            result = ::syscall(SYS_waitid, P_PIDFD, pidfd.get(), &info, WEXITED | __WALL, &status.used);
        } while (result != 0 && errno == EINTR);
        pid = -1;
        status.known = result == 0;
        status.exited = info.si_code == CLD_EXITED;
        status.value = info.si_status;
        return status;
    }

    pid_t pid = -1;  ///< also its session and its process group; -1: none, or reaped
    Descriptor pidfd{};
    Descriptor listener{};  ///< of its filter, where the policy asks the host
    Descriptor channel{};   ///< brings the listener, where it is not there from the start
    Descriptor input{};     ///< of pipes
    Descriptor output{};
    Descriptor error{};
    StartFailure failure{};  ///< where the start stopped
};

}  // namespace sysguard::process
