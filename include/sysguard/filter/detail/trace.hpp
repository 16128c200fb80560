#pragma once

#include "../../abi/architecture.hpp"
#include "../../abi/table.hpp"
#include "../program.hpp"
#include "first_look.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/filter.h>

namespace sysguard::filter::detail {

/// What the accumulator holds before an instruction, as far as that is the same on every way there.
struct Loaded {
    enum class From : std::uint8_t { nowhere, data, elsewhere };

    From from = From::nowhere;
    std::uint32_t offset = 0;         ///< in seccomp_data
    std::uint32_t mask = 0xffffffff;  ///< the bits of it that are left

    friend constexpr bool operator==(const Loaded&, const Loaded&) = default;

    bool is_at(std::uint32_t place) const noexcept { return from == From::data && offset == place; }
};

inline constexpr std::uint32_t number_offset = 0;
inline constexpr std::uint32_t architecture_offset = 4;
inline constexpr std::uint32_t arguments_offset = 16;

/// Calls `reach` with each instruction that may follow one that is no return.
template <class Reach>
void for_each_next(const sock_filter& instruction, std::size_t index, const Reach& reach) {
    if (BPF_CLASS(instruction.code) != BPF_JMP) return reach(index + 1);
    if (BPF_OP(instruction.code) == BPF_JA) return reach(index + 1 + instruction.k);
    reach(index + 1 + instruction.jt);
    reach(index + 1 + instruction.jf);
}

/// For each instruction what the accumulator holds before it.
inline std::vector<Loaded> trace_loads(const ProgramView& program) {
    constexpr Loaded elsewhere{Loaded::From::elsewhere};
    std::vector<Loaded> before(program.size);
    for (std::size_t i = 0; i < program.size; ++i) {
        const sock_filter& instruction = program[i];
        Loaded after = before[i];
        switch (BPF_CLASS(instruction.code)) {
            case BPF_LD:
                after = BPF_MODE(instruction.code) == BPF_ABS ? Loaded{Loaded::From::data, instruction.k} : elsewhere;
                break;
            case BPF_ALU:
                if (instruction.code == (BPF_ALU | BPF_AND | BPF_K))
                    after.mask &= instruction.k;
                else
                    after = elsewhere;
                break;
            case BPF_MISC:
                if (BPF_MISCOP(instruction.code) == BPF_TXA) after = elsewhere;
                break;
            case BPF_RET: continue;
            default: break;
        }
        for_each_next(instruction, i, [&](std::size_t next) {
            if (next >= program.size) return;
            const bool first = before[next].from == Loaded::From::nowhere;
            before[next] = first || before[next] == after ? after : elsewhere;
        });
    }
    return before;
}

/// For each instruction from which on arguments are looked at, the calls that may get there, sorted by name.
inline std::vector<std::vector<const abi::Syscall*>> trace_calls(const ProgramView& program) {
    std::vector<std::vector<const abi::Syscall*>> calls(program.size);
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number() < 0) continue;
        std::vector<bool> reached(program.size);
        std::size_t i = first_look(program, call.number(), abi::audit_architecture(abi::native_abi));
        if (i < program.size && BPF_CLASS(program[i].code) == BPF_LD) reached[i] = true;
        for (; i < program.size; ++i) {
            if (!reached[i]) continue;
            calls[i].push_back(&call);
            if (BPF_CLASS(program[i].code) == BPF_RET) continue;
            for_each_next(program[i], i, [&](std::size_t next) {
                if (next < program.size) reached[next] = true;
            });
        }
    }
    return calls;
}

}  // namespace sysguard::filter::detail
