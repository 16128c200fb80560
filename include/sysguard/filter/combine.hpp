#pragma once

#include "../abi/error.hpp"
#include "detail/emitter.hpp"
#include "interpret.hpp"
#include "program.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

/// What the kernel makes of what two filters return for a call: the action that comes first in the order kill process,
/// kill thread, trap, errno, user notification, trace, log, allow; of two equal actions the value of the filter that
/// was installed later (seccomp(2); seccomp_run_filters() in kernel/seccomp.c).
constexpr std::uint32_t of_both(std::uint32_t earlier, std::uint32_t later) noexcept {
    const auto rank = [](std::uint32_t value) { return static_cast<std::int32_t>(value & SECCOMP_RET_ACTION_FULL); };
    return rank(earlier) < rank(later) ? earlier : later;
}

namespace detail {

/// Writes programs again, behind each other, with other returns. What then makes no difference is left out.
class Rewriter {
public:
    using Code = Emitter<max_instructions>;

    explicit Rewriter(Code& out) : out_{out} {}

    /// Returns where the program begins. `label_of(value)`: where it goes on instead of returning `value`.
    template <class LabelOf>
    Label write(const ProgramView& program, const LabelOf& label_of) {
        std::vector<Label> at(program.size);
        for (std::size_t i = program.size; i-- > 0;) at[i] = write(program[i], at.data() + i + 1, label_of);
        return at[0];
    }

private:
    template <class LabelOf>
    Label write(const sock_filter& instruction, const Label* next, const LabelOf& label_of) {
        switch (BPF_CLASS(instruction.code)) {
            case BPF_RET:
                if (BPF_RVAL(instruction.code) != BPF_K) refuse();
                return label_of(instruction.k);
            case BPF_JMP:
                if (BPF_OP(instruction.code) == BPF_JA) return next[instruction.k];
                if (BPF_SRC(instruction.code) != BPF_K) refuse();
                return out_.jump(BPF_OP(instruction.code), instruction.k, next[instruction.jt], next[instruction.jf]);
            default:
                if (out_.at(*next).code == (BPF_RET | BPF_K)) return *next;
                out_.fall_into(*next);
                return out_.emit(instruction.code, instruction.k);
        }
    }

    [[noreturn]] static void refuse() {
        throw Error{EINVAL,
                    "combine two filters: one returns or compares what it has computed, as none does that "
                    "sysguard or libseccomp makes"};
    }

    Code& out_;
};

inline std::vector<std::uint32_t> returns_of(const ProgramView& program) {
    std::vector<std::uint32_t> values;
    for (const sock_filter& instruction : program) {
        if (instruction.code != (BPF_RET | BPF_K)) continue;
        bool known = false;
        for (const std::uint32_t value : values) known = known || value == instruction.k;
        if (!known) values.push_back(instruction.k);
    }
    return values;
}

}  // namespace detail

/// One filter that returns for every call what the kernel makes of two (`of_both`), `later` being the one that would
/// be installed last. Where both allow a call whatever its arguments, so that the kernel caches them, it does so for
/// the one. Programs are those that sysguard or libseccomp makes. Throws `Error`: E2BIG where it would exceed 4096
/// instructions, EINVAL where one is no filter. Thread-safe.
inline std::vector<sock_filter> combine(const ProgramView& earlier, const ProgramView& later) {
    if (!is_valid(earlier) || !is_valid(later)) throw Error{EINVAL, "combine two filters: one is none"};
    const auto out = std::make_unique<detail::Rewriter::Code>();
    const auto program = std::make_unique<Program<max_instructions>>();
    try {
        detail::Rewriter rewriter{*out};
        std::vector<std::pair<std::uint32_t, detail::Label>> begins;
        for (const std::uint32_t first : detail::returns_of(earlier))
            begins.emplace_back(
                first, rewriter.write(later, [&](std::uint32_t second) { return out->ret(of_both(first, second)); }));
        out->fall_into(rewriter.write(earlier, [&](std::uint32_t first) {
            std::size_t index = 0;
            while (begins[index].first != first) ++index;
            const detail::Label begin = begins[index].second;
            return out->at(begin).code == (BPF_RET | BPF_K) ? out->ret(out->at(begin).k) : begin;
        }));
    } catch (const Error& error) {
        if (error.code().value() != E2BIG) throw;
        throw Error{E2BIG,
                    "combine two filters: together they would exceed 4096 instructions, the most that the kernel "
                    "takes"};
    }
    out->finish(*program);
    return {program->code, program->code + program->size};
}

}  // namespace sysguard::filter
