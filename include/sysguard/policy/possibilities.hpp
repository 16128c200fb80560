#pragma once

#include "../abi/numbers.hpp"
#include "../abi/table.hpp"
#include "detail/cells.hpp"
#include "knowledge.hpp"
#include "view.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sysguard::policy {

/// What may become of a call.
enum class Fate : std::uint8_t {
    runs,     ///< the kernel runs it, and nobody looks at its memory before
    stopped,  ///< anything else
    refused,  ///< as `stopped`, but not where a rule answers ENOSYS, which only sends libcs to another call
    denied,   ///< as `refused`, and not by the host, which may look at what the call's pointers lead to
};

/// What a policy can come to for calls of whose arguments little is known. The answers are exact up to a bound of work,
/// smaller in constant expressions; beyond it they are yes. Refers to the view, and what that refers to. Thread-safe.
class Possibilities {
public:
    constexpr explicit Possibilities(const View& view) noexcept : view_{view} {
        for (std::size_t i = 0; i < view.rule_count; ++i) {
            Span& span = spans_[view.rules[i].number];
            if (span.end == 0) span.begin = static_cast<std::uint16_t>(i);
            span.end = static_cast<std::uint16_t>(i + 1);
        }
        may_trace_ = may(Fate::runs, sys::ptrace);
    }

    constexpr const View& view() const noexcept { return view_; }

    /// Whether a rule is for the call. `number`, here and below: of a call of the table, or -1, which nothing is true
    /// of.
    constexpr bool is_ruled(int number) const noexcept { return number >= 0 && spans_[number].end != 0; }

    /// Whether this may become of the call with some arguments of those that are known to be possible.
    constexpr bool may(Fate fate, int number, const Knowledge& knowledge = {}) const noexcept {
        if (number < 0) return false;
        const Glance seen = glance(fate, number, knowledge);
        return seen.possible && (!seen.other || is_shown(fate, number, knowledge) || search(fate, number, knowledge));
    }

    /// Whether nothing else becomes of the call, as far as one looks at each rule by itself.
    constexpr bool always(Fate fate, int number, const Knowledge& knowledge = {}) const noexcept {
        if (number < 0) return false;
        const Glance seen = glance(fate, number, knowledge);
        return seen.possible && !seen.other;
    }

    /// Whether with some arguments `ruled` is refused (or denied: `how`), while `other` runs with the same: those of
    /// the same name and type. An argument that only one of them has may be anything that its knowledge allows.
    constexpr bool is_open_beside(int ruled, const Knowledge& of_ruled, int other, const Knowledge& of_other,
                                  Fate how = Fate::refused) const noexcept {
        if (!is_ruled(ruled) || other < 0 || !glance(how, ruled, of_ruled).possible) return false;
        if (!may(Fate::runs, other, of_other) || !may(how, ruled, of_ruled)) return false;
        if (always(how, ruled, of_ruled) || always(Fate::runs, other, of_other)) return true;
        return !have_the_same_rules(ruled, other) && search(how, ruled, of_ruled, other, of_other);
    }

    /// Calls `visit(decision)` for everything that becomes of the call, as far as one looks at each rule by itself.
    template <class Visit>
    constexpr void each_decision(int number, const Visit& visit) const {
        for (std::size_t i = spans_[number].begin; i < spans_[number].end; ++i) {
            if (view_.rules[i].number != number) continue;
            visit(decision_of(&view_.rules[i]));
            if (view_.rules[i].node_count == 0) return;
        }
        visit(view_.otherwise);
    }

private:
    struct Span {
        std::uint16_t begin = 0;
        std::uint16_t end = 0;
    };

    struct Glance {
        bool possible = false;
        bool other = false;
    };

    enum class Truth : std::uint8_t { no, maybe, yes };

    /// The bits of the registers that are known.
    struct Registers {
        std::uint64_t known[abi::max_arguments]{};
        std::uint64_t values[abi::max_arguments]{};
    };

    static constexpr std::size_t most_combinations() noexcept {
        return std::is_constant_evaluated() ? 1U << 10 : 1U << 18;
    }

    constexpr Decision decision_of(const RuleRecord* rule) const noexcept {
        if (rule == nullptr) return view_.otherwise;
        return rule->in_memory ? Decision{Action::handle} : rule->decision;
    }

    constexpr bool is(Fate fate, const RuleRecord* rule) const noexcept {
        const Decision decision = decision_of(rule);
        const bool runs =
            decision == Action::allow || decision == Action::log || (decision == Action::trace && may_trace_);
        if (fate == Fate::runs) return runs;
        const bool sends_on = fate != Fate::stopped && rule != nullptr && decision == Decision{Action::deny, ENOSYS};
        const bool asks = fate == Fate::denied && decision == Action::handle;
        return !runs && !sends_on && !asks;
    }

