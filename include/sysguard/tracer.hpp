#pragma once

#include "abi/call_set.hpp"
#include "abi/error.hpp"
#include "filter/select.hpp"
#include "policy/handler.hpp"
#include "process/descriptor.hpp"
#include "process/held_program.hpp"
#include "process/launch.hpp"
#include "supervise/event.hpp"
#include "supervise/line.hpp"
#include "supervise/notify_engine.hpp"
#include "supervise/ptrace/engine.hpp"
#include "supervise/tampering.hpp"
#include "supervise/trace_settings.hpp"
#include "supervise/traced_policy.hpp"

#include <cerrno>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/types.h>

namespace sysguard {

/// What a tracer is to see, and what it is to do.
struct TraceOptions {
    /// The calls that are told of: `CallSet{SYS_openat, SYS_connect}`. Those that a policy, or an injection, does
    /// something to are told of besides.
    CallSet calls = CallSet::all();

    /// Whether what a traced thread starts is traced, too.
    Follow follow = Follow::everything;

    /// Also what calls return. Where that is not wanted, nor anything else that only ptrace(2) can tell or do, programs
    /// that are started are traced by seccomp user notification, several times cheaper: see `Tracer`.
    bool results = true;

    /// Also the signals that are delivered.
    bool signals = false;

    /// Also threads that are about to end, while their memory is still there.
    bool endings = false;

    /// Programs that are started can be let go alive. They then stop at all calls: where only some are chosen, that is
    /// several times slower. Otherwise a program whose calls are chosen gets a seccomp filter and no_new_privs, as
    /// strace's --seccomp-bpf does, and as its filter needs a tracer, it is killed where one that could be let go would
    /// be: by `Tracer::stop`, by the tracer's end, and with the host.
    bool detachable = false;

    /// Programs that are started, and what they start, are killed then in any case (PTRACE_O_EXITKILL).
    bool kills_at_end = false;

    /// What is done to chosen calls. The first that is for a call is done to it.
    std::vector<Injection> injections{};
};

/// A program that a tracer has started.
struct TracedProgram {
    pid_t pid = -1;
    /// The host's ends of pipes (`Stdio::pipe()`).
    process::Descriptor input{};
    process::Descriptor output{};
    process::Descriptor error{};
};

/// Sees what programs do, that it starts or that run already, call by call, by ptrace(2):
///
///     sg::Tracer tracer{{.calls = {SYS_openat, SYS_connect}}};
///     tracer.start({"/bin/ls", "-l"});
///     tracer.run([](const sg::Event& event) { ... });
///
/// The callback is called in the tracer's own thread, while the thread that an event is about stands still: its memory
/// and registers are what they were at the stop, as far as other threads do not change its memory. All functions but
/// the destructor may be called from the callback, and all by any thread.
///
/// Each stop sends the host a SIGCHLD, as ptrace(2) does; a handler of the host's for it is called that often.
///
/// Programs that are started with `TraceOptions{.results = false}`, without signals, endings, a policy, injections,
/// `detachable` and with `Follow::everything`, are seen by notification (`by_notification`), if the chosen calls are
/// all calls or contain none of `supervise::NotifyEngine::untold()`. Then events come in the thread that runs; of all
/// processes, entries of calls, but for the untold ones and the execve that starts the program; of the program itself
/// also its end. It is started as a worker: in a session of its own, and killed with all that it has started when
/// tracing ends. Where the host runs under a filter with a listener, ptrace(2) is used all the same.
///
/// A traced thread can have one tracer: what traces its own children (PTRACE_TRACEME, PTRACE_ATTACH) is refused that
/// with EPERM while they are traced by this. Signals, stops by job control, restarts of calls and their timing aside,
/// programs do not see that they are traced. Linux 5.3.
class Tracer {
public:
    explicit Tracer(TraceOptions options = {}) : options_{std::move(options)} {}
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    /// With a policy (anything with `view()`): its rules are kept for each call of what is traced, from registers that
    /// nothing can change as long as the thread stands still. Calls of foreign ABIs get what `sg::foreign` says. Throws
    /// `Error` ENOTSUP where a rule looks at memory or has a handler: that cannot be kept by tracing.
    ///
    /// A policy's `kill` kills all processes that come from the same start or attachment.
    template <class AnyPolicy>
        requires requires(const AnyPolicy& policy) {
            policy.view();
        }
    Tracer(TraceOptions options, const AnyPolicy& policy)
        : options_{std::move(options)}, policy_{std::make_unique<supervise::TracedPolicy>(policy.view())} {}

    /// Has a function, `Tampering(const Event& entered) const`, say what is done to each chosen call that the policy
    /// allows. It is called in the tracer's thread. To be set before anything is traced.
    ///
    /// Its name is its warning: what it decides by registers holds, but what it has read from memory, another thread,
    /// or a process that shares the memory, can change before the kernel reads it again.
    template <class F>
        requires std::is_invocable_r_v<Tampering, const F&, const Event&>
    void decide_unchecked(F function) {
        const supervise::Locked locked{mutex_};
        if (engine_) throw Error{EBUSY, "decide calls: something is traced already; say so before"};
        deciding_ = policy::SharedContext::make(std::move(function));
        decider_ = {
            [](void* context, const Event& event) -> Tampering { return (*static_cast<const F*>(context))(event); },
            const_cast<F*>(deciding_.get<F>())};
    }

