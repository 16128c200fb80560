#pragma once

#include "../abi/table.hpp"
#include "condition.hpp"
#include "mistakes.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace sysguard::policy {

/// A node of a condition that is bound to a call: positions instead of names, bit patterns instead of numbers.
/// Every test looks at `argument & mask`, unsigned.
struct BoundNode {
    Node::Kind kind = Node::Kind::all;  ///< never `bits`
    Facet facet = Facet::value;
    bool outside = false;       ///< of a range: true where the value is not in it
    std::uint8_t position = 0;  ///< of a test: which argument, 0 to 5
    std::uint16_t size = 0;
    std::uint16_t count = 0;  ///< of a member; of a text: its bytes
    std::uint64_t mask = 0;   ///< of a test
    std::uint64_t low = 0;    ///< of a range; of a network: the first half
    std::uint64_t high = 0;   ///< of a range; of a network: the second half
    std::uint64_t extra = 0;  ///< of values: the third; `low` and `high` are the first two; of a network: the prefix

    friend constexpr bool operator==(const BoundNode&, const BoundNode&) = default;
};

/// Whether a node is a test that only the host can make.
constexpr bool is_in_memory(const BoundNode& node) noexcept {
    return is_in_memory(node.facet);
}

/// The nodes that one condition may have: its tests, the joints between them, and a third of the values of in().
inline constexpr std::size_t max_condition_nodes = 32;

/// The `index`-th value of a member node.
template <class Bound>
constexpr auto& member_value(Bound* member, unsigned index) noexcept {
    auto& values = member[1 + index / 3];
    return index % 3 == 0 ? values.low : index % 3 == 1 ? values.high : values.extra;
}

namespace detail {

/// Turns the numbers of one test into patterns of the argument's type, or finds that they do not fit.
class Binder {
public:
    constexpr Binder(int number, const abi::Argument& argument, const Node& node)
        : number_{number},
          argument_{argument.name},
          type_{argument.type},
          has_width_{node.width.bits != 0},
          meaning_{abi::info(argument.type).meaning} {
        const abi::TypeInfo& type = abi::info(argument.type);
        is_signed_ = node.width.bits != 0 ? node.width.is_signed : type.is_signed;
        takes_patterns_ = type.kind == abi::TypeInfo::Kind::bits;
        compared_ = node.width.bits != 0 ? ones(node.width.bits) : type.compared;
        register_ = node.width.bits != 0 ? compared_ : type.tested > ones(32) ? ones(64) : ones(32);
        if (node.masked) apply_mask(node.mask, node.width.bits != 0 ? compared_ : type.tested);
    }

    constexpr std::uint64_t mask() const noexcept { return compared_; }

    /// The bits that take part where the argument is to be one value.
    constexpr std::uint64_t mask_beside(std::uint64_t pattern) const noexcept {
        return masked_ || has_width_ ? compared_ : abi::compared_beside(type_, pattern);
    }

    /// A value to look for; the sign of a constant does not matter where only its pattern does.
    constexpr std::uint64_t pattern(const Number& value) const {
        if (masked_) return masked_pattern(value);
        std::uint64_t bits = 0;
        if (value.negative && !is_signed_ && takes_patterns_) {
            const std::uint64_t width = ~0ULL >> std::countl_zero(compared_);
            check_fit(~value.bits <= (width >> 1));
            bits = value.bits & width;
        } else {
            bits = ordered(value);
        }
        check_fit((bits & ~mask_beside(bits)) == 0);
        return bits;
    }

    /// A value that is a bound.
    constexpr std::uint64_t ordered(const Number& value) const {
        if (masked_) return masked_pattern(value);
        const std::uint64_t highest = is_signed_ ? compared_ >> 1 : compared_;
        check_fit(value.negative ? is_signed_ && ~value.bits <= highest : (value.bits & ~highest) == 0);
        return value.bits & compared_;
    }

    /// All values of one in() are compared on the same bits.
    constexpr void check_same_mask(std::uint64_t first, std::uint64_t second) const {
        if (mask_beside(first) != mask_beside(second))
            mistake::values_of_in_are_not_compared_on_the_same_bits(number_, argument_);
    }

    constexpr std::uint64_t lowest() const noexcept { return orders_signed() ? sign() : 0; }
    constexpr std::uint64_t highest() const noexcept { return orders_signed() ? sign() - 1 : compared_; }

