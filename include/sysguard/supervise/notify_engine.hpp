#pragma once

#include "../abi/call_set.hpp"
#include "../abi/error.hpp"
#include "../filter/select.hpp"
#include "../process/child.hpp"
#include "../process/confinement.hpp"
#include "../process/descriptor.hpp"
#include "../process/launch.hpp"
#include "../process/order.hpp"
#include "../process/session.hpp"
#include "../process/start_program.hpp"
#include "event.hpp"
#include "line.hpp"
#include "listener.hpp"
#include "remote_descriptor.hpp"
#include "trace_settings.hpp"

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::supervise {

/// Traces by seccomp user notification: programs that it starts, the entries of chosen calls, no results, at a fraction
/// of what ptrace(2) costs. A program starts as a sandbox's worker does, in a session of its own, and ends with the
/// thread that starts it; its policy is that everything is allowed. Any thread may call its functions, one at a time
/// `run`, in whose thread events are told of. Linux 5.5 (SECCOMP_USER_NOTIF_FLAG_CONTINUE).
class NotifyEngine {
public:
    /// Calls that are not told of: those that a thread ends itself by, and those that must not be interrupted while
    /// they wait to be told of, as a signal can do: nobody starts them again.
    static constexpr abi::CallSet untold() noexcept {
        return {sys::exit,  sys::exit_group, sys::rt_sigreturn, sys::restart_syscall, sys::futex,
                sys::close, sys::fork,       sys::vfork,        sys::clone,           sys::clone3};
    }

    /// Throws `Error`.
    explicit NotifyEngine(abi::CallSet calls)
        : filter_{filter_of(calls.remove(untold()))},
          confinement_{policy::View{nullptr, 0, nullptr, {Action::allow}, {Action::allow}, {}, nullptr},
                       {filter_.data(), filter_.size()},
                       Options{}},
          epoll_{process::above_streams(::epoll_create1(EPOLL_CLOEXEC))},
          bell_{process::above_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))} {
        epoll_event event{};
        event.events = EPOLLIN;
        if (!epoll_ || !bell_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell_.get(), &event) != 0)
            throw Error{errno, "make a tracer"};
    }
    NotifyEngine(const NotifyEngine&) = delete;
    NotifyEngine& operator=(const NotifyEngine&) = delete;

    /// Kills the programs that still run, with all that they have started.
    ~NotifyEngine() {
        for (const auto& program : programs_) end(*program);
    }

    /// What a start has brought: the id, and the host's ends of pipes.
    struct Started {
        pid_t pid;
        process::Descriptor input;
        process::Descriptor output;
        process::Descriptor error;
    };

    /// Starts a program. It waits at the first call that is to be told of until `run`. Throws `Error`: EBUSY where the
    /// host itself runs under a filter with a listener.
    Started start(std::vector<std::string> command, const Launch& launch) {
        for (const Stdio* const stream : {&launch.output, &launch.error})
            if (stream->kind() == Stdio::Kind::captured)
                throw Error{EINVAL, "capture the output of a program that is traced: take a pipe, and read that"};
        const std::string name = command.empty() ? "" : command.front();
        auto program = std::make_unique<Program>();
        process::Child& child = program->child;
        {
            process::Order order = process::Order::program(confinement_, std::move(command), launch, child);
            process::start_program(order.plan(), child);
            order.finish_start();
        }
        if (!child.started())
            throw Error{child.failure.error, "start " + name + ": " + process::name(child.failure.step)};
        if (const int error = program->listener.open(std::move(child.listener)); error != 0)
            throw Error{error, "open the listener of a program that is traced"};
        Started started{child.pid, std::move(child.input), std::move(child.output), std::move(child.error)};
        {
            const Locked locked{mutex_};
            listen(program->listener.fd(), program->calls);
            listen(child.pidfd.get(), program->end);
            programs_.push_back(std::move(program));
        }
        ring();
        return started;
    }

    /// Tells of what happens until the programs, and all that they have started, have ended, or, with `stays`, until
    /// `stop`. Lets pass what the sink throws, after all have been killed. Throws `Error` EBUSY.
    void run(const EventSink& sink, bool stays = false) {
        if (__atomic_exchange_n(&is_run_, true, __ATOMIC_ACQ_REL))
            throw Error{EBUSY, "trace: somebody takes the events already"};
        struct Leaving {
            bool& is_run;
            ~Leaving() { __atomic_store_n(&is_run, false, __ATOMIC_RELEASE); }
        } const leaving{is_run_};
        try {
            while (serve(sink, stays)) {
            }
        } catch (...) {
            end_all(EventSink{});
            throw;
        }
    }

    /// Kills all programs with all that they have started. `run` returns then. Any thread.
    void stop() noexcept {
        __atomic_store_n(&must_stop_, true, __ATOMIC_RELEASE);
        ring();
    }

