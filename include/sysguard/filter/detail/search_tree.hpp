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

/// The cheapest search over a few ranges: of all orders in which numbers can be compared, the one with the least
/// instructions and the shortest ways, found by dynamic programming over intervals of ranges.
class SearchPlan {
public:
    static constexpr std::size_t max_size = 24;
    static constexpr std::size_t max_odd = 3;

    constexpr SearchPlan(const Range* ranges, std::size_t size) noexcept : ranges_{ranges} {
        for (std::size_t length = 2; length <= size; ++length)
            for (std::size_t begin = 0; begin + length <= size; ++begin) plan(begin, begin + length);
    }

    /// Where an interval is to be split, or 0 where its single numbers are to be tested one after the other.
    constexpr std::size_t split(std::size_t begin, std::size_t end) const noexcept { return split_[begin][end]; }

    /// The ranges of an interval that differ from the rest of it, if they are few single numbers: `odd` gets their
    /// places, the heaviest first. Returns more than `max_odd` where they are not.
    constexpr std::size_t odd_ones(std::size_t begin, std::size_t end, std::size_t* odd) const noexcept {
        if (end - begin > 2 * max_odd + 1) return max_odd + 1;
        const Leaf& common = ranges_[common_range(begin, end)].leaf;
        std::size_t count = 0;
        for (std::size_t i = begin; i < end; ++i) {
            if (ranges_[i].leaf == common) continue;
            if (!ranges_[i].is_single() || count == max_odd) return max_odd + 1;
            std::size_t place = count++;
            for (; place > 0 && ranges_[odd[place - 1]].weight < ranges_[i].weight; --place)
                odd[place] = odd[place - 1];
            odd[place] = i;
        }
        return count;
    }

    /// A range that is no single number, or else the first.
    constexpr std::size_t common_range(std::size_t begin, std::size_t end) const noexcept {
        for (std::size_t i = begin; i < end; ++i)
            if (!ranges_[i].is_single()) return i;
        return begin;
    }

    /// What an instruction costs in a program, where executing it for a likely call costs 16, and for all calls of a
    /// recorded run together 65536.
    static constexpr std::uint32_t instruction_cost = 500;

private:
    constexpr void plan(std::size_t begin, std::size_t end) noexcept {
        std::uint32_t weight = 0;
        for (std::size_t i = begin; i < end; ++i) weight += ranges_[i].weight;
        std::uint32_t best = equality_cost(begin, end, weight);
        std::size_t best_split = 0;
        for (std::size_t middle = begin + 1; middle < end; ++middle) {
            const std::uint32_t cost = cost_[begin][middle] + cost_[middle][end] + instruction_cost + weight;
            if (cost < best) {
                best = cost;
                best_split = middle;
            }
        }
        cost_[begin][end] = best;
        split_[begin][end] = static_cast<std::uint8_t>(best_split);
    }

    constexpr std::uint32_t equality_cost(std::size_t begin, std::size_t end, std::uint32_t weight) const noexcept {
        std::size_t odd[max_odd]{};
        const std::size_t count = odd_ones(begin, end, odd);
        if (count > max_odd) return ~0U;
        std::uint32_t cost = 0;
        for (std::size_t i = 0; i < count; ++i) {
            cost += instruction_cost + weight;
            weight -= ranges_[odd[i]].weight;
        }
        return cost;
    }

    const Range* ranges_;
    std::uint32_t cost_[max_size + 1][max_size + 1]{};
    std::uint8_t split_[max_size + 1][max_size + 1]{};
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
        if (size <= SearchPlan::max_size) return write(SearchPlan{ranges, size}, ranges, 0, size);
        const std::size_t middle = halve(ranges, size);
        const Label upper = write(ranges + middle, size - middle, from);
        const Label lower = write(ranges, middle, from);
        return out_.jump(BPF_JGE, ranges[middle].first, upper, lower);
    }

private:
    constexpr Label write(const SearchPlan& plan, const Range* ranges, std::size_t begin, std::size_t end) {
        if (end - begin == 1) return blocks_.label(ranges[begin].leaf);
        const std::size_t middle = plan.split(begin, end);
        if (middle == 0) return write_odd_ones(plan, ranges, begin, end);
        const Label upper = write(plan, ranges, middle, end);
        const Label lower = write(plan, ranges, begin, middle);
        return out_.jump(BPF_JGE, ranges[middle].first, upper, lower);
    }

    constexpr Label write_odd_ones(const SearchPlan& plan, const Range* ranges, std::size_t begin, std::size_t end) {
        std::size_t odd[SearchPlan::max_odd]{};
        const std::size_t count = plan.odd_ones(begin, end, odd);
        Label next = blocks_.label(ranges[plan.common_range(begin, end)].leaf);
        for (std::size_t i = count; i-- > 0;) {
            const Label found = blocks_.label(ranges[odd[i]].leaf);
            next = out_.jump(BPF_JEQ, ranges[odd[i]].first, found, next);
        }
        return next;
    }

    /// The number that weighs more than all others together, so that a test for it comes first. A search by ranges
    /// takes at least two tests to find it, but where its range is the first or the last, which take one. Returns its
    /// place among the weights, or their size.
    constexpr std::size_t outweighing(const Range* ranges, std::size_t size, std::size_t from) const noexcept {
        for (std::size_t i = from; i < weights_.size; ++i) {
            const auto number = static_cast<std::uint32_t>(weights_.first[i].number);
            if (number < ranges[0].first || number > ranges[size - 1].last) continue;
            if (number <= ranges[0].last || number >= ranges[size - 1].first) break;
            return 2 * weights_.first[i].part > total(ranges, size) + SearchPlan::instruction_cost ? i : weights_.size;
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
