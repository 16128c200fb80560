#pragma once

#include "../../policy/view.hpp"
#include "emitter.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::filter::detail {

using policy::BoundNode;
using Kind = policy::Node::Kind;

/// A position for BoundNode of an argument whose words are the low words of two registers.
constexpr std::uint8_t two_registers(unsigned low, unsigned high) noexcept {
    return static_cast<std::uint8_t>(low | (high + 1) << 4);
}

/// The offset in `seccomp_data` of an argument's low or high word. Both native ABIs are little-endian.
constexpr std::uint32_t word_offset(unsigned position, bool high) noexcept {
    if (high && position >> 4 != 0) return static_cast<std::uint32_t>(16 + 8 * ((position >> 4) - 1));
    return static_cast<std::uint32_t>(16 + 8 * (position & 15) + (high ? 4 : 0));
}

/// What the accumulator holds during a test: one word of an argument, perhaps under a mask.
struct Word {
    std::uint32_t offset = 0;
    std::uint32_t mask = 0;
};

/// A range of one word.
struct WordRange {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
};

constexpr std::uint32_t low_word(std::uint64_t value) noexcept {
    return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high_word(std::uint64_t value) noexcept {
    return static_cast<std::uint32_t>(value >> 32);
}

/// Writes the code of conditions. Each function writes a test that goes to `yes` or `no`, and returns where it begins.
template <std::size_t capacity>
class ConditionCode {
public:
    constexpr explicit ConditionCode(Emitter<capacity>& emitter) noexcept : out_{emitter} {}

    /// A test that only the host can make counts as whatever lets the condition hold: the host looks again.
    constexpr Label condition(const BoundNode* node, Label yes, Label no, bool positive = true) {
        if (yes == no) return yes;
        if (policy::is_in_memory(*node)) return positive ? yes : no;
        switch (node->kind) {
            case Kind::range: return node->outside ? range(*node, no, yes) : range(*node, yes, no);
            case Kind::member: return member(node, yes, no);
            case Kind::negate: return condition(node + 1, no, yes, !positive);
            default: return parts(node, yes, no, positive);
        }
    }

    /// For a condition that is to be written next, and that alone leads to `label`: where both look at the same word,
    /// takes back the load that `label` begins with. Yields the label to use instead.
    constexpr Label share_load(const BoundNode* test, Label label) noexcept {
        Word word;
        if (label != out_.top() || !keeps_word(test, word) || !loads(label, word.offset)) return label;
        out_.drop(1);
        return label + 1;
    }

private:
    constexpr Label parts(const BoundNode* node, Label yes, Label no, bool positive) {
        const BoundNode* list[policy::max_condition_nodes]{};
        std::size_t count = 0;
        for (const BoundNode* part = node + 1; part < node + node->size; part += part->size) list[count++] = part;
        const bool all = node->kind == Kind::all;
        Label next = all ? yes : no;
        bool written = false;
        for (std::size_t i = count; i-- > 0;) {
            if (written) next = share_load(list[i], next);
            const Label before = out_.top();
            next = all ? condition(list[i], next, no, positive) : condition(list[i], yes, next, positive);
            written = out_.top() != before;
        }
        return next;
    }

    /// Whether a test looks at one word only, and leaves it whole in the accumulator wherever it jumps.
    static constexpr bool keeps_word(const BoundNode* node, Word& word) noexcept {
        while (node->kind == Kind::negate) ++node;
        if (policy::is_in_memory(*node)) return false;
        if (node->kind != Kind::range && node->kind != Kind::member) return false;
        const std::uint32_t low = low_word(node->mask);
        const std::uint32_t high = high_word(node->mask);
        if ((low != 0) == (high != 0)) return false;
        word.offset = word_offset(node->position, high != 0);
        word.mask = low | high;
        if (node->kind == Kind::member) return word.mask == all_bits;
        const WordRange range{low_word(node->low) | high_word(node->low), low_word(node->high) | high_word(node->high)};
        return !is_all(word, range) && (word.mask == all_bits || is_bit_test(word, range));
    }

    static constexpr std::uint32_t all_bits = 0xffffffff;

    static constexpr bool is_all(const Word& word, const WordRange& range) noexcept {
        return range.low == 0 && range.high >= word.mask;
    }

    /// Whether a JSET decides: no bit of the mask is set, or the only one is.
    static constexpr bool is_bit_test(const Word& word, const WordRange& range) noexcept {
        return range.high == 0 || (range.low == range.high && (word.mask & (word.mask - 1)) == 0);
    }

    constexpr bool loads(Label label, std::uint32_t offset) const noexcept {
        return label < capacity && out_.at(label).code == (BPF_LD | BPF_W | BPF_ABS) && out_.at(label).k == offset;
    }

    constexpr bool masks(Label label) const noexcept {
        return label < capacity && out_.at(label).code == (BPF_ALU | BPF_AND | BPF_K);
    }

    /// A jump from where the accumulator holds `word`: past a load of just that.
    constexpr Label skip_load(Label label, const Word& word) const noexcept {
        if (!loads(label, word.offset)) return label;
        if (word.mask == all_bits) return label + 1;
        return masks(label + 1) && out_.at(label + 1).k == word.mask ? label + 2 : label;
    }

    constexpr Label jump(unsigned operation, std::uint32_t k, const Word& word, Label yes, Label no) {
        return out_.jump(operation, k, skip_load(yes, word), skip_load(no, word));
    }

    /// Loads the word for the test at `test`.
    constexpr Label load(const Word& word, Label test) {
        out_.fall_into(test);
        if (word.mask != all_bits) out_.emit(BPF_ALU | BPF_AND | BPF_K, word.mask);
        return out_.emit(BPF_LD | BPF_W | BPF_ABS, word.offset);
    }

    /// `range.low <= word <= range.high`, with the word already in the accumulator.
    constexpr Label loaded_range(const Word& word, const WordRange& range, Label yes, Label no) {
        if (range.low == range.high) return jump(BPF_JEQ, range.low, word, yes, no);
        const Label above = range.high >= word.mask ? yes : jump(BPF_JGT, range.high, word, no, yes);
        return range.low == 0 ? above : jump(BPF_JGE, range.low, word, above, no);
    }

    constexpr Label word_range(const Word& word, const WordRange& range, Label yes, Label no) {
        if (yes == no || is_all(word, range)) return yes;
        if (word.mask != all_bits && is_bit_test(word, range)) {
            const Word whole{word.offset, all_bits};
            return load(whole, range.high == 0 ? jump(BPF_JSET, word.mask, whole, no, yes)
                                               : jump(BPF_JSET, word.mask, whole, yes, no));
        }
        return load(word, loaded_range(word, range, yes, no));
    }

    constexpr Label range(const BoundNode& node, Label yes, Label no) {
        const Word low{word_offset(node.position, false), low_word(node.mask)};
        const Word high{word_offset(node.position, true), high_word(node.mask)};
        if (high.mask == 0) return word_range(low, {low_word(node.low), low_word(node.high)}, yes, no);
        if (low.mask == 0) return word_range(high, {high_word(node.low), high_word(node.high)}, yes, no);
        return wide_range(low, high, node.low, node.high, node.mask, yes, no);
    }

    /// A range over both words: the high words decide, and where they are on a bound the low words do.
    constexpr Label wide_range(const Word& low, const Word& high, std::uint64_t from, std::uint64_t to,
                               std::uint64_t mask, Label yes, Label no) {
        if (high_word(from) == high_word(to)) {
            const Label inner = word_range(low, {low_word(from), low_word(to)}, yes, no);
            return word_range(high, {high_word(from), high_word(to)}, inner, no);
        }
        Label next = yes;
        if (to < mask) {
            const Label on_bound = word_range(low, {0, low_word(to)}, next, no);
            const Label not_below = jump(BPF_JEQ, high_word(to), high, on_bound, no);
            next = load(high, jump(BPF_JGE, high_word(to), high, not_below, next));
        }
        if (from > 0) {
            const Label on_bound = word_range(low, {low_word(from), low.mask}, next, no);
            const Label not_above = jump(BPF_JEQ, high_word(from), high, on_bound, no);
            next = load(high, jump(BPF_JGT, high_word(from), high, next, not_above));
        }
        return next;
    }

    constexpr Label member(const BoundNode* node, Label yes, Label no) {
        const Word low{word_offset(node->position, false), low_word(node->mask)};
        const Word high{word_offset(node->position, true), high_word(node->mask)};
        if (high.mask == 0) return load(low, values(node, 0, node->count, false, low, yes, no));
        if (low.mask == 0) return load(high, values(node, 0, node->count, true, high, yes, no));
        Label next = no;
        for (unsigned end = node->count; end > 0;) {
            unsigned begin = end - 1;
            const std::uint32_t upper = high_word(policy::member_value(node, begin));
            while (begin > 0 && high_word(policy::member_value(node, begin - 1)) == upper) --begin;
            const Label inner = load(low, values(node, begin, end, false, low, yes, no));
            next = jump(BPF_JEQ, upper, high, inner, next);
            end = begin;
        }
        return load(high, next);
    }

    /// One of the sorted values `begin` to `end`, with their word in the accumulator. Neighbours make a range.
    constexpr Label values(const BoundNode* node, unsigned begin, unsigned end, bool high, const Word& word, Label yes,
                           Label no) {
        WordRange ranges[3 * policy::max_condition_nodes]{};
        std::size_t count = 0;
        for (unsigned i = begin; i < end; ++i) {
            const std::uint64_t both = policy::member_value(node, i);
            const std::uint32_t value = high ? high_word(both) : low_word(both);
            if (count > 0 && (((ranges[count - 1].high | ~word.mask) + 1) & word.mask) == value)
                ranges[count - 1].high = value;
            else
                ranges[count++] = {value, value};
        }
        return any_of(ranges, count, word, yes, no);
    }

    /// One of the sorted ranges; a search where there are many.
    constexpr Label any_of(const WordRange* ranges, std::size_t count, const Word& word, Label yes, Label no) {
        constexpr std::size_t linear = 4;
        if (count > linear) {
            const std::size_t half = count / 2;
            const Label upper = any_of(ranges + half, count - half, word, yes, no);
            const Label lower = any_of(ranges, half, word, yes, no);
            return jump(BPF_JGE, ranges[half].low, word, upper, lower);
        }
        Label next = no;
        for (std::size_t i = count; i-- > 0;) next = loaded_range(word, ranges[i], yes, next);
        return next;
    }

    Emitter<capacity>& out_;
};

}  // namespace sysguard::filter::detail
