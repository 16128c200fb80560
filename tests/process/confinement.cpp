#include <sysguard/filter/interpret.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/process/confinement.hpp>

#include <doctest/doctest.h>

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

TEST_CASE("a filter that fits alone but not with what a worker needs to start") {
    std::vector<sock_filter> code(filter::max_instructions - 3, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
    CHECK_THROWS_AS(sg::process::detail::EntryFilter(filter::ProgramView{code.data(), code.size()}), sg::Error);
    code.resize(filter::max_instructions - 16);
    sg::process::detail::EntryFilter entry{filter::ProgramView{code.data(), code.size()}};
    CHECK(entry.size() == filter::max_instructions);
}
