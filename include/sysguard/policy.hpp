#pragma once

#include "filter/compile.hpp"
#include "policy/performable.hpp"
#include "policy/presets.hpp"
#include "policy/reachability.hpp"
#include "policy/rule.hpp"
#include "policy/view.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sysguard {

/// What happens to a call that no rule matches. Made by `sg::otherwise`, and by `sg::foreign` for the calls of other
/// ABIs.
template <bool of_foreign>
struct Ending {
    Decision decision;
};

template <bool of_foreign>
struct EndingMaker {
    constexpr Ending<of_foreign> allow() const noexcept requires(!of_foreign) { return {{Action::allow}}; }
    constexpr Ending<of_foreign> log() const noexcept requires(!of_foreign) { return {{Action::log}}; }
    constexpr Ending<of_foreign> deny(int error) const {
        if (error < 1 || error > abi::max_errno) policy::mistake::errno_must_be_between_1_and_4095(-1);
        return {{Action::deny, error}};
    }
    constexpr Ending<of_foreign> kill() const noexcept { return {{Action::kill}}; }
    constexpr Ending<of_foreign> kill_now() const noexcept { return {{Action::kill_now}}; }
};

/// Ends a policy: `otherwise.kill()`, `otherwise.deny(EPERM)`. Written once, last.
inline constexpr EndingMaker<false> otherwise;

/// What a call through a foreign ABI gets (x32, or 32-bit on a 64-bit kernel), whose numbers mean other calls.
/// Optional; without it, `foreign.kill()`.
inline constexpr EndingMaker<true> foreign;

/// What explains a policy: <sysguard/explain.hpp>.
template <class Late>
struct InWords;

/// What `sg::admit<...>` is (sysguard/foreign.hpp).
template <abi::Abi abi>
class Admission;

namespace policy::detail {

template <class T>
inline constexpr bool is_otherwise = std::is_same_v<T, Ending<false>>;

template <class T>
inline constexpr bool is_foreign = std::is_same_v<T, Ending<true>>;

template <class T>
inline constexpr std::size_t rules_of = [] {
    if constexpr (requires { T::max_rules; })
        return T::max_rules;
    else
        return 0;
}();

template <class T>
inline constexpr std::size_t nodes_of = [] {
    if constexpr (requires { T::max_nodes; })
        return T::max_nodes;
    else
        return 0;
}();

template <class T>
inline constexpr bool has_contexts = [] {
    if constexpr (requires { T::has_contexts; })
        return T::has_contexts;
    else
        return false;
}();

/// A register's value. A pointer stands for any address, which no rule looks at.
template <class T>
constexpr std::uint64_t register_value(T value) noexcept {
    if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>)
        return 0;
    else
        return static_cast<std::uint64_t>(value);
}

/// What a policy says to a call, checked against the table.
template <int number, class... Arguments>
constexpr Decision decide_call(const View& view, Arguments... arguments) noexcept {
    static_assert(abi::is_known(number), "no system call of sysguard's table has this number");
    static_assert(!abi::is_known(number) || sizeof...(Arguments) == abi::find(number)->argument_count(),
                  "decide<SYS_x>(...) takes as many arguments as the call has");
    const std::uint64_t registers[abi::max_arguments] = {register_value(arguments)...};
    return policy::decide(view, number, registers);
}

/// Whether what explains a policy is there.
template <class Words>
constexpr bool has_words() noexcept {
    constexpr bool included = requires {
        sizeof(Words);
    };
    static_assert(included,
                  "explain() and disassemble() are in a header of their own: #include <sysguard/explain.hpp>");
    return included;
}

}  // namespace policy::detail

/// Rules in their order and what happens otherwise, with the filter that they compile to. The first rule that matches a
/// call decides. As a `constexpr` variable all of it is made and checked by the compiler, and the filter is a constant;
/// built at run time, a mistake throws `Error` (EINVAL). A rule that cannot be reached is found by search, and taken
/// for reachable where the search would be too long and no earlier rule is without a condition or has the same; one for
/// a family must be reachable for one of its calls. Immutable and thread-safe.
///
/// `with_contexts`: some handlers have captured something; the policy is then made at run time and keeps it.
template <std::size_t rule_capacity, std::size_t node_capacity, bool with_contexts = false>
class Policy {
public:
    template <class... Parts>
        requires(sizeof...(Parts) > 0)
    constexpr explicit Policy(const Parts&... parts) {
        check<Parts...>();
        policy::WeightList weights;
        [[maybe_unused]] const int in_order[] = {(take(parts, weights), 0)...};
        policy::View rules = view();
        rules.weights = weights;
        const policy::RulesByCall<rule_capacity> by_call{rules};
        policy::check_reachable(rules, by_call);
        policy::check_performable(rules, by_call);
        filter::compile(rules, by_call, program_, foreign_code_);
    }

