#pragma once

#include "clone.hpp"
#include "furnish.hpp"
#include "plan.hpp"
#include "raw_call.hpp"
#include "setup.hpp"

#include <cerrno>
#include <cstdint>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <csignal>

/// The first process of a worker's pid namespace. Bare code.
namespace sysguard::process::detail {

/// Dies with the thread that started it, whose process it cannot see from its namespace: a pidfd tells whether that is
/// gone already.
SYSGUARD_BARE inline long tie_to_host_outside(const Plan& plan) noexcept {
    const long result = raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (result < 0) return result;
    pollfd host{plan.host_fd, POLLIN, 0};
    const std::int64_t at_once[2] = {};
    const long events = raw_call(SYS_ppoll, &host, 1, at_once, nullptr, 8);
    return events == 0 ? 0 : events < 0 ? events : -ESRCH;
}

/// Runs the program of a namespace's first process in the calling one, with nothing but a descriptor that it writes to,
/// or -1. Returns a negative errno where that fails.
///
/// It gets no capabilities: there must be none that a worker could make it use. The worker's own code must not run
/// before this has executed, as it could trace what shares the host's memory; after that, nobody can trace it, as its
/// program cannot be read.
SYSGUARD_BARE inline long execute_init(const Plan& plan, int output) noexcept {
    const int image = plan.init;
    const std::uint64_t all = ~0ULL;
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, 8);
    long result = raw_call(SYS_unshare, CLONE_FILES);
    if (result < 0) return result;
    if (output >= 0) result = raw_call(SYS_dup3, output, 0, 0);
    if (result < 0) return result;
    result = close_gap(output >= 0 ? 1 : 0, static_cast<unsigned>(image) - 1);
    if (result >= 0) result = close_gap(static_cast<unsigned>(image) + 1, ~0U);
    if (result >= 0) result = raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result < 0) return result;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2] = {};
    raw_call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    result = raw_call(SYS_capset, &header, none);
    if (result < 0) return result;
    char name[] = "sysguard-init";
    char* const argv[] = {name, nullptr};
    char* const envp[] = {nullptr};
    return raw_call(SYS_execveat, image, "", argv, envp, AT_EMPTY_PATH);
}

}  // namespace sysguard::process::detail
