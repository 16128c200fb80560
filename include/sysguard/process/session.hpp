#pragma once

#include "detail/directory.hpp"
#include "detail/raw_call.hpp"

#include <cerrno>

#include <ctime>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

namespace detail {

/// Whether a process lives and belongs to a session: the fields behind the name in /proc/<pid>/stat are state, parent,
/// process group and session (proc_pid_stat(5)).
SYSGUARD_BARE inline bool is_living_member(int pid, pid_t session) noexcept {
    char path[32] = "/proc/";
    char digits[12];
    int count = 0;
    for (int rest = pid; rest > 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
    char* end = path + 6;
    while (count > 0) *end++ = digits[--count];
    __builtin_memcpy(end, "/stat", 6);

    const long file = raw_call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    char text[512];
    const long bytes = raw_call(SYS_read, file, text, sizeof text);
    raw_call(SYS_close, file);
    long at = bytes;
    while (at > 0 && text[at - 1] != ')') --at;  // the name before may hold anything, a parenthesis too
    if (at <= 0 || at + 2 >= bytes) return false;
    const char state = text[at + 1];
    at += 2;
    int field = 0;
    for (int index = 0; index < 3; ++index) {
        field = 0;
        for (++at; at < bytes && text[at] >= '0' && text[at] <= '9'; ++at) field = field * 10 + (text[at] - '0');
    }
    return field == session && state != 'Z' && state != 'X';
}

/// Kills the living processes of a session once. Returns how many there were.
SYSGUARD_BARE inline int kill_members(pid_t session) noexcept {
    raw_call(SYS_kill, -session, SIGKILL);  // all of the group at once: a fork does not escape it
    NumberedEntries processes{"/proc"};
    if (processes.fd() < 0) return 0;
    int killed = 0;
    for (int pid = processes.next(); pid >= 0; pid = processes.next()) {
        if (pid <= 1 || !is_living_member(pid, session)) continue;
        const long pidfd = raw_call(SYS_pidfd_open, pid, 0);
        if (pidfd < 0) continue;
        if (is_living_member(pid, session)) {
            raw_call(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
            ++killed;
        }
        raw_call(SYS_close, pidfd);
    }
    return killed;
}

}  // namespace detail

/// Kills every process of a session, and returns when none of them lives any more, at the latest after ten seconds: a
/// process may hang in the kernel. Makes system calls only. An id is a session's own as long as a process of it has not
/// been reaped.
///
/// Processes of the leader's group are killed at one stroke. `in_groups`: some may have groups of their own; they are
/// looked for until several looks find none, as one may start another and end between two looks.
SYSGUARD_BARE inline void kill_session(pid_t session, bool in_groups) noexcept {
    constexpr long most_nanoseconds = 10'000'000;
    constexpr int most_rounds = 1000;
    const int looks = in_groups ? 3 : 1;
    timespec pause{0, 50'000};
    int empty = 0;
    for (int round = 0; round < most_rounds; ++round) {
        empty = detail::kill_members(session) > 0 ? 0 : empty + 1;
        if (empty == looks) return;
        if (empty > 0) continue;
        detail::raw_call(SYS_nanosleep, &pause, nullptr);
        if (pause.tv_nsec < most_nanoseconds) pause.tv_nsec *= 2;
    }
}

}  // namespace sysguard::process
