#pragma once

#include "../engine.hpp"

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <utility>

#include <sched.h>
#include <sys/wait.h>
#include <csignal>

/// How the engine's thread waits.
namespace sysguard::supervise {

/// Each stop sends the host a SIGCHLD. Where that has no handler, the kernel drops it at once if this thread does not
/// block it; blocked here, it would wake another thread of the host each time.
inline void take_stop_signals() noexcept {
    struct sigaction action {};
    ::sigaction(SIGCHLD, nullptr, &action);
    const bool has_handler = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGCHLD);
    ::pthread_sigmask(has_handler ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
}

inline void PtraceEngine::loop(Job& job) noexcept {
    take_stop_signals();
    constexpr std::int64_t patience = 1'000'000'000;  // with those that nothing stops, such as one in vfork(2)
    std::int64_t end = -1;
    sink_ = job.sink;
    thrown_ = nullptr;
    doomed_.clear();
    is_letting_go_ = false;
    if (const int error = bell_.hang(); error != 0) {
        job.failure = Error{error, "start the task that wakes the tracer"};
        sink_ = {};
        return;
    }
    for (;;) {
        serve_jobs();
        if (!is_letting_go_ && (thrown_ || must_stop())) {
            let_all_go();
            end = now() + patience;
        }
        if (held_ > 0) release_due();
        finish_detaching();
        const bool is_over = job.process != 0 ? !traces(job.process) : table_.size() == 0;
        if (is_over && (!job.stays || is_letting_go_)) break;
        if (end >= 0 && now() >= end) break;  // the kernel lets go of them with this thread

        const std::int64_t due = held_ > 0 ? next_release() : end;
        if (bell_.pid() > 0 && due >= 0 && (bell_.when() < 0 || bell_.when() > due)) bell_.take_down();
        const bool has_bell = bell_.hang(due) == 0;
        const bool polls = newcomers_ > 0 || !has_bell;
        int status = 0;
        const pid_t thread = wait(status, polls);
        if (thread == bell_.pid() && thread > 0) {
            bell_.answer();
        } else if (thread > 0) {
            try {
                handle(thread, status);
            } catch (...) {
                if (!thrown_) thrown_ = std::current_exception();
            }
        } else if (newcomers_ > 0) {
            adopt_due();
        }
    }
    if (table_.size() > 0 && job.process == 0) {
        table_.for_each([&](Tracee& tracee) {
            Event event = event_of(tracee, Event::Kind::detached);
            emit(event);
            forget(tracee);
        });
    }
    bell_.take_down();
    finish_detaching();
    job.thrown = thrown_;
    if (thrown_ && !must_stop()) stop();
    sink_ = {};
}

/// Waits for a tracee, or for the bell; with `polls`, not for long. Stops mostly follow each other sooner than a
/// processor falls asleep and is woken: so first this lets others run, the tracee where it has the same processor, and
/// looks again, for about a tenth of a millisecond in all. Where others keep the processor for long, that is left off
/// for a while.
inline pid_t PtraceEngine::wait(int& status, bool polls) noexcept {
    constexpr int looks = 300;
    constexpr std::int64_t long_time = 2'500'000;
    constexpr int a_while = 200;
    constexpr timespec pause{0, 100'000};
    constexpr int options = __WALL | __WNOTHREAD;
    if (blind_waits_ > 0) --blind_waits_;
    const std::int64_t begin = now();
    for (int i = 0; i < looks && blind_waits_ == 0; ++i) {
        ::sched_yield();
        if (now() - begin > long_time) blind_waits_ = a_while;
        if (const pid_t thread = ::wait4(-1, &status, options | WNOHANG, nullptr); thread != 0) return thread;
    }
    if (!polls) return ::wait4(-1, &status, options, nullptr);
    if (const pid_t thread = ::wait4(-1, &status, options | WNOHANG, nullptr); thread != 0) return thread;
    ::nanosleep(&pause, nullptr);
    return 0;
}

inline void PtraceEngine::serve_jobs() noexcept {
    while (Job* const job = take_job()) {
        if (job->kind == Job::to_run && is_for_nobody_ && waiting_ == nullptr) {
            waiting_ = job;  // its turn comes when what goes on is done
            continue;
        }
        do_job(*job);
        if (job->kind == Job::to_detach && !job->failure) {
            job->next = detaching_;
            detaching_ = job;
        } else {
            answer(*job);
        }
    }
}

inline bool PtraceEngine::traces(pid_t process) noexcept {
    bool found = false;
    table_.for_each([&](Tracee& tracee) { found = found || tracee.process == process; });
    return found;
}

inline void PtraceEngine::finish_detaching() noexcept {
    for (Job** at = &detaching_; *at != nullptr;) {
        Job* const job = *at;
        if (traces(job->process)) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        answer(*job);
    }
}

inline void PtraceEngine::let_all_go() noexcept {
    is_letting_go_ = true;
    table_.for_each([&](Tracee& tracee) {
        if (tracee.was_started && (tracee.has_filter || settings_.kills_at_end))
            kill_family(tracee);
        else
            leave(tracee);
    });
}

inline void PtraceEngine::release_due() noexcept {
    const std::int64_t time = now();
    table_.for_each([&](Tracee& tracee) {
        const bool is_held = tracee.hold == Tracee::Hold::entry || tracee.hold == Tracee::Hold::exit;
        if (is_held && tracee.held_until <= time) release(tracee);
    });
}

/// When there is nothing to be waited for, not even what a parent has to tell.
inline void PtraceEngine::adopt_due() noexcept {
    const std::int64_t time = now();
    table_.for_each([&](Tracee& tracee) {
        if (tracee.hold == Tracee::Hold::newcomer && tracee.held_until <= time) release(tracee);
    });
}

inline std::int64_t PtraceEngine::next_release() noexcept {
    std::int64_t next = -1;
    table_.for_each([&](Tracee& tracee) {
        const bool is_held = tracee.hold == Tracee::Hold::entry || tracee.hold == Tracee::Hold::exit;
        if (is_held && (next < 0 || tracee.held_until < next)) next = tracee.held_until;
    });
    return next;
}

/// Lets one that is held go on.
inline void PtraceEngine::release(Tracee& tracee) noexcept {
    const Tracee::Hold how = std::exchange(tracee.hold, Tracee::Hold::none);
    if (how != Tracee::Hold::newcomer) {
        --held_;
        return go_on(tracee);
    }
    --newcomers_;
    adopt(tracee);
    on_trap(tracee, tracee.first_signal);
}

}  // namespace sysguard::supervise
