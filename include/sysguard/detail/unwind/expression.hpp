#pragma once

#include "../../supervise/stack/registers.hpp"
#include "../../supervise/stack/stack_copy.hpp"

#include <cstddef>
#include <cstdint>

#include <dwarf.h>
#include <elfutils/libdw.h>

namespace sysguard::detail::unwind {

/// What an expression of call frame information says: a value, or where one lies.
struct Place {
    enum class Kind : std::uint8_t { unknown, address, value };

    Kind kind = Kind::unknown;
    std::uint64_t number = 0;
};

/// Evaluates expressions of call frame information (DWARF 5, 2.5 and 6.4.2) on a copy of a stack. Total: what an
/// expression asks for and is not known makes its result unknown.
class Expression {
public:
    Expression(const supervise::Registers& registers, const supervise::StackView& stack, std::uint64_t bias) noexcept
        : registers_{registers}, stack_{stack}, bias_{bias}, word_{supervise::stack_abi(registers.abi).word_size} {}

    /// From then on there is a canonical frame address.
    void set_frame_address(std::uint64_t address) noexcept {
        frame_address_ = address;
        has_frame_address_ = true;
    }

    Place evaluate(const Dwarf_Op* ops, std::size_t count) noexcept {
        depth_ = 0;
        is_value_ = false;
        if (count == 0 || count > most_operations) return {};
        for (std::size_t i = 0; i < count; ++i)
            if (is_value_ || !apply(ops[i])) return {};
        if (depth_ == 0) return {};
        return {is_value_ ? Place::Kind::value : Place::Kind::address, cut(values_[depth_ - 1])};
    }

private:
    static constexpr std::size_t most_operations = 256;
    static constexpr std::size_t most_depth = 64;

    std::uint64_t cut(std::uint64_t value) const noexcept { return word_ == 4 ? value & 0xffffffff : value; }

    bool push(std::uint64_t value) noexcept {
        if (depth_ == most_depth) return false;
        values_[depth_++] = value;
        return true;
    }

    bool push_register(std::uint64_t number, std::uint64_t offset) noexcept {
        if (number >= supervise::Registers::most || !registers_.has(static_cast<int>(number))) return false;
        return push(cut(registers_.values[number] + offset));
    }

    bool dereference(std::uint64_t size) noexcept {
        if (depth_ == 0 || size == 0 || size > word_) return false;
        std::uint64_t value = 0;
        if (!stack_.read(cut(values_[depth_ - 1]), &value, static_cast<std::size_t>(size))) return false;
        values_[depth_ - 1] = value;
        return true;
    }

    bool pick(std::uint64_t below) noexcept { return below < depth_ && push(values_[depth_ - 1 - below]); }

    bool swap() noexcept {
        if (depth_ < 2) return false;
        const std::uint64_t top = values_[depth_ - 1];
        values_[depth_ - 1] = values_[depth_ - 2];
        values_[depth_ - 2] = top;
        return true;
    }

    bool apply(const Dwarf_Op& op) noexcept {
        const unsigned code = op.atom;
        if (code >= DW_OP_lit0 && code <= DW_OP_lit31) return push(code - DW_OP_lit0);
        if (code >= DW_OP_breg0 && code <= DW_OP_breg31) return push_register(code - DW_OP_breg0, op.number);
        switch (code) {
            case DW_OP_bregx: return push_register(op.number, op.number2);
            case DW_OP_addr: return push(op.number + bias_);
            case DW_OP_const1u:
            case DW_OP_const1s:
            case DW_OP_const2u:
            case DW_OP_const2s:
            case DW_OP_const4u:
            case DW_OP_const4s:
            case DW_OP_const8u:
            case DW_OP_const8s:
            case DW_OP_constu:
            case DW_OP_consts: return push(op.number);  // libdw has extended the signs
            case DW_OP_call_frame_cfa: return has_frame_address_ && push(frame_address_);
            case DW_OP_deref: return dereference(word_);
            case DW_OP_deref_size: return dereference(op.number);
            case DW_OP_dup: return pick(0);
            case DW_OP_over: return pick(1);
            case DW_OP_pick: return pick(op.number);
            case DW_OP_drop: return depth_ > 0 && depth_-- > 0;
            case DW_OP_swap: return swap();
            case DW_OP_nop: return true;
            case DW_OP_stack_value: return depth_ > 0 && (is_value_ = true);
            case DW_OP_plus_uconst: return depth_ > 0 && push_unary(values_[depth_ - 1] + op.number);
            case DW_OP_neg: return depth_ > 0 && push_unary(0 - values_[depth_ - 1]);
            case DW_OP_not: return depth_ > 0 && push_unary(~values_[depth_ - 1]);
            default: return combine(code);
        }
    }

    bool push_unary(std::uint64_t value) noexcept {
        values_[depth_ - 1] = value;
        return true;
    }

    /// An operation on the two topmost values. Those that are not here, such as branches, occur in no call frame
    /// information of compilers and C libraries.
    bool combine(unsigned code) noexcept {
        if (depth_ < 2) return false;
        const std::uint64_t b = values_[--depth_];
        std::uint64_t& a = values_[depth_ - 1];
        const auto as_signed = [this](std::uint64_t value) {
            return word_ == 4 ? std::int64_t{static_cast<std::int32_t>(static_cast<std::uint32_t>(value))}
                              : static_cast<std::int64_t>(value);
        };
        switch (code) {
            case DW_OP_plus: a += b; return true;
            case DW_OP_minus: a -= b; return true;
            case DW_OP_mul: a *= b; return true;
            case DW_OP_and: a &= b; return true;
            case DW_OP_or: a |= b; return true;
            case DW_OP_xor: a ^= b; return true;
            case DW_OP_shl: a = b < 64 ? a << b : 0; return true;
            case DW_OP_shr: a = b < 64 ? cut(a) >> b : 0; return true;
            case DW_OP_eq: a = as_signed(a) == as_signed(b); return true;
            case DW_OP_ne: a = as_signed(a) != as_signed(b); return true;
            case DW_OP_lt: a = as_signed(a) < as_signed(b); return true;
            case DW_OP_le: a = as_signed(a) <= as_signed(b); return true;
            case DW_OP_gt: a = as_signed(a) > as_signed(b); return true;
            case DW_OP_ge: a = as_signed(a) >= as_signed(b); return true;
            default: return false;
        }
    }

    const supervise::Registers& registers_;
    const supervise::StackView& stack_;
    std::uint64_t bias_;
    unsigned word_;
    std::uint64_t frame_address_ = 0;
    bool has_frame_address_ = false;
    bool is_value_ = false;
    std::size_t depth_ = 0;
    std::uint64_t values_[most_depth];
};

}  // namespace sysguard::detail::unwind
