#pragma once

#include "child.hpp"
#include "descriptor.hpp"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

namespace detail {

/// What of /proc/<pid>/stat tells to whom a process belongs: proc_pid_stat(5).
struct Membership {
    char state = 0;
    pid_t session = 0;
};

/// Returns false where there is no such process any more.
inline bool read_membership(pid_t pid, Membership& membership) noexcept {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
    const Descriptor file{::open(path, O_RDONLY | O_CLOEXEC)};
    if (!file) return false;
    char text[512];
    const ssize_t bytes = ::read(file.get(), text, sizeof text - 1);
    if (bytes <= 0) return false;
    text[bytes] = 0;
    const char* field = std::strrchr(text, ')');  // the name before it may hold anything
    if (field == nullptr || field[1] == 0) return false;
    membership.state = field[2];
    char* number = const_cast<char*>(field + 3);
    std::strtol(number, &number, 10);
    std::strtol(number, &number, 10);
    membership.session = static_cast<pid_t>(std::strtol(number, &number, 10));
    return true;
}

inline bool is_living_member(pid_t pid, pid_t session) noexcept {
    Membership membership;
    return read_membership(pid, membership) && membership.session == session && membership.state != 'Z' &&
           membership.state != 'X';
}

/// Kills the living processes of a session once. Returns how many there were.
inline std::size_t kill_members(pid_t session) noexcept {
    ::kill(-session, SIGKILL);  // all of the group at once: a fork does not escape it
    DIR* const processes = ::opendir("/proc");
    if (processes == nullptr) return 0;
    std::size_t killed = 0;
    while (const dirent* const entry = ::readdir(processes)) {
        const pid_t pid = static_cast<pid_t>(std::atoi(entry->d_name));
        if (pid <= 0 || !is_living_member(pid, session)) continue;
        const Descriptor pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
        if (!pidfd || !is_living_member(pid, session)) continue;
        ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
        ++killed;
    }
    ::closedir(processes);
    return killed;
}

}  // namespace detail

/// Kills every process of a worker's session, and returns when none of them lives any more. The first process has not
/// been reaped yet, so that the session's id is still its own; it may have ended.
inline void kill_session(const Child& child) noexcept {
    constexpr int most_rounds = 10000;
    for (int round = 0; round < most_rounds && detail::kill_members(child.pid) > 0; ++round) ::sched_yield();
}

}  // namespace sysguard::process
