#pragma once

#include "../../abi/error.hpp"
#include "../../process/bell.hpp"
#include "../../process/held_program.hpp"
#include "../../process/signals.hpp"
#include "../line.hpp"
#include "../trace_settings.hpp"
#include "detail/requests.hpp"
#include "detail/tracee.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pthread.h>
#include <sys/types.h>
#include <sys/wait.h>

namespace sysguard::supervise {

/// Traces by ptrace(2). All requests are made by one thread of the engine's own, which has no children but those that
/// it traces and its bell: so it can wait for any of them (wait4 with __WNOTHREAD) and takes no child from the host.
/// Its public functions may be called by any thread, also from the callback that gets the events.
class PtraceEngine {
public:
    explicit PtraceEngine(TraceSettings settings) : settings_{std::move(settings)} {
        watches_calls_ = !settings_.calls.is_empty() || settings_.policy != nullptr || !settings_.injections.empty() ||
                         settings_.decider.function != nullptr;
        tampers_ =
            settings_.policy != nullptr || !settings_.injections.empty() || settings_.decider.function != nullptr;
        follows_processes_ = settings_.follow == Follow::everything;
    }
    PtraceEngine(const PtraceEngine&) = delete;
    PtraceEngine& operator=(const PtraceEngine&) = delete;

    /// Lets all tracees go, as `stop` does, and waits for that.
    ~PtraceEngine() {
        stop();
        join();
    }

    /// Starts a program. It stands before its execve until events are taken. Returns its id. Throws `Error`.
    pid_t start(std::unique_ptr<process::HeldProgram> program) {
        Job job{Job::to_start};
        job.program = std::move(program);
        ask(job);
        return job.process;
    }

    /// Takes hold of all threads of a process, or of one thread only. They stand still until events are taken. Throws
    /// `Error`.
    void attach(pid_t process, bool only_thread = false) {
        Job job{Job::to_attach};
        job.process = process;
        job.only_thread = only_thread;
        ask(job);
    }

    /// Lets a process go on without being traced. Waits until it does, unless called from the callback. Throws `Error`:
    /// ESRCH where it is not traced, ENOTSUP where it has a filter that needs a tracer.
    void detach(pid_t process) {
        Job job{Job::to_detach};
        job.process = process;
        ask(job);
    }

    /// Takes events until there is nothing to trace any more, or, with `stays`, until `stop`. Lets pass what the sink
    /// throws, after all tracees have been let go. Throws `Error`.
    void run(const EventSink& sink, bool stays = false) {
        Job job{Job::to_run};
        job.sink = sink;
        job.stays = stays;
        ask(job);
        if (job.stopped) join();
        if (job.thrown) std::rethrow_exception(job.thrown);
    }

    /// Lets all tracees go on without being traced; those that cannot, as they have a filter, are killed, as are those
    /// that are to end with the tracer. `run` returns when that is done.
    void stop() noexcept {
        const Locked locked{mutex_};
        must_stop_ = true;
        ::pthread_cond_signal(&has_job_);
        bell_.ring();
    }

    /// The settings' filter value for programs that are started (SECCOMP_RET_TRACE's data).
    static constexpr std::uint32_t filter_mark = 0x5347;

private:
    struct Job {
        enum Kind : std::uint8_t { to_start, to_attach, to_detach, to_run };
        explicit Job(Kind of) noexcept : kind{of} {}

        Kind kind;
        bool only_thread = false;
        bool stays = false;
        bool stopped = false;
        bool is_done = false;
        pid_t process = 0;
        EventSink sink{};
        std::unique_ptr<process::HeldProgram> program{};
        std::optional<Error> failure{};
        std::exception_ptr thrown{};
        Job* next = nullptr;
    };

    struct Starting {
        pid_t process;
        std::unique_ptr<process::HeldProgram> program;
    };

    static std::int64_t now() noexcept {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    }

    bool runs_here() noexcept {
        const Locked locked{mutex_};
        return is_there_ && ::pthread_equal(thread_, ::pthread_self()) != 0;
    }

