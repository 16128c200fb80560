#pragma once

#include "action.hpp"
#include "binding.hpp"
#include "family.hpp"
#include "handler.hpp"

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
    bool in_memory = false;        ///< its condition has a test that only the host can make
    Decision decision{};
    Handler handler{};  ///< where the decision is `handle`

    /// Whether both come to the same for a call that they match.
    constexpr bool says_the_same(const RuleRecord& other) const noexcept {
        return decision == other.decision && handler == other.handler;
    }
};

template <class Make>
class OnDemand;

/// Rules in their order, without an end: what a rule with its ending is, and `allow<...>`, and a preset. Several make
/// one: `constexpr sg::Rules mine{preset::compute, allow<SYS_getcwd>, Rule<SYS_ioctl>{...}.allow()};`
/// `with_contexts`: some of the rules have handlers that captured something.
template <std::size_t rule_capacity, std::size_t node_capacity, bool with_contexts = false>
class [[nodiscard]] Rules {
public:
    static constexpr std::size_t max_rules = rule_capacity;
    static constexpr std::size_t max_nodes = node_capacity;
    static constexpr bool has_contexts = with_contexts;

    constexpr Rules() = default;

    template <class First, class... More>
        requires requires {
            First::max_rules;
        }
    constexpr explicit Rules(const First& first, const More&... more) {
        append(first);
        [[maybe_unused]] const int in_order[] = {0, (append(more), 0)...};
    }

    /// Adds a record. `nodes` are copied. Beyond the capacities it is an error.
    constexpr void add(int number, const BoundNode* nodes, std::size_t count, bool of_same_rule, Decision decision,
                       Handler handler = {}) {
        if (rule_count_ == rule_capacity || count > node_capacity - node_count_)
            mistake::group_of_rules_is_full(number);
        bool in_memory = false;
        for (std::size_t i = 0; i < count; ++i) in_memory = in_memory || is_in_memory(nodes[i]);
        rules_[rule_count_++] = {static_cast<std::int16_t>(number),
                                 static_cast<std::uint16_t>(node_count_),
                                 static_cast<std::uint16_t>(count),
                                 of_same_rule,
                                 in_memory,
                                 decision,
                                 handler};
        for (std::size_t i = 0; i < count; ++i) nodes_[node_count_++] = nodes[i];
    }

    template <std::size_t r, std::size_t n, bool c>
    constexpr void append(const Rules<r, n, c>& other) {
        for (std::size_t i = 0; i < other.size(); ++i) {
            const RuleRecord& rule = other.begin()[i];
            add(rule.number, other.nodes() + rule.first_node, rule.node_count, rule.of_same_rule, rule.decision,
                rule.handler);
        }
        contexts_.take(other.contexts());
    }

    template <class Make>
    constexpr void append(const OnDemand<Make>& group) {
        append(group.rules());
    }

    /// What the rules' handlers have captured.
    constexpr const Contexts<with_contexts>& contexts() const noexcept { return contexts_; }
    constexpr Contexts<with_contexts>& contexts() noexcept { return contexts_; }

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
    [[no_unique_address]] Contexts<with_contexts> contexts_{};
};

namespace detail {

/// A fold over more than 256 operands is beyond some compilers.
constexpr std::size_t sum(std::initializer_list<std::size_t> summands) noexcept {
    std::size_t total = 0;
    for (std::size_t summand : summands) total += summand;
    return total;
}

}  // namespace detail

/// GCC 12 puts a constant into writable memory whose class is not complete before the constant's type is deduced: hence
/// the sizeof.
template <class... Parts>
    requires(sizeof(Rules<detail::sum({Parts::max_rules...}), detail::sum({Parts::max_nodes...}),
                          (detail::sum({Parts::has_contexts...}) > 0)>) > 0)
Rules(const Parts&...)
->Rules<detail::sum({Parts::max_rules...}), detail::sum({Parts::max_nodes...}),
        (detail::sum({Parts::has_contexts...}) > 0)>;

namespace detail {

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

/// A constant group of rules in no more room than it needs, for groups that many policies take in: `make` returns the
/// group, and captures nothing: `constexpr auto mine = sg::compact([] { return sg::Rules{preset::compute, ...}; });`
template <class Make>
constexpr auto compact(Make make) {
    constexpr auto source = make();
    Rules<source.size(), source.node_count()> rules;
    rules.append(source);
    return rules;
}

namespace policy {

namespace detail {

template <class Make>
inline constexpr auto made = compact(Make{});

}  // namespace detail

/// A compact group that is made where something takes it in or looks at it: elsewhere it costs the compiler next to
/// nothing.
template <class Make>
class [[nodiscard]] OnDemand {
public:
    static constexpr std::size_t max_rules = detail::made<Make>.max_rules;
    static constexpr std::size_t max_nodes = detail::made<Make>.max_nodes;
    static constexpr bool has_contexts = false;

    static constexpr auto& rules() noexcept { return detail::made<Make>; }

    static constexpr const RuleRecord* begin() noexcept { return rules().begin(); }
    static constexpr const RuleRecord* end() noexcept { return rules().end(); }
    static constexpr std::size_t size() noexcept { return max_rules; }
    static constexpr const BoundNode* nodes() noexcept { return rules().nodes(); }
    static constexpr std::size_t node_count() noexcept { return max_nodes; }
};

/// `make` is called with nothing; that it takes `auto... nothing` and puts `nothing...` into its `Rules{}` keeps the
/// compiler from making them earlier.
template <class Make>
constexpr OnDemand<Make> on_demand(Make) noexcept {
    return {};
}

}  // namespace policy

/// Rules that allow calls and families whatever their arguments: `allow<SYS_read, SYS_write, family::stat>`.
template <auto... targets>
inline constexpr auto allow = policy::detail::unconditional<targets...>({Action::allow});

}  // namespace sysguard
