#pragma once

#include "../abi/architecture.hpp"
#include "program.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

/// Whether the kernel may remember that it allows a call, and need not run the filter for it again: where nothing is
/// loaded on the way but the number and the architecture, only plain jumps are taken, and the end is ALLOW (Linux 5.11;
/// seccomp_is_const_allow() in kernel/seccomp.c, with CONFIG_SECCOMP_FILTER). Of a task with several filters, each must
/// allow it so. Native calls only. Thread-safe; usable in `static_assert`.
constexpr bool cacheable(const ProgramView& program, int number,
                         std::uint32_t architecture = abi::audit_architecture(abi::native_abi)) noexcept {
    std::uint32_t a = 0;
    for (std::size_t i = 0; i < program.size; ++i) {
        const sock_filter& instruction = program[i];
        const std::uint32_t k = instruction.k;
        bool holds = false;
        switch (instruction.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                if (k != 0 && k != 4) return false;
                a = k == 0 ? static_cast<std::uint32_t>(number) : architecture;
                continue;
            case BPF_ALU | BPF_AND | BPF_K: a &= k; continue;
            case BPF_RET | BPF_K: return k == SECCOMP_RET_ALLOW;
            case BPF_JMP | BPF_JA: i += k; continue;
            case BPF_JMP | BPF_JEQ | BPF_K: holds = a == k; break;
            case BPF_JMP | BPF_JGE | BPF_K: holds = a >= k; break;
            case BPF_JMP | BPF_JGT | BPF_K: holds = a > k; break;
            case BPF_JMP | BPF_JSET | BPF_K: holds = (a & k) != 0; break;
            default: return false;
        }
        i += holds ? instruction.jt : instruction.jf;
    }
    return false;
}

}  // namespace sysguard::filter
