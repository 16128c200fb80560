#include <sysguard/process/cgroup_opening.hpp>
#include <sysguard/process/cgroup_subtree.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "support/cgroups.hpp"
#include "support/skip.hpp"

using namespace sysguard;
using process::CgroupSubtree;
using process::WorkerCgroup;

TEST_CASE("there is none unless one has been opened") {
    CgroupSubtree subtree;
    CHECK_FALSE(static_cast<bool>(subtree));
    CHECK(subtree.directory() == -1);
    CHECK_FALSE(subtree.holds_processes());
    CHECK(Cgroup{}.open(subtree, {}));
    CHECK_FALSE(static_cast<bool>(subtree));
}

TEST_CASE("each worker's is another one") {
    SYSGUARD_NEED_SUBTREE(place);
    CgroupSubtree subtree;
    REQUIRE(place.option().open(subtree, {}));
    WorkerCgroup one;
    WorkerCgroup other;
    CHECK(subtree.make(one, {}) == 0);
    CHECK(subtree.make(other, {}) == 0);
    CHECK(one.directory() != other.directory());
}
