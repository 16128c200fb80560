#pragma once

#include "descriptor.hpp"
#include "detail/clone.hpp"
#include "detail/raw_call.hpp"
#include "detail/reap.hpp"
#include "detail/setup.hpp"
#include "signals.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <sys/syscall.h>
#include <sys/types.h>
#include <csignal>

/// Tasks that share the host's memory and nothing else: processes that cost little, and that can be killed wherever
/// they wait. What runs in one is bare code: SYSGUARD_BARE functions that call the kernel directly (raw_call), touch no
/// thread-local storage and allocate nothing.
namespace sysguard::process {

using detail::raw_call;

/// Starts one that runs `entry(argument)` on a stack of its own and ends, with all signals blocked. Returns its id or a
/// negative errno, and a pidfd for it. To be reaped by `reap_task`. Linux 5.2.
inline long start_task(void (*entry)(void*), void* argument, void* stack, std::size_t stack_size, int& pidfd) noexcept {
    detail::CloneArguments arguments;
    arguments.flags = CLONE_VM | CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    arguments.stack = reinterpret_cast<std::uint64_t>(stack);
    arguments.stack_size = stack_size;
    const SignalsBlocked blocked;
    const long task = detail::start_task(arguments, entry, argument);
    if (task < 0) return task;
    pidfd = above_streams(pidfd);
    if (pidfd >= 0) return task;
    const int error = errno;
    raw_call(SYS_kill, task, SIGKILL);
    detail::reap_quietly(task);
    return -error;
}

/// Waits for its end.
inline void reap_task(long task) noexcept {
    detail::reap_quietly(static_cast<pid_t>(task));
}

/// Of a task: closes its descriptors from `first` to `last`. Returns 0 or a negative errno. Bare code.
SYSGUARD_BARE inline long close_descriptors(unsigned first, unsigned last) noexcept {
    return detail::close_gap(first, last);
}

}  // namespace sysguard::process
