#include <sysguard/policy/rule.hpp>
#include <sysguard/policy/rules.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Action;
using sg::Rule;

namespace {

constexpr sg::Rules group{
    sg::allow<SYS_read, SYS_write>,
    Rule<SYS_kill>{arg::sig == 0}.allow(),
    Rule<SYS_kill>{arg::sig.in(1, 2, 3, 4)}.deny(EPERM),
};

}  // namespace

TEST_CASE("allow<> has a rule for each call, in order") {
    constexpr auto& rules = sg::allow<SYS_read, SYS_write, sg::family::exit>;
    static_assert(rules.size() == 4);
    CHECK(rules.begin()[0].number == SYS_read);
    CHECK(rules.begin()[1].number == SYS_write);
    for (const auto& rule : rules) {
        CHECK(rule.decision == Action::allow);
        CHECK(rule.node_count == 0);
    }
}

TEST_CASE("groups of rules keep their order and their conditions") {
    constexpr sg::Rules outer{sg::allow<SYS_close>, group};
    static_assert(outer.size() == 5);
    const auto* rules = outer.begin();
    CHECK(rules[0].number == SYS_close);
    CHECK(rules[3].number == SYS_kill);
    CHECK(rules[4].decision == sg::Decision{Action::deny, EPERM});
    CHECK(outer.nodes()[rules[4].first_node].count == 4);
    CHECK(rules[4].node_count == 3);
}

TEST_CASE("compact holds the same in as little room as it needs") {
    constexpr auto small = sg::compact([] { return group; });
    static_assert(small.size() == group.size());
    static_assert(small.max_rules == group.size() && small.max_nodes == group.node_count());
    static_assert(sizeof small < sizeof group);
    for (std::size_t i = 0; i < group.size(); ++i) {
        CHECK(small.begin()[i].number == group.begin()[i].number);
        CHECK(small.begin()[i].decision == group.begin()[i].decision);
        CHECK(small.begin()[i].node_count == group.begin()[i].node_count);
        for (unsigned n = 0; n < small.begin()[i].node_count; ++n)
            CHECK((small.nodes()[small.begin()[i].first_node + n] == group.nodes()[group.begin()[i].first_node + n]));
    }
}

TEST_CASE("an empty group is one") {
    constexpr sg::Rules<0, 0> none;
    constexpr sg::Rules still_none{none};
    static_assert(still_none.size() == 0);
    CHECK(still_none.begin() == still_none.end());
}
