#include <sysguard/version.hpp>

#include <doctest/doctest.h>

TEST_CASE("the version is one that a package can have") {
    static_assert(SYSGUARD_VERSION_MAJOR >= 0 && SYSGUARD_VERSION_MINOR >= 0 && SYSGUARD_VERSION_PATCH >= 0);
    CHECK(SYSGUARD_VERSION_MAJOR + SYSGUARD_VERSION_MINOR + SYSGUARD_VERSION_PATCH > 0);
}
