#pragma once

#include "../abi/take.hpp"
#include "descriptor.hpp"
#include "detail/clone.hpp"
#include "detail/raw_call.hpp"
#include "detail/reap.hpp"
#include "detail/setup.hpp"
#include "session.hpp"
#include "signals.hpp"
#include "worker_cgroup.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <new>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

/// Sees to it that nothing of a worker outlives the host, however the host ends. The kernel kills a worker's first
/// process with the host (PR_SET_PDEATHSIG), but not what that started: so beside a worker that may start processes, a
/// small process of the host's waits for the host's end, and then kills the worker's session. It shares the host's
/// memory, has no descriptors of the host's, and costs the same whatever the host's size. The kernel's OOM killer ends
/// it with the host.
class Guard {
public:
    Guard() noexcept = default;
    Guard(Guard&& other) noexcept : state_{abi::take(other.state_)} {}
    Guard& operator=(Guard&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~Guard() { stop(); }

    /// Ends it. To be called before the session's leader is reaped: from then on its id may be somebody else's.
    void stop() noexcept { stop(false); }

    /// Ends it, when it has killed the session: a host that has given up its ids may not. Returns whether there was
    /// one.
    bool kill_and_stop() noexcept { return stop(true); }

    /// To be called before there is a session. `in_groups`: see `kill_session`. `cgroup`: the worker's, if it has one;
    /// the guard kills what is in it and removes it, too. Returns 0 or an errno.
    int start(bool in_groups, const WorkerCgroup& cgroup = {}) noexcept {
        state_ = new (std::nothrow) State;
        if (state_ == nullptr) return ENOMEM;
        state_->in_groups = in_groups;
        if (cgroup) {
            state_->cgroup_kill = cgroup.kill_file();
            state_->cgroup_parent = cgroup.parent();
            __builtin_memcpy(state_->cgroup_name, cgroup.name(), sizeof state_->cgroup_name);
            std::snprintf(state_->cgroup_inside, sizeof state_->cgroup_inside, "%s/%s", cgroup.name(),
                          WorkerCgroup::inside_name);
        }
        state_->bell.reset(above_streams(::eventfd(0, EFD_CLOEXEC)));
        if (!state_->bell) return errno;
        const Descriptor host{above_streams(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)))};
        if (!host) return errno;
        state_->host = host.get();
        detail::CloneArguments arguments;
        arguments.flags = CLONE_VM;
        arguments.stack = reinterpret_cast<std::uint64_t>(state_->stack);
        arguments.stack_size = sizeof state_->stack;
        {
            const SignalsBlocked blocked;  // for good, in the guard
            state_->pid = detail::start_task(arguments, wait_and_kill, state_);
        }
        return state_->pid < 0 ? static_cast<int>(-state_->pid) : 0;
    }

    /// Where the id of the session is to be written as soon as there is one, before anything in it runs that is not
    /// trusted; nullptr without a guard. It lives as long as the guard.
    pid_t* session() noexcept { return state_ != nullptr ? &state_->session : nullptr; }

    /// Another place to look for it, as long as it is not there; nullptr: none. It must live until this is said.
    void look_at(const pid_t* session) noexcept {
        if (state_ != nullptr) __atomic_store_n(&state_->elsewhere, session, __ATOMIC_RELEASE);
    }

private:
    bool stop(bool kills) noexcept {
        if (state_ == nullptr) return false;
        if (state_->pid > 0) {
            state_->must_kill = kills;
            const std::uint64_t one = 1;
            detail::raw_call(SYS_write, state_->bell.get(), &one, sizeof one);
            detail::reap_quietly(state_->pid);
        }
        delete abi::take(state_);
        return true;
    }

    struct State {
        pid_t session = 0;
        const pid_t* elsewhere = nullptr;
        bool in_groups = false;
        bool must_kill = false;
        int host = -1;
        int cgroup_kill = -1;
        int cgroup_parent = -1;
        char cgroup_name[WorkerCgroup::name_size]{};
        char cgroup_inside[WorkerCgroup::name_size + sizeof WorkerCgroup::inside_name]{};
        Descriptor bell{};  ///< rung, it ends
        long pid = -1;
        alignas(64) char stack[16384];
    };

    SYSGUARD_BARE static void wait_and_kill(void* argument) noexcept {
        auto& state = *static_cast<State*>(argument);
        detail::raw_call(SYS_setsid);
        detail::raw_call(SYS_dup3, state.host, 0, O_CLOEXEC);
        detail::raw_call(SYS_dup3, state.bell.get(), 1, O_CLOEXEC);
        const bool has_cgroup = state.cgroup_kill >= 0;
        if (has_cgroup) {
            detail::raw_call(SYS_dup3, state.cgroup_kill, 2, O_CLOEXEC);
            detail::raw_call(SYS_dup3, state.cgroup_parent, 3, O_CLOEXEC);  // what was 3 has been moved before
        }
        detail::close_gap(has_cgroup ? 4 : 2, ~0U);
        pollfd news[] = {{0, POLLIN, 0}, {1, POLLIN, 0}};
        while (detail::raw_call(SYS_ppoll, news, 2, nullptr, nullptr, 0) <= 0) {
        }
        if (news[0].revents == 0 && !state.must_kill) return;
        if (has_cgroup) detail::raw_call(SYS_write, 2, "1", 1);
        pid_t session = __atomic_load_n(&state.session, __ATOMIC_ACQUIRE);
        const pid_t* const elsewhere = __atomic_load_n(&state.elsewhere, __ATOMIC_ACQUIRE);
        if (session == 0 && elsewhere != nullptr) session = __atomic_load_n(elsewhere, __ATOMIC_ACQUIRE);
        if (session > 0 && state.must_kill) detail::raw_call(SYS_kill, session, SIGKILL);  // may have no session yet
        if (session > 0) kill_session(session, state.in_groups);
        if (has_cgroup && !state.must_kill) remove_cgroup(state);
    }

    /// Kills what is in the cgroup until that can be removed, for ten seconds at most.
    SYSGUARD_BARE static void remove_cgroup(const State& state) noexcept {
        timespec pause{0, 1'000'000};
        for (int i = 0; i < 10'000; ++i) {
            detail::raw_call(SYS_write, 2, "1", 1);
            detail::raw_call(SYS_unlinkat, 3, state.cgroup_inside, AT_REMOVEDIR);
            if (detail::raw_call(SYS_unlinkat, 3, state.cgroup_name, AT_REMOVEDIR) != -EBUSY) return;
            detail::raw_call(SYS_nanosleep, &pause, nullptr);
        }
    }

    State* state_ = nullptr;
};

}  // namespace sysguard::process
