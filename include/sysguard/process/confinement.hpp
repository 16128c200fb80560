#pragma once

#include "../abi/error.hpp"
#include "../filter/program.hpp"
#include "../policy/tasks.hpp"
#include "../policy/view.hpp"
#include "block.hpp"
#include "cgroup_subtree.hpp"
#include "detail/entry_filter.hpp"
#include "detail/host_facts.hpp"
#include "detail/plan.hpp"
#include "isolation.hpp"
#include "landlock.hpp"
#include "options.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <sys/resource.h>
#include <unistd.h>

namespace sysguard::process {

/// What holds for every worker of a sandbox: rules, filter, limits, what Landlock holds it to. Owns copies of all of
/// it. Immutable, thread-safe.
class Confinement {
public:
    /// Throws `Error` where a limit cannot be kept, a layer is missing, a path cannot be opened, or a rule is for what
    /// a worker may always do.
    Confinement(const policy::View& policy, const filter::ProgramView& program, const Options& options)
        : rules_{policy.rules, policy.rule_count},
          nodes_{policy.nodes, node_count(policy)},
          otherwise_{policy.otherwise},
          foreign_{policy.foreign},
          admitted_{policy.admitted},
          landlock_{options, missing_},
          entry_filter_{program, landlock_.holds_ports()},
          tasks_{policy::tasks_of(policy)},
          credentials_{options.credentials},
          limits_{options.limits},
          scheduling_{options.scheduling},
          isolation_{options, missing_} {
        const Limits& limits = limits_;
        if (admitted_ != nullptr && landlock_.holds_ports())
            throw Error{ENOTSUP,
                        "hold a worker to ports: its policy admits 32-bit calls, and what in these gets around the "
                        "ports is not looked at; take sg::admit out of the policy, or the ports out of the options"};
        refuse_rules_against_the_end(policy);
        if ((limits.wall && limits.wall->time().count() <= 0) || (limits.cpu && limits.cpu->time().count() <= 0))
            throw Error{EINVAL, "limit time: to nothing or less; leave the limit out, or give it a time"};
        if (limits.memory == 0U || limits.stack == 0U)
            throw Error{EINVAL, "limit memory: to nothing; leave the limit out, or give it some"};
        check(credentials_, isolation_.has_users());
        check(scheduling_);
        if (credentials_.memory_deny_write_execute)
            denies_write_execute_ =
                missing_.need(Layer::memory_deny_write_execute, detail::offer_of_mdwe(), options.optional);
        if (limits.processes == 0U && options.cgroup.place() != Cgroup::Place::none)
            throw Error{EINVAL, "limit processes: to none; with a cgroup the worker itself is counted"};
        missing_.need(Layer::cgroup, options.cgroup.open(cgroups_, limits), options.optional);
        if (limits.processes && !cgroups_.holds_processes() && (tasks_.processes || tasks_.threads) &&
            detail::starts_any_number_of_tasks(user(), kept()))
            throw Error{ENOTSUP,
                        "limit processes: the kernel does not hold root, nor who has CAP_SYS_RESOURCE or "
                        "CAP_SYS_ADMIN, to RLIMIT_NPROC, and the policy lets workers start tasks; give them another "
                        "user (Options::credentials) or cgroups (Options::cgroup)"};
        if (tasks_.groups && ::access("/proc/self/stat", R_OK) != 0)
            throw Error{ENOTSUP,
                        "find a worker's processes: the policy lets it start some in groups of their own, and /proc, "
                        "where they are looked for, is not mounted"};
        asks_the_host_ = entry_filter_.returns(SECCOMP_RET_USER_NOTIF);
    }

    policy::View policy() const noexcept {
        return {rules_.data(), rules_.size(), nodes_.data(), otherwise_, foreign_, {}, admitted_};
    }
    const detail::EntryFilter& entry_filter() const noexcept { return entry_filter_; }
    const Landlock& landlock() const noexcept { return landlock_; }
    const Credentials& credentials() const noexcept { return credentials_; }
    const Scheduling& scheduling() const noexcept { return scheduling_; }
    bool denies_write_execute() const noexcept { return denies_write_execute_; }
    /// The user that workers run as, if they are started now.
    uid_t user() const noexcept { return credentials_.user.value_or(::getuid()); }
    const Isolation& isolation() const noexcept { return isolation_; }
    const Limits& limits() const noexcept { return limits_; }
    /// Where workers get cgroups of their own, if they do.
    const CgroupSubtree& cgroups() const noexcept { return cgroups_; }
    /// The layers that were optional and are not there.
    const MissingLayers& missing() const noexcept { return missing_; }
    policy::Tasks tasks() const noexcept { return tasks_; }
    bool asks_the_host() const noexcept { return asks_the_host_; }
    /// Whether the filter may end a worker by SIGSYS.
    bool kills_in_the_kernel() const noexcept {
        for (const std::uint32_t action : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP})
            if (entry_filter_.returns(action)) return true;
        return false;
    }

private:
    std::uint64_t kept() const noexcept {
        return credentials_.capabilities.bits() & detail::host_capabilities().permitted;
    }

    /// The entry filter lets exit and exit_group through before the policy is asked.
    static void refuse_rules_against_the_end(const policy::View& policy) {
        for (std::size_t i = 0; i < policy.rule_count; ++i) {
            const policy::RuleRecord& rule = policy.rules[i];
            const bool is_end = rule.number == sys::exit || rule.number == sys::exit_group;
            if (is_end && rule.decision != Action::allow && rule.decision != Action::log)
                throw Error{EINVAL,
                            "rule for exit or exit_group: a worker may always end itself, so that such a rule would "
                            "change nothing; leave it out"};
        }
    }

    static std::size_t node_count(const policy::View& policy) noexcept {
        std::size_t count = 0;
        for (std::size_t i = 0; i < policy.rule_count; ++i) {
            const std::size_t end = std::size_t{policy.rules[i].first_node} + policy.rules[i].node_count;
            if (end > count) count = end;
        }
        return count;
    }

    Block<policy::RuleRecord> rules_;
    Block<policy::BoundNode> nodes_;
    Decision otherwise_;
    Decision foreign_;
    const policy::AdmittedAbi* admitted_;
    MissingLayers missing_{};
    Landlock landlock_;
    detail::EntryFilter entry_filter_;
    policy::Tasks tasks_;
    Credentials credentials_;
    Limits limits_;
    CgroupSubtree cgroups_{};
    Scheduling scheduling_;
    bool denies_write_execute_ = false;
    Isolation isolation_;
    bool asks_the_host_ = false;
};

}  // namespace sysguard::process
