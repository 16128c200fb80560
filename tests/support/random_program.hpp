#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "support/choices.hpp"
#include "support/loose_policy.hpp"

namespace support {

/// Random programs of all instructions that seccomp knows, and such as the kernel just refuses.
class RandomProgram {
public:
    explicit RandomProgram(Choices choices) : choices_{std::move(choices)} {}

    /// A program that the kernel takes, and that returns errors only: SECCOMP_RET_ERRNO with the last eleven bits of
    /// what it has computed, or those above, and bit 11 set; or, where it divides by zero, 0.
    Code make() {
        Code code;
        for (std::uint32_t word = 0; word < BPF_MEMWORDS; ++word) {
            code.push_back(choices_.one_in(4) ? sock_filter{BPF_LD | BPF_IMM, 0, 0, number()} : load());
            code.push_back(statement(choices_.one_in(2) ? BPF_ST : BPF_STX, word));
            if (choices_.one_in(4)) code.push_back(statement(BPF_MISC | BPF_TAX, 0));
        }
        const std::size_t length = 10 + choices_.below(70);
        for (std::size_t left = length; left > 0; --left) code.push_back(instruction(left - 1));
        code.push_back(statement(BPF_ALU | BPF_RSH | BPF_K, static_cast<std::uint32_t>(choices_.below(22))));
        code.push_back(statement(BPF_ALU | BPF_AND | BPF_K, 0x7ff));
        code.push_back(statement(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO | 0x800));
        code.push_back(statement(BPF_RET | BPF_A, 0));
        return code;
    }

    /// A short program in which one thing or another may be wrong.
    Code make_doubtful() {
        Code code;
        const auto written = static_cast<std::uint32_t>(choices_.below(BPF_MEMWORDS + 1));
        for (std::uint32_t word = 0; word < written; ++word) code.push_back(statement(BPF_ST, word));
        const std::size_t length = 1 + choices_.below(24);
        for (std::size_t left = length; left > 0; --left) code.push_back(instruction(left));
        code.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1));
        if (choices_.one_in(5)) return code;
        sock_filter& one = code[choices_.below(code.size())];
        switch (choices_.below(8)) {
            case 0: one.code = static_cast<std::uint16_t>(choices_.below(0x100)); break;
            case 1: one.code = static_cast<std::uint16_t>(choices_.number()); break;
            case 2: one.k = edge(); break;
            case 3: one.jt = static_cast<std::uint8_t>(choices_.below(length + 3)); break;
            case 4: one.jf = static_cast<std::uint8_t>(choices_.number()); break;
            case 5: code.pop_back(); break;
            case 6: one = statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(choices_.below(length + 3))); break;
            default: one = statement(choices_.one_in(2) ? BPF_ALU | BPF_DIV | BPF_K : BPF_LDX | BPF_MEM, edge()); break;
        }
        return code;
    }

    /// The arguments of a call, some of them alike.
    seccomp_data input(std::uint32_t architecture) {
        seccomp_data data{};
        data.nr = static_cast<int>(choices_.below(2) != 0 ? choices_.number() : choices_.below(400));
        data.arch = architecture;
        for (auto& argument : data.args) argument = choices_.below(3) == 0 ? choices_.below(100) : choices_.number();
        return data;
    }

    Choices& choices() { return choices_; }

private:
    static sock_filter statement(unsigned code, std::uint32_t k) { return {static_cast<std::uint16_t>(code), 0, 0, k}; }

    std::uint32_t edge() {
        constexpr std::uint32_t edges[] = {0,  1,  3,  4,  15, 16, 17,         31,         32,
                                           33, 60, 61, 63, 64, 68, 0x7fffffff, 0x80000000, 0xffffffff};
        return edges[choices_.below(std::size(edges))];
    }

    std::uint32_t number() { return choices_.below(2) == 0 ? edge() : static_cast<std::uint32_t>(choices_.number()); }

    /// Of the number, the architecture, or an argument: what the caller cannot foresee of the instruction pointer is
    /// left out.
    sock_filter load() {
        const auto word = static_cast<std::uint32_t>(choices_.below(14));
        return statement(BPF_LD | BPF_W | BPF_ABS, word < 2 ? 4 * word : 8 + 4 * word);
    }

    /// `ahead`: how many instructions a jump may pass over.
    sock_filter instruction(std::size_t ahead) {
        constexpr unsigned operations[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND,
                                           BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH};
        constexpr unsigned comparisons[] = {BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JSET};
        const unsigned source = choices_.below(2) != 0 ? BPF_X : BPF_K;
        const auto memory = static_cast<std::uint32_t>(choices_.below(BPF_MEMWORDS));
        const auto distance = [&] {
            return static_cast<std::uint8_t>(choices_.below(std::min<std::size_t>(ahead, 12) + 1));
        };
        switch (choices_.below(14)) {
            case 0: return load();
            case 1: return statement(BPF_LD | BPF_MEM, memory);
            case 2: return statement(BPF_LDX | BPF_MEM, memory);
            case 3: return statement(BPF_ST, memory);
            case 4: return statement(BPF_STX, memory);
            case 5: return statement(BPF_MISC | (choices_.below(2) != 0 ? BPF_TAX : BPF_TXA), 0);
            case 6: return statement((choices_.below(2) != 0 ? BPF_LD : BPF_LDX) | BPF_IMM, number());
            case 7: return statement((choices_.below(2) != 0 ? BPF_LD : BPF_LDX) | BPF_W | BPF_LEN, 0);
            case 8: return statement(BPF_ALU | BPF_NEG, 0);
            case 9: return statement(BPF_JMP | BPF_JA, distance());
            case 10:
            case 11: {
                sock_filter jump = statement(BPF_JMP | comparisons[choices_.below(4)] | source, number());
                jump.jt = distance();
                jump.jf = distance();
                return jump;
            }
            default: {
                const unsigned operation = operations[choices_.below(std::size(operations))];
                const bool shift = operation == BPF_LSH || operation == BPF_RSH;
                const auto k = shift ? static_cast<std::uint32_t>(choices_.below(32)) : number();
                return statement(BPF_ALU | operation | source, operation == BPF_DIV && k == 0 ? 3 : k);
            }
        }
    }

    Choices choices_;
};

}  // namespace support
