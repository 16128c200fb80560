#include <sysguard/policy.hpp>
#include <sysguard/process/order.hpp>
#include <sysguard/process/start_function.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <utility>

#include <poll.h>
#include <sys/wait.h>

#include "support/helpers.hpp"

namespace sg = sysguard;
using sg::process::Child;
using sg::process::Confinement;
using sg::process::Order;
using sg::process::ResultArea;

namespace {

constexpr sg::Policy asking{sg::otherwise.kill()};
constexpr sg::Policy silent{sg::foreign.kill_now(), sg::otherwise.kill_now()};

template <class Policy, class Body>
std::pair<sg::process::ExitStatus, ResultArea::State> run(const Policy& policy, const Body& body, bool& had_listener) {
    const Confinement confinement{policy.view(), policy.program(), {}};
    ResultArea area{1024};
    Child child;
    Order order = Order::function(confinement, {}, child);
    sg::process::start_function(order.plan(), area, child, body);
    order.finish_start();
    CHECK(child.started());
    const auto status = child.wait();
    sg::process::Descriptor received[sg::process::detail::HandOver::most];
    had_listener = child.channel && sg::process::detail::receive_descriptors(child.channel.get(), received) == 1;
    return {status, area.header().state};
}

}  // namespace

TEST_CASE("the body runs in the worker, and its word comes back") {
    bool had_listener = false;
    const auto body = [](ResultArea& area) noexcept { area.header().state = ResultArea::State::returned; };
    const auto asked = run(asking, body, had_listener);
    CHECK(asked.second == ResultArea::State::returned);
    CHECK(asked.first.exited);
    CHECK(had_listener);
    const auto quiet = run(silent, body, had_listener);
    CHECK(quiet.second == ResultArea::State::returned);
    CHECK_FALSE(had_listener);
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
}

TEST_CASE("where a step fails the body does not run") {
    const Confinement confinement{silent.view(), silent.program(), {}};
    ResultArea area{1024};
    Child child;
    Order order = Order::function(confinement, {.directory = "/nowhere"}, child);
    const auto body = [](ResultArea& shared) noexcept { shared.header().state = ResultArea::State::returned; };
    sg::process::start_function(order.plan(), area, child, body);
    CHECK(child.wait().exited);
    CHECK(area.header().state == ResultArea::State::failed_to_start);
    CHECK(area.header().step == static_cast<std::uint32_t>(sg::process::Step::directory));
    CHECK(area.header().error == ENOENT);
}