    static constexpr Registers registers(int number, const Knowledge& knowledge) noexcept {
        Registers registers;
        for (const Known& known : knowledge) {
            const int position = abi::find(number)->position(known.argument);
            if (position < 0 || known.differs) continue;
            registers.known[position] |= known.mask;
            registers.values[position] |= known.value;
        }
        return registers;
    }

    static constexpr Truth of_range(const BoundNode& node, const Registers& registers, std::uint64_t low,
                                    std::uint64_t high) noexcept {
        const std::uint64_t known = node.mask & registers.known[node.position];
        const std::uint64_t least = known & registers.values[node.position];
        const std::uint64_t most = least | (node.mask & ~known);
        if (most < low || least > high || (low == high && (low & known) != least)) return Truth::no;
        return least >= low && most <= high ? Truth::yes : Truth::maybe;
    }

    static constexpr Truth opposite(Truth truth) noexcept {
        return truth == Truth::maybe ? truth : truth == Truth::yes ? Truth::no : Truth::yes;
    }

    /// What can be said of a condition where only some bits are known. Memory is what favours the rule.
    static constexpr Truth truth(const BoundNode* node, const Registers& registers, bool positive = true) noexcept {
        if (is_in_memory(*node)) return positive ? Truth::yes : Truth::no;
        switch (node->kind) {
            case Node::Kind::range: {
                const Truth inside = of_range(*node, registers, node->low, node->high);
                return node->outside ? opposite(inside) : inside;
            }
            case Node::Kind::member: {
                Truth found = Truth::no;
                for (unsigned i = 0; i < node->count; ++i) {
                    const std::uint64_t value = member_value(node, i);
                    const Truth here = of_range(*node, registers, value, value);
                    if (here > found) found = here;
                }
                return found;
            }
            case Node::Kind::negate: return opposite(truth(node + 1, registers, !positive));
            default: {
                const bool any = node->kind == Node::Kind::any;
                Truth whole = any ? Truth::no : Truth::yes;
                for (const BoundNode* part = node + 1; part < node + node->size; part += part->size) {
                    const Truth here = truth(part, registers, positive);
                    if (any ? here > whole : here < whole) whole = here;
                }
                return whole;
            }
        }
    }

    constexpr Glance glance(Fate fate, int number, const Knowledge& knowledge) const noexcept {
        const Registers known = registers(number, knowledge);
        Glance seen;
        const auto look = [&](const RuleRecord* rule) { (is(fate, rule) ? seen.possible : seen.other) = true; };
        for (std::size_t i = spans_[number].begin; i < spans_[number].end; ++i) {
            const RuleRecord& rule = view_.rules[i];
            if (rule.number != number) continue;
            const Truth matches = rule.node_count == 0 ? Truth::yes : truth(view_.condition(rule), known);
            if (matches != Truth::no) look(&rule);
            if (matches == Truth::yes) return seen;
        }
        look(nullptr);
        return seen;
    }

    /// The rule that decides, or nullptr for `otherwise`.
    constexpr const RuleRecord* first_match(int number, const std::uint64_t* arguments) const noexcept {
        for (std::size_t i = spans_[number].begin; i < spans_[number].end; ++i) {
            const RuleRecord& rule = view_.rules[i];
            if (rule.number == number &&
                (rule.node_count == 0 || matches(view_.condition(rule), arguments, Memory::favourable)))
                return &rule;
        }
        return nullptr;
    }

    static constexpr bool fit(int number, const std::uint64_t* arguments, const Knowledge& knowledge) noexcept {
        for (const Known& known : knowledge) {
            const int position = abi::find(number)->position(known.argument);
            if (position >= 0 && ((arguments[position] & known.mask) == known.value) == known.differs) return false;
        }
        return true;
    }

    static constexpr void add(detail::Grid& grid, int number, const Knowledge& knowledge) noexcept {
        for (const Known& known : knowledge) {
            const int position = abi::find(number)->position(known.argument);
            if (position >= 0) grid.add_test(position, known.mask, known.value);
        }
    }

    /// Whether the plainest of the possible arguments show it already: where nothing else is known, 0 or all bits.
    constexpr bool is_shown(Fate fate, int number, const Knowledge& knowledge) const noexcept {
        const Registers known = registers(number, knowledge);
        for (const std::uint64_t rest : {0ULL, ~0ULL}) {
            std::uint64_t arguments[abi::max_arguments]{};
            for (int i = 0; i < abi::max_arguments; ++i) arguments[i] = known.values[i] | (rest & ~known.known[i]);
            if (fit(number, arguments, knowledge) && is(fate, first_match(number, arguments))) return true;
        }
        return false;
    }

