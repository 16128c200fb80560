#include <sysguard/supervise/event.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <type_traits>

namespace sg = sysguard;

TEST_CASE("an event is plain data that says nothing until it is filled in") {
    static_assert(std::is_trivially_copyable_v<sg::Event>);
    const sg::Event event;
    CHECK(event.done == sg::Event::nothing);
    CHECK(event.decision == sg::Action::allow);
    CHECK(event.thread == 0);
}

TEST_CASE("each kind and each origin has a name of its own") {
    std::set<std::string> names;
    for (int kind = 0; kind <= static_cast<int>(sg::Event::Kind::lost); ++kind)
        names.insert(sg::name(static_cast<sg::Event::Kind>(kind)));
    CHECK(names.size() == 13);
    CHECK(names.count("?") == 0);
    names.clear();
    for (int origin = 0; origin <= static_cast<int>(sg::Event::Origin::thread); ++origin)
        names.insert(sg::name(static_cast<sg::Event::Origin>(origin)));
    CHECK(names.size() == 6);
    CHECK(names.count("?") == 0);
}
