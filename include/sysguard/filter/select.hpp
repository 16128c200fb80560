#pragma once

#include "../abi/call_set.hpp"
#include "detail/search_tree.hpp"
#include "program.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

/// What a filter that selects calls returns, and for which.
struct Selection {
    abi::CallSet calls{};
    std::uint32_t value = SECCOMP_RET_TRACE;  ///< SECCOMP_RET_* with its data
    /// Also what could start a task that its parent's tracer is not told of (CLONE_UNTRACED, clone(2)): clone with that
    /// flag, and clone3, whose flags lie in memory.
    bool with_untraced = false;
    bool with_foreign = false;  ///< all calls of other ABIs
};

namespace detail {

class SelectionBlocks {
public:
    static constexpr std::size_t capacity = max_instructions;
    static constexpr std::uint32_t untraced = 0x00800000;  // CLONE_UNTRACED

    SelectionBlocks(const Selection& selection, Emitter<capacity>& emitter) noexcept
        : selection_{selection}, out_{emitter} {}

    /// Of a native number or, with `foreign`, of one of the 32-bit ABI.
    Leaf leaf(int number, bool foreign) const noexcept {
        if ((foreign && selection_.with_foreign) || is_selected(number, foreign)) return {selection_.value};
        if (!selection_.with_untraced) return {SECCOMP_RET_ALLOW};
        const int native = foreign ? native_of(number) : number;
        if (native == sys::clone3) return {selection_.value};
        return {SECCOMP_RET_ALLOW, static_cast<std::uint16_t>(native == sys::clone ? 1 : 0), 0};
    }

    Label label(const Leaf& leaf) {
        if (leaf.conditions == 0) return out_.ret(leaf.value);
        if (clone_ == 0) {
            const Label yes = out_.ret(selection_.value);
            const Label no = out_.ret(SECCOMP_RET_ALLOW);
            out_.fall_into(out_.jump(BPF_JSET, untraced, yes, no));
            clone_ = out_.emit(BPF_LD | BPF_W | BPF_ABS, 16);
        }
        return clone_;
    }

private:
    static int native_of(int number) noexcept {
        const int place = abi::foreign_place<abi::compat_abi>(number, 0);
        return place < 0 ? -1 : abi::foreign_layout<abi::compat_abi>(place).native;
    }

    bool is_selected(int number, bool foreign) const noexcept {
        if (!foreign) return selection_.calls.contains(number);
        int parts = 0;
        for (const abi::Multiplexer& each : abi::ForeignPlaces<abi::compat_abi>::multiplexers)
            if (each.number == number) parts = each.last_part;
        for (int part = 0; part <= parts; ++part)
            if (selection_.calls.contains(abi::compat_abi, number, static_cast<std::uint64_t>(part))) return true;
        return false;
    }

    const Selection& selection_;
    Emitter<capacity>& out_;
    Label clone_ = 0;
};

inline void add(std::vector<Range>& ranges, std::uint32_t last, const Leaf& leaf) {
    const std::uint32_t first = ranges.empty() ? 0 : ranges.back().last + 1;
    if (ranges.empty() || !(ranges.back().leaf == leaf)) ranges.push_back({first, last, 0, leaf});
    ranges.back().last = last;
    ++ranges.back().weight;
}

/// All numbers of an ABI, merged into ranges.
inline std::vector<Range> selected_ranges(const Selection& selection, const SelectionBlocks& blocks, bool foreign) {
    std::vector<Range> ranges;
    const bool has_unknown = selection.calls.has_unknown() || (foreign && selection.with_foreign);
    const Leaf unknown{has_unknown ? selection.value : SECCOMP_RET_ALLOW};
    const auto add_numbers = [&](int first, int count) {
        if (first > 0) add(ranges, static_cast<std::uint32_t>(first) - 1, unknown);
        for (int number = first; number < first + count; ++number)
            add(ranges, static_cast<std::uint32_t>(number), blocks.leaf(number, foreign));
    };
    if (foreign)
        for (const abi::NumberRange& range : abi::ForeignPlaces<abi::compat_abi>::ranges)
            add_numbers(range.first, range.count);
    else
        add_numbers(0, abi::native_limit);
    constexpr std::uint32_t skipped = 0xffffffff;
    if (!foreign && abi::native_abi == abi::Abi::x86_64) {
        add(ranges, abi::x32_bit - 1, unknown);
        add(ranges, skipped - 1, {selection.value});
    } else {
        add(ranges, skipped - 1, unknown);
    }
    add(ranges, skipped, {SECCOMP_RET_ALLOW});
    return ranges;
}

}  // namespace detail

/// A filter that returns a value for the calls of a set, and lets all others run, those of foreign ABIs and those that
/// the table does not know too: it refuses nothing. Of i386's socketcall and ipc, and of x32, it returns the value for
/// more than was asked for, where the filter cannot tell. Thread-safe.
inline std::vector<sock_filter> select(const Selection& selection) {
    using Emitter = detail::Emitter<detail::SelectionBlocks::capacity>;
    const auto out = std::make_unique<Emitter>();
    detail::SelectionBlocks blocks{selection, *out};
    const bool has_other = selection.calls.has_unknown() || selection.with_foreign;
    detail::Label other = out->ret(has_other ? selection.value : SECCOMP_RET_ALLOW);
    std::vector<detail::Range> ranges = selected_ranges(selection, blocks, true);
    out->fall_into(detail::SearchTree{*out, blocks}.write(ranges.data(), ranges.size()));
    const detail::Label compat = out->emit(BPF_LD | BPF_W | BPF_ABS, 0);
    other = out->jump(BPF_JEQ, abi::audit_architecture(abi::compat_abi), compat, other);
    ranges = selected_ranges(selection, blocks, false);
    out->fall_into(detail::SearchTree{*out, blocks}.write(ranges.data(), ranges.size()));
    const detail::Label native = out->emit(BPF_LD | BPF_W | BPF_ABS, 0);
    out->fall_into(out->jump(BPF_JEQ, abi::audit_architecture(abi::native_abi), native, other));
    out->emit(BPF_LD | BPF_W | BPF_ABS, 4);
    const auto program = std::make_unique<Program<detail::SelectionBlocks::capacity>>();
    out->finish(*program);
    return {program->code, program->code + program->size};
}

}  // namespace sysguard::filter
