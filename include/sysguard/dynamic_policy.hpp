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
        : DynamicPolicy{std::move(rules), weights, Admitted{}, end, of_foreign} {}

    /// The same, which admits the calls of 32-bit programs: `sg::admit<...>` of <sysguard/foreign.hpp>. With
    /// `policy::WeightList{}` there are no weights.
    template <abi::Abi abi>
    DynamicPolicy(RuleList rules, const policy::WeightList& weights, const Admission<abi>& admission,
                  const Ending<false>& end, const Ending<true>& of_foreign = foreign.kill())
        : DynamicPolicy{std::move(rules), weights, Admitted::by(admission), end, of_foreign} {}

    /// What becomes of a call with these arguments, as the rules themselves say.
    template <int number, class... Arguments>
    Decision decide(Arguments... arguments) const noexcept {
        return policy::detail::decide_call<number>(view(), arguments...);
    }

    /// The same for a number and six registers known at run time.
    Decision decide(int number, const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        return policy::decide(view(), number, registers);
    }

    /// The same for a call through any ABI.
    Decision decide(abi::Abi abi, int number, const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        return policy::decide(view(), abi, number, registers);
    }

    /// The seccomp filter. It lives as long as the policy.
    filter::ProgramView program() const noexcept { return {code_.data(), code_.size()}; }

    policy::View view() const noexcept {
        return {rules_.begin(), rules_.size(), rules_.nodes(), otherwise_, foreign_, {}, admitted_};
    }

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
    friend class OciProfile;

    using Program = filter::Program<filter::max_instructions>;
    using RulesByCall = policy::RulesByCall<RuleList::max_rules>;

    /// A foreign ABI, or none.
    struct Admitted {
        template <abi::Abi abi>
        static Admitted by(const Admission<abi>& admission, const policy::AdmittedAbi* before = nullptr) {
            return {admission.admit(before), admission.template code<filter::max_instructions, RuleList::max_rules>()};
        }

        const policy::AdmittedAbi* abi = nullptr;
        filter::ForeignCode<filter::max_instructions, RuleList::max_rules> code{};
    };

    DynamicPolicy(RuleList rules, const policy::WeightList& weights, const Admitted& admitted, const Ending<false>& end,
                  const Ending<true>& of_foreign)
        : rules_{std::move(rules)}, otherwise_{end.decision}, foreign_{of_foreign.decision}, admitted_{admitted.abi} {
        policy::View whole = view();
        whole.weights = weights;
        const RulesByCall by_call{whole};
        policy::check_reachable(whole, by_call);
        policy::check_performable(whole, by_call);
        const auto program = std::make_unique<Program>();
        filter::compile(whole, by_call, *program, admitted.code);
        code_.assign(program->code, program->code + program->size);
    }

    RuleList rules_;
    Decision otherwise_;
    Decision foreign_;
    const policy::AdmittedAbi* admitted_;
    std::vector<sock_filter> code_{};
};

}  // namespace sysguard
