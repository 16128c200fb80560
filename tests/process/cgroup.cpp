#include <sysguard/cgroup.hpp>
#include <sysguard/process/cgroup.hpp>

#include <doctest/doctest.h>

using sysguard::Cgroup;

TEST_CASE("where") {
    CHECK(Cgroup{}.place() == Cgroup::Place::none);
    CHECK(Cgroup::own().place() == Cgroup::Place::own);
    CHECK(Cgroup::beside_own().place() == Cgroup::Place::beside_own);
    const Cgroup in = Cgroup::in("/sys/fs/cgroup/app");
    CHECK(in.place() == Cgroup::Place::directory);
    CHECK(in.directory() == "/sys/fs/cgroup/app");
}
