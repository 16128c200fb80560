#pragma once

#include "../binding.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::policy::detail {

/// Values of one argument that stand for all others: the tests of some conditions split the argument's values into
/// cells in which every test has the same result, and there is a value here for each cell. All members are zero at
/// first: elements of an array may lose other initializers when GCC 12 has seen the class in a constant expression.
class Cells {
public:
    constexpr void add(const BoundNode* nodes, std::size_t count, std::uint8_t position) noexcept {
        for (std::size_t i = 0; i < count; ++i) {
            const BoundNode& node = nodes[i];
            if (is_in_memory(node)) continue;
            if (node.kind == Node::Kind::range && node.position == position) add_test({node.mask, node.low, node.high});
            if (node.kind == Node::Kind::member && node.position == position)
                for (unsigned v = 0; v < node.count; ++v)
                    add_test({node.mask, member_value(&node, v), member_value(&node, v)});
        }
    }

    /// Splits by whether the bits of the mask are `value`.
    constexpr void add_test(std::uint64_t mask, std::uint64_t value) noexcept { add_test({mask, value, value}); }

    constexpr void split() noexcept {
        add_value(0);
        if (one_mask())
            split_by_bounds();
        else if (test_count_ <= max_mixed_tests)
            split_by_bits();
        else
            overflown_ = true;
    }

    /// False where there are more tests or cells than fit.
    constexpr bool complete() const noexcept { return !overflown_; }
    constexpr std::size_t size() const noexcept { return value_count_; }
    constexpr std::uint64_t operator[](std::size_t i) const noexcept { return values_[i]; }

private:
    struct Test {
        std::uint64_t mask;
        std::uint64_t low;
        std::uint64_t high;
    };

    static constexpr std::size_t max_tests = 128;
    static constexpr std::size_t max_values = 2 * max_tests + 1;
    static constexpr std::size_t max_mixed_tests = 24;
    static constexpr std::size_t max_prefixes = 64;

    /// Where the bits read so far, from the highest down, leave a test.
    enum class Progress : std::uint8_t { on_both_bounds, on_low, on_high, inside, outside };

    struct Prefix {
        std::uint64_t value;
        Progress progress[max_mixed_tests];
    };

    constexpr void add_test(const Test& test) noexcept {
        if (test_count_ == max_tests)
            overflown_ = true;
        else
            tests_[test_count_++] = test;
    }

    constexpr void add_value(std::uint64_t value) noexcept {
        for (std::size_t i = 0; i < value_count_; ++i)
            if (values_[i] == value) return;
        if (value_count_ == max_values)
            overflown_ = true;
        else
            values_[value_count_++] = value;
    }

    constexpr bool one_mask() const noexcept {
        for (std::size_t i = 1; i < test_count_; ++i)
            if (tests_[i].mask != tests_[0].mask) return false;
        return true;
    }

    /// Every cell begins at 0, at a lower bound or behind an upper one.
    constexpr void split_by_bounds() noexcept {
        for (std::size_t i = 0; i < test_count_; ++i) {
            const Test& test = tests_[i];
            add_value(test.low);
            add_value(((test.high | ~test.mask) + 1) & test.mask);
        }
    }

    static constexpr Progress step(Progress progress, bool bit, bool low, bool high) noexcept {
        switch (progress) {
            case Progress::on_both_bounds:
                if (low == high) return bit == low ? Progress::on_both_bounds : Progress::outside;
                return bit ? Progress::on_high : Progress::on_low;
            case Progress::on_low:
                if (bit == low) return Progress::on_low;
                return bit ? Progress::inside : Progress::outside;
            case Progress::on_high:
                if (bit == high) return Progress::on_high;
                return bit ? Progress::outside : Progress::inside;
            default: return progress;
        }
    }

