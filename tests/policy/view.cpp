#include <sysguard/policy.hpp>
#include <sysguard/policy/view.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace policy = sysguard::policy;
using sg::Action;
using sg::Rule;

namespace {

constexpr sg::Policy rules{
    Rule<SYS_kill>{arg::sig == 0}.allow(), sg::allow<SYS_read>,      Rule<SYS_kill>{arg::pid > 0}.deny(EPERM),
    Rule<SYS_kill>{}.kill_now(),           sg::foreign.deny(ENOSYS), sg::otherwise.deny(EACCES),
};

sg::Decision decide(int number, std::uint64_t first, std::uint64_t second) {
    const std::uint64_t arguments[6] = {first, second, 0, 0, 0, 0};
    return policy::decide(rules.view(), number, arguments);
}

}  // namespace

TEST_CASE("the first matching rule decides") {
    CHECK(decide(SYS_kill, 7, 0) == Action::allow);
    CHECK(decide(SYS_kill, 7, 9) == sg::Decision{Action::deny, EPERM});
    CHECK(decide(SYS_kill, ~0ULL, 9) == Action::kill_now);
    CHECK(decide(SYS_read, 0, 0) == Action::allow);
    CHECK(decide(SYS_write, 0, 0) == sg::Decision{Action::deny, EACCES});
}

TEST_CASE("a call that the table does not know fails with ENOSYS, whatever happens otherwise") {
    CHECK(decide(400, 0, 0) == sg::Decision{Action::deny, ENOSYS});
    CHECK(decide(sg::abi::native_limit, 0, 0) == sg::Decision{Action::deny, ENOSYS});
    CHECK(decide(100000, 0, 0) == sg::Decision{Action::deny, ENOSYS});
}

TEST_CASE("-1 is a call that a tracer skips") {
    CHECK(decide(-1, 0, 0) == Action::allow);
}

#if defined(__x86_64__)
TEST_CASE("x32 numbers are foreign") {
    CHECK(decide(0x40000000, 0, 0) == sg::Decision{Action::deny, ENOSYS});
    static_assert(sg::Policy{sg::otherwise.allow()}.view().foreign == Action::kill);
    const std::uint64_t arguments[6] = {};
    CHECK(policy::decide(sg::Policy{sg::otherwise.allow()}.view(), 0x40000000 | SYS_read, arguments) == Action::kill);
}
#endif

TEST_CASE("the rules of a call are found in their order") {
    const policy::RulesByCall<8> by_call{rules.view()};
    int rule = by_call.first(SYS_kill);
    CHECK(rule == 0);
    rule = by_call.next(rule);
    CHECK(rule == 2);
    rule = by_call.next(rule);
    CHECK(rule == 3);
    CHECK(by_call.next(rule) == -1);
    CHECK(by_call.first(SYS_write) == -1);
}
