#pragma once

#include "../abi/error.hpp"
#include "block.hpp"
#include "child.hpp"
#include "confinement.hpp"
#include "detail/host_facts.hpp"
#include "detail/streams.hpp"
#include "launch.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

/// One worker that is to be started: everything the start needs, in memory that the host owns.
class Order {
public:
    /// For a program. `command` is its path and its arguments. Throws `Error` for what the host got wrong.
    static Order program(const Confinement& confinement, std::vector<std::string> command, const Launch& launch,
                         Child& child) {
        return program(confinement, std::move(command), launch, child, false);
    }

    /// The same, where a fork of another process is to execute it.
    static Order forked_program(const Confinement& confinement, std::vector<std::string> command, const Launch& launch,
                                Child& child) {
        return program(confinement, std::move(command), launch, child, true);
    }

    /// For a function of the host's, in a fork of it.
    static Order function(const Confinement& confinement, const Launch& launch, Child& child) {
        return function(confinement, launch, child, detail::address_space_size());
    }

    /// The same, in a fork of a process that has so many bytes of address space.
    static Order function(const Confinement& confinement, const Launch& launch, Child& child,
                          std::uint64_t address_space) {
        return Order{confinement, launch, child, address_space, {}, true};
    }

    /// The plan. It points into this order, and is good for one start.
    detail::Plan& plan() noexcept {
        streams_.enter(plan_);
        plan_.directory = directory_.empty() ? nullptr : directory_.c_str();
        plan_.limits = limits_;
        plan_.limit_count = limit_count_;
        plan_.late_limit = has_late_limit_ ? &late_limit_ : nullptr;
        plan_.filter = entry_filter_.data();
        plan_.filter_size = entry_filter_.size();
        plan_.own_pid_at = detail::EntryFilter::own_pid;
        plan_.path = command_.empty() ? nullptr : command_.front().c_str();
        plan_.argv = argv_.data();
        plan_.envp = envp_.data();
        return plan_;
    }

    /// To be called when the worker has started: closes the ends that only it is to hold, and forgets the secret that
    /// let its program through, as a worker may be able to read the host's memory (/proc/<pid>/mem).
    void finish_start() noexcept {
        streams_.close_worker_ends();
        status_.reset();
        host_.reset();
        plan_.pass = 0;
        entry_filter_.forget_pass();
    }

private:
    static Order program(const Confinement& confinement, std::vector<std::string> command, const Launch& launch,
                         Child& child, bool is_forked) {
        if (command.empty() || command.front().empty()) throw Error{EINVAL, "run a program: the command is empty"};
        Order order{confinement, launch, child, 0, std::move(command), is_forked};
        order.argv_ = pointers(order.command_);
        order.envp_ = pointers(order.environment_);
        order.entry_filter_.set_pass(order.plan_.pass);
        return order;
    }

    Order(const Confinement& confinement, const Launch& launch, Child& child, std::uint64_t shared_memory,
          std::vector<std::string> command, bool is_forked)
        : is_forked_{is_forked},
          streams_{launch, child, needs_channel(confinement, !is_forked)},
          entry_filter_{confinement.entry_filter()},
          directory_{launch.directory},
          command_{std::move(command)},
          environment_{launch.environment} {
        if (directory_.find('\0') != std::string::npos)
            throw Error{EINVAL, "enter a working directory: a path with a zero byte in it would be cut"};
        if (::getrandom(&plan_.pass, sizeof plan_.pass, 0) != sizeof plan_.pass)
            throw Error{errno, "draw a random number"};
        plan_.host = ::getpid();
        plan_.umask = launch.umask;
        plan_.ruleset = confinement.landlock().ruleset();
        plan_.world = confinement.isolation().world();
        plan_.init = confinement.isolation().init();
        hold_layers(confinement.isolation(), child);
        if (plan_.init >= 0) prepare_pid_namespace(child);
        plan_.wants_listener = confinement.asks_the_host();
        if (confinement.cgroups()) make_cgroup(confinement, child);
        const bool ends_with_namespace = confinement.isolation().has_pids();
        if (!ends_with_namespace && (confinement.tasks().processes || confinement.tasks().untied))
            if (const int error = child.guard.start(confinement.tasks().groups, child.cgroup); error != 0)
                throw Error{error, "start the guard of a worker"};
        plan_.guarded_session = child.guard.session();
        if (confinement.limits().wall) plan_.most_start_time = confinement.limits().wall->time().count();
        plan_.joins_keyring = detail::has_keyring_to_leave(confinement.isolation().has_users());
        add_limits(confinement, shared_memory);
        take(confinement.credentials(), confinement);
        take(confinement.scheduling());
    }

