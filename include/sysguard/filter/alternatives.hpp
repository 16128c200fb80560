#pragma once

#include "diagram.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace sysguard::filter {

/// One comparison of a whole register, unsigned, as libseccomp and OCI profiles have it (seccomp_rule_add(3)).
struct Comparison {
    enum class Kind : std::uint8_t { equal, not_equal, less_or_equal, greater_or_equal, masked_equal };

    std::uint8_t position = 0;  ///< which argument, 0 to 5
    Kind kind = Kind::equal;
    std::uint64_t mask = ~0ULL;  ///< all bits, but for `masked_equal`
    std::uint64_t value = 0;

    constexpr bool holds(const std::uint64_t* registers) const noexcept {
        const std::uint64_t compared = registers[position];
        switch (kind) {
            case Kind::equal: return compared == value;
            case Kind::not_equal: return compared != value;
            case Kind::less_or_equal: return compared <= value;
            case Kind::greater_or_equal: return compared >= value;
            case Kind::masked_equal: return (compared & mask) == value;
        }
        return false;
    }
    friend bool operator==(const Comparison&, const Comparison&) = default;
};

/// A decision, and comparisons that all have to hold for it: at most one of each argument, in the arguments' order.
struct Alternative {
    std::vector<Comparison> comparisons{};  ///< none: always
    Decision decision{};

    bool holds(const std::uint64_t* registers) const noexcept {
        return std::all_of(comparisons.begin(), comparisons.end(),
                           [&](const Comparison& comparison) { return comparison.holds(registers); });
    }
};

/// How alternatives are written.
struct AlternativesForm {
    std::optional<Decision> rest{};  ///< what holds where no alternative does: it gets none
    bool ordered = true;             ///< with comparisons that are no equality under a mask, where that makes no more
    std::size_t most = 512;          ///< alternatives of one call
};

namespace detail {

/// Finds the alternatives that lead through a diagram. `DecisionOf` yields what the value of an end stands for.
template <class DecisionOf>
class AlternativesSearch {
public:
    AlternativesSearch(const Diagram& diagram, const DecisionOf& decision_of, const AlternativesForm& form)
        : diagram_{diagram}, decision_of_{decision_of}, form_{form} {}

    /// False where there are too many.
    bool run(Diagram::Node node) { return go(node) && found_.size() <= form_.most; }
    std::vector<Alternative> take() noexcept { return std::move(found_); }

private:
    using Kind = Comparison::Kind;
    using Node = Diagram::Node;

    /// Values of one argument that lead on to one node.
    struct Exit {
        Node node;
        std::vector<Comparison> comparisons;
    };

    bool go(Node node) {
        if (is_rest(node)) return true;
        if (diagram_.is_end(node)) {
            found_.push_back({path_, decision_of_(diagram_.value(node))});
            return found_.size() <= form_.most;
        }
        const unsigned position = diagram_.position(node);
        std::vector<Exit> exits;
        if (!walk(node, position, 0, 0, exits)) return false;
        for (Exit& exit : exits) {
            simplify(exit.comparisons);
            for (const Comparison& comparison : exit.comparisons) {
                path_.push_back(comparison);
                if (!go(exit.node)) return false;
                path_.pop_back();
            }
        }
        return true;
    }

    bool is_rest(Node node) const noexcept {
        return form_.rest && diagram_.is_end(node) && decision_of_(diagram_.value(node)) == *form_.rest;
    }

    /// The ways through the bits of one argument.
    bool walk(Node node, unsigned position, std::uint64_t mask, std::uint64_t value, std::vector<Exit>& exits) {
        if (++steps_ > max_steps) return false;
        if (is_rest(node)) return true;
        if (!diagram_.is_end(node) && diagram_.position(node) == position) {
            const std::uint64_t bit = 1ULL << diagram_.bit(node);
            return walk(diagram_.where(node, false), position, mask | bit, value, exits) &&
                   walk(diagram_.where(node, true), position, mask | bit, value | bit, exits);
        }
        auto exit = std::find_if(exits.begin(), exits.end(), [&](const Exit& known) { return known.node == node; });
        if (exit == exits.end()) exit = exits.insert(exit, {node, {}});
        const Kind kind = mask == all_bits ? Kind::equal : Kind::masked_equal;
        exit->comparisons.push_back({static_cast<std::uint8_t>(position), kind, mask, value});
        return true;
    }

