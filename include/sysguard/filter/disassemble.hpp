#pragma once

#include "../abi/architecture.hpp"
#include "../abi/errno_names.hpp"
#include "../abi/table.hpp"
#include "program.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

namespace detail {

/// What the accumulator holds before an instruction.
enum class Holds : std::uint8_t { nothing, number, architecture, other };

inline std::string hex(std::uint32_t value) {
    char text[11];
    std::snprintf(text, sizeof text, "0x%x", value);
    return text;
}

/// For each instruction what the accumulator holds before it, as far as that is the same on every way there.
inline std::vector<Holds> trace_loads(const ProgramView& program) {
    std::vector<Holds> before(program.size + 256, Holds::nothing);
    const auto reach = [&](std::size_t target, Holds holds) {
        if (target >= program.size) return;
        before[target] = before[target] == Holds::nothing || before[target] == holds ? holds : Holds::other;
    };
    for (std::size_t i = 0; i < program.size; ++i) {
        const sock_filter& instruction = program[i];
        Holds after = before[i];
        switch (BPF_CLASS(instruction.code)) {
            case BPF_LD:
                after = BPF_MODE(instruction.code) != BPF_ABS ? Holds::other
                        : instruction.k == 0                  ? Holds::number
                        : instruction.k == 4                  ? Holds::architecture
                                                              : Holds::other;
                break;
            case BPF_ALU: after = Holds::other; break;
            case BPF_MISC:
                if (BPF_MISCOP(instruction.code) == BPF_TXA) after = Holds::other;
                break;
            case BPF_JMP:
                if (BPF_OP(instruction.code) == BPF_JA) {
                    reach(i + 1 + instruction.k, after);
                } else {
                    reach(i + 1 + instruction.jt, after);
                    reach(i + 1 + instruction.jf, after);
                }
                continue;
            case BPF_RET: continue;
            default: break;
        }
        reach(i + 1, after);
    }
    return before;
}

inline std::string source(std::uint32_t offset) {
    if (offset == 0) return "number";
    if (offset == 4) return "architecture";
    const std::string half = offset % 8 == 0 ? " low" : " high";
    if (offset < 16) return "instruction pointer" + half;
    return "argument " + std::to_string((offset - 16) / 8) + half;
}

inline std::string operand(const sock_filter& instruction, Holds holds) {
    if (BPF_SRC(instruction.code) == BPF_X) return "x";
    if (holds == Holds::number && instruction.k < abi::x32_bit) {
        const std::string_view name = abi::name_of(abi::native_abi, static_cast<int>(instruction.k));
        return std::to_string(instruction.k) + (name.empty() ? "" : " " + std::string{name});
    }
    if (holds == Holds::architecture)
        for (const abi::Abi abi : {abi::Abi::x86_64, abi::Abi::i386, abi::Abi::aarch64, abi::Abi::riscv64})
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

inline std::string text(const sock_filter& instruction, std::size_t index, Holds holds) {
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
            return name + "  " + (BPF_OP(instruction.code) == BPF_NEG ? "" : operand(instruction, Holds::other));
        }
        case BPF_JMP: {
            if (BPF_OP(instruction.code) == BPF_JA) return "ja   " + std::to_string(index + 1 + k);
            std::string name{mnemonic(BPF_OP(instruction.code), true)};
            name.resize(5, ' ');
            return name + operand(instruction, holds) + " ? " + std::to_string(index + 1 + instruction.jt) + " : " +
                   std::to_string(index + 1 + instruction.jf);
        }
        case BPF_RET: return "ret  " + (BPF_RVAL(instruction.code) == BPF_A ? "a" : returned(k));
        default: return BPF_MISCOP(instruction.code) == BPF_TAX ? "tax" : "txa";
    }
}

}  // namespace detail

/// A filter as text, an instruction a line: its place, what it does, and where a jump leads when it holds and when it
/// does not. Numbers that are compared with the system call's are shown with its name.
inline std::string disassemble(const ProgramView& program) {
    const std::vector<detail::Holds> before = detail::trace_loads(program);
    std::string lines;
    for (std::size_t i = 0; i < program.size; ++i) {
        std::string place = std::to_string(i);
        if (place.size() < 4) place.insert(0, 4 - place.size(), ' ');
        std::string line = place + "  " + detail::text(program[i], i, before[i]);
        while (line.back() == ' ') line.pop_back();
        lines += line + '\n';
    }
    return lines;
}

}  // namespace sysguard::filter
