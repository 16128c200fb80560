#pragma once

#include "program.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

/// What a filter came to for one call.
struct Verdict {
    bool valid = false;            ///< false: the kernel would not have taken the program
    std::uint32_t value = 0;       ///< SECCOMP_RET_* with its data
    std::size_t instructions = 0;  ///< how many were executed, the return among them
    bool only_number = true;       ///< nothing but number and architecture was loaded: the kernel can cache the call
};

namespace detail {

/// One instruction as the kernel's checks see it: bpf_check_classic() in net/core/filter.c and seccomp_check_filter()
/// in kernel/seccomp.c.
constexpr bool is_valid(const sock_filter& instruction, std::size_t index, std::size_t size) noexcept {
    const std::uint32_t k = instruction.k;
    const std::size_t left = size - index - 1;
    switch (instruction.code) {
        case BPF_LD | BPF_W | BPF_ABS: return k < sizeof(seccomp_data) && k % 4 == 0;
        case BPF_LD | BPF_W | BPF_LEN:
        case BPF_LDX | BPF_W | BPF_LEN:
        case BPF_LD | BPF_IMM:
        case BPF_LDX | BPF_IMM:
        case BPF_MISC | BPF_TAX:
        case BPF_MISC | BPF_TXA:
        case BPF_RET | BPF_K:
        case BPF_RET | BPF_A: return true;
        case BPF_LD | BPF_MEM:
        case BPF_LDX | BPF_MEM:
        case BPF_ST:
        case BPF_STX: return k < BPF_MEMWORDS;
        case BPF_ALU | BPF_DIV | BPF_K: return k != 0;
        case BPF_ALU | BPF_LSH | BPF_K:
        case BPF_ALU | BPF_RSH | BPF_K: return k < 32;
        case BPF_ALU | BPF_ADD | BPF_K:
        case BPF_ALU | BPF_ADD | BPF_X:
        case BPF_ALU | BPF_SUB | BPF_K:
        case BPF_ALU | BPF_SUB | BPF_X:
        case BPF_ALU | BPF_MUL | BPF_K:
        case BPF_ALU | BPF_MUL | BPF_X:
        case BPF_ALU | BPF_DIV | BPF_X:
        case BPF_ALU | BPF_AND | BPF_K:
        case BPF_ALU | BPF_AND | BPF_X:
        case BPF_ALU | BPF_OR | BPF_K:
        case BPF_ALU | BPF_OR | BPF_X:
        case BPF_ALU | BPF_XOR | BPF_K:
        case BPF_ALU | BPF_XOR | BPF_X:
        case BPF_ALU | BPF_LSH | BPF_X:
        case BPF_ALU | BPF_RSH | BPF_X:
        case BPF_ALU | BPF_NEG: return true;
        case BPF_JMP | BPF_JA: return k < left;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JEQ | BPF_X:
        case BPF_JMP | BPF_JGE | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_X:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_X:
        case BPF_JMP | BPF_JSET | BPF_K:
        case BPF_JMP | BPF_JSET | BPF_X: return instruction.jt < left && instruction.jf < left;
        default: return false;
    }
}

/// Whether every scratch word is written before it is read, as check_load_and_stores() in net/core/filter.c sees it:
/// in one pass, in which a return does not end what was written before it.
constexpr bool stores_before_loads(const ProgramView& program) noexcept {
    std::uint16_t at_target[max_instructions]{};
    for (std::size_t i = 0; i < program.size; ++i) at_target[i] = 0xffff;
    std::uint16_t written = 0;
    for (std::size_t i = 0; i < program.size; ++i) {
        const sock_filter& instruction = program[i];
        written &= at_target[i];
        switch (BPF_CLASS(instruction.code)) {
            case BPF_ST:
            case BPF_STX: written = static_cast<std::uint16_t>(written | 1U << instruction.k); break;
            case BPF_LD:
            case BPF_LDX:
                if (BPF_MODE(instruction.code) == BPF_MEM && (written >> instruction.k & 1) == 0) return false;
                break;
            case BPF_JMP:
                if (BPF_OP(instruction.code) == BPF_JA) {
                    at_target[i + 1 + instruction.k] &= written;
                } else {
                    at_target[i + 1 + instruction.jt] &= written;
                    at_target[i + 1 + instruction.jf] &= written;
                }
                written = 0xffff;
                break;
            default: break;
        }
    }
    return true;
}

constexpr std::uint32_t arithmetic(unsigned operation, std::uint32_t a, std::uint32_t operand) noexcept {
    switch (operation) {
        case BPF_ADD: return a + operand;
        case BPF_SUB: return a - operand;
        case BPF_MUL: return a * operand;
        case BPF_DIV: return a / operand;
        case BPF_AND: return a & operand;
        case BPF_OR: return a | operand;
        case BPF_XOR: return a ^ operand;
        case BPF_LSH: return a << (operand & 31);
        case BPF_RSH: return a >> (operand & 31);
        default: return 0 - a;
    }
}

constexpr bool jumps(unsigned operation, std::uint32_t a, std::uint32_t operand) noexcept {
    switch (operation) {
        case BPF_JEQ: return a == operand;
        case BPF_JGE: return a >= operand;
        case BPF_JGT: return a > operand;
        default: return (a & operand) != 0;
    }
}

constexpr std::uint32_t word_at(const seccomp_data& data, std::uint32_t offset) noexcept {
    if (offset == 0) return static_cast<std::uint32_t>(data.nr);
    if (offset == 4) return data.arch;
    const std::uint64_t value = offset < 16 ? data.instruction_pointer : data.args[(offset - 16) / 8];
    return static_cast<std::uint32_t>(offset % 8 == 0 ? value : value >> 32);
}

}  // namespace detail

