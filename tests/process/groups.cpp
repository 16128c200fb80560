#include <sysguard/process/groups.hpp>

#include <doctest/doctest.h>

using sysguard::Groups;

TEST_CASE("groups: dropped where that is allowed, exactly these, or the host's") {
    CHECK_FALSE(Groups{}.are_exact());
    CHECK_FALSE(Groups{}.are_kept());
    CHECK(Groups{5, 6}.are_exact());
    CHECK(Groups{5, 6}.size() == 2);
    CHECK(Groups::none().are_exact());
    CHECK(Groups::none().size() == 0);
    CHECK(Groups::kept().are_kept());
}
