#pragma once

#include "../abi/error.hpp"
#include "child.hpp"
#include "detail/become_init.hpp"
#include "detail/clone.hpp"
#include "detail/courier.hpp"
#include "detail/host_facts.hpp"
#include "detail/reap.hpp"
#include "detail/setup.hpp"
#include "detail/shared_memory.hpp"
#include "dumpable.hpp"
#include "signals.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

namespace detail {

/// The stacks of the tasks that start a program. The host's own stack holds them: the host waits meanwhile.
struct StartStacks {
    alignas(64) char program[16384];
    alignas(64) char courier[16384];
    alignas(64) char init[16384];
    alignas(64) char mapper[4096];
};

/// A program on its way: the plan, and what the tasks of its start need.
struct ProgramStart {
    Plan* plan = nullptr;
    StartStacks* stacks = nullptr;
    CloneArguments arguments{};
    CloneArguments program{};  ///< of the first process of a pid namespace
    int pidfd = -1;
    long pid = -1;
    bool is_inside = false;  ///< of its cgroup from the start
};

/// Of the worker.
SYSGUARD_BARE inline bool is_in_cgroup(ProgramStart& start) noexcept {
    return start.is_inside || check(*start.plan, Step::cgroup, enter_cgroup(start.plan->cgroup));
}

/// Runs as the worker, tied to the host, in its namespaces, until its program takes over.
SYSGUARD_BARE inline void confine_and_execute(Plan& plan) noexcept {
    if (check(plan, Step::timer, end_in_time(plan)) && confine(plan)) {
        const long listener = install_filter(plan, plan.wants_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
        if (check(plan, Step::filter, listener)) {
            plan.listener = static_cast<int>(listener);
            check(plan, Step::execute, raw_call(SYS_execve, plan.path, plan.argv, plan.envp, 0, 0, plan.pass));
        }
    }
    raw_call(SYS_exit_group, 127);
}

/// Sets up namespaces in the host's memory, which nobody may look into from there.
SYSGUARD_BARE inline bool furnish_in_host(Plan& plan) noexcept {
    const CredentialPlan& credentials = plan.credentials;
    const bool hides_first = credentials.owns_root_files;
    if (hides_first && !check(plan, Step::namespaces, hide_memory(credentials))) return false;
    if (!furnish(plan)) return false;
    if (!hides_first && !check(plan, Step::namespaces, hide_memory(credentials))) return false;
    return furnish_mounts(plan);
}

/// Runs as the worker in its pid namespace, where its parent is the first process: nothing that is not trusted may run
/// before that has left the host's memory. What ends that ends this.
SYSGUARD_BARE inline void become_program_of_init(void* start) noexcept {
    Plan& plan = *static_cast<ProgramStart*>(start)->plan;
    while (__atomic_load_n(&plan.init_alive, __ATOMIC_ACQUIRE) != 0)
        raw_call(SYS_futex, &plan.init_alive, FUTEX_WAIT, 1, nullptr);
    confine_and_execute(plan);
}

/// Runs as the first process of a pid namespace, the worker's descriptors in place: sets up the worker's namespaces,
/// starts the worker, and becomes a program of its own.
SYSGUARD_BARE inline void become_init(void* argument) noexcept {
    auto& start = *static_cast<ProgramStart*>(argument);
    Plan& plan = *start.plan;
    plan.init_alive = 1;
    raw_call(SYS_set_tid_address, &plan.init_alive);
    if (check(plan, Step::parent, tie_to_host_outside(plan)) && check(plan, Step::session, raw_call(SYS_setsid)) &&
        furnish_in_host(plan) &&
        check(plan, Step::parent, tie_to_host_outside(plan))) {  // a change of ids unties it (prctl(2))
        constexpr pid_t own = 1;
        plan.host = own;
        plan.program_alive = 1;
        start.program = {};
        start.program.flags = CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID;
        start.program.child_tid = reinterpret_cast<std::uint64_t>(&plan.program_alive);
        start.program.exit_signal = SIGCHLD;
        start.program.stack = reinterpret_cast<std::uint64_t>(start.stacks->program);
        start.program.stack_size = sizeof start.stacks->program;
        const long program = start_task(start.program, become_program_of_init, argument);
        if (program < 0) plan.program_alive = 0;
        constexpr long second = 2;  // the one whose end the first process waits for
        if (check(plan, Step::create, program == second || program < 0 ? program : -EAGAIN))
            check(plan, Step::init, execute_init(plan, plan.status));
    }
    raw_call(SYS_exit_group, 127);
}

/// Runs as the worker, its descriptors in place, until its program takes over.
SYSGUARD_BARE inline void become_program(void* start) noexcept {
    Plan& plan = *static_cast<ProgramStart*>(start)->plan;
    if (plan.init >= 0) return become_init(start);
    if (plan.guarded_session != nullptr)
        __atomic_store_n(plan.guarded_session, static_cast<pid_t>(raw_call(SYS_getpid)), __ATOMIC_RELEASE);
    if (check(plan, Step::parent, tie_to_host(plan)) && (plan.world == nullptr || furnish_in_host(plan)))
        confine_and_execute(plan);
    raw_call(SYS_exit_group, 127);
}

SYSGUARD_BARE inline void place_and_become_program(void* start) noexcept {
    Plan& plan = *static_cast<ProgramStart*>(start)->plan;
    if (!is_in_cgroup(*static_cast<ProgramStart*>(start))) return;
    if (check(plan, Step::descriptors, place_descriptors(plan))) become_program(start);
}

/// Runs as the worker that a courier started. Its cgroup is closed, to both.
SYSGUARD_BARE inline void enter_and_become_program(void* start) noexcept {
    const Plan& plan = *static_cast<ProgramStart*>(start)->plan;
    if (!is_in_cgroup(*static_cast<ProgramStart*>(start))) return;
    if (plan.cgroup >= 0) raw_call(SYS_close, plan.cgroup);
    become_program(start);
}

/// Starts the worker, or the first process of its pid namespace, with one to map its ids beside it. Returns its id when
/// its program has taken over, or a negative errno.
SYSGUARD_BARE inline long start_worker(ProgramStart& start, std::uint64_t flags, Entry entry, void* stack,
                                       std::uint64_t stack_size) noexcept {
    Plan& plan = *start.plan;
    const long mapper = start_mapper(plan, start.stacks->mapper, sizeof start.stacks->mapper);
    if (mapper < 0) return mapper;
    start.arguments = {};
    start.arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID | flags;
    if (plan.world != nullptr) start.arguments.flags |= plan.world->flags;
    start.arguments.parent_tid = reinterpret_cast<std::uint64_t>(&plan.outer_pid);
    start.arguments.pidfd = reinterpret_cast<std::uint64_t>(&start.pidfd);
    start.arguments.stack = reinterpret_cast<std::uint64_t>(stack);
    start.arguments.stack_size = stack_size;
    const long worker = start_task_in(plan.cgroup, start.is_inside, start.arguments, entry, &start);
    end_mapper(plan, mapper);
    while (__atomic_load_n(&plan.program_alive, __ATOMIC_ACQUIRE) != 0)
        raw_call(SYS_futex, &plan.program_alive, FUTEX_WAIT, 1, nullptr);
    return worker;
}

/// Runs as the courier: starts the worker as the host's child, with a descriptor table of their own, and when the
/// program has taken over sends the host what only this table holds, the pidfd and, if there is one, the listener. The
/// worker never has its listener: execve closes it.
SYSGUARD_BARE inline void start_and_deliver(void* argument) noexcept {
    auto& start = *static_cast<ProgramStart*>(argument);
    Plan& plan = *start.plan;
    if (!check(plan, Step::descriptors, place_descriptors(plan))) return;
    start.pid = start_worker(start, CLONE_FILES | CLONE_PARENT, enter_and_become_program, start.stacks->init,
                             sizeof start.stacks->init);
    if (!check(plan, Step::create, start.pid) || plan.failure.step != Step::none) return;
    HandOver sent;
    sent.descriptors[0] = start.pidfd;
    sent.descriptors[1] = plan.listener;
    sent.count = plan.wants_listener ? 2 : 1;
    check(plan, Step::hand_over, send_descriptors(plan.channel, sent));
}

/// What the courier sent. A worker of which something was lost on the way, as the host has no room for it, is ended.
inline void take_delivery(Child& child, bool with_listener) noexcept {
    Descriptor received[HandOver::most];
    const int count = receive_descriptors(child.channel.get(), received);
    child.pidfd = std::move(received[0]);
    child.listener = std::move(received[1]);
    child.channel.reset();
    if (count == (with_listener ? 2 : 1)) return;
    child.failure = {Step::hand_over, count < 0 ? -count : EPIPE};
    child.guard.stop();
    ::kill(child.pid, SIGKILL);
    reap_quietly(child.pid);
    child.pid = -1;
}

/// Ends a worker whose handle the host has no room for.
inline void give_up_start(Child& child, long worker, int error) noexcept {
    child.failure = {Step::create, error};
    child.guard.stop();
    ::kill(static_cast<pid_t>(worker), SIGKILL);
    reap_quietly(worker);
}

/// What a courier with a copy of the host's memory has in common with the host.
struct CopiedStart {
    Plan plan;
    ProgramStart start;
    pid_t session;  ///< for the guard
};

/// Starts a courier that gets a copy of the host's memory: what belongs to memory, it and the worker can change. It has
/// ended when this returns. Its failures are noted in the plan.
inline void start_in_copy(Plan& plan, ProgramStart& start, Guard& guard) noexcept {
    const SharedMemory memory{sizeof(CopiedStart)};
    if (memory.get() == nullptr) return static_cast<void>(check(plan, Step::create, -ENOMEM));
    auto& shared = *new (memory.get()) CopiedStart{plan, start, 0};
    shared.start.plan = &shared.plan;
    if (plan.guarded_session != nullptr) {
        shared.plan.guarded_session = &shared.session;
        guard.look_at(&shared.session);
    }
    start.arguments.flags = 0;
    long courier = 0;
    {
        const ForkLock lock;
        courier =
            memory.share_with_forks(true) ? start_task(start.arguments, start_and_deliver, &shared.start) : -errno;
        memory.share_with_forks(false);
    }
    if (courier >= 0) reap_quietly(courier);
    if (plan.guarded_session != nullptr) {
        __atomic_store_n(plan.guarded_session, shared.session, __ATOMIC_RELEASE);
        guard.look_at(nullptr);
    }
    if (courier < 0) return static_cast<void>(check(plan, Step::create, courier));
    plan.failure = shared.plan.failure;
    start.pid = shared.plan.outer_pid > 0 ? shared.plan.outer_pid : shared.start.pid;
    const bool was_killed = shared.start.pid < 0 && plan.failure.step == Step::none;
    if (was_killed) check(plan, Step::create, -ECANCELED);
}

/// Starts a courier in the host's memory. It has ended when this returns. Its failures are noted in the plan.
inline void start_in_place(Plan& plan, ProgramStart& start) noexcept {
    start.arguments.flags = CLONE_VM | CLONE_VFORK;
    const long courier = start_task(start.arguments, start_and_deliver, &start);
    if (check(plan, Step::create, courier)) reap_quietly(courier);
}

}  // namespace detail

/// Starts the program of a plan in a task that shares the host's memory until the program takes over: its cost does not
/// depend on the host's size, unless writing and executing memory is to be denied, a property of memory: that takes a
/// copy, and costs what fork costs. The calling thread waits for that moment: on a directory or a file that does not
/// answer no longer than the worker's time. A step that fails is noted in the child, which is then gone. The worker
/// dies with the calling thread. Where it takes other credentials than the host's, the host is not dumpable meanwhile
/// (`Dumpable`). Linux 5.2 (pidfd), 5.0 where the policy asks the host.
inline void start_program(detail::Plan& plan, Child& child) noexcept {
    detail::StartStacks stacks;
    detail::ProgramStart start{&plan, &stacks};
    const bool in_copy = plan.credentials.denies_write_execute;
    const bool with_courier = in_copy || plan.wants_listener;
    const detail::HostCapabilities own = detail::host_capabilities();
    const bool takes_other_credentials =
        !in_copy && detail::changes_credentials(plan.credentials, own.permitted | own.inheritable);
    if (takes_other_credentials) Dumpable::enter();
    {
        const SignalsBlocked blocked;
        plan.keeps_cgroup = with_courier && plan.cgroup >= 0;
        if (with_courier) {
            start.arguments.stack = reinterpret_cast<std::uint64_t>(stacks.courier);
            start.arguments.stack_size = sizeof stacks.courier;
            if (in_copy)
                detail::start_in_copy(plan, start, child.guard);
            else
                detail::start_in_place(plan, start);
        } else {
            start.pid =
                detail::start_worker(start, 0, detail::place_and_become_program, stacks.init, sizeof stacks.init);
            detail::check(plan, Step::create, start.pid);
        }
    }
    if (takes_other_credentials) Dumpable::leave();
    __builtin_memset(&stacks, 0, sizeof stacks);  // the pass went over them
    __asm__ volatile("" : : "r"(&stacks) : "memory");
    const long worker = start.pid;
    child.failure = plan.failure;
    if (!child.started()) {
        child.guard.stop();
        if (worker > 0) ::kill(static_cast<pid_t>(worker), SIGKILL);  // a courier that fails leaves it running
        if (worker > 0) detail::reap_quietly(worker);
        if (!with_courier && worker > 0) ::close(start.pidfd);
        return;
    }
    if (!with_courier) {
        child.pidfd.reset(above_streams(start.pidfd));
        if (!child.pidfd) return detail::give_up_start(child, worker, errno);
    }
    child.pid = static_cast<pid_t>(worker);
    if (with_courier) detail::take_delivery(child, plan.wants_listener);
}

}  // namespace sysguard::process
