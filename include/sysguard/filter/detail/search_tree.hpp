#pragma once

#include "condition_code.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::filter::detail {

/// What a range of system call numbers comes to: one return value, or a block of conditions.
struct Leaf {
    std::uint32_t value = 0;       ///< returned where no condition matches
    std::uint16_t conditions = 0;  ///< how many rules of the call are tested; 0: there is no block
    std::int16_t block = 0;        ///< the first of these rules

    friend constexpr bool operator==(const Leaf& a, const Leaf& b) noexcept {
        return a.value == b.value && a.conditions == b.conditions && a.block == b.block;
    }
};

/// Neighbouring numbers with one leaf.
struct Range {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint32_t weight = 0;  ///< how often it is looked for
    Leaf leaf{};

    constexpr bool is_single() const noexcept { return first == last; }
};

/// The most ranges there can be: one a number, what is above the table, x32, and -1.
inline constexpr std::size_t max_ranges = abi::native_limit + 3;

/// Single numbers that differ from the rest of an interval, each to be tested for, and what the rest has in common.
struct Chain {
    static constexpr std::size_t max_size = 3;

    std::size_t odd[max_size]{};  ///< their ranges, the heaviest first
    std::size_t size = 0;         ///< above `max_size`: there are more of them, or some that are no single numbers
    std::size_t common = 0;       ///< a range of the rest
    std::uint32_t cost = 0;
};

/// The cheapest search over a few ranges: of all orders in which numbers can be compared, the one with the least
/// instructions and the shortest ways, found by dynamic programming over intervals of ranges. Tests for equality come
/// last, in chains, and for the `max_hot` heaviest single numbers anywhere, the heavier before the lighter.
template <std::size_t max_hot>
class SearchPlan {
public:
    static constexpr std::size_t max_size = 24;

    constexpr SearchPlan(const Range* ranges, std::size_t size) noexcept : ranges_{ranges} {
        if constexpr (max_hot > 0) find_hot(size);
        for (std::size_t tested = 0; tested <= hot_count_; ++tested)
            for (std::size_t i = 0; i < size; ++i)
                sums_[tested][i + 1] = sums_[tested][i] + (is_gone(i, tested) ? 0 : ranges[i].weight);
        for (std::size_t length = 2; length <= size; ++length)
            for (std::size_t begin = 0; begin + length <= size; ++begin) plan(begin, begin + length);
    }

    /// What comes first in a search of an interval when `tested` of the hot numbers are out of question: what is not
    /// listed here is the place to split it at.
    enum Step : std::uint8_t { chain_step = 0, hot_step = 253, without_first, without_last };

    constexpr std::uint8_t step(std::size_t tested, std::size_t begin, std::size_t end) const noexcept {
        return steps_[tested][begin][end];
    }

    /// The next hot number within an interval, or how many there are.
    constexpr std::size_t next_hot(std::size_t tested, std::size_t begin, std::size_t end) const noexcept {
        while (tested < hot_count_ && (hot_[tested] < begin || hot_[tested] >= end)) ++tested;
        return tested;
    }

    constexpr std::size_t hot(std::size_t index) const noexcept { return hot_[index]; }

    constexpr Chain chain(std::size_t tested, std::size_t begin, std::size_t end) const noexcept {
        for (std::size_t i = begin; i < end; ++i)
            if (!ranges_[i].is_single()) return chain_beside(i, tested, begin, end);
        Chain best;
        best.size = Chain::max_size + 1;
        for (std::size_t i = begin; i < end; ++i) {
            if (is_gone(i, tested)) continue;
            const Chain other = chain_beside(i, tested, begin, end);
            if (other.size < best.size || (other.size == best.size && other.cost < best.cost)) best = other;
        }
        return best;
    }

    /// What an instruction costs in a program, where executing it for a likely call costs 16, and for all calls of a
    /// recorded run together 65536.
    static constexpr std::uint32_t instruction_cost = 500;

private:
    constexpr void find_hot(std::size_t size) noexcept {
        for (std::size_t i = 0; i < size; ++i) {
            if (!ranges_[i].is_single()) continue;
            std::size_t place = hot_count_ < max_hot ? hot_count_++ : max_hot;
            for (; place > 0 && ranges_[hot_[place - 1]].weight < ranges_[i].weight; --place)
                if (place < max_hot) hot_[place] = hot_[place - 1];
            if (place < max_hot) hot_[place] = static_cast<std::uint8_t>(i);
        }
        for (std::size_t i = 0; i < hot_count_; ++i) gone_[i + 1] = gone_[i] | 1U << hot_[i];
    }

