#pragma once

#include "../../supervise/stack/walk.hpp"
#include "elf_module.hpp"
#include "expression.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace sysguard::detail::unwind {

/// A frame, as who unwinds tells it. Plain data: nothing of it is believed.
struct Unwound {
    std::uint64_t address = 0;
    std::uint64_t symbol_offset = 0;
    StackFrame::Found found = StackFrame::Found::scanned;
    bool is_last = false;  ///< the thread began there
    char symbol[supervise::most_symbol]{};
};

/// Finds the callers of a thread, from copies: by the tables for unwinding, where these do not say by frame pointers,
/// and where those are not known by what looks like a return address. For a sandboxed process: what it works on is
/// whatever a worker made of it.
class Unwinder {
public:
    /// `returns`: words on the stack that lead behind a call in a module without a file; sorted.
    Unwinder(const supervise::StackView& stack, const std::vector<std::uint64_t>& returns,
             const std::vector<Module>& modules, abi::Abi abi)
        : stack_{stack}, returns_{returns}, abi_{abi} {
        for (const Module& module : modules) modules_.push_back(std::make_unique<ElfModule>(module, abi, budget_));
    }

    std::vector<Unwound> walk(supervise::Registers at) {
        std::vector<Unwound> frames;
        Found found = Found::instruction_pointer;
        for (;;) {
            add(frames, at.instruction_pointer, found);
            if (frames.size() == supervise::most_frames || !at.has_stack_pointer()) return frames;
            const supervise::Caller caller = caller_of(at, found);
            frames.back().is_last = is_last_;
            if (!caller.is_found) return frames;
            at = caller.registers;
            found = caller.found;
        }
    }

private:
    using Caller = supervise::Caller;
    using Registers = supervise::Registers;
    using Found = StackFrame::Found;

    const ElfModule* find(std::uint64_t address) const noexcept {
        for (const auto& module : modules_)
            if (module->module().contains(address)) return module.get();
        return nullptr;
    }

    bool is_signal_return(std::uint64_t address) const noexcept {
        unsigned char code[9];
        const ElfModule* const module = find(address);
        return abi_ == abi::Abi::x86_64 && module != nullptr && module->code(address, code, sizeof code) &&
               supervise::is_signal_return(code);
    }

    /// The instruction that a frame is in: a return address lies behind the call, perhaps in the next function. What a
    /// signal's handler returns to has not been called.
    std::uint64_t place_of(std::uint64_t address, Found found) const noexcept {
        const bool is_exact =
            found == Found::instruction_pointer || found == Found::signal_frame || is_signal_return(address);
        return is_exact ? address : address - 1;
    }

    void add(std::vector<Unwound>& frames, std::uint64_t address, Found found) const {
        Unwound& frame = frames.emplace_back();
        frame.address = address;
        frame.found = found;
        const std::uint64_t place = place_of(address, found);
        const ElfModule* const module = find(place);
        if (module != nullptr && module->symbol(place, frame.symbol, frame.symbol_offset))
            frame.symbol_offset += address - place;
    }

    /// Whether a call is before an address, and where that leads where it says so.
    supervise::CallInstruction call_before(std::uint64_t address) const noexcept {
        const ElfModule* const module = address == 0 ? nullptr : find(address - 1);
        if (module == nullptr) return {};
        if (!module->is_there()) return {std::binary_search(returns_.begin(), returns_.end(), address), false, 0};
        unsigned char code[supervise::most_call_bytes] = {};
        std::size_t size = sizeof code;
        if (address - module->module().low < size) size = address - module->module().low;
        if (!module->code(address - size, code + sizeof code - size, size)) return {};
        return supervise::call_before(abi_, code + sizeof code, address);
    }

    /// Whether an address begins a jump through a table, as calls of other files' functions do.
    bool is_stub(std::uint64_t address) const noexcept {
        const ElfModule* const module = find(address);
        unsigned char code[11] = {};
        if (module == nullptr || !module->code(address, code, sizeof code)) return false;
        if (abi_ == abi::Abi::aarch64) return code[0] == 0x10 && (code[3] & 0x9f) == 0x90;  // ADRP x16
        const bool has_landing_pad = code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e;
        const unsigned char* const at = code + (has_landing_pad ? 4 : 0);
        return at[0] == 0xff || (at[0] == 0xf2 && at[1] == 0xff) || at[0] == 0x68;
    }

    bool is_return(std::uint64_t address) const noexcept {
        return call_before(address).is_one || is_signal_return(address);
    }

    /// Where the function that an instruction is in may begin: where a row of the tables begins, from that instruction
    /// back to where they have a gap, as they have between most functions. Sorted downwards; none where there are no
    /// rows.
    static std::vector<std::uint64_t> beginnings_before(const ElfModule& module, std::uint64_t place) {
        constexpr std::size_t most_rows = 512;
        std::vector<std::uint64_t> beginnings;
        while (beginnings.size() < most_rows) {
            const Rules rules{module.frame_at(place)};
            Dwarf_Addr start = 0;
            Dwarf_Addr end = 0;
            if (rules.frame == nullptr || ::dwarf_frame_info(rules.frame, &start, &end, nullptr) < 0) break;
            start += module.bias();
            if (start > place || start == 0) break;
            beginnings.push_back(start);
            place = start - 1;
        }
        return beginnings;
    }

