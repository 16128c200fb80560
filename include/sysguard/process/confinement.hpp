#pragma once

#include "../abi/error.hpp"
#include "../filter/program.hpp"
#include "../policy/tasks.hpp"
#include "../policy/view.hpp"
#include "detail/entry_filter.hpp"
#include "detail/plan.hpp"
#include "limits.hpp"

#include <cerrno>
#include <chrono>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace sysguard::process {

/// What holds for every worker of a sandbox: rules, filter, limits. Owns copies of all of it. Immutable, thread-safe.
class Confinement {
public:
    /// Throws `Error` where a limit cannot be kept.
    Confinement(const policy::View& policy, const filter::ProgramView& program, const Limits& limits)
        : rules_{policy.rules, policy.rules + policy.rule_count},
          otherwise_{policy.otherwise},
          foreign_{policy.foreign},
          entry_filter_{program},
          tasks_{policy::tasks_of(policy)},
          limits_{limits} {
        std::size_t node_count = 0;
        for (const policy::RuleRecord& rule : rules_)
            if (rule.first_node + std::size_t{rule.node_count} > node_count)
                node_count = rule.first_node + rule.node_count;
        nodes_.assign(policy.nodes, policy.nodes + node_count);
        if (limits.processes && (tasks_.processes || tasks_.threads) && ::getuid() == 0)
            throw Error{ENOTSUP,
                        "limit processes: the kernel does not hold root to RLIMIT_NPROC, and the policy lets "
                        "workers start tasks"};
        asks_the_host_ = entry_filter_.asks_the_host();
    }

    policy::View policy() const noexcept { return {rules_.data(), rules_.size(), nodes_.data(), otherwise_, foreign_}; }
    const detail::EntryFilter& entry_filter() const noexcept { return entry_filter_; }
    const Limits& limits() const noexcept { return limits_; }
    policy::Tasks tasks() const noexcept { return tasks_; }
    bool asks_the_host() const noexcept { return asks_the_host_; }

private:
    std::vector<policy::RuleRecord> rules_;
    std::vector<policy::BoundNode> nodes_;
    Decision otherwise_;
    Decision foreign_;
    detail::EntryFilter entry_filter_;
    policy::Tasks tasks_;
    Limits limits_;
    bool asks_the_host_ = false;
};

}  // namespace sysguard::process