    /// With several masks on one argument: all tests are run over its bits at once, and prefixes that leave every test
    /// in the same state are one.
    constexpr void split_by_bits() noexcept {
        std::uint64_t used = 0;
        for (std::size_t i = 0; i < test_count_; ++i) used |= tests_[i].mask;
        Prefix now[max_prefixes]{};
        std::size_t count = 1;
        int above = 64;
        for (int bit = 63; bit >= 0; --bit) {
            if ((used >> bit & 1) == 0) continue;
            if (above < 64 && are_alike(above, bit)) {
                for (std::size_t p = 0; p < count; ++p) now[p].value |= (now[p].value >> above & 1) << bit;
                above = bit;
                continue;
            }
            above = bit;
            Prefix next[max_prefixes]{};
            std::size_t next_count = 0;
            for (std::size_t p = 0; p < count; ++p)
                for (unsigned set = 0; set < 2; ++set)
                    if (!extend(now[p], bit, set != 0, next, next_count)) return;
            for (std::size_t p = 0; p < next_count; ++p) now[p] = next[p];
            count = next_count;
        }
        for (std::size_t p = 0; p < count; ++p) add_value(now[p].value);
    }

    /// Whether a bit leads nowhere that the one above it has not led to: every test looks at both or neither, and wants
    /// of both the same.
    constexpr bool are_alike(int above, int bit) const noexcept {
        const std::uint64_t both = 1ULL << above | 1ULL << bit;
        for (std::size_t i = 0; i < test_count_; ++i) {
            const Test& test = tests_[i];
            const std::uint64_t looked_at = test.mask & both;
            if (looked_at == 0) continue;
            const std::uint64_t low = test.low & both;
            if (looked_at != both || low != (test.high & both) || (low != 0 && low != both)) return false;
        }
        return true;
    }

    constexpr bool extend(const Prefix& from, int bit, bool set, Prefix* next, std::size_t& next_count) noexcept {
        Prefix prefix = from;
        if (set) prefix.value |= 1ULL << bit;
        for (std::size_t i = 0; i < test_count_; ++i)
            if ((tests_[i].mask >> bit & 1) != 0)
                prefix.progress[i] = step(prefix.progress[i], set, tests_[i].low >> bit & 1, tests_[i].high >> bit & 1);
        for (std::size_t p = 0; p < next_count; ++p)
            if (same(next[p], prefix)) return true;
        if (next_count == max_prefixes) {
            overflown_ = true;
            return false;
        }
        next[next_count++] = prefix;
        return true;
    }

    constexpr bool same(const Prefix& a, const Prefix& b) const noexcept {
        for (std::size_t i = 0; i < test_count_; ++i)
            if (a.progress[i] != b.progress[i]) return false;
        return true;
    }

    Test tests_[max_tests]{};
    std::size_t test_count_ = 0;
    std::uint64_t values_[max_values]{};
    std::size_t value_count_ = 0;
    bool overflown_ = false;
};

/// Every combination of cells of the six arguments.
class Grid {
public:
    /// Takes in the tests of a condition.
    constexpr void add(const BoundNode* nodes, std::size_t count) noexcept {
        for (std::uint8_t position = 0; position < abi::max_arguments; ++position)
            cells_[position].add(nodes, count, position);
    }

    constexpr void add_test(int position, std::uint64_t mask, std::uint64_t value) noexcept {
        cells_[position].add_test(mask, value);
    }

    /// Returns false where there are more combinations than `most`, or more than fit.
    constexpr bool split(std::size_t most) noexcept {
        for (Cells& cells : cells_) {
            cells.split();
            size_ *= cells.size();
            if (!cells.complete() || size_ > most) return false;
        }
        return true;
    }

    constexpr std::size_t size() const noexcept { return size_; }

    /// Writes the six arguments of one combination.
    constexpr void get(std::size_t combination, std::uint64_t* arguments) const noexcept {
        for (const Cells& cells : cells_) {
            *arguments++ = cells[combination % cells.size()];
            combination /= cells.size();
        }
    }

private:
    Cells cells_[abi::max_arguments]{};
    std::size_t size_ = 1;
};

}  // namespace sysguard::policy::detail
