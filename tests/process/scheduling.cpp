#include <sysguard/process/scheduling.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <unistd.h>

using sysguard::Cpus;
using sysguard::Error;
using sysguard::IoPriority;
using sysguard::Scheduling;

namespace {

int error_of(const Scheduling& scheduling) {
    try {
        sysguard::process::check(scheduling);
    } catch (const Error& error) {
        return error.code().value();
    }
    return 0;
}

}  // namespace

TEST_CASE("processors are a set of any size") {
    CHECK(Cpus{}.empty());
    const Cpus some{0, 70, 5000};
    CHECK(some.has(0));
    CHECK(some.has(70));
    CHECK(some.has(5000));
    CHECK_FALSE(some.has(1));
    CHECK_FALSE(some.has(6000));
    CHECK(some.size_in_bytes() == (5000 / 64 + 1) * 8);
    const Cpus range = Cpus::range(62, 65);
    for (int number = 60; number < 70; ++number) CHECK(range.has(number) == (number >= 62 && number <= 65));
    CHECK_THROWS_AS((void)Cpus{-1}, Error);
    CHECK_THROWS_AS((void)Cpus{1 << 30}, Error);
}

TEST_CASE("values that are none are refused, and more than the host may give") {
    CHECK(error_of({}) == 0);
    CHECK(error_of({.nice = 19, .oom_score_adj = 1000}) == 0);
    CHECK(error_of({.nice = 20}) == EINVAL);
    CHECK(error_of({.nice = -21}) == EINVAL);
    CHECK(error_of({.io = IoPriority::best_effort(8)}) == EINVAL);
    CHECK(error_of({.io = IoPriority::best_effort(7)}) == 0);
    CHECK(error_of({.oom_score_adj = 1001}) == EINVAL);
    if (::getuid() != 0) CHECK(error_of({.nice = -20}) == EPERM);
}
