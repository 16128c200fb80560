#include <sysguard/filter/export_libseccomp.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/policy/foreign.hpp>
#include <sysguard/supervise/call.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/large_policy.hpp"
#include "support/random_policy.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using sg::Action;
using sg::Rule;

namespace {

std::string error_of(const sg::policy::View& view) {
    try {
        (void)filter::export_libseccomp(view);
    } catch (const sg::Error& error) {
        return error.what();
    }
    return {};
}

std::uint32_t value(const std::vector<sock_filter>& program, int number, std::uint64_t a0 = 0, std::uint64_t a1 = 0,
                    std::uint64_t a2 = 0) {
    return filter::interpret({program.data(), program.size()},
                             {number, ::seccomp_arch_native(), 0, {a0, a1, a2, 0, 0, 0}})
        .value;
}

bool has(const std::vector<std::string>& notes, const std::string& text) {
    for (const std::string& note : notes)
        if (note.find(text) != std::string::npos) return true;
    return false;
}

}  // namespace

TEST_CASE("a policy that libseccomp can say is exported without a note, and the kernel takes it") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{arg::which == 0}.deny(EXFULL),
                                Rule<SYS_getpriority>{arg::which.between(1, 2)}.deny(EBADE),
                                Rule<SYS_sched_get_priority_max>{arg::policy != SCHED_FIFO}.fake(0),
                                sg::foreign.kill_now(), sg::otherwise.allow()};
    const filter::LibseccompExport made = filter::export_libseccomp(policy.view());
    CHECK(made.notes.empty());
    const pid_t child = ::fork();
    if (child == 0) {
        const auto error = [](long number, std::uint64_t first) {
            const long result = ::syscall(number, first, 0);
            return result < 0 ? -errno : static_cast<int>(result);
        };
        if (::seccomp_load(made.context.get()) != 0) ::_exit(1);
        if (error(SYS_getpriority, 0) != -EXFULL || error(SYS_getpriority, 1ULL << 32) != -EXFULL) ::_exit(2);
        if (error(SYS_getpriority, 1) != -EBADE || error(SYS_getpriority, 2 | 1ULL << 63) != -EBADE) ::_exit(3);
        if (error(SYS_getpriority, 3) != -EINVAL) ::_exit(4);
        if (error(SYS_sched_get_priority_max, SCHED_RR) != 0) ::_exit(5);
        if (error(SYS_sched_get_priority_max, SCHED_FIFO) <= 0) ::_exit(5);
        if (error(1023, 0) != -ENOSYS) ::_exit(6);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE("what libseccomp gets wrong is found, and written in another way") {
    constexpr sg::Policy policy{Rule<SYS_read>{arg::count <= 0x100000000 || arg::count > 0x200000001}.allow(),
                                sg::foreign.kill_now(), sg::otherwise.kill_now()};
    const filter::LibseccompContext direct{SCMP_ACT_KILL_PROCESS};
    const scmp_arg_cmp up_to = {2, SCMP_CMP_LE, 0x100000000, 0};
    const scmp_arg_cmp from = {2, SCMP_CMP_GE, 0x200000002, 0};
    REQUIRE(::seccomp_rule_add_exact_array(direct.get(), SCMP_ACT_ALLOW, SYS_read, 1, &up_to) == 0);
    REQUIRE(::seccomp_rule_add_exact_array(direct.get(), SCMP_ACT_ALLOW, SYS_read, 1, &from) == 0);
    const std::vector<sock_filter> wrong = filter::program_of(direct.get());
    const filter::LibseccompExport made = filter::export_libseccomp(policy.view());
    const std::vector<sock_filter> right = filter::program_of(made.context.get());
    MESSAGE(
        "libseccomp lets 0x100000002 through: " << (value(wrong, SYS_read, 0, 0, 0x100000002) == SECCOMP_RET_ALLOW));
    CHECK(made.notes.empty());
    for (const std::uint64_t count : {0ULL, 0x100000000ULL, 0x200000002ULL, ~0ULL})
        CHECK(value(right, SYS_read, 0, 0, count) == SECCOMP_RET_ALLOW);
    for (const std::uint64_t count : {0x100000001ULL, 0x100000002ULL, 0x200000000ULL, 0x200000001ULL})
        CHECK(value(right, SYS_read, 0, 0, count) == SECCOMP_RET_KILL_PROCESS);
}

TEST_CASE("what libseccomp gets wrong in whatever way it is written is an error that names a call") {
    // Its code for one call, shared with another, compares the advice with what the offset is to be: tests/filter/
    // known_bypasses.cpp.
    constexpr auto offset = arg::offset & 0xffffffffUL;
    constexpr sg::Policy policy{Rule<SYS_readahead>{offset.in(0, 2)}.allow(),
                                Rule<SYS_readahead>{offset.in(3, 4, 10)}.log(),
                                Rule<SYS_fadvise64>{offset == 0 || (offset == 1 && arg::advice == 1)}.allow(),
                                sg::foreign.kill_now(), sg::otherwise.deny(ENOSYS)};
    const std::string error = error_of(policy.view());
    if (error.empty()) SYSGUARD_SKIP("this libseccomp shares no wrong code");
    CHECK(error.find("it decides otherwise on fadvise64(0, 1, 0, 0, 0, 0)") != std::string::npos);
}

TEST_CASE("comparisons of 64 bits, and what is no action") {
    constexpr sg::Policy policy{Rule<SYS_read>{arg::count != 7}.allow(), sg::foreign.kill_now(),
                                sg::otherwise.deny(ENOSYS)};
    const std::vector<sock_filter> program = filter::program_of(filter::export_libseccomp(policy.view()).context.get());
    CHECK(value(program, SYS_read, 0, 0, 7) == (SECCOMP_RET_ERRNO | ENOSYS));
    CHECK(value(program, SYS_read, 0, 0, 7 | 1ULL << 32) == SECCOMP_RET_ALLOW);
    CHECK(filter::detail::libseccomp_action({static_cast<Action>(99)}) == SCMP_ACT_KILL_PROCESS);
}

TEST_CASE("what it cannot say is a refusal, with a note") {
    constexpr sg::Policy policy{
        sg::allow<SYS_read>,
        Rule<SYS_connect>{arg::addr.is_loopback()}.allow(),
        Rule<SYS_openat>{}.handle([](const sg::Call<SYS_openat>& call) { return call.deny(EPERM); }),
        Rule<SYS_getsid>{}.fake(7),
        Rule<SYS_getpgid>{}.deny(4095),
        Rule<SYS_ptrace>{}.kill(),
        sg::foreign.deny(ENOSYS),
        sg::otherwise.deny(EACCES)};
    const filter::LibseccompExport made = filter::export_libseccomp(policy.view());
    CHECK(made.notes.size() == 4);
    CHECK(has(made.notes, "connect, openat: the host decides"));
    CHECK(has(made.notes, "getsid: fake(7)"));
    CHECK(has(made.notes, "getpgid: deny(4095)"));
    CHECK(has(made.notes, "ptrace: kill()"));
    const std::vector<sock_filter> program = filter::program_of(made.context.get());
    for (const int call : {SYS_connect, SYS_openat, SYS_getsid, SYS_getpgid})
        CHECK(value(program, call) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(value(program, SYS_ptrace) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(program, SYS_getpid) == (SECCOMP_RET_ERRNO | EACCES));
    CHECK(value(program, 1023) == (SECCOMP_RET_ERRNO | ENOSYS));
    CHECK(value(program, -1) == SECCOMP_RET_ALLOW);
}

TEST_CASE("what is said of an ABI that is admitted gets lost, with a note") {
    constexpr sg::Policy policy{sg::allow<SYS_read>, sg::foreign.kill_now(), sg::otherwise.deny(ENOSYS)};
    sg::policy::View view = policy.view();
    view.admitted = &sg::policy::admitted_abi<sg::abi::compat_abi>;
    CHECK(has(filter::export_libseccomp(view).notes, std::string{"calls of "} + sg::abi::name(sg::abi::compat_abi)));
}

TEST_CASE("where that makes it possible, calls that the table does not know get another refusal") {
    constexpr sg::Policy policy{Rule<SYS_kill>{arg::sig != 0 && arg::pid > 1}.deny(EPERM), sg::otherwise.allow()};
    const filter::LibseccompExport made = filter::export_libseccomp(policy.view());
    CHECK(has(made.notes, "calls that the table does not know"));
    const std::vector<sock_filter> program = filter::program_of(made.context.get());
    CHECK(value(program, SYS_kill, 2, 1) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(value(program, SYS_kill, 1, 1) == SECCOMP_RET_ALLOW);
    CHECK(value(program, 1023) == (SECCOMP_RET_ERRNO | EPERM));
}

TEST_CASE("what takes too many rules is an error that names the call") {
    constexpr sg::Policy policy{Rule<SYS_kill>{arg::sig != 0 && arg::pid > 1}.log(), sg::otherwise.kill()};
    CHECK(error_of(policy.view()).find("the rules for kill take more than") != std::string::npos);
}

TEST_CASE("a large policy, and random ones, are exported as what they are or not at all") {
    const support::LargePolicy rules = support::large_policy();
    const auto large = filter::export_libseccomp(
        {rules.begin(), rules.size(), rules.nodes(), {Action::deny, EPERM}, {Action::kill_now}});
    CHECK(large.notes.empty());
    int exported = 0;
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        support::RandomPolicy random{support::Choices{seed}};
        const support::FixedPolicy fixed{random.make(support::all_decisions())};
        std::string error;
        try {
            const auto made = filter::export_libseccomp(fixed.view());
            const std::vector<sock_filter> program = filter::program_of(made.context.get());
            ++exported;
            for (int i = 0; i < 200; ++i) {
                const seccomp_data data = random.input();
                const std::uint32_t said = filter::interpret({program.data(), program.size()}, data).value;
                std::uint64_t registers[6];
                std::copy(std::begin(data.args), std::end(data.args), registers);
                if (data.arch != ::seccomp_arch_native() || !sg::abi::is_known(data.nr)) continue;
                if (said != filter::detail::libseccomp_action(sg::policy::decide(fixed.view(), data.nr, registers)))
                    FAIL("seed " << seed << ": " << support::text(data));
            }
        } catch (const sg::Error& failure) {
            CHECK(failure.code().value() == ENOTSUP);
        }
    }
    MESSAGE(exported << " of 12 exported");
    CHECK(exported > 3);
}
