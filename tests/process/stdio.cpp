#include <sysguard/process/stdio.hpp>

#include <doctest/doctest.h>

using sysguard::Stdio;

TEST_CASE("each way is what its name says") {
    static_assert(Stdio::null().kind() == Stdio::Kind::null);
    static_assert(Stdio::inherit().kind() == Stdio::Kind::inherited);
    static_assert(Stdio::close().kind() == Stdio::Kind::closed);
    static_assert(Stdio::pipe().kind() == Stdio::Kind::piped);
    static_assert(Stdio::capture().kind() == Stdio::Kind::captured);
    static_assert(Stdio::from(3).kind() == Stdio::Kind::descriptor);
    CHECK(Stdio::capture().most() == 1 << 20);
    CHECK(Stdio::capture(5).most() == 5);
    CHECK(Stdio::from(3).fd() == 3);
}