    static bool needs_channel(const Confinement& confinement, bool is_program) noexcept {
        return confinement.asks_the_host() || (is_program && confinement.denies_write_execute());
    }

    void take(const Credentials& credentials, const Confinement& confinement) {
        const bool has_users = confinement.isolation().has_users();
        check(credentials, has_users);  // the host may have become another since there is the sandbox
        detail::CredentialPlan& plan = plan_.credentials;
        if (credentials.user) plan.user = *credentials.user;
        if (credentials.group) plan.group = *credentials.group;
        plan.groups = credentials.groups.data();  // the confinement's, which outlives the start
        plan.group_count = credentials.groups.size();
        plan.groups_are_kept = credentials.groups.are_kept();
        plan.groups_are_exact = credentials.groups.are_exact();
        plan.capabilities = credentials.capabilities.bits();
        plan.capabilities_are_kept = credentials.capabilities.is_kept();
        plan.begins_with_capabilities = has_users;
        const detail::HostCapabilities own = detail::host_capabilities();
        plan.owns_root_files = ::geteuid() == 0;
        plan.exposes_nothing = (own.permitted | own.inheritable) == 0;
        plan.is_of_function = command_.empty();
        plan.denies_write_execute = confinement.denies_write_execute();
        constexpr int as_it_was = -1;
        plan.dumpable = credentials.dumpable ? *credentials.dumpable : confinement.asks_the_host() ? as_it_was : 0;
    }

    void take(const Scheduling& scheduling) {
        check(scheduling);
        detail::SchedulingPlan& plan = plan_.scheduling;
        if (scheduling.nice) {
            plan.has_nice = true;
            plan.nice = *scheduling.nice;
            std::snprintf(plan.nice_text, sizeof plan.nice_text, "%d", plan.nice);
        }
        plan.policy = static_cast<int>(scheduling.policy);
        plan.io_priority = scheduling.io.value();
        if (!scheduling.cpus.empty()) plan.cpus = scheduling.cpus.data();
        plan.cpu_bytes = scheduling.cpus.size_in_bytes();
        if (scheduling.oom_score_adj)
            std::snprintf(plan.oom_score_adj, sizeof plan.oom_score_adj, "%d", *scheduling.oom_score_adj);
    }

    void make_cgroup(const Confinement& confinement, Child& child) {
        constexpr std::uint64_t tasks_to_start = 3;  // of a function whose listener is handed over
        if (is_forked_ && confinement.asks_the_host() && confinement.cgroups().holds_processes() &&
            *confinement.limits().processes < tasks_to_start)
            throw Error{EAGAIN,
                        "limit processes: a function whose policy asks the host needs 3 in its cgroup to start"};
        Limits limits = confinement.limits();
        if (limits.processes) limits.processes = sum(*limits.processes, tasks_of_namespace(confinement));
        if (const int error = confinement.cgroups().make(child.cgroup, limits); error != 0)
            throw Error{error, "make the cgroup of a worker"};
        plan_.cgroup = child.cgroup.inside();
    }

    static void hold_layers(const Isolation& isolation, Child& child) {
        child.layers = Block<LayerHold>{isolation.mounts().size()};
        for (std::size_t i = 0; i < isolation.mounts().size(); ++i) {
            const Mount& mount = isolation.mounts()[i];
            if (mount.layer && !child.layers[i].take(mount.layer))
                throw Error{EBUSY, "mount the overlay at " + mount.target() +
                                       ": it is being listed, committed or discarded; wait for that to end"};
        }
    }

