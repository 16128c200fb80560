#pragma once

#include "../../abi/architecture.hpp"
#include "../../abi/error.hpp"
#include "../../abi/numbers.hpp"
#include "../../filter/program.hpp"
#include "../block.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <netinet/in.h>
#include <sys/socket.h>
#include <csignal>

namespace sysguard::process::detail {

/// What a worker's filter lets through before its policy is asked: a worker may always end itself (exit, exit_group,
/// and abort(), which is tgkill of the process by itself), and a program may be executed once, by a call whose sixth
/// register, which execve does not read, holds a secret that nobody else knows. And where Landlock holds a worker to
/// TCP ports, what gets to others without the calls that Landlock looks at is refused.
class EntryFilter {
public:
    explicit EntryFilter(const filter::ProgramView& policy, bool holds_ports = false)
        : code_{known_calls + (holds_ports ? port_guard : 0) + policy.size} {
        if (code_.size() > filter::max_instructions)
            throw Error{E2BIG, "prepare the filter: with what a worker needs to start, it exceeds 4096 instructions"};
        constexpr std::uint32_t architecture = abi::audit_architecture(abi::native_abi);
        constexpr std::size_t allow = known_calls - 1;
        const std::size_t end = code_.size() - policy.size;
        const std::size_t known = end + loads_of_a_known_call(policy);
        const std::size_t ordinary = holds_ports ? known_calls : known;
        std::size_t at = 0;
        const auto load = [&](std::uint32_t offset) { code_[at++] = {BPF_LD | BPF_W | BPF_ABS, 0, 0, offset}; };
        const auto equal = [&](std::uint32_t k, std::size_t yes, std::size_t no, unsigned test = BPF_JEQ) {
            const std::size_t next = at + 1;
            code_[at++] = {static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), static_cast<std::uint8_t>(yes - next),
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
        if (holds_ports) {
            constexpr std::size_t no_protocol = known_calls + port_guard - 3, no_operation = no_protocol + 1,
                                  not_permitted = no_protocol + 2;
            equal(sys::socket, at + 6, at + 1);
            equal(sys::sendto, at + 10, at + 1);
            equal(sys::sendmmsg, at + 9, at + 1);
            equal(sys::sendmsg, at + 10, at + 1);
            equal(sys::setsockopt, at + 11, at + 1);
            equal(sys::io_uring_setup, not_permitted, known);
            load(argument(0));
            equal(address_family_smc, no_protocol, at + 1);
            load(argument(2));
            equal(protocol_mptcp, no_protocol, at + 1);
            equal(protocol_smc, no_protocol, end);
            load(argument(3));
            code_[at++] = {BPF_JMP | BPF_JA | BPF_K, 0, 0, 1};
            load(argument(2));
            equal(MSG_FASTOPEN, no_operation, end, BPF_JSET);
            load(argument(1));
            equal(IPPROTO_TCP, at + 1, end);
            load(argument(2));
            equal(tcp_ulp, no_operation, end);
            for (const int error : {EPROTONOSUPPORT, EOPNOTSUPP, EPERM})
                code_[at++] = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)};
        }
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

    /// Whether one of its instructions returns an action, SECCOMP_RET_*.
    bool returns(std::uint32_t action) const noexcept {
        for (const sock_filter& instruction : code_)
            if (instruction.code == (BPF_RET | BPF_K) && (instruction.k & SECCOMP_RET_ACTION_FULL) == action)
                return true;
        return false;
    }

    sock_filter* data() noexcept { return code_.data(); }
    std::size_t size() const noexcept { return code_.size(); }

    /// The instruction that compares with the process id, which the worker fills in.
    static constexpr std::size_t own_pid = 12;

private:
    static constexpr std::size_t known_calls = 16;  ///< instructions for what is let through
    static constexpr std::size_t port_guard = 22;   ///< instructions for what would get around Landlock's ports
    static constexpr std::size_t pass_low = 8;
    static constexpr std::size_t pass_high = 10;

    // Sockets that can speak TCP and are not what Landlock takes for TCP (sk_is_tcp, include/net/sock.h).
    static constexpr std::uint32_t address_family_smc = 43;
    static constexpr std::uint32_t protocol_mptcp = 262;
    static constexpr std::uint32_t protocol_smc = 256;
    static constexpr std::uint32_t tcp_ulp = 31;  ///< makes one an SMC socket (net/smc/af_smc.c, smc_ulp_init)

    /// How many instructions a policy's program begins with that find out what is known here: that the architecture is
    /// the native one, and the number.
    static std::size_t loads_of_a_known_call(const filter::ProgramView& policy) noexcept {
        constexpr std::uint32_t architecture = abi::audit_architecture(abi::native_abi);
        const auto is = [&](std::size_t at, unsigned code, std::uint32_t k) {
            return policy[at].code == code && policy[at].k == k;
        };
        if (policy.size < 4 || !is(0, BPF_LD | BPF_W | BPF_ABS, 4) || !is(1, BPF_JMP | BPF_JEQ | BPF_K, architecture))
            return 0;
        const std::size_t native = 2U + policy[1].jt;  // right there, or behind a step to what is not native
        return native <= 3 && is(native, BPF_LD | BPF_W | BPF_ABS, 0) ? native + 1 : 0;
    }

    static constexpr std::uint32_t argument(std::uint32_t position) noexcept { return 16 + 8 * position; }

    Block<sock_filter> code_;
};

}  // namespace sysguard::process::detail
