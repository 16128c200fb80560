#include <sysguard/process/given.hpp>

#include <doctest/doctest.h>

using sysguard::Given;

TEST_CASE("a value is there or is not") {
    constexpr Given<int> none;
    static_assert(!none && !none.has_value() && none.value_or(7) == 7 && !none.is(0));
    Given<int> some{0};
    CHECK(some);
    CHECK(*some == 0);
    CHECK(some.value_or(7) == 0);
    CHECK(some.is(0));
    some = Given<int>{};
    CHECK_FALSE(some.has_value());
    some = 3;
    CHECK(*some == 3);
}
