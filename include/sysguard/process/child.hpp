#pragma once

#include "block.hpp"
#include "descriptor.hpp"
#include "detail/courier.hpp"
#include "detail/plan.hpp"
#include "guard.hpp"
#include "held_layer.hpp"
#include "worker_cgroup.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

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

namespace detail {

/// What PIDFD_GET_INFO tells (include/uapi/linux/pidfd.h, first version).
struct PidfdInfo {
    std::uint64_t mask = 1U << 3;  ///< PIDFD_INFO_EXIT
    std::uint64_t unused[6]{};
    std::uint32_t filesystem_gid = 0;
    std::int32_t exit_code = 0;
};

/// How a process ended that somebody else has reaped, if this kernel tells (Linux 6.15).
inline ExitStatus status_after_reaping(int pidfd) noexcept {
    ExitStatus status;
    PidfdInfo info;
    static_assert(sizeof info == 64);
    constexpr std::uint64_t exit_known = 1U << 3;
    status.known = ::ioctl(pidfd, _IOWR(0xFF, 11, PidfdInfo), &info) == 0 && (info.mask & exit_known) != 0;
    status.exited = WIFEXITED(info.exit_code);
    status.value = status.exited ? WEXITSTATUS(info.exit_code) : WTERMSIG(info.exit_code);
    return status;
}

}  // namespace detail

/// A started worker: its first process and the host's ends of what connects them. Owns all of it: a process that has
/// not been reaped when the child is destroyed is killed and reaped then. Movable, not copyable.
struct Child {
    Child() noexcept = default;
    Child(Child&& other) noexcept
        : end_signal{other.end_signal},
          pid{std::exchange(other.pid, -1)},
          pidfd{std::move(other.pidfd)},
          listener{std::move(other.listener)},
          channel{std::move(other.channel)},
          input{std::move(other.input)},
          output{std::move(other.output)},
          error{std::move(other.error)},
          cgroup{std::move(other.cgroup)},
          layers{std::move(other.layers)},
          program_status{std::move(other.program_status)},
          guard{std::move(other.guard)},
          failure{other.failure} {}
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (pid < 0) return;
        guard.stop();
        kill();
        wait();
    }

    bool started() const noexcept { return failure.step == Step::none; }

    /// Kills the first process, by pidfd: never somebody else who got its number. A host that has taken other ids since
    /// may not do that; where there is a guard, that does.
    void kill() noexcept {
        if (::syscall(SYS_pidfd_send_signal, pidfd.get(), end_signal, nullptr, 0) != 0 && errno == EPERM)
            guard.kill_and_stop();
    }

    /// Waits for the first process to end, and reaps it. Until then its ids stay taken.
    ExitStatus wait() noexcept {
        ExitStatus status;
        siginfo_t info{};
        long result = -1;
        do {
            result = ::syscall(SYS_waitid, P_PIDFD, pidfd.get(), &info, WEXITED | __WALL, &status.used);
        } while (result != 0 && errno == EINTR);
        pid = -1;
        if (result != 0) return detail::status_after_reaping(pidfd.get());
        status.exited = info.si_code == CLD_EXITED;
        status.value = info.si_status;
        read_program_status(status);
        layers = {};
        return status;
    }

    /// Takes the listener out of the channel, where that brings it. Returns 0, or a negative errno where it was lost.
    int receive_listener() noexcept {
        Descriptor received[detail::HandOver::most];
        const int count = detail::receive_descriptors(channel.get(), received);
        channel.reset();
        if (count > 0) listener = std::move(received[0]);
        return count < 0 ? count : 0;
    }

private:
    /// Of a worker with a pid namespace it is the program's status that counts, which the first process there has
    /// written unless somebody killed it. A program that has made that its tracer was ended when it stopped.
    void read_program_status(ExitStatus& status) noexcept {
        int word = 0;
        if (!program_status) return;
        if (::read(program_status.get(), &word, sizeof word) == static_cast<ssize_t>(sizeof word)) {
            status.exited = WIFEXITED(word);
            status.value = status.exited ? WEXITSTATUS(word) : WIFSTOPPED(word) ? SIGKILL : WTERMSIG(word);
        } else if (status.exited) {
            status.known = false;
        }
        program_status.reset();
    }

public:
    int end_signal = SIGKILL;  ///< SIGTERM where the first process stands for another one, which it kills then
    pid_t pid = -1;            ///< also its session and its process group; -1: none, or reaped
    Descriptor pidfd{};
    Descriptor listener{};  ///< of its filter, where the policy asks the host
    Descriptor channel{};   ///< brings the listener, where it is not there from the start
    Descriptor input{};     ///< of pipes
    Descriptor output{};
    Descriptor error{};
    WorkerCgroup cgroup{};        ///< where it has one: removed with the child
    Block<LayerHold> layers{};    ///< that it has mounted
    Descriptor program_status{};  ///< of a program in a pid namespace: brings how it ended; does not block
    Guard guard{};                ///< of its session, where it may start processes
    StartFailure failure{};       ///< where the start stopped
};

}  // namespace sysguard::process
