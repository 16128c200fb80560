#include <sysguard/filter/libseccomp_context.hpp>
#include <sysguard/filter/recover.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <vector>

#include <sys/syscall.h>

#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace filter = sysguard::filter;
using sg::Action;
using sg::Decision;

namespace {

constexpr auto nothing = [](const Decision&) { return false; };

sg::policy::View view_of(const sg::RuleList& rules) {
    return {rules.begin(), rules.size(), rules.nodes(), {Action::kill}, {Action::kill}};
}

}  // namespace

TEST_CASE("a return value decides what it decides in the kernel") {
    CHECK(filter::decision_of(SECCOMP_RET_ALLOW) == Action::allow);
    CHECK(filter::decision_of(SECCOMP_RET_LOG) == Action::log);
    CHECK(filter::decision_of(SECCOMP_RET_ERRNO | 13) == Decision{Action::deny, 13});
    CHECK(filter::decision_of(SECCOMP_RET_ERRNO | 0xffff) == Decision{Action::deny, 4095});
    CHECK(filter::decision_of(SECCOMP_RET_ERRNO) == Decision{Action::fake, 0});
    CHECK(filter::decision_of(SECCOMP_RET_TRACE | 5) == Decision{Action::trace, 5});
    CHECK(filter::decision_of(SECCOMP_RET_TRAP | 6) == Decision{Action::trap, 6});
    CHECK(filter::decision_of(SECCOMP_RET_USER_NOTIF) == Action::handle);
    CHECK(filter::decision_of(SECCOMP_RET_KILL_THREAD) == Action::kill_thread);
    CHECK(filter::decision_of(SECCOMP_RET_KILL_PROCESS) == Action::kill_now);
    CHECK(filter::decision_of(0x12340000) == Action::kill_now);
}

TEST_CASE("what libseccomp makes of a context is known again as rules") {
    const filter::LibseccompContext context{SCMP_ACT_ERRNO(EPERM)};
    const scmp_arg_cmp domain = {0, SCMP_CMP_MASKED_EQ, 0xffffffff, 2};
    REQUIRE(::seccomp_rule_add_exact_array(context.get(), SCMP_ACT_ALLOW, SYS_socket, 1, &domain) == 0);
    REQUIRE(::seccomp_rule_add_exact(context.get(), SCMP_ACT_LOG, SYS_getpid, 0) == 0);
    const std::vector<sock_filter> program = filter::program_of(context.get());
    const filter::Recovered recovered{{program.data(), program.size()}};
    REQUIRE(recovered.complete());
    CHECK(recovered.returns(SYS_getpid) == std::vector<std::uint32_t>{SECCOMP_RET_LOG});
    CHECK(recovered.returns(SYS_socket) == std::vector<std::uint32_t>{SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW});
    sg::RuleList rules;
    REQUIRE(
        recovered.append_rules(rules, SYS_socket, [](const Decision& decision) { return decision == Action::deny; }));
    REQUIRE(rules.size() == 1);
    CHECK(rules.begin()->decision == Action::allow);
    REQUIRE(rules.begin()->node_count == 1);
    CHECK(rules.nodes()[0].mask == 0xffffffff);
    CHECK(rules.nodes()[0].low == 2);
}

TEST_CASE("rules of random filters say what the filters return") {
    int said = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        support::RandomPolicy random{support::Choices{seed}, {SYS_read, SYS_kill, SYS_mmap, SYS_socket, SYS_lseek}};
        const support::LoosePolicy& loose =
            random.make({{Action::allow}, {Action::kill_now}, {Action::deny, EPERM}, {Action::trap, 3}});
        const support::FixedPolicy fixed{loose};
        const sg::policy::View view = fixed.view();
        const std::vector<sock_filter> program = fixed.compile();
        const filter::Recovered recovered{{program.data(), program.size()}};
        const int number = random.choices().pick(loose.rules).number;
        sg::RuleList rules;
        if (!recovered.complete() || !recovered.append_rules(rules, number, nothing)) continue;
        ++said;
        for (int i = 0; i < 100; ++i) {
            const seccomp_data input = random.input(number);
            std::uint64_t registers[6];
            std::copy(std::begin(input.args), std::end(input.args), registers);
            CHECK(sg::policy::decide(view_of(rules), number, registers) == sg::policy::decide(view, number, registers));
        }
    }
    CHECK(said > 20);
}

TEST_CASE("of a filter that computes nothing is known") {
    const sock_filter program[] = {{BPF_LD | BPF_IMM, 0, 0, SECCOMP_RET_ALLOW}, {BPF_RET | BPF_A, 0, 0, 0}};
    CHECK_FALSE(filter::Recovered{{program, 2}}.complete());
}