/// Whether the kernel would take the program as a seccomp filter. Thread-safe.
constexpr bool is_valid(const ProgramView& program) noexcept {
    if (program.size == 0 || program.size > max_instructions) return false;
    for (std::size_t i = 0; i < program.size; ++i)
        if (!detail::is_valid(program[i], i, program.size)) return false;
    return BPF_CLASS(program[program.size - 1].code) == BPF_RET && detail::stores_before_loads(program);
}

/// Runs a filter on one call, as the kernel does: classic BPF of seccomp, all of it. A program that the kernel would
/// refuse is not run. Thread-safe; usable in `static_assert`.
constexpr Verdict interpret(const ProgramView& program, const seccomp_data& data) noexcept {
    Verdict verdict;
    if (!is_valid(program)) return verdict;
    verdict.valid = true;
    std::uint32_t a = 0;
    std::uint32_t x = 0;
    std::uint32_t memory[BPF_MEMWORDS]{};
    for (std::size_t i = 0;; ++i) {
        const sock_filter& instruction = program[i];
        const std::uint32_t k = instruction.k;
        const std::uint32_t operand = BPF_SRC(instruction.code) == BPF_X ? x : k;
        ++verdict.instructions;
        switch (BPF_CLASS(instruction.code)) {
            case BPF_LD:
            case BPF_LDX: {
                const unsigned mode = BPF_MODE(instruction.code);
                const std::uint32_t value = mode == BPF_ABS   ? detail::word_at(data, k)
                                            : mode == BPF_LEN ? static_cast<std::uint32_t>(sizeof(seccomp_data))
                                            : mode == BPF_MEM ? memory[k]
                                                              : k;
                if (mode == BPF_ABS && k > 4) verdict.only_number = false;
                (BPF_CLASS(instruction.code) == BPF_LD ? a : x) = value;
                break;
            }
            case BPF_ST: memory[k] = a; break;
            case BPF_STX: memory[k] = x; break;
            case BPF_ALU:
                if (BPF_OP(instruction.code) == BPF_DIV && operand == 0) return verdict;
                a = detail::arithmetic(BPF_OP(instruction.code), a, operand);
                break;
            case BPF_JMP:
                if (BPF_OP(instruction.code) == BPF_JA)
                    i += k;
                else
                    i += detail::jumps(BPF_OP(instruction.code), a, operand) ? instruction.jt : instruction.jf;
                break;
            case BPF_MISC:
                if (BPF_MISCOP(instruction.code) == BPF_TAX)
                    x = a;
                else
                    a = x;
                break;
            default: verdict.value = BPF_RVAL(instruction.code) == BPF_A ? a : k; return verdict;
        }
    }
}

}  // namespace sysguard::filter
