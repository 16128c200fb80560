#pragma once

#include "../abi/architecture.hpp"
#include "../abi/constants.hpp"
#include "../abi/errno_names.hpp"
#include "../abi/table.hpp"
#include "../abi/value_text.hpp"
#include "detail/trace.hpp"
#include "program.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

namespace detail {

inline std::string hex(std::uint32_t value) {
    char text[11];
    std::snprintf(text, sizeof text, "0x%x", value);
    return text;
}

inline std::string source(std::uint32_t offset) {
    if (offset == 0) return "number";
    if (offset == 4) return "architecture";
    const std::string half = offset % 8 == 0 ? " low" : " high";
    if (offset < 16) return "instruction pointer" + half;
    return "argument " + std::to_string((offset - 16) / 8) + half;
}

inline std::string operand(const sock_filter& instruction, const Loaded& loaded) {
    if (BPF_SRC(instruction.code) == BPF_X) return "x";
    if (loaded.is_at(number_offset) && instruction.k < abi::x32_bit) {
        const std::string_view name = abi::name_of(abi::native_abi, static_cast<int>(instruction.k));
        return std::to_string(instruction.k) + (name.empty() ? "" : " " + std::string{name});
    }
    if (loaded.is_at(architecture_offset))
        for (const abi::Abi abi : abi::all_abis)
            if (abi::audit_architecture(abi) == instruction.k) return abi::name(abi);
    return hex(instruction.k);
}

inline std::string returned(std::uint32_t value) {
    const std::uint32_t data = value & SECCOMP_RET_DATA;
    switch (value & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW: return "allow";
        case SECCOMP_RET_LOG: return "log";
        case SECCOMP_RET_USER_NOTIF: return "ask the host";
        case SECCOMP_RET_KILL_PROCESS: return "kill process";
        case SECCOMP_RET_KILL_THREAD: return "kill thread";
        case SECCOMP_RET_TRAP: return "trap " + std::to_string(data);
        case SECCOMP_RET_TRACE: return "trace " + std::to_string(data);
        case SECCOMP_RET_ERRNO: {
            if (data == 0) return "result 0";
            const std::string_view name = abi::errno_name(static_cast<int>(data));
            return "errno " + (name.empty() ? std::to_string(data) : std::string{name});
        }
        default: return hex(value);
    }
}

inline std::string_view mnemonic(unsigned operation, bool jump) noexcept {
    constexpr std::string_view arithmetic[] = {"add", "sub", "mul", "div", "or", "and",
                                               "lsh", "rsh", "neg", "mod", "xor"};
    constexpr std::string_view jumps[] = {"ja", "jeq", "jgt", "jge", "jset"};
    const unsigned index = operation >> 4;
    if (jump) return index < 5 ? jumps[index] : "j?";
    return index < 11 ? arithmetic[index] : "alu?";
}

inline std::string text(const sock_filter& instruction, std::size_t index, const Loaded& loaded) {
    const std::uint32_t k = instruction.k;
    switch (BPF_CLASS(instruction.code)) {
        case BPF_LD:
        case BPF_LDX: {
            const std::string name = BPF_CLASS(instruction.code) == BPF_LD ? "ld   " : "ldx  ";
            switch (BPF_MODE(instruction.code)) {
                case BPF_ABS: return name + source(k);
                case BPF_LEN: return name + "length";
                case BPF_MEM: return name + "memory " + std::to_string(k);
                default: return name + hex(k);
            }
        }
        case BPF_ST: return "st   memory " + std::to_string(k);
        case BPF_STX: return "stx  memory " + std::to_string(k);
        case BPF_ALU: {
            const std::string name{mnemonic(BPF_OP(instruction.code), false)};
            return name + "  " + (BPF_OP(instruction.code) == BPF_NEG ? "" : operand(instruction, {}));
        }
        case BPF_JMP: {
            if (BPF_OP(instruction.code) == BPF_JA) return "ja   " + std::to_string(index + 1 + k);
            std::string name{mnemonic(BPF_OP(instruction.code), true)};
            name.resize(5, ' ');
            return name + operand(instruction, loaded) + " ? " + std::to_string(index + 1 + instruction.jt) + " : " +
                   std::to_string(index + 1 + instruction.jf);
        }
        case BPF_RET: return "ret  " + (BPF_RVAL(instruction.code) == BPF_A ? "a" : returned(k));
        default: return BPF_MISCOP(instruction.code) == BPF_TAX ? "tax" : "txa";
    }
}

/// The arguments that lie where a load reads, for the calls that may get there: "flags of open, openat".
inline std::string argument_note(std::uint32_t offset, const std::vector<const abi::Syscall*>& calls) {
    constexpr std::size_t most_named = 4;
    std::string note;
    std::string_view last;
    std::size_t named = 0;
    for (const abi::Syscall* call : calls) {
        const abi::Argument& argument = call->arguments[(offset - arguments_offset) / 8];
        if (argument.name == abi::ArgName::none) continue;
        if (named++ == most_named) return note + ", ...";
        const std::string_view name = abi::name(argument.name);
        if (!note.empty()) note += ", ";
        if (name != last) note += std::string{name} + " of ";
        note += call->name;
        last = name;
    }
    return note;
}

/// What the constant is called that the lower half of an argument is compared with, if all calls agree.
inline std::string constant_note(const sock_filter& instruction, const Loaded& loaded,
                                 const std::vector<const abi::Syscall*>& calls) {
    const bool lower_half = loaded.from == Loaded::From::data && loaded.offset >= arguments_offset &&
                            loaded.offset % 8 == 0 && loaded.offset < sizeof(seccomp_data);
    const unsigned operation = BPF_OP(instruction.code);
    const std::uint32_t k = instruction.k;
    if (!lower_half || BPF_SRC(instruction.code) == BPF_X || (operation != BPF_JEQ && operation != BPF_JSET)) return {};
    std::string note;
    for (const abi::Syscall* call : calls) {
        const abi::Argument& argument = call->arguments[(loaded.offset - arguments_offset) / 8];
        const abi::ConstantSet set = abi::constants_of(*call, argument);
        const std::uint64_t field = abi::field_of(set) & 0xffffffff;
        const bool whole = loaded.mask == 0xffffffff || (field != 0 && (loaded.mask & field) == field);
        std::string text = operation == BPF_JSET || !whole ? (k & field) != 0 || set == abi::ConstantSet::none
                                                                 ? std::string{}
                                                                 : abi::bits_text(argument.type, set, k)
                                                           : abi::value_text(argument.type, set, k);
        if (operation == BPF_JSET && field != 0 && k == field) text = abi::field_name(set);
        const bool has_name = std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
        if (!has_name || (!note.empty() && note != text)) return {};
        note = std::move(text);
    }
    return note;
}

inline std::string note_of(const sock_filter& instruction, const Loaded& loaded,
                           const std::vector<const abi::Syscall*>& calls) {
    if (BPF_CLASS(instruction.code) == BPF_JMP) return constant_note(instruction, loaded, calls);
    const bool is_load = instruction.code == (BPF_LD | BPF_W | BPF_ABS) && instruction.k >= arguments_offset &&
                         instruction.k < sizeof(seccomp_data);
    return is_load ? argument_note(instruction.k, calls) : std::string{};
}

}  // namespace detail

/// A filter as text, an instruction a line: its place, what it does, and where a jump leads when it holds and when it
/// does not. Numbers that are compared with the system call's are shown with its name; behind a semicolon stands which
/// argument of which calls a load reads, and what a constant is called that it is compared with. Thread-safe.
inline std::string disassemble(const ProgramView& program) {
    constexpr std::size_t note_column = 39;
    const std::vector<detail::Loaded> before = detail::trace_loads(program);
    const std::vector<std::vector<const abi::Syscall*>> calls = detail::trace_calls(program);
    std::string lines;
    for (std::size_t i = 0; i < program.size; ++i) {
        std::string line = std::to_string(i);
        if (line.size() < 4) line.insert(0, 4 - line.size(), ' ');
        line += "  " + detail::text(program[i], i, before[i]);
        while (line.back() == ' ') line.pop_back();
        const std::string note = detail::note_of(program[i], before[i], calls[i]);
        if (!note.empty()) {
            if (line.size() < note_column) line.resize(note_column, ' ');
            line += " ; " + note;
        }
        lines += line + '\n';
    }
    return lines;
}

}  // namespace sysguard::filter
