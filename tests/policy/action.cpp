#include <sysguard/policy/action.hpp>

#include <doctest/doctest.h>

#include <string>

using sysguard::Action;
using sysguard::Decision;

TEST_CASE("a decision is compared with an action or with another decision") {
    static_assert(Decision{Action::deny, 1} == Action::deny);
    static_assert(!(Decision{Action::deny, 1} == Action::kill));
    static_assert(Decision{Action::deny, 1} != Decision{Action::deny, 2});
    static_assert(Decision{} == Action::kill);
    CHECK((Decision{Action::allow} != Action::deny));
}

TEST_CASE("each action has its name") {
    CHECK(std::string{name(Action::allow)} == "allow");
    CHECK(std::string{name(Action::log)} == "log");
    CHECK(std::string{name(Action::deny)} == "deny");
    CHECK(std::string{name(Action::fake)} == "fake");
    CHECK(std::string{name(Action::kill)} == "kill");
    CHECK(std::string{name(Action::kill_now)} == "kill_now");
    CHECK(std::string{name(Action::handle)} == "handle");
    CHECK(std::string{name(Action::kill_thread)} == "kill_thread");
    CHECK(std::string{name(Action::trap)} == "trap");
    CHECK(std::string{name(Action::trace)} == "trace");
}
