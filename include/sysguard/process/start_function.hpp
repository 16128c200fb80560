#pragma once

#include "child.hpp"
#include "detail/clone.hpp"
#include "detail/courier.hpp"
#include "detail/enter_world.hpp"
#include "detail/fork_lock.hpp"
#include "detail/reap.hpp"
#include "detail/setup.hpp"
#include "result_area.hpp"
#include "signals.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>

#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::process {

namespace detail {

/// A forked worker that gets a filter with a listener, without a system call of its own after the filter is there, and
/// without ever being left with the listener. Three tasks share its memory and descriptors:
///   the worker's thread waits, inside a vfork-like clone, for the courier to end;
///   the installer, a second thread, puts the filter on the whole process (TSYNC) and ends;
///   the courier, another process and so without the filter, waits for that, sends the listener to the host, closes it
///   in the table that all three share, and ends.
struct FilterHandOver {
    Plan* plan = nullptr;
    long worker = 0;
    CloneArguments arguments{};
    int go = 0;               ///< futex: the installer may begin
    int installer_alive = 1;  ///< futex, cleared by the kernel
    bool delivered = false;
    alignas(64) char installer_stack[8192];
    alignas(64) char courier_stack[8192];
};

SYSGUARD_BARE inline void install_for_process(void* argument) noexcept {
    auto& shared = *static_cast<FilterHandOver*>(argument);
    while (__atomic_load_n(&shared.go, __ATOMIC_ACQUIRE) == 0) raw_call(SYS_futex, &shared.go, FUTEX_WAIT, 0, nullptr);
    Plan& plan = *shared.plan;
    const long listener = install_filter(
        plan, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
    if (check(plan, Step::filter, listener)) plan.listener = static_cast<int>(listener);
}

SYSGUARD_BARE inline void deliver_listener(void* argument) noexcept {
    auto& shared = *static_cast<FilterHandOver*>(argument);
    Plan& plan = *shared.plan;
    __atomic_store_n(&shared.go, 1, __ATOMIC_RELEASE);
    raw_call(SYS_futex, &shared.go, FUTEX_WAKE, 1);
    while (__atomic_load_n(&shared.installer_alive, __ATOMIC_ACQUIRE) != 0)
        raw_call(SYS_futex, &shared.installer_alive, FUTEX_WAIT, 1, nullptr);
    if (plan.listener < 0) return;
    if (const ResourceLimit* const limit = plan.late_limit; limit != nullptr) {
        const long result = raw_call(SYS_prlimit64, shared.worker, limit->resource, &limit->value, nullptr);
        if (!check(plan, Step::limits, result)) return;
    }
    HandOver sent;
    sent.descriptors[0] = plan.listener;
    sent.count = 1;
    if (!check(plan, Step::hand_over, send_descriptors(plan.channel, sent))) return;
    raw_call(SYS_close, plan.listener);
    raw_call(SYS_close, plan.channel);
    shared.delivered = true;
}

/// Puts the filter on this process and its listener into the host's hands. On failure the process may have the filter
/// and its listener: it must end.
inline bool install_and_hand_over(Plan& plan) noexcept {
    auto* const shared = new (std::nothrow) FilterHandOver;
    if (shared == nullptr) return check(plan, Step::filter, -ENOMEM);
    shared->plan = &plan;
    shared->worker = raw_call(SYS_getpid);
    shared->arguments.flags =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    shared->arguments.child_tid = reinterpret_cast<std::uint64_t>(&shared->installer_alive);
    shared->arguments.stack = reinterpret_cast<std::uint64_t>(shared->installer_stack);
    shared->arguments.stack_size = sizeof shared->installer_stack;
    if (!check(plan, Step::filter, start_task(shared->arguments, install_for_process, shared))) return false;
    CloneArguments courier;
    courier.flags = CLONE_VM | CLONE_FILES | CLONE_VFORK;
    courier.stack = reinterpret_cast<std::uint64_t>(shared->courier_stack);
    courier.stack_size = sizeof shared->courier_stack;
    if (!check(plan, Step::hand_over, start_task(courier, deliver_listener, shared))) return false;
    return plan.failure.step == Step::none && shared->delivered;
}

/// Puts the filter on this process.
inline bool install_or_hand_over(Plan& plan) noexcept {
    if (plan.wants_listener) return install_and_hand_over(plan);
    return check(plan, Step::filter, install_filter(plan, 0));
}

/// Until the host has the worker's pidfd: one that has ended could have been reaped by then, where the host ignores
/// SIGCHLD.
inline bool wait_for_host(ResultArea::Header& header) noexcept {
    while (__atomic_load_n(&header.go, __ATOMIC_ACQUIRE) == 0) raw_call(SYS_futex, &header.go, FUTEX_WAIT, 0, nullptr);
    return true;
}

inline void let_go(ResultArea::Header& header) noexcept {
    __atomic_store_n(&header.go, 1U, __ATOMIC_RELEASE);
    raw_call(SYS_futex, &header.go, FUTEX_WAKE, 1);
}

/// The forked worker, to its end.
template <class Body>
[[noreturn]] void run_forked(Plan& plan, ResultArea& area, Body& body) noexcept {
    __fpurge(stdout);  // what the host has not flushed yet is the host's
    __fpurge(stderr);
    if (check(plan, Step::parent, tie_to_host(plan)) && check(plan, Step::cgroup, enter_cgroup(plan.cgroup)) &&
        wait_for_host(area.header()) && check(plan, Step::descriptors, place_descriptors(plan)) &&
        (plan.world == nullptr || enter_world(plan)) && confine(plan) && install_or_hand_over(plan)) {
        area.header().state = ResultArea::State::running;
        __atomic_store_n(&plan.pass, 0, __ATOMIC_SEQ_CST);
        body(area);
        ::fflush(stdout);
    } else {
        area.header().step = static_cast<std::uint32_t>(plan.failure.step);
        area.header().error = static_cast<std::uint32_t>(plan.failure.error);
        area.header().size = plan.failure.part;
        area.header().proof = plan.pass;
        area.header().state = ResultArea::State::failed_to_start;
    }
    raw_call(SYS_exit_group, 0);
    __builtin_unreachable();
}

/// Forks; only this child has the area. Returns in the host, with the child's id or -1 (errno).
template <class Body>
pid_t fork_with(Plan& plan, ResultArea& area, Body& body) noexcept {
    const ForkLock lock;
    pid_t pid = -1;
    if (area.share_with_forks(true)) {
        pid = ::fork();
        if (pid == 0) run_forked(plan, area, body);
    }
    const int error = errno;
    area.share_with_forks(false);
    errno = error;
    return pid;
}

}  // namespace detail

/// Forks a worker that confines itself and then runs `body(area)`. The host may have threads: the child has one, and
/// libc's locks are sound in it (fork(3)), the host's own locks are not. Costs what fork costs a process of the host's
/// size. The worker dies with the calling thread.
template <class Body>
void start_function(detail::Plan& plan, ResultArea& area, Child& child, Body& body) noexcept {
    pid_t pid = -1;
    {
        const SignalsBlocked blocked;  // the child unblocks them when the host's handlers are off
        pid = detail::fork_with(plan, area, body);
    }
    if (pid < 0) {
        child.failure = {Step::create, errno};
        return;
    }
    child.pid = pid;
    child.pidfd.reset(above_streams(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))));
    if (!child.pidfd) {
        child.failure = {Step::create, errno};
        child.guard.stop();
        ::kill(pid, SIGKILL);
        detail::reap_quietly(pid);
        child.pid = -1;
        return;
    }
    if (plan.guarded_session != nullptr) __atomic_store_n(plan.guarded_session, pid, __ATOMIC_RELEASE);
    detail::let_go(area.header());
}

}  // namespace sysguard::process