    /// Whether a range is among the hot numbers that are out of question.
    constexpr bool is_gone(std::size_t range, std::size_t tested) const noexcept {
        return max_hot > 0 && (gone_[tested] >> range & 1) != 0;
    }

    constexpr void plan(std::size_t begin, std::size_t end) noexcept {
        for (std::size_t tested = hot_count_; tested > 0; --tested)
            if (is_within(hot_[tested - 1], begin, end)) plan(tested, begin, end);
        plan(0, begin, end);
        for (std::size_t tested = 1; tested <= hot_count_; ++tested) {
            if (is_within(hot_[tested - 1], begin, end)) continue;
            costs_[tested][begin][end] = costs_[tested - 1][begin][end];
            steps_[tested][begin][end] = steps_[tested - 1][begin][end];
        }
    }

    static constexpr bool is_within(std::size_t range, std::size_t begin, std::size_t end) noexcept {
        return begin <= range && range < end;
    }

    constexpr void plan(std::size_t tested, std::size_t begin, std::size_t end) noexcept {
        std::uint32_t& best = costs_[tested][begin][end];
        std::uint8_t& step = steps_[tested][begin][end];
        if constexpr (max_hot > 0) {
            const bool first = is_gone(begin, tested);
            if (first || is_gone(end - 1, tested)) {
                best = first ? costs_[tested][begin + 1][end] : costs_[tested][begin][end - 1];
                step = first ? without_first : without_last;
                return;
            }
        }
        const std::uint32_t weight = sums_[tested][end] - sums_[tested][begin];
        best = ~0U;
        if (end - begin <= 2 * Chain::max_size + 1) {
            const Chain last = chain(tested, begin, end);
            if (last.size <= Chain::max_size) best = last.cost;
        }
        for (std::size_t middle = begin + 1; middle < end; ++middle) {
            const std::uint32_t cost =
                costs_[tested][begin][middle] + costs_[tested][middle][end] + instruction_cost + weight;
            if (cost < best) {
                best = cost;
                step = static_cast<std::uint8_t>(middle);
            }
        }
        if constexpr (max_hot > 0) {
            const std::size_t next = next_hot(tested, begin, end);
            if (next == hot_count_) return;
            const std::uint32_t cost = costs_[next + 1][begin][end] + instruction_cost + weight;
            if (cost < best) {
                best = cost;
                step = hot_step;
            }
        }
    }

    /// The chain of what differs from one of the ranges.
    constexpr Chain chain_beside(std::size_t common, std::size_t tested, std::size_t begin,
                                 std::size_t end) const noexcept {
        Chain chain;
        chain.common = common;
        std::uint32_t weight = 0;
        for (std::size_t i = begin; i < end; ++i) {
            if (is_gone(i, tested)) continue;
            weight += ranges_[i].weight;
            if (ranges_[i].leaf == ranges_[common].leaf) continue;
            if (!ranges_[i].is_single() || chain.size == Chain::max_size) {
                chain.size = Chain::max_size + 1;
                return chain;
            }
            std::size_t place = chain.size++;
            for (; place > 0 && ranges_[chain.odd[place - 1]].weight < ranges_[i].weight; --place)
                chain.odd[place] = chain.odd[place - 1];
            chain.odd[place] = i;
        }
        for (std::size_t i = 0; i < chain.size; ++i) {
            chain.cost += instruction_cost + weight;
            weight -= ranges_[chain.odd[i]].weight;
        }
        return chain;
    }

    const Range* ranges_;
    std::uint8_t hot_[max_hot + 1]{};
    std::size_t hot_count_ = 0;
    std::uint32_t gone_[max_hot + 1]{};                ///< a bit for each range
    std::uint32_t sums_[max_hot + 1][max_size + 1]{};  ///< of the weights of the ranges before one
    std::uint32_t costs_[max_hot + 1][max_size + 1][max_size + 1]{};
    std::uint8_t steps_[max_hot + 1][max_size + 1][max_size + 1]{};
};

/// Writes a search for the range that a number in the accumulator lies in. `Blocks` yields the label of a leaf. The
/// weights are those that the ranges were given beside what each number weighs.
template <std::size_t capacity, class Blocks>
class SearchTree {
public:
    constexpr SearchTree(Emitter<capacity>& emitter, Blocks& blocks, const policy::WeightList& weights = {}) noexcept
        : out_{emitter}, blocks_{blocks}, weights_{weights} {}

