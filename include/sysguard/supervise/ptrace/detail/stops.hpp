#pragma once

#include "../engine.hpp"
#include "task_facts.hpp"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <utility>

#include <sys/wait.h>
#include <csignal>

/// What becomes of each stop, but for those of calls.
namespace sysguard::supervise {

inline Event PtraceEngine::event_of(const Tracee& tracee, Event::Kind kind) noexcept {
    Event event;
    event.kind = kind;
    event.thread = tracee.thread;
    event.process = tracee.process;
    return event;
}

inline void PtraceEngine::emit(Event& event) noexcept {
    if (sink_.function == nullptr || thrown_) return;
    ::clock_gettime(CLOCK_REALTIME, &event.time);
    try {
        sink_.function(sink_.context, event);
    } catch (...) {
        thrown_ = std::current_exception();
    }
}

inline void PtraceEngine::forget(Tracee& tracee) noexcept {
    if (tracee.hold == Tracee::Hold::newcomer)
        --newcomers_;
    else if (tracee.hold != Tracee::Hold::none)
        --held_;
    tracee.hold = Tracee::Hold::none;
    table_.remove(tracee);
}

inline void PtraceEngine::go_on(Tracee& tracee, int signal) noexcept {
    if (tracee.is_leaving) return let_go(tracee, signal);
    const bool runs_freely = (tracee.has_filter || !watches_calls_) && !tracee.in_call;
    ptracing::resume(tracee.thread, runs_freely ? ptracing::Resume::freely : ptracing::Resume::to_next_call, signal);
}

/// Where it has been killed meanwhile, its end is still to be seen.
inline void PtraceEngine::let_go(Tracee& tracee, int signal) noexcept {
    if (ptracing::detach(tracee.thread, signal) != 0) return;
    Event event = event_of(tracee, Event::Kind::detached);
    forget(tracee);
    emit(event);
}

inline void PtraceEngine::handle(pid_t thread, int status) {
    Tracee* tracee = table_.find(thread);
    if (!WIFSTOPPED(status)) {
        if (tracee != nullptr) on_end(*tracee, status);
        return;
    }
    const ptracing::StopStatus stop = ptracing::StopStatus::of(status);
    if (tracee == nullptr && stop.stop == ptracing::Stop::exec) {
        std::uint64_t former = 0;
        ptracing::message(thread, former);
        tracee = table_.find(static_cast<pid_t>(former));
        if (tracee != nullptr) table_.rename(*tracee, thread);
    }
    if (tracee == nullptr) {
        constexpr std::int64_t patience = 500'000'000;
        tracee = &table_.add(thread);
        tracee->hold = Tracee::Hold::newcomer;
        tracee->first_signal = stop.signal;
        tracee->held_until = now() + patience;
        ++newcomers_;
        return;
    }
    on_stop(*tracee, stop);
}

inline void PtraceEngine::tell_attached(Tracee& tracee) noexcept {
    tracee.is_attaching = false;
    tracee.is_known = true;
    Event event = event_of(tracee, Event::Kind::attached);
    emit(event);
}

inline void PtraceEngine::on_stop(Tracee& tracee, const ptracing::StopStatus& stop) {
    using ptracing::Stop;
    if (tracee.is_attaching) tell_attached(tracee);
    if (stop.is_call) return on_call(tracee);
    switch (stop.stop) {
        case Stop::seccomp: return on_filter(tracee);
        case Stop::none: return on_signal(tracee, stop.signal);
        case Stop::trap: return on_trap(tracee, stop.signal);
        case Stop::fork:
        case Stop::vfork:
        case Stop::clone: return on_child(tracee, stop.stop);
        case Stop::exec: return on_exec(tracee);
        case Stop::exit: {
            Event event = event_of(tracee, Event::Kind::ending);
            std::uint64_t status = 0;
            if (ptracing::message(tracee.thread, status) == 0) {
                event.status = static_cast<int>(status);
                emit(event);
            }
            break;
        }
    }
    go_on(tracee);
}

/// A stop by job control lasts until SIGCONT, or a request of the tracer's.
inline void PtraceEngine::on_trap(Tracee& tracee, int signal) {
    const bool is_stopped = signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
    if (is_stopped != tracee.is_listening && !tracee.is_leaving) {
        Event event = event_of(tracee, is_stopped ? Event::Kind::stopped : Event::Kind::continued);
        event.signal = is_stopped ? signal : SIGCONT;
        emit(event);
    }
    tracee.is_listening = is_stopped;
    if (!is_stopped || tracee.is_leaving) return go_on(tracee);
    ptracing::resume(tracee.thread, ptracing::Resume::listening);
}

inline void PtraceEngine::on_child(Tracee& tracee, ptracing::Stop stop) {
    std::uint64_t message = 0;
    if (ptracing::message(tracee.thread, message) != 0) return;
    const auto thread = static_cast<pid_t>(message);
    tracee.looks_for_child = false;
    Tracee* child = table_.find(thread);
    if (child != nullptr && child->hold != Tracee::Hold::newcomer) return go_on(tracee);  // it has been adopted
    const bool has_stopped = child != nullptr;
    if (!has_stopped && !ptracing::is_tracee(thread)) return go_on(tracee);  // it has been adopted, and has ended
    if (!has_stopped) child = &table_.add(thread);
    const bool is_thread = ptracing::is_thread_of(tracee.process, thread);
    child->process = is_thread ? tracee.process : thread;
    child->root = tracee.root;
    child->was_started = tracee.was_started;
    child->has_filter = tracee.has_filter;
    child->is_known = true;
    const bool is_followed = is_thread || follows_processes_;
    child->is_leaving = !is_followed || (tracee.is_leaving && (is_thread || is_letting_go_));
    if (is_followed) {
        Event event = event_of(*child, Event::Kind::started);
        event.parent = tracee.thread;
        event.origin = is_thread                       ? Event::Origin::thread
                       : stop == ptracing::Stop::fork  ? Event::Origin::fork
                       : stop == ptracing::Stop::vfork ? Event::Origin::vfork
                                                       : Event::Origin::clone;
        emit(event);
    }
    if (!doomed_.empty() && std::find(doomed_.begin(), doomed_.end(), tracee.root) != doomed_.end())
        ::kill(child->process, SIGKILL);
    if (has_stopped) {
        --newcomers_;
        child->hold = Tracee::Hold::none;
        on_trap(*child, child->first_signal);
    }
    go_on(tracee);
}

/// Of all threads of the process the one that executes is left, under the process's id.
inline void PtraceEngine::on_exec(Tracee& tracee) {
    std::uint64_t message = 0;
    if (ptracing::message(tracee.thread, message) != 0) return;
    const auto former = static_cast<pid_t>(message);
    if (Tracee* const before = former != tracee.thread ? table_.find(former) : nullptr; before != nullptr) {
        std::swap(tracee.call, before->call);
        std::swap(tracee.counts, before->counts);
        tracee.tampering = before->tampering;
        tracee.decision = before->decision;
        tracee.done = before->done;
        tracee.in_call = before->in_call;
        tracee.reports = before->reports;
        tracee.has_filter = before->has_filter;
        tracee.is_leaving = tracee.is_leaving || before->is_leaving;
        tracee.call.thread = tracee.thread;
        forget(*before);
    }
    if (tracee.hold != Tracee::Hold::none) {
        --held_;
        tracee.hold = Tracee::Hold::none;
    }
    tracee.is_listening = tracee.looks_for_child = false;
    if (std::exchange(tracee.is_starting, false))
        std::erase_if(starting_, [&](const Starting& program) { return program.process == tracee.process; });
    tracee.is_known = true;
    Event event = event_of(tracee, Event::Kind::executed);
    event.former = former;
    emit(event);
    go_on(tracee);
}

inline void PtraceEngine::on_signal(Tracee& tracee, int signal) {
    if (settings_.signals && !tracee.is_starting) {
        Event event = event_of(tracee, Event::Kind::signalled);
        event.signal = signal;
        if (ptracing::signal_info(tracee.thread, event.info) != 0) return;
        emit(event);
    }
    go_on(tracee, signal);
}

inline void PtraceEngine::on_end(Tracee& tracee, int status) {
    if (tracee.is_starting)
        std::erase_if(starting_, [&](const Starting& program) { return program.process == tracee.process; });
    if (tracee.is_attaching) tell_attached(tracee);  // it ends before it has stopped
    if (tracee.hold == Tracee::Hold::newcomer) adopt(tracee);
    Event event = event_of(tracee, WIFEXITED(status) ? Event::Kind::exited : Event::Kind::killed);
    event.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    event.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    forget(tracee);
    emit(event);
}

}  // namespace sysguard::supervise
