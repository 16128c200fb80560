#pragma once

#include "../abi/call_set.hpp"
#include "../abi/error.hpp"
#include "../policy/view.hpp"
#include "../process/block.hpp"

#include <cerrno>
#include <cstddef>
#include <string>

namespace sysguard::supervise {

/// A policy as a tracer can keep it: by the registers of a thread that stands still, which nothing can change. Owns
/// copies. Immutable, thread-safe.
class TracedPolicy {
public:
    /// Throws `Error` ENOTSUP for rules that a tracer cannot keep: those that look at memory, which other threads can
    /// change before the kernel reads it again, those with handlers, which have such a look, and those whose endings
    /// are a filter's.
    explicit TracedPolicy(const policy::View& policy)
        : rules_{policy.rules, policy.rule_count},
          nodes_{policy.nodes, node_count(policy)},
          otherwise_{policy.otherwise},
          foreign_{policy.foreign},
          admitted_{policy.admitted},
          view_{rules_.data(), rules_.size(), nodes_.data(), otherwise_, foreign_, {}, admitted_} {
        for (std::size_t i = 0; i < policy.rule_count; ++i) check(policy.rules[i]);
        check(otherwise_, "the policy's end");
    }
    TracedPolicy(const TracedPolicy&) = delete;
    TracedPolicy& operator=(const TracedPolicy&) = delete;

    const policy::View& view() const noexcept { return view_; }

    /// The native calls that it does not just allow.
    abi::CallSet decided() const noexcept {
        if (!(otherwise_ == Action::allow)) return abi::CallSet::all();
        abi::CallSet calls;
        for (const policy::RuleRecord& rule : rules_)
            if (!(rule.decision == Action::allow)) calls.add(rule.number);
        abi::CallSet unknown = abi::CallSet::all();
        for (int number = 0; number < abi::native_limit; ++number) unknown.remove(number);
        return calls.add(unknown);
    }

private:
    static std::size_t node_count(const policy::View& policy) noexcept {
        std::size_t count = 0;
        for (std::size_t i = 0; i < policy.rule_count; ++i) {
            const std::size_t end = std::size_t{policy.rules[i].first_node} + policy.rules[i].node_count;
            if (end > count) count = end;
        }
        return count;
    }

    static void check(const policy::RuleRecord& rule) {
        const std::string which = "the rule for " + std::string{abi::find(rule.number)->name};
        if (rule.in_memory)
            throw Error{ENOTSUP, "keep a policy by tracing: " + which +
                                     " looks at memory, which can change after the look; use a Sandbox, where the host "
                                     "performs what it has seen, or Tracer::decide_unchecked"};
        if (rule.handler)
            throw Error{ENOTSUP, "keep a policy by tracing: " + which +
                                     " has a handler, which a Sandbox calls; use one, or Tracer::decide_unchecked"};
        check(rule.decision, which);
    }

    static void check(const Decision& decision, const std::string& which) {
        switch (decision.action) {
            case Action::trap:
            case Action::trace:
            case Action::kill_thread:
            case Action::handle:
                throw Error{ENOTSUP, "keep a policy by tracing: " + which + " ends with " + name(decision.action) +
                                         ", which only a filter can do"};
            default: return;
        }
    }

    process::Block<policy::RuleRecord> rules_;
    process::Block<policy::BoundNode> nodes_;
    Decision otherwise_;
    Decision foreign_;
    const policy::AdmittedAbi* admitted_;
    policy::View view_;
};

}  // namespace sysguard::supervise
