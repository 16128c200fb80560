#pragma once

#include "../abi/take.hpp"
#include "supervisor.hpp"

#include <cstdio>

#include <sys/utsname.h>

/// Waiting for calls in the kernel. Worker and host take turns on one processor only where the host waits in
/// SECCOMP_IOCTL_NOTIF_RECV itself: epoll(7) forgets on the way what SYNC_WAKE_UP asks for, and is a system call more.
/// But who waits there can be woken by nothing else. So it is done only for a single worker that makes many calls in a
/// row, while a stand-by watches over everything else; and only where it ends with the worker.
namespace sysguard::supervise {

/// Whether waiting for a call ends when nobody is left to make one: Linux 6.11 (95036a79e7b4).
inline bool receiving_ends_with_the_worker() noexcept {
    static const bool does = [] {
        utsname name{};
        int major = 0;
        int minor = 0;
        return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
               (major > 6 || (major == 6 && minor >= 11));
    }();
    return does;
}

/// Of the leader. Whatever a worker has started ends with it at the latest, but for what has left its session.
inline bool Supervisor::may_come_close(const Watch& watch) noexcept {
    if (stands_alone_ || __atomic_load_n(&standing_by_, __ATOMIC_SEQ_CST) == 0) return false;
    const policy::Tasks& tasks = watch.settings_.tasks;
    if ((tasks.processes && tasks.groups) || !receiving_ends_with_the_worker()) return false;
    const Locked locked{mutex_};
    return watches_ == &watch && watch.next_ == nullptr && watch.performing_ == nullptr && !turn_.is_stopped();
}

/// Serves the calls of one worker until there are no more, or the turn is another's: then returns false. The listener
/// is meanwhile not among what the supervisor waits for: at any time one thread at most receives from it.
inline bool Supervisor::serve_closely(Watch& watch, Pending& call, std::uint32_t turn) noexcept {
    const LineShare line = watch.line_;  // the watch may go away with the turn
    const Rulebook& rules = *watch.settings_.rules;
    ignore(line->listener.fd());
    close_line_ = line;
    if (!turn_.come_close()) {
        listen_again(*line);
        return true;
    }
    for (;;) {
        const seccomp_notif* const request = line->listener.receive();
        if (request == nullptr) {
            const bool is_mine = turn_.end_close(turn);
            if (is_mine) close_line_ = {};
            listen_again(*line);
            return is_mine;
        }
        begin(call, line, *request);
        if (!turn_.begin_close(turn)) {  // others may have to be served before this one's handler returns
            listen_again(*line);
            decide(rules, call);
            return false;
        }
        decide(rules, call);
        if (!turn_.end(turn)) return false;
    }
}

/// Of a stand-by that has become the leader. One that waits for a call lets the listener go when it has got one.
inline void Supervisor::take_from_close(const Turn::Taken& taken) noexcept {
    const LineShare line = abi::take(close_line_);
    if (taken.from_busy) listen_again(*line);
}

inline void Supervisor::listen_again(Line& line) noexcept {
    const Locked of_line{line.mutex};
    if (line.desk == nullptr) return;
    const int error = listen_to(line.listener.fd(), line.watch->sources_[Source::calls]);
    if (error == 0 || error == EEXIST) return;
    const Locked locked{mutex_};
    line.watch->give_up(error);  // its calls would wait for ever
}

}  // namespace sysguard::supervise
