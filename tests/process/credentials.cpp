#include <sysguard/process/credentials.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <unistd.h>

using sysguard::Capabilities;
using sysguard::Credentials;
using sysguard::Error;

namespace {

int error_of(const Credentials& credentials, bool in_user_namespace = false) {
    try {
        sysguard::process::check(credentials, in_user_namespace);
    } catch (const Error& error) {
        return error.code().value();
    }
    return 0;
}

}  // namespace

TEST_CASE("what is no credential is refused") {
    const auto nobody_at_all = static_cast<uid_t>(-1);
    CHECK(error_of({.user = nobody_at_all, .group = 1}) == EINVAL);
    CHECK(error_of({.group = nobody_at_all}) == EINVAL);
    CHECK(error_of({.groups = {nobody_at_all}}) == EINVAL);
    CHECK(error_of({.capabilities = {64}}) == EINVAL);
    CHECK(error_of({.user = ::getuid() + 1}) == EINVAL);  // it would keep the host's group
    CHECK(error_of({}) == 0);
    CHECK(error_of({.capabilities = Capabilities::kept()}) == 0);
}

TEST_CASE("a host that is not root can give none of it") {
    const bool is_root = ::getuid() == 0;
    const int expected = is_root ? 0 : EPERM;
    CHECK(error_of({.user = 12345, .group = 12345}) == expected);
    CHECK(error_of({.group = 12345}) == expected);
    CHECK(error_of({.groups = {12345}}) == expected);
    CHECK(error_of({.capabilities = {CAP_CHOWN}}) == expected);
    CHECK(error_of({.user = ::getuid(), .group = ::getgid()}) == 0);
    CHECK(error_of({.user = 12345, .group = 12345, .capabilities = {CAP_CHOWN}}, true) == 0);
}
