#include <sysguard/filter/interpret.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/process/confinement.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <memory>
#include <vector>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using sg::Rule;
using sg::process::Confinement;

namespace {

constexpr sg::Policy kills{Rule<SYS_kill>{arg::sig.in(1, 2, 3, 4, 5)}.deny(1), sg::allow<SYS_read>,
                           sg::otherwise.kill()};
constexpr sg::Policy kills_now{sg::foreign.kill_now(), sg::allow<SYS_read>, sg::otherwise.kill_now()};

std::uint32_t value(sg::process::detail::EntryFilter& entry, int number, std::uint64_t a0 = 0, std::uint64_t a2 = 0,
                    std::uint64_t a5 = 0) {
    seccomp_data data{};
    data.nr = number;
    data.arch = sg::abi::audit_architecture(sg::abi::native_abi);
    data.args[0] = a0;
    data.args[2] = a2;
    data.args[5] = a5;
    const filter::ProgramView program{entry.data(), entry.size()};
    CHECK(filter::is_valid(program));
    return filter::interpret(program, data).value;
}

}  // namespace

TEST_CASE("it keeps copies of the policy") {
    auto policy = std::make_unique<decltype(sg::Policy{kills})>(kills);
    const Confinement confinement{policy->view(), policy->program(), {}};
    policy.reset();
    const std::uint64_t arguments[6] = {0, 3};
    CHECK(decide(confinement.policy(), SYS_kill, arguments) == sg::Action::deny);
    CHECK(decide(confinement.policy(), SYS_read, arguments) == sg::Action::allow);
    CHECK(decide(confinement.policy(), SYS_write, arguments) == sg::Action::kill);
}

TEST_CASE("whether the host is asked") {
    CHECK(Confinement{kills.view(), kills.program(), {}}.asks_the_host());
    CHECK_FALSE(Confinement{kills_now.view(), kills_now.program(), {}}.asks_the_host());
}

TEST_CASE("the entry filter: a worker may end itself, and execute once, with the pass") {
    sg::process::detail::EntryFilter entry{kills_now.program()};
    constexpr std::uint64_t pass = 0x123456789abcdef0;
    CHECK(value(entry, SYS_read) == SECCOMP_RET_ALLOW);
    CHECK(value(entry, SYS_write) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(entry, SYS_exit) == SECCOMP_RET_ALLOW);
    CHECK(value(entry, SYS_exit_group) == SECCOMP_RET_ALLOW);
    CHECK(value(entry, SYS_execve, 0, 0, 0) == SECCOMP_RET_KILL_PROCESS);
    entry.set_pass(pass);
    CHECK(value(entry, SYS_execve, 0, 0, pass) == SECCOMP_RET_ALLOW);
    CHECK(value(entry, SYS_execve, 0, 0, pass ^ 1) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(entry, SYS_execve, 0, 0, pass ^ 1ULL << 63) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(entry, SYS_execveat, 0, 0, pass) == SECCOMP_RET_KILL_PROCESS);
    entry.refuse_execve();
    CHECK(value(entry, SYS_execve, 0, 0, pass) == SECCOMP_RET_KILL_PROCESS);
}

TEST_CASE("the entry filter: abort() of itself, and no other signal, and of no other") {
    sg::process::detail::EntryFilter entry{kills_now.program()};
    entry.data()[sg::process::detail::EntryFilter::own_pid].k = 4711;
    CHECK(value(entry, SYS_tgkill, 4711, SIGABRT) == SECCOMP_RET_ALLOW);
    CHECK(value(entry, SYS_tgkill, 4711, SIGKILL) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(entry, SYS_tgkill, 4712, SIGABRT) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(entry, SYS_tgkill, 0, SIGABRT) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(entry, SYS_tgkill, static_cast<std::uint64_t>(-1), SIGABRT) == SECCOMP_RET_KILL_PROCESS);
}

