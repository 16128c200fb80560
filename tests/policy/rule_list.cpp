#include <sysguard/policy/presets.hpp>
#include <sysguard/policy/rule.hpp>
#include <sysguard/policy/rule_list.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Action;
using sg::Rule;

namespace {

int error_of(auto&& action) {
    try {
        action();
    } catch (const sg::Error& error) {
        return error.code().value();
    }
    return 0;
}

}  // namespace

TEST_CASE("rules, groups and presets keep their order and their conditions") {
    sg::RuleList rules{sg::allow<SYS_read, SYS_write>, Rule<SYS_kill>{arg::sig == 0}.allow()};
    rules.append(Rule<SYS_kill>{arg::sig.in(1, 2, 3, 4)}.deny(EPERM));
    const std::size_t before = rules.size();
    rules.append(sg::preset::compute);
    REQUIRE(before == 4);
    CHECK(rules.size() == before + sg::preset::compute.size());
    CHECK(rules.begin()[0].number == SYS_read);
    CHECK(rules.begin()[2].node_count == 1);
    CHECK(rules.begin()[3].decision == sg::Decision{Action::deny, EPERM});
    CHECK(rules.nodes()[rules.begin()[3].first_node].count == 4);
    CHECK(rules.node_count() >= 4);
    CHECK(rules.end() - rules.begin() == static_cast<std::ptrdiff_t>(rules.size()));
}

TEST_CASE("a list takes another in, even itself") {
    sg::RuleList rules{Rule<SYS_kill>{arg::sig.in(1, 2, 3, 4)}.deny(EPERM)};
    rules.append(rules);
    REQUIRE(rules.size() == 2);
    CHECK(rules.begin()[1].first_node == rules.begin()[1].node_count);
    CHECK(rules.nodes()[0] == rules.nodes()[rules.begin()[1].first_node]);
}

TEST_CASE("a number of no call, and more than a policy can have, are refused") {
    sg::RuleList rules;
    CHECK(error_of([&] { rules.add(-1, nullptr, 0, false, {Action::allow}); }) == EINVAL);
    CHECK(error_of([&] { rules.add(sg::abi::native_limit, nullptr, 0, false, {Action::allow}); }) == EINVAL);
    CHECK(error_of([&] {
              for (;;) rules.add(SYS_read, nullptr, 0, false, {Action::allow});
          }) == E2BIG);
    CHECK(rules.size() == sg::RuleList::max_rules);
    const sg::policy::BoundNode nodes[sg::policy::max_condition_nodes]{};
    sg::RuleList intricate;
    CHECK(error_of([&] {
              for (;;) intricate.add(SYS_read, nodes, sg::policy::max_condition_nodes, false, {Action::allow});
          }) == E2BIG);
    CHECK(intricate.node_count() <= sg::RuleList::max_nodes);
    CHECK(intricate.node_count() > sg::RuleList::max_nodes - sg::policy::max_condition_nodes);
}
