#pragma once

#include "../../policy/view.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sysguard::filter::detail {

/// What a policy says of one call: the rules that may decide it, in their order, and what happens otherwise. Rules that
/// change nothing are left out.
struct Treatment {
    std::vector<const policy::RuleRecord*> rules{};  ///< each with a condition
    Decision otherwise{};
    policy::Handler handler{};  ///< where the rule without a condition, the last, has one
    bool has_rules = false;     ///< some rule of the policy is for this call

    /// Whether the host has a say, by a handler or by a look at memory.
    bool reaches_host() const noexcept {
        return static_cast<bool>(handler) || std::any_of(rules.begin(), rules.end(), [](const auto* rule) {
                   return rule->in_memory || rule->handler;
               });
    }
};

inline bool same_condition(const policy::View& view, const policy::RuleRecord& a,
                           const policy::RuleRecord& b) noexcept {
    return std::equal(view.condition(a), view.condition(a) + a.node_count, view.condition(b),
                      view.condition(b) + b.node_count);
}

inline Treatment treatment_of(const policy::View& view, int number) {
    Treatment treatment;
    treatment.otherwise = view.otherwise;
    for (std::size_t i = 0; i < view.rule_count; ++i) {
        const policy::RuleRecord& rule = view.rules[i];
        if (rule.number != number) continue;
        treatment.has_rules = true;
        if (rule.node_count == 0) {
            treatment.otherwise = rule.decision;
            treatment.handler = rule.handler;
            break;
        }
        const bool repeats = std::any_of(treatment.rules.begin(), treatment.rules.end(),
                                         [&](const auto* earlier) { return same_condition(view, *earlier, rule); });
        if (!repeats) treatment.rules.push_back(&rule);
    }
    const auto changes_nothing = [&](const policy::RuleRecord& rule) {
        return !rule.in_memory && rule.decision == treatment.otherwise && rule.handler == treatment.handler;
    };
    while (!treatment.rules.empty() && changes_nothing(*treatment.rules.back())) treatment.rules.pop_back();
    return treatment;
}

}  // namespace sysguard::filter::detail
