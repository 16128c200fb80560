#pragma once

#include "../program.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "../../abi/error.hpp"

namespace sysguard::filter {

/// A call of this in a constant expression is the compile error for a policy that is too large; at run time it throws.
[[noreturn]] inline void filter_would_exceed_4096_instructions() {
    throw Error{E2BIG, "compile the policy: its filter would exceed 4096 instructions, the most that the kernel takes"};
}

namespace detail {

/// Where a jump goes: an index into the emitter's code.
using Label = std::size_t;

/// Writes a program from its end to its beginning. BPF jumps forward only, so every target is known when a jump to it
/// is written, and a target that 8 bits do not reach gets a step in between.
template <std::size_t capacity>
class Emitter {
public:
    constexpr Label top() const noexcept { return top_; }
    constexpr const sock_filter& at(Label label) const noexcept { return code_[label]; }

    constexpr Label emit(unsigned code, std::uint32_t k, std::size_t jt = 0, std::size_t jf = 0) {
        if (top_ == 0) filter_would_exceed_4096_instructions();
        --top_;
        code_[top_].code = static_cast<std::uint16_t>(code);
        code_[top_].jt = static_cast<std::uint8_t>(jt);
        code_[top_].jf = static_cast<std::uint8_t>(jf);
        code_[top_].k = k;
        return top_;
    }

    /// `return value`, one in reach of what is written next if there is one.
    constexpr Label ret(std::uint32_t value) {
        for (std::size_t i = 0; i < return_count_; ++i)
            if (code_[returns_[i]].k == value) {
                if (!in_reach(returns_[i])) returns_[i] = emit(BPF_RET | BPF_K, value);
                return returns_[i];
            }
        const Label label = emit(BPF_RET | BPF_K, value);
        if (return_count_ < max_returns) returns_[return_count_++] = label;
        return label;
    }

    /// A conditional jump: to `yes` where `A operation k` holds, else to `no`.
    constexpr Label jump(unsigned operation, std::uint32_t k, Label yes, Label no) {
        if (yes == no) return yes;
        yes = approach(yes);
        no = approach(no);
        return emit(BPF_JMP | BPF_K | operation, k, yes - top_, no - top_);
    }

    /// Makes the next instruction written run into `label`.
    constexpr void fall_into(Label label) {
        if (label != top_) emit(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(label - top_));
    }

    /// Takes back what was written last.
    constexpr void drop(std::size_t instructions) noexcept { top_ += instructions; }

    /// The program, moved to the front.
    constexpr void finish(Program<capacity>& program) const noexcept {
        program.size = capacity - top_;
        for (std::size_t i = 0; i < program.size; ++i) program.code[i] = code_[top_ + i];
    }

private:
    static constexpr std::size_t max_returns = 32;
    static constexpr std::size_t reach = 255 - 2;  ///< leaves room for the steps of both targets of one jump

    constexpr bool in_reach(Label label) const noexcept { return label - top_ <= reach; }

    constexpr Label approach(Label label) {
        if (in_reach(label)) return label;
        if (code_[label].code == (BPF_RET | BPF_K)) return ret(code_[label].k);
        return emit(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(label - top_));
    }

    sock_filter code_[capacity]{};
    Label top_ = capacity;
    Label returns_[max_returns]{};
    std::size_t return_count_ = 0;
};

}  // namespace detail
}  // namespace sysguard::filter