    constexpr void check_order(std::uint64_t low, std::uint64_t high) const {
        if (!ordered(low, high)) mistake::lower_bound_is_above_the_upper(number_, argument_);
    }

private:
    static constexpr std::uint64_t ones(unsigned bits) noexcept { return ~0ULL >> (64 - bits); }

    constexpr bool orders_signed() const noexcept { return is_signed_ && !masked_; }
    constexpr std::uint64_t sign() const noexcept { return compared_ ^ (compared_ >> 1); }

    /// low <= high in the order of the argument's type.
    constexpr bool ordered(std::uint64_t low, std::uint64_t high) const noexcept {
        return orders_signed() ? (low ^ sign()) <= (high ^ sign()) : low <= high;
    }

    constexpr void check_fit(bool fits) const {
        if (!fits) mistake::value_does_not_fit_the_argument(number_, argument_, meaning_);
    }

    /// A complement (`~O_CLOEXEC`) is a mask of the register's width: of 32 bits, whatever integer type it was written
    /// in; of 64, where that was signed or had 64 itself.
    constexpr std::uint64_t register_pattern(const Number& value) const {
        const std::uint64_t sign_and_above = ~(register_ >> 1);
        const bool complement = (value.bits & sign_and_above) == sign_and_above;
        check_fit(complement || (!value.negative && value.bits <= register_));
        return value.bits & register_;
    }

    constexpr void apply_mask(const Number& mask, std::uint64_t tested) {
        if (mask.highest_of_32 && register_ > ones(32)) mistake::mask_of_32_bits_for_64(number_, argument_);
        masked_ = true;
        compared_ = register_pattern(mask) & tested;
        if (compared_ == 0) mistake::mask_covers_no_bit_that_the_kernel_reads(number_, argument_);
    }

    constexpr std::uint64_t masked_pattern(const Number& value) const {
        const std::uint64_t bits = register_pattern(value);
        if ((bits & ~compared_) != 0) mistake::value_has_bits_outside_the_mask(number_, argument_);
        return bits;
    }

    int number_;
    abi::ArgName argument_;
    abi::Type type_;
    bool has_width_;
    const char* meaning_;
    bool is_signed_ = false;
    bool takes_patterns_ = false;
    bool masked_ = false;
    std::uint64_t compared_ = 0;  ///< the bits that take part
    std::uint64_t register_ = 0;  ///< the bits that a mask may be written with
};

constexpr void bind_range(const Binder& binder, const Node& node, BoundNode& bound) {
    const bool equal = !node.low_open && !node.high_open && node.values[0].bits == node.values[1].bits &&
                       node.values[0].negative == node.values[1].negative;
    bound.low = equal           ? binder.pattern(node.values[0])
                : node.low_open ? binder.lowest()
                                : binder.ordered(node.values[0]);
    bound.high = equal ? bound.low : node.high_open ? binder.highest() : binder.ordered(node.values[1]);
    if (equal) bound.mask = binder.mask_beside(bound.low);
    if (!equal) binder.check_order(bound.low, bound.high);
    if (bound.low > bound.high) {  // a signed range that holds -1 and 0: what lies outside it is one unsigned range
        bound.outside = bound.low - bound.high > 1;
        const std::uint64_t below = bound.high;
        bound.high = bound.outside ? bound.low - 1 : binder.mask();
        bound.low = bound.outside ? below + 1 : 0;
    }
}

/// Sorted, each value once.
constexpr void bind_values(const Binder& binder, const Node* nodes, BoundNode* bound) {
    std::uint16_t count = 0;
    for (std::uint16_t i = 0; i < nodes->count; ++i) {
        const std::uint64_t value = binder.pattern(nodes[1 + i / 3].values[i % 3]);
        if (count > 0) binder.check_same_mask(member_value(bound, 0), value);
        std::uint16_t place = count;
        while (place > 0 && member_value(bound, place - 1U) > value) --place;
        if (place > 0 && member_value(bound, place - 1U) == value) continue;
        for (std::uint16_t j = count++; j > place; --j) member_value(bound, j) = member_value(bound, j - 1U);
        member_value(bound, place) = value;
    }
    bound->count = count;
    bound->mask = binder.mask_beside(member_value(bound, 0));
}

constexpr bool is_text(Node::Kind kind) noexcept {
    return kind >= Node::Kind::equal && kind <= Node::Kind::prefix;
}

/// What a facet of an argument is: the argument itself, or something that has a type of its own.
constexpr abi::Argument argument_of(const abi::Syscall& call, int position, Facet facet) noexcept {
    abi::Argument argument = call.arguments[position];
    if (facet == Facet::size) return call.arguments[call.position(argument.length)];
    if (facet == Facet::family) argument.type = abi::Type::socket_domain;
    if (facet == Facet::port) argument.type = abi::Type::port;
    if (facet == Facet::loopback || facet == Facet::private_range) argument.type = abi::Type::uint32;
    return argument;
}

/// A text or a network is carried over as it is.
constexpr void bind_pattern(const Node* nodes, BoundNode* bound) noexcept {
    bound->count = nodes->count;
    bound->low = nodes->values[0].bits;
    bound->high = nodes->values[1].bits;
    bound->extra = nodes->values[2].bits;
    for (std::size_t i = 1; i < nodes->size; ++i) {
        bound[i].kind = Node::Kind::values;
        bound[i].low = nodes[i].values[0].bits;
        bound[i].high = nodes[i].values[1].bits;
        bound[i].extra = nodes[i].values[2].bits;
    }
}

}  // namespace detail

