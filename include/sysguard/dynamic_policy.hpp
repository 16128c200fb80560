#pragma once

#include "policy.hpp"
#include "policy/rule_list.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sysguard {

/// A policy whose rules come at run time: `DynamicPolicy{std::move(rules), sg::otherwise.deny(EPERM)}`. Whatever takes
/// a `Policy` takes one: `Sandbox`, `lint`, `explain`. Immutable and thread-safe; copies are independent.
class DynamicPolicy {
public:
    /// Throws `Error`: EINVAL for a rule that cannot match or cannot be reached, or that allows what the host would
    /// have to perform and cannot; E2BIG where the filter would exceed the kernel's 4096 instructions. Uses 256 KiB of
    /// stack.
    DynamicPolicy(RuleList rules, const Ending<false>& end, const Ending<true>& of_foreign = foreign.kill())
        : DynamicPolicy{std::move(rules), policy::WeightList{}, end, of_foreign} {}

    /// The same, with a filter that is quicker for the frequent calls of a recorded run: `sg::weights(counts)`.
    DynamicPolicy(RuleList rules, const policy::WeightList& weights, const Ending<false>& end,
                  const Ending<true>& of_foreign = foreign.kill())
        : rules_{std::move(rules)}, otherwise_{end.decision}, foreign_{of_foreign.decision} {
        policy::View whole = view();
        whole.weights = weights;
        const policy::RulesByCall<RuleList::max_rules> by_call{whole};
        policy::check_reachable(whole, by_call);
        policy::check_performable(whole, by_call);
        const auto program = std::make_unique<filter::Program<filter::max_instructions>>();
        filter::compile(whole, by_call, *program);
        code_.assign(program->code, program->code + program->size);
    }

    /// What becomes of a call with these arguments, as the rules themselves say.
    template <int number, class... Arguments>
    Decision decide(Arguments... arguments) const noexcept {
        return policy::detail::decide_call<number>(view(), arguments...);
    }

    /// The same for a number and six registers known at run time.
    Decision decide(int number, const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        return policy::decide(view(), number, registers);
    }

    /// The seccomp filter. It lives as long as the policy.
    filter::ProgramView program() const noexcept { return {code_.data(), code_.size()}; }

    policy::View view() const noexcept { return {rules_.begin(), rules_.size(), rules_.nodes(), otherwise_, foreign_}; }

    /// What the policy does, in plain words, for a review: filter::explain. Needs <sysguard/explain.hpp>.
    template <class Words = InWords<void>>
    std::string explain() const {
        if constexpr (policy::detail::has_words<Words>()) return Words::explain(view(), program());
        return {};
    }

    /// The filter's instructions: filter::disassemble. Needs <sysguard/explain.hpp>.
    template <class Words = InWords<void>>
    std::string disassemble() const {
        if constexpr (policy::detail::has_words<Words>()) return Words::disassemble(view(), program());
        return {};
    }

    /// What the handlers have captured.
    policy::SharedContext context() const noexcept { return rules_.context(); }

private:
    RuleList rules_;
    Decision otherwise_;
    Decision foreign_;
    std::vector<sock_filter> code_{};
};

}  // namespace sysguard
