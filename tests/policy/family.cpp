#include <sysguard/policy/family.hpp>
#include <sysguard/policy/rule.hpp>

#include <doctest/doctest.h>

#include <set>

#include <sys/syscall.h>

namespace family = sysguard::family;
namespace sys = sysguard::sys;
using sysguard::policy::Calls;

TEST_CASE("a family is its calls, without those that the architecture lacks") {
    constexpr auto calls = Calls<family::open>::numbers;
    const std::set<int> numbers(std::begin(calls.list), std::end(calls.list));
    CHECK(numbers.count(SYS_openat) == 1);
    CHECK(numbers.count(SYS_openat2) == 1);
    CHECK(numbers.count(-1) == 0);
#if defined(__x86_64__)
    CHECK(numbers == std::set<int>{sys::open, sys::openat, sys::openat2, sys::creat});
#endif
}

TEST_CASE("a single call is a target too") {
    static_assert(Calls<SYS_read>::count() == 1);
    CHECK(Calls<SYS_read>::numbers.list[0] == SYS_read);
}

TEST_CASE("a rule for a family is one for each of its calls, each with its own argument positions") {
    namespace arg = sysguard::arg;
    constexpr auto rules = sysguard::Rule<family::chmod>{arg::mode & 06000}.deny(1);
    static_assert(rules.size() == Calls<family::chmod>::count());
    for (const auto& rule : rules) {
        const auto* call = sysguard::abi::find(rule.number);
        CHECK(rules.nodes()[rule.first_node].position == call->position(sysguard::abi::ArgName::mode));
    }
    CHECK(rules.begin()[0].of_same_rule == false);
    CHECK(rules.begin()[1].of_same_rule == true);
}
