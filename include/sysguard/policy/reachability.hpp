#pragma once

#include "detail/cells.hpp"
#include "mistakes.hpp"
#include "view.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sysguard::policy {

namespace detail {

/// What the earlier rules leave of one.
enum class Reached : std::uint8_t { yes, repeats, never_matches, shadowed };

/// Looks for arguments that reach one rule of a call past the earlier ones. Exact up to a bound of work, beyond which a
/// rule counts as reachable where no earlier one is without a condition or has the same.
template <std::size_t capacity>
class Reach {
public:
    constexpr Reach(const View& view, const RulesByCall<capacity>& by_call, int rule) noexcept
        : view_{view}, by_call_{by_call}, rule_{rule}, number_{view.rules[rule].number} {}

    constexpr Reached check() const noexcept {
        const RuleRecord& rule = view_.rules[rule_];
        if (all_earlier_say_the_same_as(rule) && rule.node_count <= 1) return Reached::yes;
        Grid grid;
        for (int i = by_call_.first(number_); i != rule_; i = by_call_.next(i))
            grid.add(view_.condition(view_.rules[i]), view_.rules[i].node_count);
        grid.add(view_.condition(rule), rule.node_count);
        return grid.split(most_combinations()) ? search(grid) : first_that_covers(rule);
    }

private:
    static constexpr std::size_t most_combinations() noexcept {
        return std::is_constant_evaluated() ? 1U << 13 : 1U << 20;
    }

    constexpr bool all_earlier_say_the_same_as(const RuleRecord& rule) const noexcept {
        for (int i = by_call_.first(number_); i != rule_; i = by_call_.next(i))
            if (!view_.rules[i].says_the_same(rule)) return false;
        return true;
    }

    constexpr Reached first_that_covers(const RuleRecord& rule) const noexcept {
        Reached reached = Reached::yes;
        for (int i = by_call_.first(number_); i != rule_; i = by_call_.next(i)) {
            const RuleRecord& earlier = view_.rules[i];
            if (earlier.in_memory || (earlier.node_count != 0 && !has_condition_of(rule, earlier))) continue;
            if (earlier.says_the_same(rule)) return Reached::repeats;
            reached = Reached::shadowed;
        }
        return reached;
    }

    constexpr bool has_condition_of(const RuleRecord& rule, const RuleRecord& other) const noexcept {
        if (rule.node_count != other.node_count) return false;
        for (std::size_t i = 0; i < rule.node_count; ++i)
            if (!(view_.condition(rule)[i] == view_.condition(other)[i])) return false;
        return true;
    }

    constexpr bool holds(const RuleRecord& rule, const std::uint64_t* arguments, Memory memory) const noexcept {
        return rule.node_count == 0 || matches(view_.condition(rule), arguments, memory);
    }

    /// Whether an earlier rule says to a call what a later one would: then that one is not swallowed by what comes
    /// before both.
    constexpr bool repeats(const RuleRecord& rule, const RuleRecord& earlier,
                           const std::uint64_t* arguments) const noexcept {
        return earlier.says_the_same(rule) && holds(earlier, arguments, Memory::unfavourable);
    }

    constexpr Reached search(const Grid& grid) const noexcept {
        const RuleRecord& rule = view_.rules[rule_];
        bool can_match = false;
        bool shadow_differs = false;
        for (std::size_t combination = 0; combination < grid.size(); ++combination) {
            std::uint64_t arguments[abi::max_arguments]{};
            grid.get(combination, arguments);
            if (!holds(rule, arguments, Memory::favourable)) continue;
            can_match = true;
            int first = by_call_.first(number_);
            while (first != rule_ && !holds(view_.rules[first], arguments, Memory::unfavourable))
                first = by_call_.next(first);
            if (first == rule_) return Reached::yes;
            while (first != rule_ && !repeats(rule, view_.rules[first], arguments)) first = by_call_.next(first);
            shadow_differs = shadow_differs || first == rule_;
        }
        if (!can_match) return Reached::never_matches;
        return shadow_differs ? Reached::shadowed : Reached::repeats;
    }

    const View& view_;
    const RulesByCall<capacity>& by_call_;
    int rule_;
    int number_;
};

}  // namespace detail

/// Whether there may be a call that gets what a rule says: one that it matches, and that no earlier rule that says
/// something else always takes.
template <std::size_t capacity>
constexpr bool is_reachable(const View& view, const RulesByCall<capacity>& by_call, int rule) {
    const detail::Reached reached = detail::Reach<capacity>{view, by_call, rule}.check();
    return reached == detail::Reached::yes || reached == detail::Reached::repeats;
}

/// Refuses a policy in which some rule can never match, or is always preceded by rules that say something else. A rule
/// for a family is refused where that is so for each of its calls. Rules that only repeat what earlier ones said are
/// fine, so that presets may overlap.
template <std::size_t capacity>
constexpr void check_reachable(const View& view, const RulesByCall<capacity>& by_call) {
    for (std::size_t i = 0; i < view.rule_count;) {
        const int number = view.rules[i].number;
        const detail::Reached first = detail::Reach<capacity>{view, by_call, static_cast<int>(i)}.check();
        bool useless = first == detail::Reached::never_matches || first == detail::Reached::shadowed;
        for (++i; i < view.rule_count && view.rules[i].of_same_rule; ++i) {
            if (!useless) continue;
            const detail::Reached next = detail::Reach<capacity>{view, by_call, static_cast<int>(i)}.check();
            useless = next == detail::Reached::never_matches || next == detail::Reached::shadowed;
        }
        if (useless && first == detail::Reached::never_matches) mistake::rule_can_never_match(number);
        if (useless) mistake::rule_can_never_be_reached_because_earlier_rules_always_match(number);
    }
}

}  // namespace sysguard::policy
