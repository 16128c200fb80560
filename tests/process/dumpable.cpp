#include <sysguard/process/dumpable.hpp>

#include <doctest/doctest.h>

#include <initializer_list>

#include <sys/prctl.h>

using sysguard::process::Dumpable;

TEST_CASE("what a task has cleared is set again when the last one is gone, and only if it was set") {
    for (const int before : {1, 0}) {
        REQUIRE(::prctl(PR_SET_DUMPABLE, before, 0, 0, 0) == 0);
        Dumpable::enter();
        ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        Dumpable::enter();
        Dumpable::leave();
        CHECK(::prctl(PR_GET_DUMPABLE) == 0);
        Dumpable::leave();
        CHECK(::prctl(PR_GET_DUMPABLE) == before);
    }
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
