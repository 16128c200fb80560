#pragma once

#include "detail/directory.hpp"
#include "detail/raw_call.hpp"

#include <cerrno>

#include <ctime>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

namespace detail {

/// What /proc/<pid>/stat says of a process (proc_pid_stat(5)).
struct Stat {
    char state = 0;  ///< 0: there is none
    long parent = 0;
    long session = 0;
    long threads = 0;
};

SYSGUARD_BARE inline Stat read_stat(int pid) noexcept {
    char path[32] = "/proc/";
    char digits[12];
    int count = 0;
    for (int rest = pid; rest > 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
    char* end = path + 6;
    while (count > 0) *end++ = digits[--count];
    __builtin_memcpy(end, "/stat", 6);

    const long file = raw_call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    char text[1024];
    const long bytes = raw_call(SYS_read, file, text, sizeof text);
    raw_call(SYS_close, file);
    long at = bytes;
    while (at > 0 && text[at - 1] != ')') --at;  // the name before may hold anything, a parenthesis too
    if (at <= 0 || at + 2 >= bytes) return {};
    const char state = text[at + 1];
    at += 2;
    long fields[21] = {};
    for (int field = 4; field <= 20; ++field)
        for (++at; at < bytes && text[at] != ' '; ++at)
            if (text[at] != '-') fields[field] = fields[field] * 10 + (text[at] - '0');
    return {state, fields[4], fields[6], fields[20]};
}

/// Whether a process lives and belongs to a session. One whose first thread has ended looks like a zombie, and lives as
/// long as it has other threads.
SYSGUARD_BARE inline bool is_living_member(int pid, pid_t session) noexcept {
    const Stat stat = read_stat(pid);
    const bool dead = stat.state == 0 || stat.state == 'X' || (stat.state == 'Z' && stat.threads < 2);
    return stat.session == session && !dead;
}

/// Kills a process that is a living member of a session. Returns whether it was one.
SYSGUARD_BARE inline bool kill_member(int pid, pid_t session) noexcept {
    if (pid <= 1 || !is_living_member(pid, session)) return false;
    const long pidfd = raw_call(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) return false;
    const bool is_member = is_living_member(pid, session);
    if (is_member) raw_call(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    raw_call(SYS_close, pidfd);
    return is_member;
}

/// The id that was given out last, the fifth field of /proc/loadavg (proc_loadavg(5)); 0 where that is not there.
SYSGUARD_BARE inline int newest_pid() noexcept {
    const long file = raw_call(SYS_openat, AT_FDCWD, "/proc/loadavg", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char text[128];
    const long bytes = raw_call(SYS_read, file, text, sizeof text);
    raw_call(SYS_close, file);
    long at = bytes;
    while (at > 0 && text[at - 1] != ' ') --at;
    int pid = 0;
    for (; at < bytes && text[at] >= '0' && text[at] <= '9'; ++at) pid = pid * 10 + (text[at] - '0');
    return pid;
}

/// Of the monotonic clock.
SYSGUARD_BARE inline long seconds_now() noexcept {
    timespec now{};
    raw_call(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return static_cast<long>(now.tv_sec);
}

/// Kills the processes of a session that were started after `pid`, in the order of their ids, until it comes to the
/// newest of all: a process cannot outrun this by starting another and ending. Returns whether there was one, or might
/// have been.
SYSGUARD_BARE inline bool kill_newer_members(int pid, pid_t session, long end) noexcept {
    constexpr int most = 1 << 16;
    bool found = false;
    for (int looked_at = 0; looked_at < most && seconds_now() < end;) {
        const int newest = newest_pid();
        if (newest == pid) return found;
        if (newest < pid) return true;  // ids begin from the bottom again
        for (; pid < newest; ++looked_at) found = kill_member(++pid, session) || found;
    }
    return true;
}

/// Kills the living processes of a session once. Returns whether there was one.
SYSGUARD_BARE inline bool kill_members(pid_t session, bool in_groups, long end) noexcept {
    raw_call(SYS_kill, -session, SIGKILL);  // all of the group at once: a fork does not escape it
    const int newest = newest_pid();
    NumberedEntries processes{"/proc"};
    if (processes.fd() < 0) return false;
    bool found = false;
    for (int pid = processes.next(); pid >= 0; pid = processes.next()) found = kill_member(pid, session) || found;
    return (in_groups && kill_newer_members(newest, session, end)) || found;
}

}  // namespace detail

/// Kills every process of a session, and returns when none of them lives any more, at the latest after ten seconds: a
/// process may hang in the kernel. Makes system calls only. An id is a session's own as long as a process of it has not
/// been reaped.
///
/// Processes of the leader's group are killed at one stroke. `in_groups`: some may have groups of their own. They are
/// looked for among all processes and among those that come up meanwhile, until two looks one after the other find
/// none: a process may be on its way, with an id but not to be seen yet, only while the one that starts it lives.
SYSGUARD_BARE inline void kill_session(pid_t session, bool in_groups) noexcept {
    constexpr long most_nanoseconds = 10'000'000;
    constexpr long most_seconds = 10;
    const int looks = in_groups ? 2 : 1;
    timespec pause{0, 50'000};
    int empty = 0;
    const long end = detail::seconds_now() + most_seconds;
    while (detail::seconds_now() <= end) {
        empty = detail::kill_members(session, in_groups, end) ? 0 : empty + 1;
        if (empty == looks) return;
        if (empty > 0) continue;
        detail::raw_call(SYS_nanosleep, &pause, nullptr);
        if (pause.tv_nsec < most_nanoseconds) pause.tv_nsec *= 2;
    }
}

/// Reaps the dead processes of a session that are this process's children: those that were cloned with CLONE_PARENT,
/// and orphans, where this process adopts them (PR_SET_CHILD_SUBREAPER, or as the first of a pid namespace). Not the
/// leader.
inline void reap_members(pid_t session) noexcept {
    detail::NumberedEntries processes{"/proc"};
    if (processes.fd() < 0) return;
    const pid_t self = ::getpid();
    for (int pid = processes.next(); pid >= 0; pid = processes.next()) {
        if (pid == session) continue;
        const detail::Stat stat = detail::read_stat(pid);
        if (stat.session == session && stat.parent == self) detail::raw_call(SYS_wait4, pid, nullptr, WNOHANG | __WALL);
    }
}

/// Whether orphans among this process's descendants become its children.
inline bool adopts_orphans() noexcept {
    int subreaper = 0;
    return ::getpid() == 1 || (::prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper != 0);
}

}  // namespace sysguard::process
