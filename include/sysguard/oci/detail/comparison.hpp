#pragma once

#include "../../abi/table.hpp"
#include "../../policy/binding.hpp"
#include "words.hpp"

#include <cstdint>

namespace sysguard::oci::detail {

inline constexpr std::uint64_t low_half = 0xffffffff;

/// The bits that take part where a profile compares an argument: those that the kernel reads, 32 or 64. Of an argument
/// that the call does not have, of a pointer, and of one whose width another argument decides, the register.
constexpr std::uint64_t compared_bits(const abi::Syscall& call, int position) noexcept {
    const abi::Argument& argument = call.arguments[position];
    if (argument.name == abi::ArgName::none) return ~0ULL;
    return abi::info(argument.type).tested > low_half ? ~0ULL : low_half;
}

/// What a comparison of a profile comes to for an argument.
struct Comparison {
    enum class Kind : std::uint8_t { test, always, never };

    Kind kind = Kind::test;
    bool beyond = false;  ///< the value is none that the argument can have
    policy::BoundNode node{};
};

/// How a negative int is written in 64 bits.
constexpr bool is_sign_extended(std::uint64_t value) noexcept {
    return value >= 0xffffffff80000000;
}

/// `argument op value`, unsigned (scmp_arg_cmp of seccomp_rule_add(3)); of MASKED_EQ `value` is the
/// mask, and `second` what the masked bits are. Against an argument of 32 bits a value is taken as an int: one of the
/// highest 2^31 as the negative int that sign extension makes of it; another one beyond 32 bits is no int, and the
/// result does not depend on the argument.
constexpr Comparison compare(int position, std::uint64_t bits, Operator op, std::uint64_t value,
                             std::uint64_t second) noexcept {
    Comparison result;
    policy::BoundNode& node = result.node;
    node.kind = policy::Node::Kind::range;
    node.position = static_cast<std::uint8_t>(position);
    node.size = 1;
    node.mask = bits;
    const auto constant = [&](bool holds) {
        result.kind = holds ? Comparison::Kind::always : Comparison::Kind::never;
        return result;
    };
    if (op == Operator::masked_eq) {
        std::uint64_t wanted = second & value;
        if ((wanted & ~bits) != 0) {
            const bool negative = (wanted & ~bits) == (value & ~bits) && (wanted & 0x80000000) != 0;
            result.beyond = !negative;
            if (!negative) return constant(false);
            wanted &= bits;
        }
        node.mask = value & bits;
        if (node.mask == 0) return constant(true);
        node.low = node.high = wanted;
        return result;
    }
    if (value > bits && is_sign_extended(value)) value &= bits;
    result.beyond = value > bits;
    switch (op) {
        case Operator::ne: node.outside = true; [[fallthrough]];
        case Operator::eq:
            if (result.beyond) return constant(op == Operator::ne);
            node.low = node.high = value;
            return result;
        case Operator::lt:
            if (value == 0) return constant(false);
            --value;
            [[fallthrough]];
        case Operator::le:
            if (value >= bits) return constant(true);
            node.high = value;
            return result;
        case Operator::gt:
            if (value >= bits) return constant(false);
            ++value;
            [[fallthrough]];
        default:
            if (value > bits) return constant(false);
            if (value == 0) return constant(true);
            node.low = value;
            node.high = bits;
            return result;
    }
}

}  // namespace sysguard::oci::detail