    /// What becomes of a call with these arguments, as the rules themselves say. Usable in `static_assert`.
    template <int number, class... Arguments>
    constexpr Decision decide(Arguments... arguments) const noexcept {
        return policy::detail::decide_call<number>(view(), arguments...);
    }

    /// The same for a number and six registers known at run time.
    constexpr Decision decide(int number, const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        return policy::decide(view(), number, registers);
    }

    /// The same for a call through any ABI.
    constexpr Decision decide(abi::Abi abi, int number,
                              const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        if (abi == abi::native_abi) return policy::decide(view(), number, registers);
        if (!foreign_code_.is_there || admitted_->abi != abi) return foreign_;
        return admitted_->decide(view(), number, registers).decision;
    }

    /// The seccomp filter. It lives as long as the policy.
    constexpr filter::ProgramView program() const noexcept { return program_; }

    constexpr policy::View view() const noexcept {
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
    policy::SharedContext context() const noexcept { return rules_.contexts().context(); }

private:
    static constexpr std::size_t program_capacity = filter::program_capacity(rule_capacity, node_capacity);

    template <class... Parts>
    static constexpr void check() noexcept {
        constexpr std::size_t ends = policy::detail::sum({policy::detail::is_otherwise<Parts>...});
        static_assert(ends > 0,
                      "a policy ends with what happens to all other calls: sg::otherwise.kill() or .deny(errno)");
        static_assert(ends < 2, "sg::otherwise is written once");
        static_assert(policy::detail::sum({policy::detail::is_foreign<Parts>...}) < 2,
                      "sg::foreign is written once: keep the one that is meant, and remove the others");
        constexpr bool last[] = {policy::detail::is_otherwise<Parts>...};
        static_assert(ends != 1 || last[sizeof...(Parts) - 1],
                      "sg::otherwise comes last: rules behind it are never reached");
    }

    template <std::size_t r, std::size_t n, bool c>
    constexpr void take(const Rules<r, n, c>& rules, policy::WeightList&) {
        rules_.append(rules);
    }
    template <class Make>
    constexpr void take(const policy::OnDemand<Make>& group, policy::WeightList&) {
        rules_.append(group);
    }
    constexpr void take(const Ending<false>& ending, policy::WeightList&) noexcept { otherwise_ = ending.decision; }
    constexpr void take(const Ending<true>& ending, policy::WeightList&) noexcept { foreign_ = ending.decision; }

    template <std::size_t count>
    constexpr void take(const policy::Weights<count>& weights, policy::WeightList& given) {
        weights.give_to(given);
    }

    template <abi::Abi abi>
    constexpr void take(const Admission<abi>& admission, policy::WeightList&) {
        admitted_ = admission.admit(admitted_);
        foreign_code_ = admission.template code<program_capacity, rule_capacity>();
    }

    template <auto target>
    constexpr void take(const Rule<target>&, policy::WeightList&) noexcept {
        static_assert(target != target,
                      "a rule needs an ending: .allow(), .deny(errno), .fake(value), .kill(), .log(), "
                      ".handle(function), .ask(asker)");
    }
    template <class T>
    constexpr void take(const T&, policy::WeightList&) noexcept {
        static_assert(
            policy::detail::never<T>,
            "a policy is made of rules with their endings, sg::allow<...>, presets and other groups, sg::weights, "
            "sg::foreign and sg::otherwise with theirs: sg::otherwise.kill()");
    }

    Rules<rule_capacity, node_capacity, with_contexts> rules_;
    Decision otherwise_{};
    Decision foreign_{Action::kill};
    const policy::AdmittedAbi* admitted_ = nullptr;
    filter::ForeignCode<program_capacity, rule_capacity> foreign_code_{};
    filter::Program<program_capacity> program_;
};

/// The sizeof: see Rules.
template <class... Parts>
    requires(sizeof(Policy<policy::detail::sum({policy::detail::rules_of<Parts>...}),
                           policy::detail::sum({policy::detail::nodes_of<Parts>...}),
                           (policy::detail::sum({policy::detail::has_contexts<Parts>...}) > 0)>) > 0)
Policy(const Parts&...)
->Policy<policy::detail::sum({policy::detail::rules_of<Parts>...}),
         policy::detail::sum({policy::detail::nodes_of<Parts>...}),
         (policy::detail::sum({policy::detail::has_contexts<Parts>...}) > 0)>;

}  // namespace sysguard
