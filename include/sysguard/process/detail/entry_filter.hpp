#pragma once

#include "../../abi/architecture.hpp"
#include "../../abi/error.hpp"
#include "../../abi/numbers.hpp"
#include "../../filter/program.hpp"
#include "../block.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <csignal>

namespace sysguard::process::detail {

/// What a worker's filter lets through before its policy is asked: a worker may always end itself (exit, exit_group,
/// and abort(), which is tgkill of the process by itself), and a program may be executed once, by a call whose sixth
/// register, which execve does not read, holds a secret that nobody else knows.
class EntryFilter {
public:
    explicit EntryFilter(const filter::ProgramView& policy) : code_{end + policy.size} {
        if (code_.size() > filter::max_instructions)
            throw Error{E2BIG, "prepare the filter: with what a worker needs to start, it exceeds 4096 instructions"};
        constexpr std::uint32_t architecture = abi::audit_architecture(abi::native_abi);
        constexpr std::size_t allow = end - 1;
        const std::size_t ordinary = end + loads_of_a_known_call(policy);
        std::size_t at = 0;
        const auto load = [&](std::uint32_t offset) { code_[at++] = {BPF_LD | BPF_W | BPF_ABS, 0, 0, offset}; };
        const auto equal = [&](std::uint32_t k, std::size_t yes, std::size_t no) {
            const std::size_t next = at + 1;
            code_[at++] = {BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint8_t>(yes - next),
                           static_cast<std::uint8_t>(no - next), k};
        };
        load(4);
        equal(architecture, 2, end);
        load(0);
        equal(sys::exit, allow, 4);
        equal(sys::exit_group, allow, 5);
        equal(sys::execve, 7, 6);
        equal(sys::tgkill, 11, ordinary);
        load(argument(5));
        equal(0, 9, end);
        load(argument(5) + 4);
        equal(0, allow, end);
        load(argument(0));
        equal(0, 13, end);
        load(argument(2));
        equal(SIGABRT, allow, end);
        code_[at++] = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
        for (const sock_filter& instruction : policy) code_[at++] = instruction;
        refuse_execve();
    }

    /// Lets one execve through: the one that brings `pass`.
    void set_pass(std::uint64_t pass) noexcept {
        code_[pass_low].k = static_cast<std::uint32_t>(pass);
        code_[pass_high].k = static_cast<std::uint32_t>(pass >> 32);
        code_[pass_low].jt = 0;
    }

    /// Makes the check for the pass fail, whatever is brought.
    void refuse_execve() noexcept { code_[pass_low].jt = code_[pass_low].jf; }

    void forget_pass() noexcept {
        code_[pass_low].k = code_[pass_high].k = 0;
        refuse_execve();
    }

    /// Whether one of its instructions returns a value.
    bool returns(std::uint32_t value) const noexcept {
        for (const sock_filter& instruction : code_)
            if (instruction.code == (BPF_RET | BPF_K) && instruction.k == value) return true;
        return false;
    }

    sock_filter* data() noexcept { return code_.data(); }
    std::size_t size() const noexcept { return code_.size(); }

    /// The instruction that compares with the process id, which the worker fills in.
    static constexpr std::size_t own_pid = 12;

private:
    static constexpr std::size_t end = 16;  ///< where the policy's program begins
    static constexpr std::size_t pass_low = 8;
    static constexpr std::size_t pass_high = 10;

    /// How many instructions a policy's program begins with that find out what is known here: that the architecture is
    /// the native one, and the number.
    static std::size_t loads_of_a_known_call(const filter::ProgramView& policy) noexcept {
        constexpr std::uint32_t architecture = abi::audit_architecture(abi::native_abi);
        const auto is = [&](std::size_t at, unsigned code, std::uint32_t k) {
            return policy[at].code == code && policy[at].k == k;
        };
        const bool as_expected = policy.size > 3 && is(0, BPF_LD | BPF_W | BPF_ABS, 4) &&
                                 is(1, BPF_JMP | BPF_JEQ | BPF_K, architecture) && policy[1].jt == 0 &&
                                 is(2, BPF_LD | BPF_W | BPF_ABS, 0);
        return as_expected ? 3 : 0;
    }

    static constexpr std::uint32_t argument(std::uint32_t position) noexcept { return 16 + 8 * position; }

    Block<sock_filter> code_;
};

}  // namespace sysguard::process::detail
