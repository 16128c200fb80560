#pragma once

#include "../../policy/foreign.hpp"
#include "condition_code.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::filter::detail {

/// A condition bound to a native call, rewritten for the registers of a foreign one, of which the kernel reads the low
/// words. A test that cannot be expressed becomes one of memory, which the filter cannot make either.
class ForeignCondition {
    using Source = abi::Source;

public:
    constexpr ForeignCondition(const BoundNode* condition, const abi::ForeignLayout& layout) noexcept
        : layout_{layout} {
        write(condition);
    }

    constexpr const BoundNode* nodes() const noexcept { return nodes_; }

private:
    static constexpr bool is_joint(const BoundNode& node) noexcept { return node.kind <= Kind::negate; }

    /// A node becomes at most so many: see `write_command`.
    static constexpr std::size_t growth = 8;

    constexpr BoundNode& add(Kind kind) noexcept {
        BoundNode& node = nodes_[size_++] = {};
        node.kind = kind;
        node.size = 1;
        return node;
    }

    /// Gives a joint added at `place` what has been written since.
    constexpr void close(std::size_t place) noexcept { nodes_[place].size = static_cast<std::uint16_t>(size_ - place); }

    constexpr void add_unknown() noexcept { add(Kind::range).facet = policy::Facet::text; }
    constexpr void add_constant(bool value) noexcept { add(value ? Kind::all : Kind::any); }

    constexpr void write(const BoundNode* node) noexcept {
        if (is_joint(*node)) {
            const std::size_t place = size_;
            add(node->kind);
            for (const BoundNode* part = node + 1; part < node + node->size; part += part->size) write(part);
            close(place);
            return;
        }
        const Source& source = layout_.sources[node->position];
        if (!policy::detail::is_expressible(node, source)) return add_unknown();
        switch (source.kind) {
            case Source::Kind::constant: return write_constant(node, source);
            case Source::Kind::pair: return write_pair(node, source);
            case Source::Kind::command: return write_command(node, source);
            case Source::Kind::sign_extended:
                if (node->mask >> 32 != 0) return write_signed(node, source);
                break;
            default: break;
        }
        write_low(node, source);
    }

    constexpr void write_constant(const BoundNode* node, const Source& source) noexcept {
        std::uint64_t arguments[abi::max_arguments]{};
        const std::uint64_t none[abi::max_arguments]{};
        arguments[node->position] = abi::value_of(source, none).bits;
        add_constant(policy::matches(node, arguments));
    }

    /// As it is, with its two words in two registers.
    constexpr void write_pair(const BoundNode* node, const Source& source) noexcept {
        for (std::size_t i = 0; i < node->size; ++i) nodes_[size_ + i] = node[i];
        nodes_[size_].position = two_registers(source.low, source.high);
        size_ += node->size;
    }

    /// Where the register holds the command of a 64-bit lock, nothing is known.
    constexpr void write_command(const BoundNode* node, const Source& source) noexcept {
        const auto add_locks = [&](bool outside) {
            add_range(source.low, all_low, Source::first_lock64, Source::last_lock64, outside);
        };
        const std::size_t any = size_;
        add(Kind::any);
        const std::size_t plain = size_;
        add(Kind::all);
        add_locks(true);
        write_low(node, source);
        close(plain);
        const std::size_t lock = size_;
        add(Kind::all);
        add_locks(false);
        add_unknown();
        close(lock);
        close(any);
    }

    /// One register, above which there are zeros.
    constexpr void write_low(const BoundNode* node, const Source& source) noexcept {
        const std::size_t place = size_;
        if (node->outside) add(Kind::negate);
        write_below(node, source, 0);
        if (node->outside) close(place);
    }

    /// Of a member's values those above whose low half there is `high`.
    constexpr void write_members(const BoundNode* node, const Source& source, std::uint64_t high) noexcept {
        const std::size_t place = size_;
        add(Kind::member);
        unsigned count = 0;
        for (unsigned i = 0; i < node->count; ++i) {
            const std::uint64_t value = policy::member_value(node, i);
            if ((value & ~all_low) != high) continue;
            if (count % 3 == 0) add(Kind::values).size = 0;
            policy::member_value(nodes_ + place, count++) = abi::low_half(value);
        }
        const std::uint64_t mask = abi::low_half(node->mask);
        if (count == 0 || mask == 0) {
            size_ = place;
            nodes_[place] = {};
            return add_constant(count != 0);
        }
        nodes_[place].position = source.low;
        nodes_[place].mask = mask;
        nodes_[place].count = static_cast<std::uint16_t>(count);
        close(place);
    }

    /// Where above the low half there is `high`, whatever is in the low half: a range or a member.
    constexpr void write_below(const BoundNode* node, const Source& source, std::uint64_t high) noexcept {
        if (node->kind == Kind::member) return write_members(node, source, high);
        const std::uint64_t mask = abi::low_half(node->mask);
        const std::uint64_t highest = high | mask;
        if (node->low > highest || node->high < high) return add_constant(false);
        const std::uint64_t from = node->low > high ? node->low - high : 0;
        const std::uint64_t to = (node->high < highest ? node->high : highest) - high;
        if (mask == 0) return add_constant(true);
        add_range(source.low, mask, from, to);
    }

    constexpr void add_range(std::uint8_t position, std::uint64_t mask, std::uint64_t low, std::uint64_t high,
                             bool outside = false) noexcept {
        BoundNode& range = add(Kind::range);
        range.position = position;
        range.outside = outside;
        range.mask = mask;
        range.low = low;
        range.high = high;
    }

    /// One register, above which there is its sign: the numbers from 0, or those below.
    constexpr void write_signed(const BoundNode* node, const Source& source) noexcept {
        constexpr std::uint64_t highest = 0x7fffffff;
        const std::size_t place = size_;
        add(node->outside ? Kind::negate : Kind::all);
        const std::size_t either = size_;
        add(Kind::any);
        for (const bool is_negative : {false, true}) {
            const std::size_t half = size_;
            add(Kind::all);
            add_range(source.low, all_low, is_negative ? highest + 1 : 0, is_negative ? all_low : highest);
            write_below(node, source, is_negative ? node->mask & ~all_low : 0);
            close(half);
        }
        close(either);
        close(place);
    }

    static constexpr std::uint64_t all_low = 0xffffffff;

    const abi::ForeignLayout& layout_;
    BoundNode nodes_[growth * policy::max_condition_nodes]{};
    std::size_t size_ = 0;
};

}  // namespace sysguard::filter::detail
