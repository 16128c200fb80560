#include <sysguard/abi/error.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

TEST_CASE("an error names its step and the system's reason") {
    const sysguard::Error error{EBUSY, "install the seccomp filter"};
    CHECK(error.step() == "install the seccomp filter");
    CHECK(error.code().value() == EBUSY);
    CHECK((error.code() == std::errc::device_or_resource_busy));
    CHECK(std::string{error.what()}.find("install the seccomp filter") == 0);
}

TEST_CASE("an error is a std::system_error") {
    CHECK_THROWS_AS(throw sysguard::Error(EPERM, "step"), std::system_error);
}
