#pragma once

#include "../../policy/foreign.hpp"
#include "../compile.hpp"
#include "foreign_condition.hpp"
#include "search_tree.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/seccomp.h>

namespace sysguard::filter::detail {

/// The calls of a 32-bit ABI, by their places in abi::ForeignPlaces: what the rules of their native calls come to.
template <abi::Abi abi, std::size_t capacity, std::size_t rule_capacity>
class ForeignBlocks {
    using Places = abi::ForeignPlaces<abi>;

public:
    constexpr ForeignBlocks(const policy::View& view, const policy::RulesByCall<rule_capacity>& by_call,
                            Emitter<capacity>& emitter) noexcept
        : view_{view}, by_call_{by_call}, out_{emitter} {}

    /// The search for a number, to which the accumulator is set before.
    constexpr Label write() {
        Range ranges[2 * Places::count]{};
        std::size_t count = 0;
        for (const abi::NumberRange& range : Places::ranges) {
            if (range.first > 0) add(ranges, count, static_cast<std::uint32_t>(range.first) - 1, unknown);
            for (int number = range.first; number < range.first + range.count; ++number) {
                const int place = range.place + (number - range.first);
                const bool is_multiplexer = abi::detail::multiplexer_of<abi>(number) >= 0;
                const Leaf leaf = is_multiplexer ? Leaf{0, 1, static_cast<std::int16_t>(place)} : leaf_at(place);
                add(ranges, count, static_cast<std::uint32_t>(number), leaf);
            }
        }
        add(ranges, count, policy::skipped_call - 1, unknown);
        add(ranges, count, policy::skipped_call, {SECCOMP_RET_ALLOW, 0, 0});
        return SearchTree{out_, *this}.write(ranges, count);
    }

    /// Where the code of a leaf begins; written on first use.
    constexpr Label label(const Leaf& leaf) {
        if (leaf.conditions == 0) return out_.ret(leaf.value);
        Label& known = labels_[leaf.block];
        if (known == 0) known = write(leaf.block);
        return known;
    }

private:
    static constexpr Leaf unknown{return_value(policy::unknown_call), 0, 0};

    /// Up to `last`, after those added before.
    static constexpr void add(Range* ranges, std::size_t& count, std::uint32_t last, const Leaf& leaf) noexcept {
        const bool is_likely = leaf.conditions > 0 || leaf.value == SECCOMP_RET_ALLOW || leaf.value == SECCOMP_RET_LOG;
        const std::uint32_t first = count == 0 ? 0 : ranges[count - 1].last + 1;
        if (count == 0 || !(ranges[count - 1].leaf == leaf)) ranges[count++] = {first, last, 0, leaf};
        ranges[count - 1].last = last;
        ranges[count - 1].weight += is_likely ? 16 : 1;
    }

    constexpr Label write(int place) {
        for (const abi::Multiplexer& each : Places::multiplexers)
            if (place == abi::detail::place_of<abi>(each.number)) return write_parts(each);
        const abi::ForeignLayout& layout = policy::foreign_layout<abi>(view_, place);
        return write_rules(layout, by_call_.first(layout.native), is_served(layout));
    }

    /// The first register says which call it is.
    constexpr Label write_parts(const abi::Multiplexer& multiplexer) {
        Range ranges[Places::count]{};
        std::size_t count = 0;
        for (int part = 0; part <= multiplexer.last_part; ++part)
            add(ranges, count, static_cast<std::uint32_t>(part), leaf_at(multiplexer.place + part));
        add(ranges, count, 0xffffffff, unknown);
        out_.fall_into(SearchTree{out_, *this}.write(ranges, count));
        if (multiplexer.mask != 0xffffffff) out_.emit(BPF_ALU | BPF_AND | BPF_K, multiplexer.mask);
        return out_.emit(BPF_LD | BPF_W | BPF_ABS, word_offset(0, false));
    }

    constexpr Leaf leaf_at(int place) const {
        if (abi::foreign_layout<abi>(place).native == abi::ForeignLayout::none) return unknown;
        const abi::ForeignLayout& layout = policy::foreign_layout<abi>(view_, place);
        if (policy::is_always_allowed(layout)) return {SECCOMP_RET_ALLOW, 0, 0};
        const int first = by_call_.first(layout.native);
        const bool served = is_served(layout);
        int last = first;
        while (last >= 0 && view_.rules[last].node_count != 0) last = by_call_.next(last);
        const std::uint32_t value = last_value(last, served);
        for (int rule = first; rule != last; rule = by_call_.next(rule))
            if (value_of(view_.rules[rule], served) != value || !is_exact(view_.rules[rule], layout))
                return {value, 1, static_cast<std::int16_t>(place)};
        return {value, 0, 0};
    }

    /// What a rule that matches comes to.
    constexpr std::uint32_t value_of(const policy::RuleRecord& rule, bool served) const noexcept {
        return served ? return_value(rule) : value_of(rule.decision);
    }

    /// What a decision comes to that the host cannot make.
    constexpr std::uint32_t value_of(const Decision& decision) const noexcept {
        return return_value(decision == Action::handle ? view_.foreign : decision);
    }

    /// What a rule without a condition comes to, or none.
    constexpr std::uint32_t last_value(int rule, bool served) const noexcept {
        if (rule >= 0) return value_of(view_.rules[rule], served);
        return served ? return_value(view_.otherwise) : value_of(view_.otherwise);
    }

    constexpr bool is_exact(const policy::RuleRecord& rule, const abi::ForeignLayout& layout) const noexcept {
        return !rule.in_memory && is_told(rule, layout);
    }

    constexpr bool is_told(const policy::RuleRecord& rule, const abi::ForeignLayout& layout) const noexcept {
        return policy::is_told_by_registers(view_.condition(rule), rule.node_count, layout);
    }

    /// As policy::is_served says.
    constexpr bool is_served(const abi::ForeignLayout& layout) const noexcept {
        if (!policy::is_served(layout)) return false;
        for (int rule = by_call_.first(layout.native); rule >= 0; rule = by_call_.next(rule))
            if (!is_told(view_.rules[rule], layout)) return false;
        return true;
    }

    /// A rule and those after it.
    constexpr Label write_rules(const abi::ForeignLayout& layout, int rule, bool served) {
        if (rule < 0 || view_.rules[rule].node_count == 0) return out_.ret(last_value(rule, served));
        const policy::RuleRecord& record = view_.rules[rule];
        Label no = write_rules(layout, by_call_.next(rule), served);
        const ForeignCondition condition{view_.condition(record), layout};
        ConditionCode<capacity> code{out_};
        const bool is_certain = served || is_exact(record, layout);
        if (!is_certain) no = code.condition(condition.nodes(), out_.ret(return_value(view_.foreign)), no);
        return code.condition(condition.nodes(), out_.ret(value_of(record, served)), no, is_certain);
    }

    const policy::View& view_;
    const policy::RulesByCall<rule_capacity>& by_call_;
    Emitter<capacity>& out_;
    Label labels_[Places::count]{};
};

}  // namespace sysguard::filter::detail
