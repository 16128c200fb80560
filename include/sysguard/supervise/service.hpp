#pragma once

#include "../abi/take.hpp"
#include "describe.hpp"
#include "supervisor.hpp"

/// What a supervisor does when something happens.
namespace sysguard::supervise {

inline bool Supervisor::serve(const epoll_event& event, Pending& call, std::uint32_t turn) noexcept {
    Source& source = *static_cast<Source*>(event.data.ptr);
    switch (source.kind) {
        case Source::first_process: return finish(*source.watch, turn);
        case Source::calls: return serve_call(*source.watch, (event.events & EPOLLIN) != 0, call, turn);
        case Source::performance: return serve_performance(static_cast<PerformanceSource&>(source), turn);
        case Source::hand_over: take_listener(*source.watch); break;
        case Source::output:
        case Source::error: serve_output(*source.watch, source.kind); break;
        case Source::timer: keep_time(); break;
        case Source::bell: return run_errand(turn);
    }
    return true;
}

inline bool Supervisor::serve_call(Watch& watch, bool is_there, Pending& call, std::uint32_t turn) noexcept {
    Listener& listener = watch.line_->listener;
    if (!is_there) {  // nobody uses the filter any more, and the hang-up would not cease
        ignore(listener.fd());
        return true;
    }
    const seccomp_notif* const request = listener.receive();
    if (request == nullptr) return true;
    const Rulebook& rules = *watch.settings_.rules;
    begin(call, watch.line_, *request);
    if (rules.has_handlers() && !have_a_stand_by()) {  // so many hang that this one had better not
        listener.answer(call.id, 0, EAGAIN);
        return true;
    }
    turn_.begin();
    decide(rules, call);
    return turn_.end(turn);
}

inline void Supervisor::begin(Pending& call, const LineShare& line, const seccomp_notif& request) noexcept {
    call.begin(line, request);
}

/// While it lives, this thread runs the handler of a call. A handler may run a sandbox of its own, with handlers.
class HandlerRuns {
public:
    explicit HandlerRuns(Pending& call) noexcept : outer_{std::exchange(Pending::in_handler, &call)} {}
    HandlerRuns(const HandlerRuns&) = delete;
    HandlerRuns& operator=(const HandlerRuns&) = delete;
    ~HandlerRuns() { Pending::in_handler = outer_; }

private:
    Pending* outer_;
};

/// Answers a call as the rules say. One whose handler throws is refused.
inline void Supervisor::decide(const Rulebook& rules, Pending& call) noexcept {
    std::string failure;
    try {
        try {
            const Verdict verdict = [&] {
                const HandlerRuns here{call};
                return rules.decide(call);
            }();
            if (call.is_deferred && verdict.kind() == Verdict::Kind::perform)
                throw Error{EINVAL, "perform a call that has been deferred: its answer is to be given to the Deferred"};
            if (verdict.kind() == Verdict::Kind::perform)
                perform(std::move(call));
            else if (verdict.kind() == Verdict::Kind::kill)
                kill(call);
            else if (verdict.kind() != Verdict::Kind::later || !call.is_deferred || call.is_dropped)
                Answerer::answer(call.line->listener, call, verdict);
            return;
        } catch (const std::exception& exception) {
            failure = exception.what();
        } catch (...) {
            failure = "something that is no std::exception";
        }
    } catch (const std::bad_alloc&) {  // for the message
    }
    {
        const Locked line{call.line->mutex};
        if (call.line->desk != nullptr) call.line->desk->note_failure(*call.line->watch, std::move(failure));
    }
    call.line->listener.answer(call.id, 0, EPERM);  // last: the worker, and its watch, may end with that
}

inline void Supervisor::kill(Pending& call) noexcept {
    have_a_stand_by();
    Description description = describe(call);
    const Locked line{call.line->mutex};
    if (call.line->desk == nullptr) return;
    if (!description.failure.empty()) call.line->desk->note_failure(*call.line->watch, std::move(description.failure));
    call.line->desk->kill(*call.line->watch, call, std::move(description.text), std::move(description.mapping));
}

/// Prepares a call to be performed, in the thread that serves. A descriptor opened with O_PATH is nothing that the
/// kernel hands over: where what was decided does not depend on memory, it opens the place itself.
inline void Supervisor::perform(Pending&& call) noexcept {
    const LineShare share = call.line;
    const std::uint64_t id = call.id;
    try {
        if (call.is_untouched() && opens_place(call)) {
            share->listener.proceed(id);
            return;
        }
    } catch (const std::bad_alloc&) {
        share->listener.answer(id, 0, ENOMEM);
        return;
    }
    auto* const performance = new (std::nothrow) Performance{std::move(call)};
    try {
        if (performance == nullptr) throw std::bad_alloc{};
        performance->prepare();
    } catch (const std::bad_alloc&) {
        delete performance;
        share->listener.answer(id, 0, ENOMEM);
        return;
    }
    const Locked line{share->mutex};
    if (share->desk != nullptr)
        admit(*share->watch, performance);
    else
        delete performance;
}

/// So many at a time for one worker; the others wait. With the line's mutex.
inline void Supervisor::admit(Watch& watch, Performance* performance) noexcept {
    const Locked locked{mutex_};
    if (watch.performing_count_ < Watch::most_performances) {
        start(watch, performance);
        return;
    }
    Performance** last = &watch.waiting_;
    while (*last != nullptr) last = &(*last)->next;
    *last = performance;
}

/// With the mutex.
inline void Supervisor::start(Watch& watch, Performance* performance) noexcept {
    int error = performance->start();
    performance->source = {{&watch, Source::performance}, performance};
    if (error == 0) error = listen_to(performance->task_fd(), performance->source);
    if (error != 0) {
        performance->refuse(error);
        delete performance;
        return;
    }
    performance->next = std::exchange(watch.performing_, performance);
    ++watch.performing_count_;
    if (watch.performing_count_ == 1) set_timer();
}

inline bool Supervisor::serve_performance(PerformanceSource& source, std::uint32_t turn) noexcept {
    Performance* const performance = source.performance;
    {
        const Locked locked{mutex_};
        Watch& watch = *source.watch;
        Performance** place = &watch.performing_;
        while (*place != performance) place = &(*place)->next;
        *place = performance->next;
        --watch.performing_count_;
        ignore(performance->task_fd());
        while (watch.waiting_ != nullptr && watch.performing_count_ < Watch::most_performances)
            start(watch, std::exchange(watch.waiting_, watch.waiting_->next));
    }
    have_a_stand_by();
    turn_.begin();
    performance->finish();
    delete performance;
    return turn_.end(turn);
}

inline bool Supervisor::finish(Watch& watch, std::uint32_t turn) noexcept {
    if (watch.line_) {
        const Locked line{watch.line_->mutex};
        watch.line_->desk = nullptr;
    }
    Performance* performances = nullptr;
    bool others_may_want_service = false;
    {
        const Locked locked{mutex_};
        watch.is_clearing_ = true;
        Watch** place = &watches_;
        while (*place != &watch) place = &(*place)->next_;
        *place = watch.next_;
        for (const int fd : {watch.child_.pidfd.get(), watch.line_ ? watch.line_->listener.fd() : -1,
                             watch.child_.channel.get(), watch.child_.output.get(), watch.child_.error.get()})
            ignore(fd);
        for (Performance* each = watch.performing_; each != nullptr; each = each->next) ignore(each->task_fd());
        performances = abi::take(watch.performing_);
        Performance** last = &performances;
        while (*last != nullptr) last = &(*last)->next;
        *last = abi::take(watch.waiting_);
        remove_expiries([&](const Expiry& expiry) { return expiry.watch == &watch; });
        others_may_want_service = watches_ != nullptr || thread_count_ > 0;
    }
    if (others_may_want_service) have_a_stand_by();
    turn_.begin();
    watch.clear_away(performances);
    watch.line_ = {};
    std::uint32_t* const ended = watch.settings_.ended;
    std::uint32_t* const shared = watch.settings_.ended_in_shared_memory;
    if (shared != nullptr) __atomic_store_n(shared, Watch::ended, __ATOMIC_SEQ_CST);
    {
        const Locked locked{mutex_};
        __atomic_store_n(&watch.finished_, 1U, __ATOMIC_SEQ_CST);
        if (ended != nullptr) __atomic_fetch_add(ended, 1U, __ATOMIC_SEQ_CST);
    }
    wake_all(watch.finished_);  // it may be gone by now: waking is all that is done to it and to what it borrows
    if (ended != nullptr) wake_all(*ended);
    if (shared != nullptr) ::syscall(SYS_futex, shared, FUTEX_WAKE, 0x7fffffff, nullptr, nullptr, 0);
    return turn_.end(turn);
}

inline void Supervisor::serve_output(Watch& watch, Source::Kind kind) noexcept {
    const bool is_output = kind == Source::output;
    process::Descriptor& pipe = is_output ? watch.child_.output : watch.child_.error;
    Captured& captured = is_output ? watch.ending_.output : watch.ending_.error;
    const auto most = is_output ? watch.settings_.most_output : watch.settings_.most_error;
    if (Watch::collect(pipe, captured, *most)) return;
    ignore(pipe.get());
    pipe.reset();
}

/// The listener of a worker that could not bring it along from the start.
inline void Supervisor::take_listener(Watch& watch) noexcept {
    ignore(watch.child_.channel.get());
    int error = -watch.child_.receive_listener();
    const Locked locked{mutex_};
    if (error == 0) error = watch.open_line(*this);
    if (error == 0 && watch.line_) error = listen_to(watch.line_->listener.fd(), watch.sources_[Source::calls]);
    if (error != 0) watch.give_up(error);
}

/// One at a time, as it may take long.
inline bool Supervisor::run_errand(std::uint32_t turn) noexcept {
    std::uint64_t rung = 0;
    while (::read(bell_.get(), &rung, sizeof rung) < 0 && errno == EINTR) {
    }
    Errand* errand = nullptr;
    bool others_may_want_service = false;
    {
        const Locked locked{mutex_};
        if (errands_ == nullptr) return true;
        errand = std::exchange(errands_, errands_->next);
        if (errands_ != nullptr) ring();
        others_may_want_service = watches_ != nullptr || errands_ != nullptr;
    }
    if (others_may_want_service) have_a_stand_by();
    turn_.begin();
    errand->run();
    return turn_.end(turn);
}

/// What is over by now: the time of workers and of deferred answers. Performances that nobody waits for any more.
inline void Supervisor::keep_time() noexcept {
    std::uint64_t expired = 0;
    if (::read(timer_.get(), &expired, sizeof expired) < 0 && errno == EINTR) return;
    const Locked locked{mutex_};
    const Clock::time_point now = Clock::now();
    for (Watch* watch = watches_; watch != nullptr; watch = watch->next_) {
        if (watch->is_out_of_time(now)) watch->end(watch->ending_.timed_out);
        if (!watch->is_ending() && watch->is_out_of_cpu(now)) watch->end(watch->ending_.used_up);
        for (Performance* each = watch->performing_; each != nullptr; each = each->next)
            if (each->is_vain()) each->kill();
    }
    remove_expiries([now](const Expiry& expiry) {
        if (now < expiry.when) return false;
        expiry.watch->line_->listener.answer(expiry.id, 0, expiry.error);
        return true;
    });
    set_timer();
}

/// With the mutex: the next time that something is over.
inline void Supervisor::set_timer() noexcept {
    Clock::time_point next = Clock::time_point::max();
    for (const Watch* watch = watches_; watch != nullptr; watch = watch->next_) {
        if (watch->settings_.wall && !watch->is_ending()) {
            const Clock::time_point end = watch->started_ + watch->settings_.wall->time();
            if (end < next) next = end;
        }
        if (watch->settings_.cpu && watch->child_.cgroup && !watch->is_ending() && watch->next_look_ < next)
            next = watch->next_look_;
        if (watch->performing_ != nullptr && Clock::now() + look_after < next) next = Clock::now() + look_after;
    }
    for (const Expiry* expiry = expiries_; expiry != nullptr; expiry = expiry->next)
        if (expiry->when < next) next = expiry->when;
    if (next == Clock::time_point::max()) return;
    const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(next.time_since_epoch()).count() + 1;
    itimerspec setting{};
    setting.it_value.tv_sec = time / 1'000'000'000;
    setting.it_value.tv_nsec = time % 1'000'000'000;
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr);
}

