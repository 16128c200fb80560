#include <sysguard/cgroup.hpp>

#include <doctest/doctest.h>

namespace sg = sysguard;

TEST_CASE("the front door makes the three kinds of cgroup, and none is the first") {
    CHECK(sg::Cgroup{}.place() == sg::Cgroup::Place::none);
    CHECK(sg::Cgroup::own().place() == sg::Cgroup::Place::own);
    CHECK(sg::Cgroup::beside_own().place() == sg::Cgroup::Place::beside_own);
    const sg::Cgroup in = sg::Cgroup::in("/sys/fs/cgroup/app");
    CHECK(in.place() == sg::Cgroup::Place::directory);
    CHECK(in.directory() == "/sys/fs/cgroup/app");
}
