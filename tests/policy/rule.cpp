#include <sysguard/policy/rule.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Action;
using sg::Decision;
using sg::Rule;

TEST_CASE("each ending is the action it names") {
    constexpr Rule<SYS_read> rule;
    static_assert(rule.allow().begin()->decision == Action::allow);
    static_assert(rule.log().begin()->decision == Action::log);
    static_assert(rule.kill().begin()->decision == Action::kill);
    static_assert(rule.kill_now().begin()->decision == Action::kill_now);
    static_assert(rule.deny(EACCES).begin()->decision == Decision{Action::deny, EACCES});
    static_assert(rule.fake(3).begin()->decision == Decision{Action::fake, 3});
    CHECK(rule.allow().begin()->number == SYS_read);
}

TEST_CASE("an errno is 1 to 4095") {
    const Rule<SYS_read> rule;
    CHECK_NOTHROW((void)rule.deny(1));
    CHECK_NOTHROW((void)rule.deny(4095));
    CHECK_THROWS_AS((void)rule.deny(0), sg::Error);
    CHECK_THROWS_AS((void)rule.deny(-EPERM), sg::Error);
    CHECK_THROWS_AS((void)rule.deny(4096), sg::Error);
}

TEST_CASE("what is faked is a success") {
    const Rule<SYS_read> rule;
    for (const std::int64_t error : {-1, -EPERM, -4095}) CHECK_THROWS_AS((void)rule.fake(error), sg::Error);
    for (const std::int64_t result : {0L, 1L, -4096L, INT64_MIN, INT64_MAX}) CHECK_NOTHROW((void)rule.fake(result));
}

TEST_CASE("a rule without a condition has no nodes") {
    CHECK(Rule<SYS_read>{}.allow().begin()->node_count == 0);
    CHECK(Rule<SYS_read>{arg::fd == 1}.allow().begin()->node_count == 1);
}
