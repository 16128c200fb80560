#include <sysguard/policy/condition.hpp>
#include <sysguard/policy/matchers.hpp>

#include <doctest/doctest.h>

#include <climits>

namespace arg = sysguard::arg;
using sysguard::policy::Node;
using sysguard::policy::number;

TEST_CASE("a number keeps its sign and all of its bits") {
    static_assert(!number(5).negative && number(5).bits == 5);
    static_assert(number(-1).negative && number(-1).bits == ~0ULL);
    static_assert(!number(~0ULL).negative && number(~0ULL).bits == ~0ULL);
    static_assert(!number(0xffffffffU).negative && number(0xffffffffU).bits == 0xffffffff);
    static_assert(number(LONG_MIN).negative && number(LONG_MIN).bits == 1ULL << 63);
    static_assert(number('\x7f').bits == 0x7f);
    enum class Scoped : short { low = -2 };
    static_assert(number(Scoped::low).negative && number(Scoped::low).bits == ~0ULL - 1);
    enum Plain : unsigned { high = 0x80000000 };
    static_assert(!number(high).negative && number(high).bits == 0x80000000);
}

TEST_CASE("chains of one joint stay flat, mixed ones nest") {
    constexpr auto chain = arg::fd == 1 && arg::count == 2 && arg::flags == 3;
    static_assert(chain.size() == 4);
    static_assert(chain.nodes[0].kind == Node::Kind::all);
    constexpr auto right = arg::fd == 1 && (arg::count == 2 && arg::flags == 3);
    static_assert(right.size() == 4);
    constexpr auto mixed = (arg::fd == 1 || arg::fd == 2) && arg::flags == 3;
    static_assert(mixed.size() == 5);
    static_assert(mixed.nodes[1].kind == Node::Kind::any && mixed.nodes[1].size == 3);
    constexpr auto negated = !(arg::fd == 1 || arg::fd == 2);
    static_assert(negated.size() == 4 && negated.nodes[0].kind == Node::Kind::negate);
    CHECK(negated.nodes[1].size == 3);
}

TEST_CASE("a set has a node for itself and one for three values") {
    static_assert((arg::fd.in(1)).size() == 2);
    static_assert((arg::fd.in(1, 2, 3)).size() == 2);
    static_assert((arg::fd.in(1, 2, 3, 4)).size() == 3);
    CHECK((arg::fd.in(1, 2, 3, 4)).nodes[0].count == 4);
}