private:
    struct Program;
    struct Source {
        Program* program;
        bool brings_calls;
    };
    struct Program {
        process::Child child{};
        Listener listener{};
        Source calls{this, true};
        Source end{this, false};
        bool is_told = false;    ///< that it runs
        bool has_ended = false;  ///< its first process
    };

    void ring() noexcept {
        const std::uint64_t one = 1;
        while (::write(bell_.get(), &one, sizeof one) < 0 && errno == EINTR) {
        }
    }

    /// Waits for something to serve. Returns nullptr where the bell rang. One program is waited for directly: then a
    /// call wakes this on the processor that it was made on, which an epoll does not.
    Source* wait(std::uint32_t& events) {
        Program* only = nullptr;
        {
            const Locked locked{mutex_};
            if (programs_.size() == 1) only = programs_.front().get();
        }
        if (only == nullptr) {
            epoll_event event{};
            while (::epoll_wait(epoll_.get(), &event, 1, -1) <= 0) {
            }
            events = event.events;
            return static_cast<Source*>(event.data.ptr);
        }
        pollfd news[] = {{only->listener.fd(), POLLIN, 0},
                         {only->has_ended ? -1 : only->child.pidfd.get(), POLLIN, 0},
                         {bell_.get(), POLLIN, 0}};
        while (::poll(news, 3, -1) <= 0) {
        }
        if (news[2].revents != 0) return nullptr;
        const bool is_call = news[0].revents != 0;
        events = static_cast<std::uint32_t>(news[is_call ? 0 : 1].revents);
        return is_call ? &only->calls : &only->end;
    }

    static std::vector<sock_filter> filter_of(const abi::CallSet& calls) {
        return filter::select({calls, SECCOMP_RET_USER_NOTIF, false, false});
    }

    void listen(int fd, Source& source) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &source;
        if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            throw Error{errno, "watch a program that is traced"};
    }

    static void emit(const EventSink& sink, Event& event) {
        ::clock_gettime(CLOCK_REALTIME, &event.time);
        if (sink.function != nullptr) sink.function(sink.context, event);
    }

    /// Returns whether there is more to come.
    bool serve(const EventSink& sink, bool stays) {
        {
            const Locked locked{mutex_};
            if (programs_.empty() && !stays) return false;
        }
        std::uint32_t events = 0;
        const Source* const source = wait(events);
        if (source == nullptr) {
            std::uint64_t count = 0;
            static_cast<void>(::read(bell_.get(), &count, sizeof count) + 1);
            if (!__atomic_exchange_n(&must_stop_, false, __ATOMIC_ACQ_REL)) return true;
            end_all(sink);
            return false;
        }
        Program& program = *source->program;
        if (!std::exchange(program.is_told, true)) {
            Event executed;
            executed.kind = Event::Kind::executed;
            executed.thread = executed.process = executed.former = program.child.pid;
            emit(sink, executed);
        }
        if (!source->brings_calls)
            tell_end(sink, program);
        else if ((events & POLLIN) != 0)
            serve_call(sink, program);
        else
            finish(sink, program);  // no task has the filter any more
        return true;
    }

    void serve_call(const EventSink& sink, Program& program) {
        const seccomp_notif* const request = program.listener.receive();
        if (request == nullptr) return;
        const std::uint64_t id = request->id;
        Event event;
        event.kind = Event::Kind::entered;
        event.thread = static_cast<pid_t>(request->pid);
        event.process = group_of(event.thread);
        TracedCall& call = event.call;
        call.thread = event.thread;
        call.process = event.process;
        call.number = request->data.nr;
        call.instruction_pointer = request->data.instruction_pointer;
        for (int i = 0; i < abi::max_arguments; ++i) call.arguments[i] = request->data.args[i];
        if (request->data.arch == abi::audit_architecture(abi::compat_abi)) {
            call.abi = abi::compat_abi;
        } else if (request->data.arch != abi::audit_architecture(abi::native_abi)) {
            call.number = -1;
        } else if (abi::native_abi == abi::Abi::x86_64 && call.number > 0 &&
                   (static_cast<std::uint32_t>(call.number) & abi::x32_bit) != 0) {
            call.is_x32 = true;
            call.number = static_cast<int>(static_cast<std::uint32_t>(call.number) & ~abi::x32_bit);
        }
        emit(sink, event);
        program.listener.proceed(id);
    }

    /// The process of a thread that waits for its answer. Mostly it is the thread's own, or that of the thread before.
    pid_t group_of(pid_t thread) noexcept {
        const auto has = [&](pid_t process) {
            return ::syscall(SYS_tgkill, process, thread, 0) == 0 || errno != ESRCH;
        };
        if (thread <= 0) return 0;
        if (has(thread)) return thread;
        if (last_process_ > 0 && has(last_process_)) return last_process_;
        const pid_t process = process_of(thread);
        return last_process_ = process > 0 ? process : 0;
    }

    void tell_end(const EventSink& sink, Program& program) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, program.child.pidfd.get(), nullptr);
        if (std::exchange(program.has_ended, true)) return;
        siginfo_t info{};
        ::syscall(SYS_waitid, P_PIDFD, program.child.pidfd.get(), &info, WEXITED | WNOWAIT | __WALL, nullptr);
        Event event;
        event.kind = info.si_code == CLD_EXITED ? Event::Kind::exited : Event::Kind::killed;
        event.thread = event.process = program.child.pid;
        (info.si_code == CLD_EXITED ? event.status : event.signal) = info.si_status;
        emit(sink, event);
    }

    /// No task of it is left that could be told of.
    void finish(const EventSink& sink, Program& program) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, program.listener.fd(), nullptr);
        program.listener.close();
        tell_end(sink, program);
        end(program);
        const Locked locked{mutex_};
        std::erase_if(programs_, [&](const auto& other) { return other.get() == &program; });
    }

    static void end(Program& program) noexcept {
        if (program.child.pid < 0) return;
        constexpr bool with_groups = true;
        program.child.kill();
        process::kill_session(program.child.pid, with_groups);
        if (process::adopts_orphans()) process::reap_members(program.child.pid);
        program.child.guard.stop();
        program.child.wait();
    }

    void end_all(const EventSink& sink) {
        for (;;) {
            Program* program = nullptr;
            {
                const Locked locked{mutex_};
                if (programs_.empty()) return;
                program = programs_.back().get();
            }
            program->child.kill();
            finish(sink, *program);
        }
    }

    std::vector<sock_filter> filter_;
    process::Confinement confinement_;
    process::Descriptor epoll_;
    process::Descriptor bell_;
    pid_t last_process_ = 0;
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    std::vector<std::unique_ptr<Program>> programs_{};
    bool is_run_ = false;
    bool must_stop_ = false;
};

}  // namespace sysguard::supervise