    /// Has a job done by the engine's thread. Throws what that says.
    void ask(Job& job) {
        if (runs_here()) {
            if (job.kind == Job::to_run) throw Error{EDEADLK, "trace: from the callback that gets the events"};
            do_job(job);
        } else {
            const Locked locked{mutex_};
            ensure_thread();
            Job** last = &jobs_;
            while (*last != nullptr) last = &(*last)->next;
            *last = &job;
            ::pthread_cond_signal(&has_job_);
            bell_.ring();
            while (!job.is_done) ::pthread_cond_wait(&job_done_, &mutex_);
        }
        if (job.failure) throw Error{*job.failure};
    }

    /// With the mutex.
    void ensure_thread() {
        if (is_there_ && !has_ended_) return;
        if (is_there_) ::pthread_join(thread_, nullptr);
        is_there_ = has_ended_ = must_stop_ = false;
        const process::HandlersBlocked blocked;
        const int error = ::pthread_create(&thread_, nullptr, serve_in_thread, this);
        if (error != 0) throw Error{error, "start the thread that traces"};
        is_there_ = true;
    }

    void join() noexcept {
        const Locked locked{mutex_};
        while (is_there_ && !has_ended_) ::pthread_cond_wait(&job_done_, &mutex_);
        if (is_there_) ::pthread_join(thread_, nullptr);
        is_there_ = false;
    }

    static void* serve_in_thread(void* self) noexcept {
        static_cast<PtraceEngine*>(self)->serve();
        return nullptr;
    }

    void answer(Job& job) noexcept {
        const Locked locked{mutex_};
        job.is_done = true;
        ::pthread_cond_broadcast(&job_done_);
    }

    Job* take_job() noexcept {
        const Locked locked{mutex_};
        Job* const job = jobs_;
        if (job != nullptr) jobs_ = std::exchange(job->next, nullptr);
        return job;
    }

    bool must_stop() noexcept {
        const Locked locked{mutex_};
        return must_stop_;
    }

    /// The engine's thread. It ends when all tracees have been let go.
    void serve() noexcept {
        for (bool ends = false; !ends;) {
            {
                const Locked locked{mutex_};
                while (jobs_ == nullptr && !must_stop_) ::pthread_cond_wait(&has_job_, &mutex_);
            }
            Job* const job = take_job();
            Job nobody{Job::to_run};
            is_for_nobody_ = job == nullptr || job->kind != Job::to_run;
            if (job == nullptr || job->kind == Job::to_run) {
                loop(job != nullptr ? *job : nobody);
            } else {
                do_job(*job);
                nobody.process = job->process;
                if (job->kind == Job::to_detach && !job->failure && traces(job->process)) loop(nobody);
            }
            const Locked locked{mutex_};
            ends = must_stop_;
            finish(job, ends);
            if (Job* const next = std::exchange(waiting_, nullptr); next != nullptr) {
                next->next = jobs_;
                jobs_ = next;
            }
            if (!ends) continue;
            while (jobs_ != nullptr) {
                Job* const late = std::exchange(jobs_, jobs_->next);
                if (late->kind != Job::to_run) late->failure = Error{ECANCELED, "trace: the tracer has been stopped"};
                finish(late, true);
            }
            has_ended_ = true;
        }
    }

    /// With the mutex.
    void finish(Job* job, bool stopped) noexcept {
        if (job != nullptr) job->stopped = stopped;
        if (job != nullptr) job->is_done = true;
        ::pthread_cond_broadcast(&job_done_);
    }

    /// Of one that waits for an answer, or from the callback.
    void do_job(Job& job) noexcept {
        try {
            switch (job.kind) {
                case Job::to_start: start_here(job); break;
                case Job::to_attach: attach_here(job.process, job.only_thread); break;
                case Job::to_detach: detach_here(job.process); break;
                case Job::to_run: throw Error{EBUSY, "trace: somebody takes the events already"};
            }
        } catch (const Error& error) {
            job.failure = error;
        } catch (const std::bad_alloc&) {
            job.failure = Error{ENOMEM, "trace"};
        }
    }