/// A thread that serves does it.
inline void Supervisor::perform(Watch& watch, Pending&& call) noexcept {
    struct Performing final : Errand {
        Performing(Supervisor& by, Pending&& what) : supervisor{by}, call{std::move(what)} {}
        void run() noexcept override {
            supervisor.have_a_stand_by();
            supervisor.perform(std::move(call));
            delete this;
        }
        Supervisor& supervisor;
        Pending call;
    };
    const std::uint64_t id = call.id;
    if (auto* const errand = new (std::nothrow) Performing{*this, std::move(call)}; errand != nullptr)
        post(*errand);
    else
        watch.line_->listener.answer(id, 0, ENOMEM);
}

inline void Supervisor::kill(Watch& watch, const Pending& call, std::string&& text, std::string&& mapping) noexcept {
    const Locked locked{mutex_};
    watch.violate(call, std::move(text), std::move(mapping));
}

inline void Supervisor::note_failure(Watch& watch, std::string&& message) noexcept {
    const Locked locked{mutex_};
    ++watch.ending_.failed_handlers;
    watch.ending_.handler_message = std::move(message);
}

inline bool Supervisor::expire(Watch& watch, std::uint64_t id, Clock::time_point when, int error) noexcept {
    const Locked locked{mutex_};
    auto* const expiry = new (std::nothrow) Expiry{&watch, id, when, error, expiries_};
    if (expiry == nullptr) return false;
    expiries_ = expiry;
    set_timer();
    return true;
}

inline bool Supervisor::claim(Watch& watch, std::uint64_t id) noexcept {
    const Locked locked{mutex_};
    return remove_expiries([&](const Expiry& expiry) { return expiry.watch == &watch && expiry.id == id; }) > 0;
}

}  // namespace sysguard::supervise