/// Binds `count` nodes of a condition to a call. Every argument that they name is one of the call's.
constexpr void bind(const Node* nodes, std::size_t count, const abi::Syscall& call, BoundNode* bound) {
    for (std::size_t i = 0; i < count; ++i) {
        const Node& node = nodes[i];
        BoundNode& target = bound[i];
        target.kind = node.kind;
        target.size = node.size;
        if (node.argument == abi::ArgName::none) continue;
        const int position = call.position(node.argument);
        const abi::Argument argument = detail::argument_of(call, position, node.facet);
        target.position =
            static_cast<std::uint8_t>(node.facet == Facet::size ? call.position(argument.name) : position);
        target.facet = node.facet == Facet::size ? Facet::value : node.facet;
        if (detail::is_text(node.kind) || node.kind == Node::Kind::within) {
            detail::bind_pattern(&node, &target);
            i += node.size - 1U;
            continue;
        }
        const detail::Binder binder{call.number(), argument, node};
        target.mask = binder.mask();
        if (node.kind == Node::Kind::bits) {
            target.kind = Node::Kind::range;
            target.outside = true;
        } else if (node.kind == Node::Kind::range) {
            detail::bind_range(binder, node, target);
        } else {
            for (std::size_t v = 1; v < node.size; ++v) bound[i + v].kind = Node::Kind::values;
            detail::bind_values(binder, &node, &target);
            i += node.size - 1U;
        }
    }
}

/// Whether a condition holds for the six argument registers. `memory(node, positive)` answers for a test that only the
/// host can make; `positive` is false within an odd number of negations.
template <class Memory>
constexpr bool matches(const BoundNode* node, const std::uint64_t* arguments, const Memory& memory,
                       bool positive = true) {
    if (is_in_memory(*node)) return memory(node, positive);
    switch (node->kind) {
        case Node::Kind::range: {
            const std::uint64_t value = arguments[node->position] & node->mask;
            return (node->low <= value && value <= node->high) != node->outside;
        }
        case Node::Kind::member: {
            const std::uint64_t value = arguments[node->position] & node->mask;
            for (unsigned i = 0; i < node->count; ++i)
                if (member_value(node, i) == value) return true;
            return false;
        }
        case Node::Kind::negate: return !matches(node + 1, arguments, memory, !positive);
        case Node::Kind::any:
            for (const BoundNode* part = node + 1; part < node + node->size; part += part->size)
                if (matches(part, arguments, memory, positive)) return true;
            return false;
        default:
            for (const BoundNode* part = node + 1; part < node + node->size; part += part->size)
                if (!matches(part, arguments, memory, positive)) return false;
            return true;
    }
}

/// What can be said of a condition from registers alone: whether it may hold, or whether it holds whatever the memory
/// says.
enum class Memory : bool { unfavourable, favourable };

constexpr bool matches(const BoundNode* node, const std::uint64_t* arguments,
                       Memory memory = Memory::favourable) noexcept {
    const bool wanted = memory == Memory::favourable;
    return matches(node, arguments, [wanted](const BoundNode*, bool positive) { return positive == wanted; });
}

}  // namespace sysguard::policy
