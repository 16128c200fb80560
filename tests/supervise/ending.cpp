#include <sysguard/supervise/ending.hpp>

#include <doctest/doctest.h>

TEST_CASE("of a worker of which nothing is known, nothing is said") {
    const sysguard::supervise::Ending ending;
    CHECK(ending.failure.step == sysguard::process::Step::none);
    CHECK_FALSE(ending.violation.has_value());
    CHECK_FALSE(ending.timed_out);
    CHECK_FALSE(ending.stopped);
    CHECK(ending.output.text.empty());
    CHECK(ending.output.dropped == 0);
}
