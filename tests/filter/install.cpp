#include <sysguard/filter/install.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/probe.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

namespace {

/// How a child ends that installs a filter and then does `body`.
template <class Body>
int status_of(const sg::filter::ProgramView& program, Body&& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        sg::filter::install(program);
        body();
        ::_exit(42);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

}  // namespace

TEST_CASE("an installed filter decides, and no_new_privs is set") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{}.deny(EXFULL), sg::otherwise.allow()};
    const int status = status_of(policy.program(), [] {
        const bool denied = ::syscall(SYS_getpriority, 0, 0) == -1 && errno == EXFULL;
        ::_exit(denied && ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1);
    });
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a filter is for the thread that installs it, and its errors name the step") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{}.deny(EXFULL), Rule<SYS_prctl>{}.deny(EXFULL),
                                sg::otherwise.allow()};
    const sock_filter wrong[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 2}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const auto step_of = [](const sg::filter::ProgramView& program) {
        try {
            sg::filter::install(program);
        } catch (const sg::Error& error) {
            return error.step();
        }
        return std::string{};
    };
    std::string steps[3];
    bool denied_there = false;
    std::thread{[&] {
        steps[0] = step_of({wrong, 2});
        steps[1] = step_of(policy.program());
        steps[2] = step_of(policy.program());
        denied_there = ::syscall(SYS_getpriority, 0, 0) == -1 && errno == EXFULL;
    }}.join();
    CHECK(steps[0] == "install the seccomp filter");
    CHECK(steps[1].empty());
    CHECK(steps[2] == "set no_new_privs");  // the first filter denies it
    CHECK(denied_there);
    CHECK(::syscall(SYS_getpriority, 0, 0) != -1);
}

TEST_CASE("a program that the kernel refuses is an error that names the step") {
    const sock_filter wrong[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 2}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            sg::filter::install({wrong, 2});
        } catch (const sg::Error& error) {
            ::_exit(error.code().value() == EINVAL && error.step() == "install the seccomp filter" ? 0 : 2);
        }
        ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE("live: every action in the kernel") {
    constexpr sg::Policy policy{
        Rule<SYS_getpriority>{arg::who == 1}.deny(EXFULL),
        Rule<SYS_getpriority>{arg::who == 2}.fake(0),
        Rule<SYS_getpriority>{arg::who == 3}.fake(7),
        Rule<SYS_getpriority>{arg::who == 4}.kill(),
        Rule<SYS_getpriority>{arg::who == 5}.log(),
        Rule<SYS_getpriority>{arg::who == 6}.deny(4095),
        sg::otherwise.allow(),
    };
    std::vector<support::Probe> probes;
    for (std::uint64_t who = 0; who <= 6; ++who) probes.push_back({SYS_getpriority, {99, who}});
    const auto answers = support::make_calls(policy.program(), probes);
    CHECK(answers[0].result == -EINVAL);  // what the kernel itself says to this call
    CHECK(answers[1].result == -EXFULL);
    CHECK(answers[2].result == 0);
    CHECK(answers[3].result == -ENOSYS);  // for the host to answer, and nobody listens
    CHECK(answers[4].result == -ENOSYS);
    CHECK(answers[5].result == -EINVAL);
    CHECK(answers[6].result == -4095);
}

TEST_CASE("live: kill_now ends the process at the call") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{}.kill_now(), sg::otherwise.allow()};
    const int status = status_of(policy.program(), [] { ::syscall(SYS_getpriority, 0, 0); });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSYS);
}

TEST_CASE("live: bit 32 does not get AF_NETLINK past a rule against it") {
    const auto netlink = [](const sg::filter::ProgramView& program, std::uint64_t domain) {
        return support::make_calls(program, {{SYS_socket, {domain, SOCK_RAW, 0}}})[0].result;
    };
    constexpr std::uint64_t disguised = 1ULL << 32 | AF_NETLINK;

    // A filter that compares 64 bits, as snapd's and Flatpak's did, is got past.
    const sock_filter naive[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, SYS_socket},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 20},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, AF_NETLINK},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EACCES},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    CHECK(netlink({naive, std::size(naive)}, AF_NETLINK) == -EACCES);
    CHECK(netlink({naive, std::size(naive)}, disguised) >= 0);

    constexpr sg::Policy policy{Rule<SYS_socket>{arg::domain == AF_NETLINK}.deny(EACCES), sg::otherwise.allow()};
    CHECK(netlink(policy.program(), AF_NETLINK) == -EACCES);
    CHECK(netlink(policy.program(), disguised) == -EACCES);
    CHECK(netlink(policy.program(), 0xdeadbeef00000000 | AF_NETLINK) == -EACCES);
}

#if defined(__x86_64__)
namespace {

/// Checks that getpid by a foreign door, which would do no harm, does not get past a policy.
template <class GetPid>
void check_refused(GetPid get_pid) {
    constexpr sg::Policy kill{sg::foreign.kill_now(), sg::otherwise.allow()};
    constexpr sg::Policy deny{sg::foreign.deny(EXFULL), sg::otherwise.allow()};
    const int killed = status_of(kill.program(), [&] { get_pid(); });
    CHECK(WIFSIGNALED(killed));
    CHECK(WTERMSIG(killed) == SIGSYS);
    const int denied = status_of(deny.program(), [&] {
        const long result = get_pid();
        ::_exit(result == -EXFULL || (result == -1 && errno == EXFULL) ? 0 : 1);
    });
    CHECK(WIFEXITED(denied));
    CHECK(WEXITSTATUS(denied) == 0);
}

}  // namespace

TEST_CASE("live: x32 numbers do not get past a policy") {
    check_refused([] { return ::syscall(0x40000000 | SYS_getpid); });
}

TEST_CASE("live: int 0x80 does not get past a policy") {
    const auto get_pid = [] {
        long result = 0;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory", "r8", "r9", "r10", "r11");
        return result;
    };
    constexpr sg::Policy open{sg::otherwise.allow()};
    const int before = status_of(open.program(), [] {});
    CHECK(WEXITSTATUS(before) == 42);

    // Without the guard: a filter that looks at numbers alone takes i386's getpid for x86_64's writev.
    const sock_filter naive[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                 {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getpid},
                                 {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL},
                                 {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const int naive_status = status_of({naive, std::size(naive)}, [&] { ::_exit(get_pid() > 0 ? 1 : 2); });
    if (WIFSIGNALED(naive_status) && WTERMSIG(naive_status) == SIGSEGV)
        SYSGUARD_SKIP("this kernel has no door for 32-bit calls");
    CHECK(WIFEXITED(naive_status));
    CHECK(WEXITSTATUS(naive_status) == 1);
    check_refused(get_pid);
}
#endif
