#pragma once

#include "../program.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/filter.h>

namespace sysguard::filter::detail {

/// Where a filter, run for a call, first loads something beside number and architecture, or ends before; the program's
/// size where it does neither.
constexpr std::size_t first_look(const ProgramView& program, int number, std::uint32_t architecture) noexcept {
    std::uint32_t a = 0;
    for (std::size_t i = 0; i < program.size; ++i) {
        const sock_filter& instruction = program[i];
        const std::uint32_t k = instruction.k;
        bool holds = false;
        switch (instruction.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                if (k != 0 && k != 4) return i;
                a = k == 0 ? static_cast<std::uint32_t>(number) : architecture;
                continue;
            case BPF_ALU | BPF_AND | BPF_K: a &= k; continue;
            case BPF_JMP | BPF_JA: i += k; continue;
            case BPF_JMP | BPF_JEQ | BPF_K: holds = a == k; break;
            case BPF_JMP | BPF_JGE | BPF_K: holds = a >= k; break;
            case BPF_JMP | BPF_JGT | BPF_K: holds = a > k; break;
            case BPF_JMP | BPF_JSET | BPF_K: holds = (a & k) != 0; break;
            default: return i;
        }
        i += holds ? instruction.jt : instruction.jf;
    }
    return program.size;
}

}  // namespace sysguard::filter::detail
