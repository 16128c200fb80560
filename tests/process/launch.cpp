#include <sysguard/process/launch.hpp>

#include <doctest/doctest.h>

using sysguard::Launch;
using sysguard::Stdio;

TEST_CASE("nothing of the host is passed on but where its output goes") {
    const Launch launch;
    CHECK(launch.input.kind() == Stdio::Kind::null);
    CHECK(launch.output.kind() == Stdio::Kind::inherited);
    CHECK(launch.error.kind() == Stdio::Kind::inherited);
    CHECK(launch.environment.empty());
    CHECK(launch.directory.empty());
    CHECK(launch.descriptors.empty());
    CHECK(launch.umask == 077);
}