    /// Whether a call that returns to an address can have led to a function that begins at one of `beginnings`, if any
    /// are known.
    bool can_have_called(std::uint64_t address, const std::vector<std::uint64_t>& beginnings) const noexcept {
        const supervise::CallInstruction call = call_before(address);
        if (!call.is_one) return is_signal_return(address);
        return !call.is_direct || beginnings.empty() ||
               std::binary_search(beginnings.rbegin(), beginnings.rend(), call.target) || is_stub(call.target);
    }

    Caller caller_of(const Registers& at, Found found) {
        const std::uint64_t place = place_of(at.instruction_pointer, found);
        const ElfModule* const module = find(place);
        Caller caller;
        if (module != nullptr && module->is_there()) caller = caller_by_tables(*module, at, place);
        if (caller.is_found || is_last_) return caller;
        if (is_signal_return(at.instruction_pointer)) {
            caller = supervise::caller_by_signal_frame(at, stack_);
            if (caller.is_found) return caller;
        }
        const auto any = [&](std::uint64_t to) { return is_return(to); };
        caller = supervise::caller_by_frame_pointer(at, stack_, any);
        if (caller.is_found) return caller;
        if (found == Found::frame_pointer && at.has_frame_pointer() && at.frame_pointer() == 0) return {};
        std::vector<std::uint64_t> beginnings;
        if (module != nullptr && module->is_there()) beginnings = beginnings_before(*module, place);
        const auto fitting = [&](std::uint64_t to) { return can_have_called(to, beginnings); };
        caller = supervise::caller_by_scan(at, stack_, fitting, any);
        return caller.is_found ? caller : supervise::caller_by_scan(at, stack_, any);
    }

    enum class Rule : std::uint8_t { known, unknown, undefined };

    struct Rules {
        Dwarf_Frame* frame;
        ~Rules() { std::free(frame); }
    };

    /// By the tables for unwinding.
    Caller caller_by_tables(const ElfModule& module, const Registers& at, std::uint64_t place) {
        const Rules rules{module.frame_at(place)};
        if (rules.frame == nullptr) return {};
        bool is_signal = false;
        const int returns_to = ::dwarf_frame_info(rules.frame, nullptr, nullptr, &is_signal);
        if (returns_to < 0) return {};

        Expression expression{at, stack_, module.bias()};
        Dwarf_Op* ops = nullptr;
        std::size_t count = 0;
        if (::dwarf_frame_cfa(rules.frame, &ops, &count) != 0) return {};
        const Place frame = expression.evaluate(ops, count);
        if (frame.kind == Place::Kind::unknown) return {};
        expression.set_frame_address(frame.number);

        const supervise::StackAbi abi = supervise::stack_abi(abi_);
        Caller caller{true, {}, is_signal ? Found::signal_frame : Found::call_frame_information};
        caller.registers.abi = abi_;
        Rule returning = Rule::undefined;
        for (int number = 0; number < abi.count; ++number) {
            std::uint64_t value = 0;
            const Rule rule = apply(rules.frame, number, at, expression, value);
            if (number == returns_to) returning = rule;
            if (rule == Rule::known) caller.registers.set(number, value);
        }
        if (!caller.registers.has(abi.stack_pointer) || !is_signal)
            caller.registers.set(abi.stack_pointer, frame.number);
        if (returning == Rule::undefined) is_last_ = true;
        if (returning != Rule::known || !caller.registers.has(returns_to)) return {};
        caller.registers.instruction_pointer = caller.registers.values[returns_to];
        if (caller.registers.instruction_pointer == 0) is_last_ = true;
        const bool leads_up =
            caller.registers.stack_pointer() > at.stack_pointer() ||
            (abi_ == abi::Abi::aarch64 && found_first_ && caller.registers.stack_pointer() == at.stack_pointer());
        found_first_ = false;
        if (is_last_ || !leads_up) return {};
        return caller;
    }

    /// The caller's value of a register.
    Rule apply(Dwarf_Frame* rules, int number, const Registers& at, Expression& expression,
               std::uint64_t& value) const noexcept {
        Dwarf_Op memory[3];
        Dwarf_Op* ops = nullptr;
        std::size_t count = 0;
        if (::dwarf_frame_register(rules, number, memory, &ops, &count) != 0) return Rule::unknown;
        if (count == 0 && ops == memory) return Rule::undefined;
        if (count == 0) {  // it is the same
            value = at.values[number];
            return at.has(number) ? Rule::known : Rule::unknown;
        }
        if (count == 1 && (ops[0].atom == DW_OP_regx || (ops[0].atom >= DW_OP_reg0 && ops[0].atom <= DW_OP_reg31))) {
            const std::uint64_t other = ops[0].atom == DW_OP_regx ? ops[0].number : ops[0].atom - DW_OP_reg0;
            if (other >= Registers::most || !at.has(static_cast<int>(other))) return Rule::unknown;
            value = at.values[other];
            return Rule::known;
        }
        const Place place = expression.evaluate(ops, count);
        if (place.kind == Place::Kind::unknown) return Rule::unknown;
        value = place.number;
        if (place.kind == Place::Kind::value) return Rule::known;
        return stack_.word(place.number, supervise::stack_abi(abi_).word_size, value) ? Rule::known : Rule::unknown;
    }

    const supervise::StackView& stack_;
    const std::vector<std::uint64_t>& returns_;
    abi::Abi abi_;
    Budget budget_{};
    std::vector<std::unique_ptr<ElfModule>> modules_{};
    bool is_last_ = false;
    bool found_first_ = true;  ///< the innermost frame is one that may not use the stack
};

}  // namespace sysguard::detail::unwind
