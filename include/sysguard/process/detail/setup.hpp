#pragma once

#include "directory.hpp"
#include "landlock_rules.hpp"
#include "plan.hpp"
#include "raw_call.hpp"
#include "set_scheduling.hpp"
#include "take_credentials.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <initializer_list>

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <csignal>

/// What a worker does to itself before it runs what is not trusted. All of this runs in the child, which may share the
/// host's memory: system calls only, on what the plan prepared.
namespace sysguard::process::detail {

/// Notes the first failure. Returns whether there was none.
SYSGUARD_BARE inline bool check(Plan& plan, Step step, long result) noexcept {
    if (result >= 0) return true;
    plan.failure.step = step;
    plan.failure.error = static_cast<int>(-result);
    return false;
}

SYSGUARD_BARE inline bool is_target(const Plan& plan, int fd) noexcept {
    for (std::size_t i = 0; i < plan.move_count; ++i)
        if (plan.moves[i].to == fd) return true;
    return false;
}

/// Closes one gap between descriptors that stay, on kernels without close_range (before Linux 5.9) too.
SYSGUARD_BARE inline long close_gap(unsigned first, unsigned last) noexcept {
    if (first > last) return 0;
    const long result = raw_call(SYS_close_range, first, last, 0);
    if (result != -ENOSYS && result != -EPERM) return result;

    NumberedEntries open{"/proc/self/fd"};
    if (open.fd() < 0) return open.fd();
    for (bool closed_some = true; closed_some; open.rewind()) {
        closed_some = false;
        for (int fd = open.next(); fd >= 0; fd = open.next()) {
            if (fd == open.fd() || static_cast<unsigned>(fd) < first || static_cast<unsigned>(fd) > last) continue;
            raw_call(SYS_close, fd);
            closed_some = true;
        }
    }
    return 0;
}

/// Closes a gap, but for what the start itself needs.
SYSGUARD_BARE inline long close_gap(const Plan& plan, unsigned first, unsigned last) noexcept {
    for (;;) {
        int kept = -1;  // the next one, of those that stay
        for (const int fd :
             {plan.channel, plan.ruleset, plan.host_fd, plan.status, plan.init, plan.keeps_cgroup ? plan.cgroup : -1})
            if (fd >= 0 && static_cast<unsigned>(fd) >= first && (kept < 0 || fd < kept)) kept = fd;
        if (kept < 0 || static_cast<unsigned>(kept) > last) return close_gap(first, last);
        const auto next = static_cast<unsigned>(kept);
        const long result = next > first ? close_gap(first, next - 1) : 0;
        if (result < 0) return result;
        first = next + 1;
    }
}

/// A duplicate that is in nobody's way.
SYSGUARD_BARE inline long duplicate_aside(const Plan& plan, int fd) noexcept {
    for (long lowest = 3;;) {
        const long aside = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
        if (aside < 0 || !is_target(plan, static_cast<int>(aside))) return aside;
        raw_call(SYS_close, aside);
        lowest = aside + 1;
    }
}

/// Brings every descriptor to its place and closes all others.
SYSGUARD_BARE inline long place_descriptors(Plan& plan) noexcept {
    for (int* const kept : {&plan.ruleset, &plan.host_fd, &plan.status, &plan.init, &plan.cgroup}) {
        if (kept == &plan.cgroup && !plan.keeps_cgroup) continue;
        if (*kept < 0 || !is_target(plan, *kept)) continue;
        const long aside = duplicate_aside(plan, *kept);
        if (aside < 0) return aside;
        *kept = static_cast<int>(aside);
    }
    for (std::size_t i = 0; i < plan.move_count; ++i) {
        const int from = plan.moves[i].from;
        if (from < 0 || from == plan.moves[i].to || !is_target(plan, from)) continue;
        const long aside = duplicate_aside(plan, from);
        if (aside < 0) return aside;
        for (std::size_t j = i; j < plan.move_count; ++j)
            if (plan.moves[j].from == from && plan.moves[j].to != from) plan.moves[j].from = static_cast<int>(aside);
    }
    for (std::size_t i = 0; i < plan.move_count; ++i) {
        const DescriptorMove& move = plan.moves[i];
        long result = 0;
        if (move.from < 0)
            raw_call(SYS_close, move.to);
        else if (move.from == move.to)
            result = raw_call(SYS_fcntl, move.to, F_SETFD, 0);
        else
            result = raw_call(SYS_dup3, move.from, move.to, 0);
        if (result < 0) return result;
    }
    unsigned next = 0;
    for (std::size_t i = 0; i < plan.move_count; ++i) {
        const auto kept = static_cast<unsigned>(plan.moves[i].to);
        if (kept > next)
            if (const long result = close_gap(plan, next, kept - 1); result < 0) return result;
        next = kept + 1;
    }
    return close_gap(plan, next, ~0U);
}

/// Moves the calling process into a cgroup, by its directory; -1: nowhere.
SYSGUARD_BARE inline long enter_cgroup(int directory) noexcept {
    if (directory < 0) return 0;
    const long file = raw_call(SYS_openat, directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (file < 0) return file;
    const char self = '0';
    const long written = raw_call(SYS_write, file, &self, 1);
    raw_call(SYS_close, file);
    return written;
}

/// Default dispositions and an empty mask, whatever the host has. Signals 32 and 33 are libc's own (nptl(7)): a forked
/// function still needs their handlers.
SYSGUARD_BARE inline long reset_signals() noexcept {
    const std::uint64_t action[4] = {};  // struct sigaction of the kernel: SIG_DFL, no flags, no restorer, no mask
    for (int signal = 1; signal <= 64; ++signal)
        if (signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33)
            raw_call(SYS_rt_sigaction, signal, action, nullptr, 8);
    const std::uint64_t none = 0;
    return raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8);
}

/// Dies with the thread that started it. Where that thread's process is gone already, it is too late for the signal.
SYSGUARD_BARE inline long tie_to_host(const Plan& plan) noexcept {
    const long result = raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (result < 0) return result;
    return raw_call(SYS_getppid) == plan.host ? 0 : -ESRCH;
}

/// Kills this process when the worker's time is over before its program has taken over: execve deletes the timer
/// (timer_create(2)). The host waits for that moment, and what is executed may lie where nobody answers.
SYSGUARD_BARE inline long end_in_time(const Plan& plan) noexcept {
    if (plan.most_start_time <= 0) return 0;
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    int timer = 0;
    if (const long result = raw_call(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer); result < 0) return result;
    itimerspec time{};
    time.it_value.tv_sec = plan.most_start_time / 1000;
    time.it_value.tv_nsec = plan.most_start_time % 1000 * 1'000'000;
    return raw_call(SYS_timer_settime, timer, 0, &time, nullptr);
}

/// Keys that only the host is to have are not the worker's (session-keyring(7)). A user has a quota of keyrings, which
/// those of workers that have just ended may fill for a moment: the kernel frees them some milliseconds later.
SYSGUARD_BARE inline long leave_keyring(const Plan& plan) noexcept {
    constexpr int join_session_keyring = 1;
    constexpr int most_tries = 1000;
    constexpr timespec pause{0, 1'000'000};
    if (!plan.joins_keyring) return 0;
    long result = raw_call(SYS_keyctl, join_session_keyring, nullptr);
    for (int tries = 1; result == -EDQUOT && tries < most_tries; ++tries) {
        raw_call(SYS_nanosleep, &pause, nullptr);
        result = raw_call(SYS_keyctl, join_session_keyring, nullptr);
    }
    return result;
}

SYSGUARD_BARE inline long set_limits(const Plan& plan) noexcept {
    for (std::size_t i = 0; i < plan.limit_count; ++i) {
        const ResourceLimit& limit = plan.limits[i];
        const long result = raw_call(SYS_prlimit64, 0, limit.resource, &limit.value, nullptr);
        if (result < 0) return result;
    }
    return 0;
}

/// The ruleset is the sandbox's: it is closed here, where the worker could change what holds for those after it.
SYSGUARD_BARE inline long enter_landlock(Plan& plan) noexcept {
    if (plan.ruleset < 0) return 0;
    const long result = landlock::enter(plan.ruleset);
    raw_call(SYS_close, plan.ruleset);
    return result;
}

/// All steps between the descriptors and the filter. The tie to the host comes first of all, and again. Returns false,
/// with the failure noted, where one fails.
SYSGUARD_BARE inline bool confine(Plan& plan) noexcept {
    const bool is_in_session = plan.status >= 0;  // that of its pid namespace's first process
    if (!is_in_session && !check(plan, Step::session, raw_call(SYS_setsid))) return false;
    if (!check(plan, Step::keyring, leave_keyring(plan))) return false;
    if (plan.directory != nullptr && !check(plan, Step::directory, raw_call(SYS_chdir, plan.directory))) return false;
    raw_call(SYS_umask, plan.umask);
    if (!check(plan, Step::limits, set_limits(plan))) return false;
    if (!check(plan, Step::signals, reset_signals())) return false;
    if (!check(plan, Step::scheduling, set_scheduling(plan.scheduling))) return false;
    if (!check(plan, Step::write_execute, deny_write_execute(plan.credentials))) return false;
    if (!check(plan, Step::credentials, take_credentials(plan.credentials))) return false;
    if (!check(plan, Step::parent, tie_to_host(plan))) return false;  // a change of ids unties it (prctl(2))
    if (!check(plan, Step::no_new_privs, raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))) return false;
    return check(plan, Step::landlock, enter_landlock(plan));
}

/// Installs the filter on the calling thread, or with TSYNC on its whole process. From here on only what the filter
/// lets through works. Returns the listener where one is wanted.
SYSGUARD_BARE inline long install_filter(Plan& plan, unsigned flags) noexcept {
    plan.filter[plan.own_pid_at].k = static_cast<std::uint32_t>(raw_call(SYS_getpid));
    const sock_fprog program{static_cast<unsigned short>(plan.filter_size), plan.filter};
    if ((flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0) {
        // A signal does not interrupt a call that the host has received, so that nothing is done twice (Linux 5.19).
        constexpr unsigned wait_killable = 1U << 5;
        const long result = raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | wait_killable, &program);
        if (result != -EINVAL) return result;
    }
    return raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

}  // namespace sysguard::process::detail
