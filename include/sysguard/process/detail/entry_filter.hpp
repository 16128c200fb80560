#pragma once

#include "../../abi/architecture.hpp"
#include "../../abi/error.hpp"
#include "../../abi/numbers.hpp"
#include "../../filter/program.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <csignal>

namespace sysguard::process::detail {

/// What a worker's filter lets through before its policy is asked: a worker may always end itself (exit, exit_group,
/// and abort(), which is tgkill of the process by itself), and a program may be executed once, by a call whose sixth
/// register, which execve does not read, holds a secret that nobody else knows.
class EntryFilter {
public:
    explicit EntryFilter(const filter::ProgramView& policy) {
        constexpr std::uint32_t architecture = abi::audit_architecture(abi::native_abi);
        constexpr std::uint8_t allow = 15;
        constexpr std::uint8_t end = 16;
        const auto to = [this](std::uint8_t target) { return static_cast<std::uint8_t>(target - code_.size() - 1); };
        const auto load = [this](std::uint32_t offset) { code_.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offset}); };
        const auto equal = [&](std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
            code_.push_back({BPF_JMP | BPF_JEQ | BPF_K, to(yes), to(no), k});
        };
        code_.reserve(end + policy.size);
        load(4);
        equal(architecture, 2, end);
        load(0);
        equal(sys::exit, allow, 4);
        equal(sys::exit_group, allow, 5);
        equal(sys::execve, 7, 6);
        equal(sys::tgkill, 11, end);
        load(argument(5));
        equal(0, 9, end);
        load(argument(5) + 4);
        equal(0, allow, end);
        load(argument(0));
        equal(0, 13, end);
        load(argument(2));
        equal(SIGABRT, allow, end);
        code_.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
        code_.insert(code_.end(), policy.begin(), policy.end());
        if (code_.size() > filter::max_instructions)
            throw Error{E2BIG, "prepare the filter: with what a worker needs to start, it exceeds 4096 instructions"};
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

    /// Has the kernel kill where the host would have been asked: for workers that nobody can listen to.
    void kill_instead_of_asking() noexcept {
        for (sock_filter& instruction : code_)
            if (instruction.code == (BPF_RET | BPF_K) && instruction.k == SECCOMP_RET_USER_NOTIF)
                instruction.k = SECCOMP_RET_KILL_PROCESS;
    }

    bool asks_the_host() const noexcept {
        for (const sock_filter& instruction : code_)
            if (instruction.code == (BPF_RET | BPF_K) && instruction.k == SECCOMP_RET_USER_NOTIF) return true;
        return false;
    }

    sock_filter* data() noexcept { return code_.data(); }
    std::size_t size() const noexcept { return code_.size(); }

    /// The instruction that compares with the process id, which the worker fills in.
    static constexpr std::size_t own_pid = 12;

private:
    static constexpr std::size_t pass_low = 8;
    static constexpr std::size_t pass_high = 10;

    static constexpr std::uint32_t argument(std::uint32_t position) noexcept { return 16 + 8 * position; }

    std::vector<sock_filter> code_;
};

}  // namespace sysguard::process::detail
