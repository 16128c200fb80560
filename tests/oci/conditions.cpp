#include <sysguard/oci/conditions.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include <sys/utsname.h>

namespace sg = sysguard;

TEST_CASE("kernels are ordered by both numbers, the second as a number") {
    CHECK(sg::KernelVersion{4, 8} < sg::KernelVersion{4, 10});
    CHECK(sg::KernelVersion{4, 20} < sg::KernelVersion{5, 0});
    CHECK_FALSE(sg::KernelVersion{5, 0} < sg::KernelVersion{4, 20});
    CHECK_FALSE(sg::KernelVersion{6, 12} < sg::KernelVersion{6, 12});
}

TEST_CASE("the kernel that runs is the one that uname tells") {
    const sg::KernelVersion running = sg::KernelVersion::running();
    utsname names{};
    REQUIRE(::uname(&names) == 0);
    char begin[32];
    std::snprintf(begin, sizeof begin, "%d.%d", running.version, running.revision);
    CHECK(std::string{names.release}.rfind(begin, 0) == 0);
    CHECK_FALSE(running < sg::KernelVersion{5, 0});  // older ones have no user notification
}

TEST_CASE("conditions are those of a worker without capabilities on this kernel, if nothing else is said") {
    const sg::OciConditions conditions;
    CHECK(conditions.capabilities.bits() == 0);
    CHECK_FALSE(conditions.kernel < sg::KernelVersion::running());
    CHECK_FALSE(sg::KernelVersion::running() < conditions.kernel);
}