    /// Values that begin alike are intervals; where those reach to an end of all values, each is one comparison.
    void simplify(std::vector<Comparison>& comparisons) const {
        struct Interval {
            std::uint64_t low;
            std::uint64_t high;
        };
        if (!form_.ordered) return;
        std::vector<Interval> intervals;
        for (const Comparison& comparison : comparisons) {
            const std::uint64_t open = ~comparison.mask;
            if ((open & (open + 1)) != 0) return;
            const std::uint64_t high = comparison.value | open;
            if (!intervals.empty() && intervals.back().high + 1 == comparison.value)
                intervals.back().high = high;
            else
                intervals.push_back({comparison.value, high});
        }
        const std::uint8_t position = comparisons.front().position;
        const Interval first = intervals.front();
        const Interval last = intervals.back();
        if (first.low == 0 && last.high == all_bits && intervals.size() == 2 && last.low - first.high == 2) {
            comparisons = {{position, Kind::not_equal, all_bits, first.high + 1}};
            return;
        }
        std::vector<Comparison> ordered;
        for (const Interval& interval : intervals) {
            if (interval.low == interval.high)
                ordered.push_back({position, Kind::equal, all_bits, interval.low});
            else if (interval.low == 0)
                ordered.push_back({position, Kind::less_or_equal, all_bits, interval.high});
            else if (interval.high == all_bits)
                ordered.push_back({position, interval.low == 1 ? Kind::not_equal : Kind::greater_or_equal, all_bits,
                                   interval.low == 1 ? 0 : interval.low});
            else
                for (const Comparison& comparison : comparisons)
                    if (interval.low <= comparison.value && comparison.value <= interval.high)
                        ordered.push_back(comparison);
        }
        comparisons = std::move(ordered);
    }

    static constexpr std::uint64_t all_bits = ~0ULL;
    static constexpr std::size_t max_steps = 1U << 18;

    const Diagram& diagram_;
    const DecisionOf& decision_of_;
    const AlternativesForm& form_;
    std::vector<Comparison> path_{};
    std::vector<Alternative> found_{};
    std::size_t steps_ = 0;
};

}  // namespace detail

/// A function of the six registers as alternatives that exclude each other; `decision_of(value)` is what the value of
/// an end stands for. None where that takes more than `form.most`. Thread-safe.
template <class DecisionOf>
std::optional<std::vector<Alternative>> alternatives(const Diagram& diagram, Diagram::Node node,
                                                     const DecisionOf& decision_of, const AlternativesForm& form = {}) {
    if (!diagram.complete()) return std::nullopt;
    detail::AlternativesSearch<DecisionOf> search{diagram, decision_of, form};
    if (!search.run(node)) return std::nullopt;
    return search.take();
}

/// The rules for one call of the table, whose first match decides, as alternatives that exclude each other and thus
/// have no order: what libseccomp and OCI profiles can say. For all registers at most one alternative holds, and its
/// decision, or else `form.rest`, is what `policy::decide` says; where the host looks at memory that is
/// `Action::handle`. None where that takes more than `form.most`. Thread-safe.
inline std::optional<std::vector<Alternative>> alternatives(const policy::View& view, int number,
                                                            const AlternativesForm& form = {}) {
    Diagram diagram;
    std::vector<Decision> decisions;
    const auto end_of = [&](const Decision& decision) {
        const auto known = std::find(decisions.begin(), decisions.end(), decision);
        const auto index = static_cast<std::uint32_t>(known - decisions.begin());
        if (known == decisions.end()) decisions.push_back(decision);
        return diagram.end(index);
    };
    const Diagram::Node root = diagram.call(view, number, end_of);
    return alternatives(
        diagram, root, [&](std::uint32_t value) { return decisions[value]; }, form);
}

}  // namespace sysguard::filter
