#include <sysguard/process/namespaces.hpp>

#include <doctest/doctest.h>

using namespace sysguard;

TEST_CASE("there is no namespace unless it is said, and all of them where that is said") {
    const Namespaces none;
    CHECK_FALSE((none.user || none.pid || none.mount || none.ipc || none.uts || none.cgroup || none.time));
    CHECK(none.host_name.empty());
    const Namespaces all = Namespaces::all();
    CHECK((all.user && all.pid && all.mount && all.ipc && all.uts && all.cgroup && all.time));
    CHECK(all.host_name == "sandbox");
}

TEST_CASE("a map of ids is a list of ranges") {
    CHECK(IdMap{}.size() == 0);
    const IdMap map{{0, 100000, 65536}, {65536, 7}};
    CHECK(map.size() == 2);
    CHECK(map.begin()->outside == 100000);
    CHECK((map.end() - 1)->inside == 65536);
    CHECK((map.end() - 1)->count == 1);
}
