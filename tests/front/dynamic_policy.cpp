#include <sysguard/dynamic_policy.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/foreign.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Action;
using sg::Rule;

namespace {

int priority() {
    return ::syscall(SYS_getpriority, 0, 0) < 0 ? -errno : 0;
}

/// Everything is allowed but getpriority, of which `action` is said.
sg::DynamicPolicy with(Action action, int value = 0) {
    sg::RuleList rules;
    rules.add(SYS_getpriority, nullptr, 0, false, {action, value});
    return sg::DynamicPolicy{rules, sg::otherwise.allow()};
}

}  // namespace

TEST_CASE("it is the same policy, and the same filter, as one that the compiler made") {
    constexpr sg::Policy fixed{sg::allow<SYS_read, SYS_write, SYS_exit_group>, Rule<SYS_kill>{arg::sig == 0}.allow(),
                               Rule<SYS_kill>{arg::sig.in(1, 2, 15)}.deny(EPERM), sg::foreign.deny(ENOSYS),
                               sg::otherwise.kill_now()};
    sg::RuleList rules{sg::allow<SYS_read, SYS_write, SYS_exit_group>, Rule<SYS_kill>{arg::sig == 0}.allow()};
    rules.append(Rule<SYS_kill>{arg::sig.in(1, 2, 15)}.deny(EPERM));
    const sg::DynamicPolicy dynamic{std::move(rules), sg::otherwise.kill_now(), sg::foreign.deny(ENOSYS)};
    REQUIRE(dynamic.program().size == fixed.program().size);
    for (std::size_t i = 0; i < fixed.program().size; ++i) {
        CHECK(dynamic.program()[i].code == fixed.program()[i].code);
        CHECK(dynamic.program()[i].k == fixed.program()[i].k);
        CHECK(dynamic.program()[i].jt == fixed.program()[i].jt);
        CHECK(dynamic.program()[i].jf == fixed.program()[i].jf);
    }
    CHECK(dynamic.decide<SYS_kill>(1, 15) == sg::Decision{Action::deny, EPERM});
    CHECK(dynamic.decide(SYS_kill, {1, 9}) == Action::kill_now);
    CHECK(dynamic.view().foreign == sg::Decision{Action::deny, ENOSYS});
}

TEST_CASE("a sandbox takes it, and a copy of it goes its own way") {
    auto policy =
        std::make_unique<sg::DynamicPolicy>(sg::RuleList{Rule<SYS_getpriority>{}.deny(EXFULL)}, sg::otherwise.allow());
    const sg::DynamicPolicy copy = *policy;
    const sg::Sandbox box{*policy};
    policy.reset();
    CHECK(*box.call(priority) == -EXFULL);
    CHECK(*sg::Sandbox{copy}.call(priority) == -EXFULL);
}

TEST_CASE("its handlers keep what they have captured while a sandbox lives") {
    const auto box = [] {
        const std::string text(100, 'x');
        return sg::Sandbox{sg::DynamicPolicy{
            sg::RuleList{Rule<SYS_getpriority>{}.handle(
                [text](const sg::Call<SYS_getpriority>& call) { return call.deny(static_cast<int>(text.size())); })},
            sg::otherwise.allow()}};
    }();
    CHECK(*box.call(priority) == -100);
}

TEST_CASE("it admits what a constant policy does, with the same filter") {
    constexpr sg::Abi compat = sg::abi::compat_abi;
    constexpr sg::Policy fixed{sg::allow<SYS_read, SYS_getpid>, Rule<SYS_socket>{arg::domain == 2}.allow(),
                               sg::admit<compat>, sg::otherwise.kill_now()};
    const sg::DynamicPolicy dynamic{
        sg::RuleList{sg::allow<SYS_read, SYS_getpid>, Rule<SYS_socket>{arg::domain == 2}.allow()},
        sg::policy::WeightList{}, sg::admit<compat>, sg::otherwise.kill_now()};
    REQUIRE(dynamic.program().size == fixed.program().size);
    for (std::size_t i = 0; i < fixed.program().size; ++i) {
        CHECK(dynamic.program()[i].code == fixed.program()[i].code);
        CHECK(dynamic.program()[i].k == fixed.program()[i].k);
    }
    constexpr int getpid_there = 20;
    constexpr int socket_there = sg::abi::find("socket")->number(compat);
    CHECK(dynamic.decide(compat, getpid_there, {}) == Action::allow);
    CHECK(dynamic.decide(compat, socket_there, {2}) == Action::allow);
    CHECK(dynamic.decide(compat, socket_there, {3}) == Action::kill_now);
    CHECK(sg::DynamicPolicy{sg::RuleList{sg::allow<SYS_getpid>}, sg::otherwise.kill_now()}.decide(compat, getpid_there,
                                                                                                  {}) == Action::kill);
}