    /// How the program ends is told by a pipe; whether the host still lives, by a pidfd.
    void prepare_pid_namespace(Child& child) {
        host_.reset(above_streams(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0))));
        if (!host_) throw Error{errno, "open a handle on the host"};
        plan_.host_fd = host_.get();
        if (is_forked_) {
            child.end_signal = SIGTERM;
            return;
        }
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw Error{errno, "make a pipe"};
        child.program_status.reset(above_streams(ends[0]));
        status_.reset(above_streams(ends[1]));
        if (!child.program_status || !status_) throw Error{errno, "make a pipe"};
        plan_.status = status_.get();
    }

    void add_limits(const Confinement& confinement, std::uint64_t shared_memory) {
        const Limits& limits = confinement.limits();
        limit(RLIMIT_CORE, no_core_dump);  // one of a forked worker would hold the host's memory
        if (limits.memory) limit(RLIMIT_AS, sum(*limits.memory, shared_memory));
        if (limits.cpu) {
            const auto soft = static_cast<rlim_t>((limits.cpu->time().count() + 999) / 1000);
            limit(RLIMIT_CPU, soft, soft + 1);
        }
        if (limits.processes && !confinement.cgroups().holds_processes() &&
            (confinement.tasks().processes || confinement.tasks().threads)) {
            limit(RLIMIT_NPROC, sum(*limits.processes, tasks_before(confinement)));
            has_late_limit_ = is_forked_ && confinement.asks_the_host();
            if (has_late_limit_) late_limit_ = limits_[--limit_count_];
        }
        if (limits.open_files) {
            if (*limits.open_files < streams_.descriptors_to_start())
                throw Error{EMFILE, "limit open files: to start, a worker needs at least " +
                                        std::to_string(streams_.descriptors_to_start())};
            limit(RLIMIT_NOFILE, *limits.open_files);
        }
        if (limits.file_size) limit(RLIMIT_FSIZE, *limits.file_size);
        if (limits.stack) limit(RLIMIT_STACK, *limits.stack);
    }

    /// To a file nothing that small is written; to a program (core(5)) all is at a limit of 0, and nothing at this one
    /// (fs/coredump.c).
    static constexpr std::uint64_t no_core_dump = 1;

    /// The processes that the kernel counts beside the worker's: since Linux 5.14 those of its user namespace
    /// (ucounts, d64696905554), the first ones of its pid namespace among them.
    std::uint64_t tasks_before(const Confinement& confinement) const noexcept {
        const Isolation& isolation = confinement.isolation();
        const bool counts_apart = isolation.has_users() && detail::kernel_is_at_least(5, 14);
        const std::uint64_t of_host = counts_apart ? 0 : detail::count_tasks_of(confinement.user());
        return of_host + tasks_of_namespace(confinement);
    }

    /// What there is beside the worker in a pid namespace, and to keep it.
    std::uint64_t tasks_of_namespace(const Confinement& confinement) const noexcept {
        return !confinement.isolation().has_pids() ? 0 : is_forked_ ? 2 : 1;
    }

    static std::uint64_t sum(std::uint64_t a, std::uint64_t b) noexcept { return a <= ~b ? a + b : ~0ULL; }

    void limit(int resource, std::uint64_t most) { limit(resource, most, most); }

    /// Where the host itself is held to less, that holds.
    void limit(int resource, std::uint64_t soft, std::uint64_t hard) {
        rlimit own{};
        if (::getrlimit(static_cast<__rlimit_resource>(resource), &own) != 0)
            throw Error{errno, "read the host's limits"};
        const rlim_t most = own.rlim_max;
        limits_[limit_count_++] = {resource, {soft < most ? soft : most, hard < most ? hard : most}};
    }

    static Block<char*> pointers(std::vector<std::string>& strings) {
        Block<char*> list{strings.size() + 1};
        std::size_t at = 0;
        for (std::string& string : strings) {
            if (string.find('\0') != std::string::npos)
                throw Error{EINVAL, "run a program: a string with a zero byte in it would be cut"};
            list[at++] = string.data();
        }
        return list;
    }

    bool is_forked_;  ///< the worker begins as a fork of a process, rather than in the host's memory
    detail::Streams streams_;
    detail::EntryFilter entry_filter_;
    std::string directory_;
    detail::ResourceLimit limits_[7];
    std::size_t limit_count_ = 0;
    detail::ResourceLimit late_limit_{};  ///< a function's, where two more tasks have to install its filter
    bool has_late_limit_ = false;
    std::vector<std::string> command_;
    std::vector<std::string> environment_;
    Block<char*> argv_;
    Block<char*> envp_;
    Descriptor host_{};
    Descriptor status_{};
    detail::Plan plan_{};
};

}  // namespace sysguard::process
