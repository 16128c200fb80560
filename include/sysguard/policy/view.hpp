#pragma once

#include "rules.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace sysguard::policy {

/// How much a call counts in a recorded run (weights.hpp): its part of all calls, in 65536ths.
struct Weight {
    int number = 0;
    std::uint32_t part = 0;
};

/// The calls of a recorded run, each once, the most frequent first. Owns nothing.
struct WeightList {
    const Weight* first = nullptr;
    std::size_t size = 0;
};

/// `sg::weights(...)` of weights.hpp.
template <std::size_t count>
class Weights;

struct View;

/// What becomes of a call of a foreign ABI.
struct ForeignDecision {
    Decision decision{};
    bool is_undecided = false;  ///< some rule may match, and what it looks at cannot be seen: it gets `View::foreign`
};

/// A call of a foreign ABI as the native call whose rules hold for it.
struct NativeCall {
    int number = -1;         ///< -1: no native call does this
    bool is_served = false;  ///< it may be handled by the host as if it were the native call
    bool known[abi::max_arguments]{};
    std::uint64_t arguments[abi::max_arguments]{};  ///< as the kernel reads them; those that are known
};

/// A foreign ABI whose calls a policy admits (sysguard/foreign.hpp). `registers` are the six of seccomp_data.
struct AdmittedAbi {
    abi::Abi abi{};
    ForeignDecision (*decide)(const View& view, int number, const std::uint64_t* registers) = nullptr;
    NativeCall (*translate)(const View& view, int number, const std::uint64_t* registers) = nullptr;
};

/// A whole policy, whatever its type: rules in their order and what happens otherwise. Owns nothing.
struct View {
    const RuleRecord* rules = nullptr;
    std::size_t rule_count = 0;
    const BoundNode* nodes = nullptr;
    Decision otherwise{};                   ///< for a call of the table that no rule matches
    Decision foreign{};                     ///< for a call through another ABI: x32, or 32-bit on a 64-bit kernel
    WeightList weights{};                   ///< what the filter is to be quick for
    const AdmittedAbi* admitted = nullptr;  ///< the foreign ABI that has rules all the same, if there is one

    constexpr const BoundNode* condition(const RuleRecord& rule) const noexcept { return nodes + rule.first_node; }
};

/// What a call newer than the table, or unknown to it, gets: libcs then fall back as they do on an older kernel.
inline constexpr Decision unknown_call{Action::deny, ENOSYS};

/// The number -1 is no call: a tracer skips a call by setting it, and the result is the tracer's (ptrace(2)). Filters
/// let it pass.
inline constexpr std::uint32_t skipped_call = 0xffffffff;

/// Evaluates the rules themselves: the first that matches decides. `arguments` are the six registers. Where that is a
/// rule that looks at memory and may match, the host decides (`Action::handle`). This is the reference that filter and
/// kernel are compared with. Thread-safe.
constexpr Decision decide(const View& view, int number, const std::uint64_t* arguments) noexcept {
    const auto bits = static_cast<std::uint32_t>(number);
    if (bits == skipped_call) return {Action::allow};
    if (abi::native_abi == abi::Abi::x86_64 && bits >= abi::x32_bit) return view.foreign;
    if (!abi::is_known(number)) return unknown_call;
    for (std::size_t i = 0; i < view.rule_count; ++i) {
        const RuleRecord& rule = view.rules[i];
        if (rule.number == number &&
            (rule.node_count == 0 || matches(view.condition(rule), arguments, Memory::favourable)))
            return rule.in_memory ? Decision{Action::handle} : rule.decision;
    }
    return view.otherwise;
}

/// The same for a call through any ABI.
constexpr Decision decide(const View& view, abi::Abi abi, int number, const std::uint64_t* registers) noexcept {
    if (abi == abi::native_abi) return decide(view, number, registers);
    if (view.admitted == nullptr || view.admitted->abi != abi) return view.foreign;
    return view.admitted->decide(view, number, registers).decision;
}

/// The rules of each call, in their order: indices, ended by -1.
template <std::size_t capacity>
class RulesByCall {
public:
    constexpr explicit RulesByCall(const View& view) noexcept {
        for (std::int16_t& first : first_) first = -1;
        for (std::size_t i = view.rule_count; i-- > 0;) {
            next_[i] = first_[view.rules[i].number];
            first_[view.rules[i].number] = static_cast<std::int16_t>(i);
        }
    }

    constexpr int first(int number) const noexcept { return first_[number]; }
    constexpr int next(int rule) const noexcept { return next_[rule]; }

private:
    std::int16_t first_[abi::native_limit]{};
    std::int16_t next_[capacity == 0 ? 1 : capacity]{};
};

}  // namespace sysguard::policy
