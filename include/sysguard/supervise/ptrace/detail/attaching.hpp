#pragma once

#include "../engine.hpp"
#include "permission.hpp"
#include "task_facts.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

/// How tracees come and go.
namespace sysguard::supervise {

inline void PtraceEngine::start_here(Job& job) {
    const pid_t thread = job.program->start();
    const bool has_filter = job.program->has_filter();
    const auto give_up = [&](int error, const std::string& why) {
        ::kill(thread, SIGKILL);
        ::wait4(thread, nullptr, __WALL, nullptr);
        throw Error{error, "trace a program that was started: " + why};
    };
    if (const int error = ptracing::seize(thread, options(has_filter, has_filter || settings_.kills_at_end));
        error != 0)
        give_up(error, ptracing::why_refused(thread, error, true));
    ptracing::interrupt(thread);
    for (bool stands = false; !stands;) {
        int status = 0;
        if (::wait4(thread, &status, __WALL, nullptr) < 0 || !WIFSTOPPED(status))
            throw Error{ECANCELED, "trace a program that was started: somebody has killed it"};
        const ptracing::StopStatus stop = ptracing::StopStatus::of(status);
        stands = stop.stop == ptracing::Stop::trap;
        if (!stands) ptracing::resume(thread, ptracing::Resume::freely, stop.signal);
    }
    starting_.push_back({thread, std::move(job.program)});
    Tracee& tracee = table_.add(thread);
    tracee.process = tracee.root = thread;
    tracee.was_started = tracee.is_starting = true;
    tracee.has_filter = has_filter;
    has_filtered_ = has_filtered_ || has_filter;
    job.process = thread;
    starting_.back().program->release();
    go_on(tracee);
}

/// All threads are seized, and then those that were made meanwhile, until there are no new ones: one that is made by
/// a thread that has been seized is traced from its beginning.
inline void PtraceEngine::attach_here(pid_t process, bool only_thread) {
    const std::string step = "attach to process " + std::to_string(process) + ": ";
    const ptracing::TaskFacts facts = process > 0 ? ptracing::task_facts(process) : ptracing::TaskFacts{};
    if (facts.process == 0) throw Error{process > 0 ? ESRCH : EINVAL, step + "there is no such process"};
    if (facts.process == ::getpid()) throw Error{EPERM, step + "a process cannot trace itself"};
    if (facts.process == bell_.pid()) throw Error{EPERM, step + "it is what wakes the tracer"};
    const pid_t group = facts.process;
    const pid_t own = static_cast<pid_t>(::syscall(SYS_gettid));
    std::size_t seized = 0;
    int refusal = 0;
    pid_t refused = 0;
    for (bool found_some = true; found_some;) {
        found_some = false;
        const std::vector<pid_t> threads = only_thread ? std::vector<pid_t>{process} : ptracing::threads_of(group);
        for (const pid_t thread : threads) {
            if (table_.find(thread) != nullptr) continue;
            const int error = ptracing::seize(thread, options(false, false));
            if (error != 0) {
                const ptracing::TaskFacts now = ptracing::task_facts(thread);
                if (error == ESRCH || now.has_ended() || now.tracer == own) continue;
                refusal = error;
                refused = thread;
                break;
            }
            Tracee& tracee = table_.add(thread);
            tracee.process = group;
            tracee.root = group;
            tracee.is_attaching = true;
            ptracing::interrupt(thread);
            ++seized;
            found_some = !only_thread;
        }
        if (refusal != 0) break;
    }
    if (refusal != 0) {
        const std::string why = ptracing::why_refused(refused, refusal, facts.parent == ::getpid());
        table_.for_each([&](Tracee& tracee) {
            if (tracee.process == group) leave(tracee);
        });
        throw Error{refusal, step + why};
    }
    if (seized == 0 && !traces(group)) throw Error{ESRCH, step + ptracing::why_refused(process, ESRCH, false)};
    if (seized == 0) throw Error{EBUSY, step + "this tracer has it already"};
}

inline void PtraceEngine::detach_here(pid_t process) {
    bool found = false;
    bool has_filter = false;
    table_.for_each([&](Tracee& tracee) {
        if (tracee.process != process) return;
        found = true;
        has_filter = has_filter || tracee.has_filter;
    });
    const std::string step = "detach from process " + std::to_string(process) + ": ";
    if (!found) throw Error{ESRCH, step + "it is not traced"};
    if (has_filter)
        throw Error{ENOTSUP, step +
                                 "its filter lets no traced call run without a tracer; to be able to detach, start "
                                 "it with TraceOptions::detachable"};
    table_.for_each([&](Tracee& tracee) {
        if (tracee.process == process) leave(tracee);
    });
}

/// Stops it, if it runs, to be let go where it stops.
inline void PtraceEngine::leave(Tracee& tracee) noexcept {
    tracee.is_leaving = true;
    if (tracee.hold != Tracee::Hold::none)
        release(tracee);
    else
        ptracing::interrupt(tracee.thread);
}

/// Kills all processes that have the same origin, and those that they are just starting.
inline void PtraceEngine::kill_family(const Tracee& tracee) noexcept {
    const pid_t root = tracee.root;
    try {
        if (std::find(doomed_.begin(), doomed_.end(), root) == doomed_.end()) doomed_.push_back(root);
    } catch (const std::bad_alloc&) {
    }
    table_.for_each([&](Tracee& member) {
        if (member.root == root && member.process > 0) ::kill(member.process, SIGKILL);
    });
}

/// Finds out about one whose parent has not told of it: killed just then, perhaps.
inline void PtraceEngine::adopt(Tracee& newcomer) noexcept {
    const ptracing::TaskFacts facts = ptracing::task_facts(newcomer.thread);
    newcomer.process = facts.process > 0 ? facts.process : newcomer.thread;
    const Tracee* parent = nullptr;
    table_.for_each([&](Tracee& tracee) {
        if (&tracee == &newcomer || tracee.hold == Tracee::Hold::newcomer) return;
        if (tracee.process == newcomer.process) parent = &tracee;
        if (tracee.process == facts.parent && (parent == nullptr || parent->process != newcomer.process))
            parent = &tracee;
    });
    newcomer.root = parent != nullptr ? parent->root : newcomer.process;
    newcomer.was_started = newcomer.has_filter = has_filtered_;
    if (parent != nullptr) {
        newcomer.was_started = parent->was_started;
        newcomer.has_filter = parent->has_filter;
        newcomer.is_leaving = parent->is_leaving && (is_letting_go_ || parent->process == newcomer.process);
    }
    const bool is_doomed =
        parent == nullptr ? !doomed_.empty() : std::find(doomed_.begin(), doomed_.end(), parent->root) != doomed_.end();
    newcomer.is_known = true;
    Event event = event_of(newcomer, Event::Kind::started);
    if (newcomer.process != newcomer.thread) event.origin = Event::Origin::thread;
    event.parent = newcomer.process != newcomer.thread ? newcomer.process : facts.parent;
    emit(event);
    if (is_doomed) ::kill(newcomer.process, SIGKILL);
}

}  // namespace sysguard::supervise
