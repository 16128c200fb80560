#pragma once

#include "action.hpp"
#include "binding.hpp"
#include "family.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace sysguard::policy {

/// One rule: a call, a condition, what becomes of the call. The condition lies in a pool of nodes.
struct RuleRecord {
    std::int16_t number = 0;
    std::uint16_t first_node = 0;
    std::uint16_t node_count = 0;  ///< 0: always
    bool of_same_rule = false;     ///< the rule for a family that the record before belongs to goes on
    Decision decision{};
};

/// Rules in their order, without an end: what a rule with its ending is, and `allow<...>`, and a preset. Several make
/// one: `constexpr sg::Rules mine{preset::compute, allow<SYS_getcwd>, Rule<SYS_ioctl>{...}.allow()};`
template <std::size_t rule_capacity, std::size_t node_capacity>
class Rules {
public:
    static constexpr std::size_t max_rules = rule_capacity;
    static constexpr std::size_t max_nodes = node_capacity;

    constexpr Rules() = default;

    template <class First, class... More>
        requires requires {
            First::max_rules;
        }
    constexpr explicit Rules(const First& first, const More&... more) {
        append(first);
        [[maybe_unused]] const int in_order[] = {0, (append(more), 0)...};
    }

    /// Adds a record. `nodes` are copied.
    constexpr void add(int number, const BoundNode* nodes, std::size_t count, bool of_same_rule,
                       Decision decision) noexcept {
        rules_[rule_count_++] = {static_cast<std::int16_t>(number), static_cast<std::uint16_t>(node_count_),
                                 static_cast<std::uint16_t>(count), of_same_rule, decision};
        for (std::size_t i = 0; i < count; ++i) nodes_[node_count_++] = nodes[i];
    }

    template <std::size_t r, std::size_t n>
    constexpr void append(const Rules<r, n>& other) noexcept {
        for (std::size_t i = 0; i < other.size(); ++i) {
            const RuleRecord& rule = other.begin()[i];
            add(rule.number, other.nodes() + rule.first_node, rule.node_count, rule.of_same_rule, rule.decision);
        }
    }

    constexpr const RuleRecord* begin() const noexcept { return rules_; }
    constexpr const RuleRecord* end() const noexcept { return rules_ + rule_count_; }
    constexpr std::size_t size() const noexcept { return rule_count_; }
    constexpr const BoundNode* nodes() const noexcept { return nodes_; }
    constexpr std::size_t node_count() const noexcept { return node_count_; }

private:
    RuleRecord rules_[rule_capacity == 0 ? 1 : rule_capacity]{};
    BoundNode nodes_[node_capacity == 0 ? 1 : node_capacity]{};
    std::size_t rule_count_ = 0;
    std::size_t node_count_ = 0;
};

namespace detail {

/// A fold over more than 256 operands is beyond some compilers.
constexpr std::size_t sum(std::initializer_list<std::size_t> summands) noexcept {
    std::size_t total = 0;
    for (std::size_t summand : summands) total += summand;
    return total;
}

}  // namespace detail

template <class... Parts>
Rules(const Parts&...) -> Rules<detail::sum({Parts::max_rules...}), detail::sum({Parts::max_nodes...})>;

namespace detail {

template <const auto& source>
constexpr auto compact() noexcept {
    Rules<source.size(), source.node_count()> rules;
    rules.append(source);
    return rules;
}

template <auto... targets>
constexpr auto unconditional(Decision decision) noexcept {
    Rules<sum({Calls<targets>::count()...}), 0> rules;
    const auto add = [&](const auto& calls) {
        for (int number : calls.list) rules.add(number, nullptr, 0, number != calls.list[0], decision);
    };
    [[maybe_unused]] const int in_order[] = {0, (add(Calls<targets>::numbers), 0)...};
    return rules;
}

}  // namespace detail

}  // namespace sysguard::policy

namespace sysguard {

using policy::Rules;

/// A constant group of rules in no more room than it needs. For groups that many policies take in.
template <const auto& source>
inline constexpr auto compact = policy::detail::compact<source>();

/// Rules that allow calls and families whatever their arguments: `allow<SYS_read, SYS_write, family::stat>`.
template <auto... targets>
inline constexpr auto allow = policy::detail::unconditional<targets...>({Action::allow});

}  // namespace sysguard
