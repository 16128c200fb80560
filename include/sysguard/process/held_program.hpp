#pragma once

#include "../abi/error.hpp"
#include "block.hpp"
#include "child.hpp"
#include "detail/clone.hpp"
#include "detail/plan.hpp"
#include "detail/reap.hpp"
#include "detail/setup.hpp"
#include "detail/streams.hpp"
#include "launch.hpp"
#include "signals.hpp"

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <linux/filter.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

/// A program that stops just before it is executed, so that a tracer can take hold of it there. It is no worker: it
/// stays in the host's session and is held to nothing. It begins in the host's memory, so that the start costs the same
/// whatever the host's size. This must live until it has been executed, or has ended.
class HeldProgram {
public:
    /// `filter`: installed just before it is executed, with no_new_privs; empty: none. `ends_with_thread`: the kernel
    /// kills it when the thread that starts it ends. Throws `Error` for what the host got wrong.
    HeldProgram(std::vector<std::string> command, const Launch& launch, std::vector<sock_filter> filter,
                bool ends_with_thread)
        : command_{std::move(command)},
          environment_{launch.environment},
          directory_{launch.directory},
          filter_{std::move(filter)},
          ends_with_thread_{ends_with_thread},
          streams_{checked(command_, launch), child_, false} {
        argv_ = pointers(command_);
        envp_ = pointers(environment_);
        if (directory_.find('\0') != std::string::npos)
            throw Error{EINVAL, "enter a working directory: a path with a zero byte in it would be cut"};
        streams_.enter(plan_);
        plan_.directory = directory_.empty() ? nullptr : directory_.c_str();
        plan_.umask = launch.umask;
        plan_.host = ::getpid();
        plan_.path = command_.front().c_str();
        plan_.argv = argv_.data();
        plan_.envp = envp_.data();
        plan_.filter = filter_.empty() ? nullptr : filter_.data();
        plan_.filter_size = filter_.size();
    }
    HeldProgram(const HeldProgram&) = delete;
    HeldProgram& operator=(const HeldProgram&) = delete;

    /// Starts it as a child of the calling thread, and waits until it holds still. Returns its id. Throws `Error`, with
    /// the step that failed: a program that is not there or not executable is noticed here.
    pid_t start() {
        detail::CloneArguments arguments;
        arguments.flags = CLONE_VM | CLONE_CHILD_CLEARTID;
        arguments.child_tid = reinterpret_cast<std::uint64_t>(&state_);
        arguments.exit_signal = SIGCHLD;
        arguments.stack = reinterpret_cast<std::uint64_t>(stack_);
        arguments.stack_size = sizeof stack_;
        long pid = 0;
        {
            const SignalsBlocked blocked;
            state_ = starting;
            pid = detail::start_task(arguments, become_program, this);
        }
        if (pid < 0) throw Error{static_cast<int>(-pid), std::string{"start a program: "} + name(Step::create)};
        while (__atomic_load_n(&state_, __ATOMIC_ACQUIRE) == starting)
            detail::raw_call(SYS_futex, &state_, FUTEX_WAIT, starting, nullptr);
        streams_.close_worker_ends();
        if (__atomic_load_n(&state_, __ATOMIC_ACQUIRE) == holding) return static_cast<pid_t>(pid);
        detail::reap_quietly(pid);
        const StartFailure& failure = plan_.failure;
        throw Error{failure.step != Step::none ? failure.error : ECANCELED,
                    "start " + command_.front() + ": " + name(failure.step)};
    }

    /// Lets it go on to be executed.
    void release() noexcept {
        __atomic_store_n(&gate_, 1, __ATOMIC_RELEASE);
        detail::raw_call(SYS_futex, &gate_, FUTEX_WAKE, 1);
    }

    bool has_filter() const noexcept { return !filter_.empty(); }

    /// The host's ends of pipes.
    Descriptor& input() noexcept { return child_.input; }
    Descriptor& output() noexcept { return child_.output; }
    Descriptor& error() noexcept { return child_.error; }

private:
    static constexpr int starting = 1;  ///< as is 0, when it has been executed or has ended: the kernel clears that
    static constexpr int holding = 2;

    static const Launch& checked(const std::vector<std::string>& command, const Launch& launch) {
        if (command.empty() || command.front().empty()) throw Error{EINVAL, "start a program: the command is empty"};
        for (const Stdio* const stream : {&launch.output, &launch.error})
            if (stream->kind() == Stdio::Kind::captured)
                throw Error{EINVAL, "capture the output of a program that is traced: take a pipe, and read that"};
        return launch;
    }

    static Block<char*> pointers(std::vector<std::string>& strings) {
        Block<char*> list{strings.size() + 1};
        std::size_t at = 0;
        for (std::string& string : strings) {
            if (string.find('\0') != std::string::npos)
                throw Error{EINVAL, "start a program: a string with a zero byte in it would be cut"};
            list[at++] = string.data();
        }
        return list;
    }

    /// Runs as the program, in the host's memory.
    SYSGUARD_BARE static void become_program(void* argument) noexcept {
        using detail::check, detail::raw_call;
        auto& self = *static_cast<HeldProgram*>(argument);
        detail::Plan& plan = self.plan_;
        if (!check(plan, Step::parent, detail::tie_to_host(plan)) ||
            !check(plan, Step::descriptors, detail::place_descriptors(plan)))
            return;
        if (plan.directory != nullptr && !check(plan, Step::directory, raw_call(SYS_chdir, plan.directory))) return;
        raw_call(SYS_umask, plan.umask);
        if (!check(plan, Step::signals, detail::reset_signals())) return;
        constexpr int executable = 1;  // X_OK
        if (!check(plan, Step::execute, raw_call(SYS_faccessat, AT_FDCWD, plan.path, executable))) return;
        __atomic_store_n(&self.state_, holding, __ATOMIC_RELEASE);
        raw_call(SYS_futex, &self.state_, FUTEX_WAKE, 1);
        while (__atomic_load_n(&self.gate_, __ATOMIC_ACQUIRE) == 0)
            raw_call(SYS_futex, &self.gate_, FUTEX_WAIT, 0, nullptr);
        if (!self.ends_with_thread_) raw_call(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
        if (plan.filter != nullptr) {
            const sock_fprog program{static_cast<unsigned short>(plan.filter_size), plan.filter};
            if (!check(plan, Step::no_new_privs, raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) ||
                !check(plan, Step::filter, raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)))
                raw_call(SYS_exit_group, 127);
        }
        check(plan, Step::execute, raw_call(SYS_execve, plan.path, plan.argv, plan.envp));
        raw_call(SYS_exit_group, 127);
    }

    std::vector<std::string> command_;
    std::vector<std::string> environment_;
    std::string directory_;
    std::vector<sock_filter> filter_;
    bool ends_with_thread_;
    Child child_{};  ///< holds the host's ends; never has the process
    detail::Streams streams_;
    Block<char*> argv_{};
    Block<char*> envp_{};
    detail::Plan plan_{};
    int state_ = 0;  ///< futex
    int gate_ = 0;   ///< futex
    alignas(64) char stack_[16384];
};

}  // namespace sysguard::process