    /// Weights before `from` have been taken out of the ranges.
    constexpr Label write(Range* ranges, std::size_t size, std::size_t from = 0) {
        const std::size_t hot = outweighing(ranges, size, from);
        if (hot < weights_.size) return write_hot(ranges, size, hot);
        if (size <= SearchPlan<0>::max_size)
            return weights_.size > 0 ? write(SearchPlan<max_hot>{ranges, size}, ranges, 0, 0, size)
                                     : write(SearchPlan<0>{ranges, size}, ranges, 0, 0, size);
        const std::size_t middle = halve(ranges, size);
        const Label upper = write(ranges + middle, size - middle, from);
        const Label lower = write(ranges, middle, from);
        return out_.jump(BPF_JGE, ranges[middle].first, upper, lower);
    }

private:
    static constexpr std::size_t max_hot = 2;

    template <std::size_t hot>
    constexpr Label write(const SearchPlan<hot>& plan, const Range* ranges, std::size_t tested, std::size_t begin,
                          std::size_t end) {
        if (end - begin == 1) return blocks_.label(ranges[begin].leaf);
        const std::size_t step = plan.step(tested, begin, end);
        if (step == SearchPlan<hot>::chain_step) return write(plan.chain(tested, begin, end), ranges);
        if (step == SearchPlan<hot>::without_first) return write(plan, ranges, tested, begin + 1, end);
        if (step == SearchPlan<hot>::without_last) return write(plan, ranges, tested, begin, end - 1);
        if (step == SearchPlan<hot>::hot_step) {
            const std::size_t next = plan.next_hot(tested, begin, end);
            const Label others = write(plan, ranges, next + 1, begin, end);
            return write_equal(ranges[plan.hot(next)], others);
        }
        const Label upper = write(plan, ranges, tested, step, end);
        const Label lower = write(plan, ranges, tested, begin, step);
        return out_.jump(BPF_JGE, ranges[step].first, upper, lower);
    }

    constexpr Label write(const Chain& chain, const Range* ranges) {
        Label next = blocks_.label(ranges[chain.common].leaf);
        for (std::size_t i = chain.size; i-- > 0;) next = write_equal(ranges[chain.odd[i]], next);
        return next;
    }

    constexpr Label write_equal(const Range& single, Label others) {
        return out_.jump(BPF_JEQ, single.first, blocks_.label(single.leaf), others);
    }

    /// The number that weighs more than all others together, so that a test for it comes first. A search by ranges
    /// takes at least two tests to find it, but where its range is the first or the last, which take one. Returns its
    /// place among the weights, or their size.
    constexpr std::size_t outweighing(const Range* ranges, std::size_t size, std::size_t from) const noexcept {
        for (std::size_t i = from; i < weights_.size; ++i) {
            const auto number = static_cast<std::uint32_t>(weights_.first[i].number);
            if (number < ranges[0].first || number > ranges[size - 1].last) continue;
            if (number <= ranges[0].last || number >= ranges[size - 1].first) break;
            return 2 * weights_.first[i].part > total(ranges, size) + SearchPlan<0>::instruction_cost ? i
                                                                                                      : weights_.size;
        }
        return weights_.size;
    }

    constexpr Label write_hot(Range* ranges, std::size_t size, std::size_t hot) {
        const auto number = static_cast<std::uint32_t>(weights_.first[hot].number);
        std::size_t range = 0;
        while (ranges[range].last < number) ++range;
        ranges[range].weight -= weights_.first[hot].part;
        const Label others = write(ranges, size, hot + 1);
        return out_.jump(BPF_JEQ, number, blocks_.label(ranges[range].leaf), others);
    }

    /// The place that halves the weight of more ranges than a plan takes.
    static constexpr std::size_t halve(const Range* ranges, std::size_t size) noexcept {
        const std::uint32_t whole = total(ranges, size);
        std::uint32_t left = ranges[0].weight;
        std::size_t middle = 1;
        while (middle + 1 < size && 2 * left + ranges[middle].weight <= whole) left += ranges[middle++].weight;
        return middle;
    }

    static constexpr std::uint32_t total(const Range* ranges, std::size_t size) noexcept {
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < size; ++i) sum += ranges[i].weight;
        return sum;
    }

    Emitter<capacity>& out_;
    Blocks& blocks_;
    policy::WeightList weights_;
};

}  // namespace sysguard::filter::detail