    // In detail/loop.hpp.
    inline void loop(Job& job) noexcept;
    inline pid_t wait(int& status, bool polls) noexcept;
    inline void serve_jobs() noexcept;
    inline void finish_detaching() noexcept;
    inline void let_all_go() noexcept;
    inline bool traces(pid_t process) noexcept;
    inline void release_due() noexcept;
    inline void adopt_due() noexcept;
    inline void release(Tracee& tracee) noexcept;
    inline std::int64_t next_release() noexcept;

    // In detail/attaching.hpp.
    inline void start_here(Job& job);
    inline void attach_here(pid_t process, bool only_thread);
    inline void detach_here(pid_t process);
    inline void adopt(Tracee& newcomer) noexcept;
    inline void leave(Tracee& tracee) noexcept;
    inline void kill_family(const Tracee& tracee) noexcept;
    std::uint32_t options(bool with_filter, bool kills) const noexcept {
        using namespace ptracing;
        std::uint32_t bits = marks_calls | with_exec;
        if (settings_.follow == Follow::everything) bits |= with_fork | with_vfork;
        if (settings_.follow != Follow::nothing) bits |= with_clone;
        if (settings_.endings) bits |= with_exit;
        if (with_filter) bits |= with_seccomp;
        if (kills) bits |= kills_at_end;
        return bits;
    }

    // In detail/stops.hpp.
    inline void handle(pid_t thread, int status);
    inline void tell_attached(Tracee& tracee) noexcept;
    inline void on_stop(Tracee& tracee, const ptracing::StopStatus& stop);
    inline void on_trap(Tracee& tracee, int signal);
    inline void on_child(Tracee& tracee, ptracing::Stop stop);
    inline void on_exec(Tracee& tracee);
    inline void on_signal(Tracee& tracee, int signal);
    inline void on_end(Tracee& tracee, int status);
    inline void go_on(Tracee& tracee, int signal = 0) noexcept;
    inline void let_go(Tracee& tracee, int signal) noexcept;
    inline void forget(Tracee& tracee) noexcept;
    static inline Event event_of(const Tracee& tracee, Event::Kind kind) noexcept;
    inline void emit(Event& event) noexcept;

    // In detail/calls.hpp.
    inline void on_call(Tracee& tracee);
    inline void on_filter(Tracee& tracee);
    inline void on_entry(Tracee& tracee, const ptracing::CallInfo& info, bool asks_another = false);
    inline void on_return(Tracee& tracee, const ptracing::CallInfo& info);
    inline void decide(Tracee& tracee, bool is_chosen, bool is_unknown_abi);
    inline void guard_child(Tracee& tracee);
    inline void apply(Tracee& tracee);
    static inline int change_arguments(const Tracee& tracee, bool back) noexcept;
    inline void note_escape(Tracee& tracee);
    inline void hold(Tracee& tracee, Tracee::Hold how, std::int64_t time) noexcept;

    TraceSettings settings_;
    bool watches_calls_ = false;
    bool tampers_ = false;
    bool follows_processes_ = false;

    // The engine's thread's.
    TraceeTable table_{};
    std::vector<Starting> starting_{};
    EventSink sink_{};
    std::exception_ptr thrown_{};
    Job* detaching_ = nullptr;
    Job* waiting_ = nullptr;
    bool is_for_nobody_ = false;  ///< what goes on: no events are taken
    std::size_t newcomers_ = 0;
    std::size_t held_ = 0;
    int blind_waits_ = 0;  ///< that many times it waits without looking first
    bool is_letting_go_ = false;
    bool has_filtered_ = false;    ///< some program has been started with a filter
    std::vector<pid_t> doomed_{};  ///< roots whose processes are killed
    process::Bell bell_{};

    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t has_job_ = PTHREAD_COND_INITIALIZER;
    pthread_cond_t job_done_ = PTHREAD_COND_INITIALIZER;
    pthread_t thread_{};
    bool is_there_ = false;
    bool has_ended_ = false;
    bool must_stop_ = false;
    Job* jobs_ = nullptr;
};

}  // namespace sysguard::supervise

#include "detail/attaching.hpp"
#include "detail/calls.hpp"
#include "detail/loop.hpp"
#include "detail/stops.hpp"
