#pragma once

#include "../../../abi/errno_names.hpp"
#include "../../memory.hpp"
#include "../engine.hpp"
#include "registers.hpp"
#include "task_facts.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

/// What becomes of the stops at the entry and at the return of calls.
namespace sysguard::supervise {

inline void PtraceEngine::on_call(Tracee& tracee) {
    using ptracing::CallInfo;
    const bool is_return = std::exchange(tracee.in_call, false);
    if (is_return && !tracee.reports && !tracee.looks_for_child && !tracee.tampering.needs_return())
        return go_on(tracee);
    CallInfo info;
    if (ptracing::call_info(tracee.thread, info) != 0) return;
    if (info.op == CallInfo::Op::entry) return on_entry(tracee, info);
    if (info.op == CallInfo::Op::exit && is_return) return on_return(tracee, info);
    go_on(tracee);  // it was attached to within a call
}

/// A filter of the tracee's own asks a tracer, too: it has none, as without this one.
inline void PtraceEngine::on_filter(Tracee& tracee) {
    ptracing::CallInfo info;
    if (ptracing::call_info(tracee.thread, info) != 0) return;
    on_entry(tracee, info, info.entry.filter_data != filter_mark);
}

inline void PtraceEngine::on_entry(Tracee& tracee, const ptracing::CallInfo& info, bool asks_another) {
    TracedCall& call = tracee.call;
    ptracing::take_entry(call, info);
    call.thread = tracee.thread;
    call.process = tracee.process;
    tracee.done = Event::nothing;
    tracee.tampering = Tampering{};
    tracee.looks_for_child = false;
    const bool is_unknown_abi =
        call.abi == abi::native_abi && info.architecture != abi::audit_architecture(abi::native_abi);
    const bool is_own = tracee.is_starting || tracee.is_leaving;  // not the program's, or not any more
    const bool is_chosen = is_unknown_abi
                               ? settings_.calls.has_unknown()
                               : settings_.calls.contains(call.abi, call.number, call.arguments[0], call.is_x32);
    tracee.decision = {Action::allow};
    if (!is_own) {
        if (asks_another)
            tracee.tampering = Tampering::refuse(ENOSYS);
        else if (tampers_)
            decide(tracee, is_chosen, is_unknown_abi);
        if (follows_processes_) guard_child(tracee);
        if (!tracee.tampering.is_nothing()) apply(tracee);
        tracee.reports = is_chosen || tracee.done != Event::nothing;
    } else {
        tracee.reports = is_chosen && tracee.is_starting && call.abi == abi::native_abi && call.number == sys::execve;
    }
    if (tracee.reports) {
        Event event = event_of(tracee, Event::Kind::entered);
        event.call = call;
        event.done = tracee.done;
        event.decision = tracee.decision;
        event.signal = tracee.tampering.signal();
        event.result = tracee.tampering.value();
        for (int i = 0; i < abi::max_arguments; ++i) event.arguments[i] = tracee.tampering.argument(i);
        emit(event);
    }
    const bool wants_return =
        (tracee.reports && settings_.results) || tracee.looks_for_child || tracee.tampering.needs_return();
    tracee.in_call = !tracee.has_filter || wants_return;
    if (!settings_.results) tracee.reports = false;
    if (tracee.tampering.delay_before() > 0) return hold(tracee, Tracee::Hold::entry, tracee.tampering.delay_before());
    go_on(tracee);
}

inline void PtraceEngine::on_return(Tracee& tracee, const ptracing::CallInfo& info) {
    TracedCall& call = tracee.call;
    const Tampering& tampering = tracee.tampering;
    ptracing::take_return(call, info);
    const bool is_skipped = tampering.fate() != Tampering::Fate::runs;
    if (is_skipped || tampering.changes_result()) {
        const std::int64_t result = is_skipped ? tampering.value() : tampering.result();
        if (!is_skipped) tracee.done |= Event::result_changed;
        if (call.result != result) ptracing::set_result(tracee.thread, result);
        call.result = result;
        call.is_error = result < 0 && result >= -abi::max_errno;
    }
    if (tampering.changes_arguments()) change_arguments(tracee, true);
    if (std::exchange(tracee.looks_for_child, false) && call.result > 0 && !call.is_error) note_escape(tracee);
    if (tracee.reports) {
        Event event = event_of(tracee, Event::Kind::returned);
        event.call = call;
        event.done = tracee.done;
        event.decision = tracee.decision;
        event.result = call.result;
        emit(event);
    }
    if (tampering.delay_behind() > 0) return hold(tracee, Tracee::Hold::exit, tampering.delay_behind());
    go_on(tracee);
}

/// What the policy says decides; then who decides by itself; then what is injected.
inline void PtraceEngine::decide(Tracee& tracee, bool is_chosen, bool is_unknown_abi) {
    const TracedCall& call = tracee.call;
    Tampering& tampering = tracee.tampering;
    if (settings_.policy != nullptr) {
        const policy::View& policy = *settings_.policy;
        const int number =
            call.is_x32 ? static_cast<int>(static_cast<std::uint32_t>(call.number) | abi::x32_bit) : call.number;
        tracee.decision = is_unknown_abi ? policy.foreign : policy::decide(policy, call.abi, number, call.arguments);
        switch (tracee.decision.action) {
            case Action::allow: break;
            case Action::log: tracee.done |= Event::logged; break;
            case Action::deny: tampering = Tampering::refuse(static_cast<int>(tracee.decision.value)); return;
            case Action::fake: tampering = Tampering::fake(tracee.decision.value); return;
            default: tampering = Tampering::kill(); return;
        }
    }
    if (is_chosen && settings_.decider.function != nullptr) {
        Event event = event_of(tracee, Event::Kind::entered);
        event.call = call;
        event.decision = tracee.decision;
        tampering = settings_.decider.function(settings_.decider.context, event);
        if (!tampering.is_nothing()) return;
    }
    const std::vector<Injection>& injections = settings_.injections;
    if (tracee.counts.size() < injections.size()) tracee.counts.resize(injections.size());
    for (std::size_t i = 0; i < injections.size(); ++i) {
        if (!injections[i].calls.contains(call.abi, call.number, call.arguments[0], call.is_x32)) continue;
        if (injections[i].when.holds(++tracee.counts[i]) && tampering.is_nothing()) tampering = injections[i].what;
    }
}

/// A child that its tracer is not told of must not be made: clone loses the flag that says so, and clone3, whose flags
/// another thread can change after they have been looked at, is refused where it has it. Whether a clone3 that passed
/// made a child that nobody told of shows when it returns.
inline void PtraceEngine::guard_child(Tracee& tracee) {
    constexpr std::uint64_t untraced = 0x00800000;  // CLONE_UNTRACED
    const TracedCall& call = tracee.call;
    int number = call.number;
    if (call.abi == abi::compat_abi) {
        const int place = abi::foreign_place<abi::compat_abi>(number, call.arguments[0]);
        number = place < 0 ? -1 : abi::foreign_layout<abi::compat_abi>(place).native;
    }
    if ((number != sys::clone && number != sys::clone3) || tracee.tampering.fate() != Tampering::Fate::runs) return;
    if (number == sys::clone) {
        const std::uint64_t flags =
            tracee.tampering.changes_argument(0) ? tracee.tampering.argument(0) : call.arguments[0];
        if ((flags & untraced) != 0) tracee.tampering.change_argument(0, flags & ~untraced);
        return;
    }
    std::uint64_t flags = 0;
    const std::uint64_t place = tracee.tampering.changes_argument(0) ? tracee.tampering.argument(0) : call.arguments[0];
    read_memory(tracee.thread, place, reinterpret_cast<char*>(&flags), sizeof flags);
    if ((flags & untraced) != 0)
        tracee.tampering = Tampering::refuse(ENOSYS);
    else
        tracee.looks_for_child = true;
}

/// What cannot be done as was decided does not run at all.
inline void PtraceEngine::apply(Tracee& tracee) {
    const Tampering& tampering = tracee.tampering;
    int error = 0;
    switch (tampering.fate()) {
        case Tampering::Fate::refused: tracee.done |= Event::refused; break;
        case Tampering::Fate::faked: tracee.done |= Event::faked; break;
        case Tampering::Fate::killed: tracee.done |= Event::was_killed; return kill_family(tracee);
        case Tampering::Fate::runs: break;
    }
    if (tampering.fate() != Tampering::Fate::runs) {
        error = ptracing::skip_call(tracee.thread, tampering.value());
    } else if (tampering.changes_arguments()) {
        tracee.done |= Event::arguments_changed;
        error = change_arguments(tracee, false);
    }
    if (tampering.signal() != 0) {
        tracee.done |= Event::signal_added;
        ::syscall(SYS_tgkill, tracee.process, tracee.thread, tampering.signal());
    }
    if (tampering.delay_before() != 0 || tampering.delay_behind() != 0) tracee.done |= Event::delayed;
    if (error != 0 && error != ESRCH) kill_family(tracee);
}

/// At the entry to the new values, at the return back to those that the program has there.
inline int PtraceEngine::change_arguments(const Tracee& tracee, bool back) noexcept {
    int error = 0;
    for (int i = 0; i < abi::max_arguments && error == 0; ++i) {
        if (!tracee.tampering.changes_argument(i) || (back && ptracing::result_replaces_argument(i))) continue;
        error = ptracing::set_argument(tracee.thread, tracee.call.abi, i,
                                       back ? tracee.call.arguments[i] : tracee.tampering.argument(i));
    }
    return error;
}

/// Another thread has set the flag after it was looked at. The child is caught again, if it is still there.
inline void PtraceEngine::note_escape(Tracee& tracee) {
    const auto child = static_cast<pid_t>(tracee.call.result);
    const ptracing::TaskFacts facts = ptracing::task_facts(child);
    Event event = event_of(tracee, Event::Kind::lost);
    event.thread = child;
    event.process = facts.process != 0 ? facts.process : child;
    event.parent = tracee.thread;
    emit(event);
    if (facts.parent != tracee.process && facts.process != tracee.process) return;
    if (ptracing::seize(child, options(tracee.has_filter, tracee.has_filter || settings_.kills_at_end)) != 0) return;
    Tracee& caught = table_.add(child);
    caught.process = event.process;
    caught.root = tracee.root;
    caught.was_started = tracee.was_started;
    caught.has_filter = tracee.has_filter;
    caught.is_attaching = true;
    ptracing::interrupt(child);
}

inline void PtraceEngine::hold(Tracee& tracee, Tracee::Hold how, std::int64_t time) noexcept {
    tracee.hold = how;
    tracee.held_until = now() + time;
    ++held_;
}

}  // namespace sysguard::supervise
