#pragma once

#include "../policy/rule_list.hpp"
#include "alternatives.hpp"
#include "prove.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <linux/seccomp.h>

namespace sysguard::filter {

/// What a return value of a filter decides (seccomp(2)). One that the kernel does not know kills, as it does there.
constexpr Decision decision_of(std::uint32_t value) noexcept {
    const std::int64_t data = value & SECCOMP_RET_DATA;
    switch (value & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW: return {Action::allow};
        case SECCOMP_RET_LOG: return {Action::log};
        case SECCOMP_RET_TRACE: return {Action::trace, data};
        case SECCOMP_RET_USER_NOTIF: return {Action::handle};
        case SECCOMP_RET_ERRNO:
            if (data == 0) return {Action::fake, 0};
            return {Action::deny, data < abi::max_errno ? data : abi::max_errno};
        case SECCOMP_RET_TRAP: return {Action::trap, data};
        case SECCOMP_RET_KILL_THREAD: return {Action::kill_thread};
        default: return {Action::kill_now};
    }
}

/// What a filter returns for the native calls of the table, found out from its instructions.
class Recovered {
public:
    /// Borrows nothing.
    explicit Recovered(const ProgramView& program) : root_{diagram_of(diagram_, program)} {}

    /// False where the filter does what none of sysguard's or libseccomp's does: nothing is known of it then.
    bool complete() const noexcept { return root_.has_value(); }

    /// What it returns for a call with some arguments or others, each value once.
    std::vector<std::uint32_t> returns(int number) const { return diagram_.values(call(number)); }

    /// Adds rules for a call to a list: those that say what the filter says, but for what `skip(decision)` holds for.
    /// Returns false, and has added none, where there would be more than 64.
    template <class Skip>
    bool append_rules(RuleList& rules, int number, const Skip& skip) const {
        const auto list = alternatives(diagram_, call(number), decision_of, {.ordered = false, .most = 64});
        if (!list) return false;
        for (const Alternative& alternative : *list)
            if (!skip(alternative.decision)) append(rules, number, alternative);
        return true;
    }

private:
    Diagram::Node call(int number) const noexcept {
        constexpr std::uint64_t native = abi::audit_architecture(abi::native_abi);
        const Diagram::Node of_native = diagram_.given(*root_, Diagram::of_architecture, native);
        return diagram_.given(of_native, Diagram::of_number, static_cast<std::uint32_t>(number));
    }

    static void append(RuleList& rules, int number, const Alternative& alternative) {
        std::vector<policy::BoundNode> nodes;
        if (alternative.comparisons.size() > 1) nodes.emplace_back().kind = policy::Node::Kind::all;
        for (const Comparison& comparison : alternative.comparisons) {
            policy::BoundNode& node = nodes.emplace_back();
            node.kind = policy::Node::Kind::range;
            node.position = comparison.position;
            node.size = 1;
            node.mask = comparison.mask;
            node.low = node.high = comparison.value;
        }
        if (!nodes.empty()) nodes.front().size = static_cast<std::uint16_t>(nodes.size());
        rules.add(number, nodes.data(), nodes.size(), false, alternative.decision);
    }

    Diagram diagram_{};
    std::optional<Diagram::Node> root_;
};

}  // namespace sysguard::filter