TEST_CASE("the entry filter: numbers of other ABIs do not pass for those calls") {
    sg::process::detail::EntryFilter entry{kills_now.program()};
    seccomp_data data{};
    for (const int number : {SYS_exit, SYS_exit_group, SYS_execve, SYS_tgkill}) {
        data.nr = number;
        data.arch = sg::abi::audit_architecture(sg::abi::Abi::i386);
        CHECK(filter::interpret({entry.data(), entry.size()}, data).value == SECCOMP_RET_KILL_PROCESS);
        data.arch = sg::abi::audit_architecture(sg::abi::native_abi);
        data.nr = static_cast<int>(static_cast<std::uint32_t>(number) | 0x40000000);
        CHECK(filter::interpret({entry.data(), entry.size()}, data).value != SECCOMP_RET_ALLOW);
    }
}

TEST_CASE("the entry filter: where TCP ports are held, no other way to them") {
    sg::process::detail::EntryFilter entry{kills_now.program(), true};
    constexpr auto fails = [](int error) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error); };
    constexpr std::uint32_t policy = SECCOMP_RET_KILL_PROCESS;
    constexpr std::uint64_t high = 1ULL << 32, fast_open = 0x20000000;
    const auto value = [&](int number, std::uint64_t a0, std::uint64_t a1, std::uint64_t a2, std::uint64_t a3) {
        const seccomp_data data{number, sg::abi::audit_architecture(sg::abi::native_abi), 0, {a0, a1, a2, a3}};
        return filter::interpret({entry.data(), entry.size()}, data).value;
    };
    CHECK(filter::is_valid({entry.data(), entry.size()}));
    for (const std::uint64_t protocol : {256U, 262U}) {
        CHECK(value(SYS_socket, 2, 1, protocol, 0) == fails(EPROTONOSUPPORT));
        CHECK(value(SYS_socket, 10, 1, protocol | high, 0) == fails(EPROTONOSUPPORT));
    }
    CHECK(value(SYS_socket, 43, 1, 0, 0) == fails(EPROTONOSUPPORT));
    CHECK(value(SYS_socket, 2, 1, 6, 262) == policy);
    CHECK(value(SYS_socket, 2, 262, 0, 0) == policy);
    CHECK(value(SYS_sendto, 0, 0, 0, fast_open | 1) == fails(EOPNOTSUPP));
    CHECK(value(SYS_sendmmsg, 0, 0, 0, fast_open | high) == fails(EOPNOTSUPP));
    CHECK(value(SYS_sendmsg, 0, 0, fast_open, 0) == fails(EOPNOTSUPP));
    CHECK(value(SYS_sendto, fast_open, fast_open, fast_open, ~fast_open) == policy);
    CHECK(value(SYS_sendmsg, fast_open, fast_open, ~fast_open, fast_open) == policy);
    CHECK(value(SYS_setsockopt, 0, 6, 31, 0) == fails(EOPNOTSUPP));
    CHECK(value(SYS_setsockopt, 31, 6, 30, 0) == policy);
    CHECK(value(SYS_setsockopt, 6, 1, 31, 0) == policy);
    CHECK(value(sg::sys::io_uring_setup, 0, 0, 0, 0) == fails(EPERM));
    CHECK(value(SYS_read, 43, 6, 31, fast_open) == SECCOMP_RET_ALLOW);
    CHECK(value(SYS_write, 43, 6, 31, fast_open) == policy);
    CHECK(value(SYS_exit, 0, 0, 0, 0) == SECCOMP_RET_ALLOW);
    CHECK(value(SYS_execve, 0, 0, 0, 0) == policy);
    const seccomp_data foreign{SYS_socket, sg::abi::audit_architecture(sg::abi::Abi::i386), 0, {43}};
    CHECK(filter::interpret({entry.data(), entry.size()}, foreign).value == policy);
}

TEST_CASE("a filter that fits alone but not with what a worker needs to start") {
    std::vector<sock_filter> code(filter::max_instructions - 3, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
    CHECK_THROWS_AS(sg::process::detail::EntryFilter(filter::ProgramView{code.data(), code.size()}), sg::Error);
    code.resize(filter::max_instructions - 16);
    sg::process::detail::EntryFilter entry{filter::ProgramView{code.data(), code.size()}};
    CHECK(entry.size() == filter::max_instructions);
}
