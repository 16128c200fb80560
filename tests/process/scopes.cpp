#include <sysguard/process/options.hpp>
#include <sysguard/process/scopes.hpp>

#include <doctest/doctest.h>

TEST_CASE("nothing is scoped unless it is said") {
    CHECK_FALSE(sysguard::Scopes{}.abstract_sockets);
    CHECK_FALSE(sysguard::Scopes{}.signals);
    const sysguard::Options options{.scopes = {.signals = true}};
    CHECK(options.scopes.signals);
    CHECK_FALSE(options.scopes.abstract_sockets);
}