TEST_CASE("a rule that can never be reached, and one that cannot be performed, are refused") {
    const auto error_of = [](sg::RuleList rules, const auto& end) {
        try {
            (void)sg::DynamicPolicy{std::move(rules), end};
        } catch (const sg::Error& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    CHECK(error_of(sg::RuleList{sg::allow<SYS_kill>, Rule<SYS_kill>{arg::sig == 9}.deny(EPERM)}, sg::otherwise.kill())
              .find("kill") != std::string::npos);
    CHECK(error_of(sg::RuleList{Rule<SYS_execve>{arg::path == "/bin/true"}.allow()}, sg::otherwise.kill())
              .find("execve") != std::string::npos);
}

TEST_CASE("more than the kernel takes is refused") {
    sg::RuleList rules;
    for (std::uint64_t i = 0; i < sg::RuleList::max_rules; ++i) {
        sg::policy::BoundNode node;
        node.kind = sg::policy::Node::Kind::range;
        node.size = 1;
        node.mask = ~0ULL;
        node.low = node.high = i * 0x300000000 + i;
        rules.add(SYS_getpriority, &node, 1, false, {Action::deny, static_cast<int>(1 + i % 4000)});
    }
    try {
        (void)sg::DynamicPolicy{rules, sg::otherwise.allow()};
        FAIL("it was taken");
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == E2BIG);
    }
}

TEST_CASE("trap: the worker's own handler is told, and without one it ends as by a violation") {
    CHECK(with(Action::trap, 7).decide<SYS_getpriority>(0, 0) == sg::Decision{Action::trap, 7});
    const auto told = sg::Sandbox{with(Action::trap, 7)}.call([] {
        static int value = 0;
        struct sigaction action {};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = [](int, siginfo_t* info, void*) { value = info->si_errno; };
        ::sigaction(SIGSYS, &action, nullptr);
        ::syscall(SYS_getpriority, 0, 0);
        return value;
    });
    REQUIRE(told);
    CHECK(*told == 7);
    const auto ended = sg::Sandbox{with(Action::trap, 7)}.call(priority);
    CHECK(ended.outcome().kind() == sg::Outcome::Kind::violation);
    CHECK(ended.outcome().signal() == SIGSYS);
}

TEST_CASE("trace: without a tracer the call fails with ENOSYS") {
    CHECK(*sg::Sandbox{with(Action::trace, 7)}.call(priority) == -ENOSYS);
}

TEST_CASE("kill_thread: the thread ends; where it is the only one, so does the worker") {
    CHECK(sg::filter::interpret(with(Action::kill_thread).program(),
                                {SYS_getpriority, sg::abi::audit_architecture(sg::abi::native_abi), 0, {}})
              .value == SECCOMP_RET_KILL_THREAD);
    const auto ended = sg::Sandbox{with(Action::kill_thread)}.call(priority);
    CHECK(ended.outcome().kind() == sg::Outcome::Kind::violation);
}

TEST_CASE("where a rule looks at memory first, what only the kernel could do kills") {
    sg::RuleList rules{Rule<SYS_openat>{arg::path.under("/nowhere")}.allow()};
    rules.add(SYS_openat, nullptr, 0, false, {Action::trap, 7});
    const sg::Sandbox box{sg::DynamicPolicy{rules, sg::otherwise.allow()}};
    const auto ended = box.call([] { return ::syscall(SYS_openat, -1, "/etc/passwd", 0) < 0; });
    CHECK(ended.outcome().kind() == sg::Outcome::Kind::violation);
    CHECK(ended.outcome().violation()->call.find("openat") != std::string::npos);
}