    /// Starts a program. `command` is its path, taken as it stands, and its arguments. It is no worker: it stays in the
    /// host's session and may do what the host may. It stands still before its first call until `run`. Throws `Error`,
    /// with what failed, and where tracing is not permitted why and what to do.
    TracedProgram start(std::vector<std::string> command, const Launch& launch = {}) {
        if (supervise::NotifyEngine* const notifying = notifying_engine(); notifying != nullptr) {
            try {
                supervise::NotifyEngine::Started started = notifying->start(command, launch);
                return {started.pid, std::move(started.input), std::move(started.output), std::move(started.error)};
            } catch (const Error& error) {
                if (error.code().value() != EBUSY) throw;
                const supervise::Locked locked{mutex_};
                notifying_.reset();
                is_refused_ = true;
            }
        }
        supervise::PtraceEngine& engine = this->engine();
        auto program =
            std::make_unique<process::HeldProgram>(std::move(command), launch, filter(), options_.kills_at_end);
        TracedProgram started;
        started.input = std::move(program->input());
        started.output = std::move(program->output());
        started.error = std::move(program->error());
        started.pid = engine.start(std::move(program));
        return started;
    }

    /// Whether what has been started is seen by notification.
    bool by_notification() const noexcept {
        const supervise::Locked locked{mutex_};
        return notifying_ != nullptr;
    }

    /// Takes hold of a process that runs, with all its threads. It stands still until `run`. Throws `Error` as `start`.
    void attach(pid_t process) { engine().attach(process); }

    /// The same of one thread only.
    void attach_thread(pid_t thread) { engine().attach(thread, true); }

    /// Lets a process go on untraced and unharmed: what it waited for it still waits for, signals that were on their
    /// way arrive, and one that job control has stopped stays stopped. Waits until it is let go, unless called from the
    /// callback; a thread that is within vfork(2) stops for nobody, and is let go when its child has executed or ended.
    /// Throws `Error`: ESRCH where it is not traced, ENOTSUP where it is a program that was started and is
    /// not `TraceOptions::detachable`.
    void detach(pid_t process) { engine().detach(process); }

    /// Calls `on_event(const Event&)` for what is traced, until all of that has ended or has been let go. What the
    /// callback throws ends tracing, as `stop` does, and is passed on. Throws `Error`: EBUSY where another thread does
    /// that already.
    template <class F>
    void run(F&& on_event) {
        run(sink(on_event), false);
    }

    /// The same, but also waits for what is started and attached to later: until `stop`. By ptrace(2), unless a program
    /// has been started before that is seen by notification.
    template <class F>
    void serve(F&& on_event) {
        run(sink(on_event), true);
    }

    /// Lets all that is traced go on untraced; kills what cannot (`TraceOptions::detachable`) or is not to. `run`
    /// returns then.
    void stop() {
        const supervise::Locked locked{mutex_};
        if (engine_) engine_->stop();
        if (notifying_) notifying_->stop();
    }

private:
    template <class F>
    static supervise::EventSink sink(F& on_event) noexcept {
        return {[](void* function, const Event& event) { (*static_cast<F*>(function))(event); },
                const_cast<void*>(static_cast<const void*>(&on_event))};
    }

    void run(const supervise::EventSink& sink, bool stays) {
        if (by_notification())
            notifying_->run(sink, stays);
        else
            engine().run(sink, stays);
    }

    bool can_notify() const noexcept {
        const bool wants_more = options_.results || options_.signals || options_.endings || options_.detachable ||
                                options_.follow != Follow::everything || policy_ || !options_.injections.empty() ||
                                decider_.function != nullptr;
        if (wants_more || engine_ || is_refused_) return false;
        if (options_.calls == CallSet::all()) return true;
        CallSet told = options_.calls;
        return told.remove(supervise::NotifyEngine::untold()) == options_.calls;
    }

    /// What sees by notification what is to be started; nullptr where ptrace(2) is to.
    supervise::NotifyEngine* notifying_engine() {
        const supervise::Locked locked{mutex_};
        if (!notifying_ && can_notify()) notifying_ = std::make_unique<supervise::NotifyEngine>(options_.calls);
        return notifying_.get();
    }

    supervise::PtraceEngine& engine() {
        const supervise::Locked locked{mutex_};
        if (notifying_)
            throw Error{ENOTSUP,
                        "trace what runs already: this tracer sees what it has started by notification; take "
                        "another one, or ask for results"};
        if (engine_) return *engine_;
        supervise::TraceSettings settings;
        settings.calls = options_.calls;
        settings.follow = options_.follow;
        settings.results = options_.results;
        settings.signals = options_.signals;
        settings.endings = options_.endings;
        settings.kills_at_end = options_.kills_at_end;
        settings.policy = policy_ ? &policy_->view() : nullptr;
        settings.injections = options_.injections;
        settings.decider = decider_;
        engine_ = std::make_unique<supervise::PtraceEngine>(std::move(settings));
        return *engine_;
    }

    /// The calls that stop a program that is started; none: it stops at all.
    std::vector<sock_filter> filter() const {
        filter::Selection selection;
        selection.calls = options_.calls;
        for (const Injection& injection : options_.injections) selection.calls.add(injection.calls);
        if (policy_) selection.calls.add(policy_->decided());
        if (options_.detachable || options_.follow != Follow::everything || selection.calls == CallSet::all())
            return {};
        selection.value = SECCOMP_RET_TRACE | supervise::PtraceEngine::filter_mark;
        selection.with_untraced = true;
        selection.with_foreign = policy_ != nullptr;
        return filter::select(selection);
    }

    mutable pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;  ///< of what is made when it is first needed
    TraceOptions options_;
    bool is_refused_ = false;  ///< notification: the host runs under a filter with a listener
    std::unique_ptr<supervise::TracedPolicy> policy_{};
    policy::SharedContext deciding_{};
    supervise::CallDecider decider_{};
    std::unique_ptr<supervise::PtraceEngine> engine_{};
    std::unique_ptr<supervise::NotifyEngine> notifying_{};
};

}  // namespace sysguard
