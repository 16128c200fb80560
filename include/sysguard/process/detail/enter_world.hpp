#pragma once

#include "become_init.hpp"
#include "clone.hpp"
#include "furnish.hpp"
#include "map_ids.hpp"
#include "plan.hpp"
#include "raw_call.hpp"
#include "setup.hpp"

#include <cerrno>
#include <cstdint>
#include <new>

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

/// How a forked worker gets namespaces of its own. In a pid namespace there are three processes then: this one,
/// outside, which the host knows and waits for; the namespace's first one; and the worker.
namespace sysguard::process::detail {

/// What starts the first process of the pid namespace that this process has made, in its memory.
struct InitStart {
    Plan* plan = nullptr;
    alignas(64) char stack[16384];
    alignas(64) char mapper_stack[4096];
};

SYSGUARD_BARE inline void become_init_of_function(void* argument) noexcept {
    Plan& plan = *static_cast<InitStart*>(argument)->plan;
    if (check(plan, Step::parent, tie_to_host_outside(plan)) && furnish_mounts(plan))
        check(plan, Step::init, execute_init(plan, -1));
    raw_call(SYS_exit_group, 127);
}

/// Ends as another process has ended.
[[noreturn]] SYSGUARD_BARE inline void end_like(int status) noexcept {
    if (WIFSIGNALED(status)) {
        const int signal = WTERMSIG(status);
        const std::uint64_t action[4] = {};
        const std::uint64_t only = 1ULL << (signal - 1);
        raw_call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
        raw_call(SYS_rt_sigaction, signal, action, nullptr, 8);
        raw_call(SYS_rt_sigprocmask, SIG_UNBLOCK, &only, nullptr, 8);
        raw_call(SYS_kill, raw_call(SYS_getpid), signal);
    }
    for (;;) raw_call(SYS_exit_group, WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

inline constexpr std::uint64_t news = 1ULL << (SIGCHLD - 1) | 1ULL << (SIGTERM - 1);

/// Waits for the worker, or for the host to ask for its end (SIGTERM), ends its namespace, and ends as it did. The
/// `news` are blocked. A worker that makes this its tracer (PTRACE_TRACEME) is ended when it stops.
[[noreturn]] SYSGUARD_BARE inline void stand_for(long worker, long init) noexcept {
    close_gap(0, ~0U);
    int status = 0;
    long ended = 0;
    while (ended == 0) {
        ended = raw_call(SYS_wait4, worker, &status, WNOHANG | __WALL, nullptr);
        if (ended == 0 && raw_call(SYS_rt_sigtimedwait, &news, nullptr, nullptr, 8) == SIGTERM) break;
    }
    if (ended <= 0 || WIFSTOPPED(status)) status = SIGKILL;
    raw_call(SYS_kill, init, SIGKILL);
    // The namespace ends when all in it are reaped: the worker, and what it has started as children of this
    // (CLONE_PARENT).
    while (raw_call(SYS_wait4, -1, nullptr, __WALL, nullptr) != -ECHILD) {
    }
    end_like(status);
}

/// What does not fork any more has to enter the time namespace that it has made.
SYSGUARD_BARE inline long enter_own_time() noexcept {
    const long fd = raw_call(SYS_openat, AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fd;
    const long result = raw_call(SYS_setns, fd, time_namespace);
    raw_call(SYS_close, fd);
    return result;
}

/// Returns in the worker, and with the failure noted where there is one.
inline bool enter_world(Plan& plan) noexcept {
    const World& world = *plan.world;
    const bool has_pids = plan.init >= 0;
    auto* const start = new (std::nothrow) InitStart;
    if (start == nullptr) return check(plan, Step::init, -ENOMEM);
    start->plan = &plan;
    if (has_pids && !check(plan, Step::session, raw_call(SYS_setsid))) return false;
    if (has_pids) {
        reset_signals();  // until the worker is there, the host may end this as it may end any process
        raw_call(SYS_close, plan.host_fd);
        plan.host_fd = static_cast<int>(raw_call(SYS_pidfd_open, raw_call(SYS_getpid), 0));
        if (!check(plan, Step::init, plan.host_fd)) return false;
    }
    const long mapper = start_mapper(plan, start->mapper_stack, sizeof start->mapper_stack);
    if (!check(plan, Step::id_maps, mapper)) return false;
    plan.outer_pid = static_cast<pid_t>(raw_call(SYS_getpid));
    const bool is_furnished = check(plan, Step::namespaces, raw_call(SYS_unshare, world.flags)) && furnish(plan);
    end_mapper(plan, mapper);
    if (!is_furnished) return false;
    if (world.has_time && !has_pids && !check(plan, Step::clocks, enter_own_time())) return false;
    if (!has_pids) {
        delete start;
        return furnish_mounts(plan);
    }
    if (!check(plan, Step::parent, tie_to_host(plan))) return false;  // a change of ids unties it (prctl(2))

    CloneArguments arguments;
    arguments.flags = CLONE_VM | CLONE_VFORK;
    arguments.stack = reinterpret_cast<std::uint64_t>(start->stack);
    arguments.stack_size = sizeof start->stack;
    const long init = start_task(arguments, become_init_of_function, start);
    if (!check(plan, Step::init, init) || plan.failure.step != Step::none) return false;
    raw_call(SYS_close, plan.host_fd);
    raw_call(SYS_close, plan.init);
    // pivot_root(2) has changed this process's root, but not its working directory, which may be the host's still.
    if (world.has_private_root && !check(plan, Step::root, raw_call(SYS_chdir, "/"))) return false;
    raw_call(SYS_rt_sigprocmask, SIG_BLOCK, &news, nullptr, 8);
    const pid_t worker = ::fork();
    if (worker > 0) stand_for(worker, init);
    if (worker < 0) return check(plan, Step::create, -errno);
    delete start;
    plan.host = 0;  // a parent outside of the namespace has no id
    return check(plan, Step::parent, tie_to_host(plan));
}

}  // namespace sysguard::process::detail