    constexpr bool search(Fate fate, int number, const Knowledge& knowledge) const noexcept {
        detail::Grid grid;
        add(grid, number, knowledge);
        for (std::size_t i = spans_[number].begin; i < spans_[number].end; ++i)
            if (view_.rules[i].number == number) grid.add(view_.condition(view_.rules[i]), view_.rules[i].node_count);
        if (!grid.split(most_combinations())) return true;
        for (std::size_t combination = 0; combination < grid.size(); ++combination) {
            std::uint64_t arguments[abi::max_arguments]{};
            grid.get(combination, arguments);
            if (fit(number, arguments, knowledge) && is(fate, first_match(number, arguments))) return true;
        }
        return false;
    }

    constexpr bool have_the_same_rules(int a, int b) const noexcept {
        std::size_t j = spans_[b].begin;
        for (std::size_t i = spans_[a].begin; i < spans_[a].end; ++i) {
            if (view_.rules[i].number != a) continue;
            while (j < spans_[b].end && view_.rules[j].number != b) ++j;
            if (j == spans_[b].end || !say_the_same(view_.rules[i], view_.rules[j])) return false;
            ++j;
        }
        while (j < spans_[b].end && view_.rules[j].number != b) ++j;
        return j >= spans_[b].end;
    }

    constexpr bool say_the_same(const RuleRecord& a, const RuleRecord& b) const noexcept {
        if (!(decision_of(&a) == decision_of(&b)) || a.node_count != b.node_count) return false;
        for (std::size_t i = 0; i < a.node_count; ++i) {
            BoundNode node = view_.condition(a)[i];
            if (node.kind == Node::Kind::range || node.kind == Node::Kind::member || is_in_memory(node)) {
                const abi::Argument& argument = abi::find(a.number)->arguments[node.position];
                const int position = same_argument(argument, *abi::find(b.number));
                if (position < 0) return false;
                node.position = static_cast<std::uint8_t>(position);
            }
            if (!(node == view_.condition(b)[i])) return false;
        }
        return true;
    }

    static constexpr int same_argument(const abi::Argument& argument, const abi::Syscall& call) noexcept {
        const int position = call.position(argument.name);
        return position >= 0 && call.arguments[position].type == argument.type ? position : -1;
    }

    /// Cells of the arguments of two calls, of which they may have some in common.
    struct Pair {
        detail::Cells cells[2 * abi::max_arguments]{};
        int shared[abi::max_arguments]{};  ///< of an argument of the other call: 1 + its position in the ruled one
    };

    constexpr bool search(Fate how, int ruled, const Knowledge& of_ruled, int other,
                          const Knowledge& of_other) const noexcept {
        Pair pair;
        fill(pair, ruled, of_ruled, other, of_other);
        std::size_t size = 1;
        for (detail::Cells& cells : pair.cells) {
            cells.split();
            size *= cells.size();
            if (!cells.complete() || size > most_combinations()) return true;
        }
        for (std::size_t combination = 0; combination < size; ++combination) {
            std::uint64_t arguments[2 * abi::max_arguments]{};
            std::size_t rest = combination;
            for (std::size_t i = 0; i < 2 * abi::max_arguments; ++i) {
                arguments[i] = pair.cells[i][rest % pair.cells[i].size()];
                rest /= pair.cells[i].size();
            }
            std::uint64_t* const others = arguments + abi::max_arguments;
            for (int i = 0; i < abi::max_arguments; ++i)
                if (pair.shared[i] != 0) others[i] = arguments[pair.shared[i] - 1];
            if (fit(ruled, arguments, of_ruled) && fit(other, others, of_other) &&
                is(how, first_match(ruled, arguments)) && is(Fate::runs, first_match(other, others)))
                return true;
        }
        return false;
    }

    constexpr void fill(Pair& pair, int ruled, const Knowledge& of_ruled, int other,
                        const Knowledge& of_other) const noexcept {
        for (int i = 0; i < abi::find(other)->argument_count(); ++i)
            pair.shared[i] = 1 + same_argument(abi::find(other)->arguments[i], *abi::find(ruled));
        const auto cells_of = [&](bool of_the_other, int position) -> detail::Cells& {
            if (!of_the_other) return pair.cells[position];
            const int shared = pair.shared[position];
            return pair.cells[shared != 0 ? shared - 1 : abi::max_arguments + position];
        };
        for (const bool of_the_other : {false, true}) {
            const int number = of_the_other ? other : ruled;
            for (const Known& known : of_the_other ? of_other : of_ruled) {
                const int position = abi::find(number)->position(known.argument);
                if (position >= 0) cells_of(of_the_other, position).add_test(known.mask, known.value);
            }
            for (std::size_t i = spans_[number].begin; i < spans_[number].end; ++i) {
                const RuleRecord& rule = view_.rules[i];
                if (rule.number != number) continue;
                for (std::uint8_t position = 0; position < abi::max_arguments; ++position)
                    cells_of(of_the_other, position).add(view_.condition(rule), rule.node_count, position);
            }
        }
    }

    View view_;
    Span spans_[abi::native_limit]{};
    bool may_trace_ = false;  ///< a process of the worker's may be the tracer of another one
};

}  // namespace sysguard::policy
