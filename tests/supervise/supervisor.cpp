#include <sysguard/policy.hpp>
#include <sysguard/process/order.hpp>
#include <sysguard/process/start_program.hpp>
#include <sysguard/supervise/supervisor.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::process::Child;
using sg::process::Confinement;
using sg::process::Order;
using sg::supervise::Ending;
using sg::supervise::Rulebook;
using sg::supervise::Supervisor;
using sg::supervise::Watch;

namespace {

constexpr sg::Policy policy{sg::preset::static_runtime, sg::allow<SYS_pause>, sg::otherwise.kill()};

Ending watch(std::vector<std::string> command, Watch::Settings settings = {}, const sg::Launch& launch = {},
             const std::function<void(Supervisor&, Watch&)>& meanwhile = {}) {
    const Confinement confinement{policy.view(), policy.program(), {}};
    Child child;
    Order order = Order::program(confinement, std::move(command), launch, child);
    const auto start = Watch::Clock::now();
    sg::process::start_program(order.plan(), child);
    order.finish_start();
    const Rulebook rules{confinement.policy()};
    settings.rules = &rules;
    Watch watch{std::move(child), start, settings};
    Supervisor supervisor;
    CHECK(supervisor.open() == 0);
    supervisor.add(watch);
    std::thread later;
    if (meanwhile) later = std::thread{[&] { meanwhile(supervisor, watch); }};
    supervisor.run(watch);
    if (later.joinable()) later.join();
    return watch.take_ending();
}

}  // namespace

TEST_CASE("a host without room for the supervisor's descriptors is told before anything runs") {
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    ::close(next);
    for (int room = 0; room < 4; ++room) {
        CAPTURE(room);
        const rlimit tight{static_cast<rlim_t>(next + room), before.rlim_max};
        int error = -1;
        {
            Supervisor supervisor;
            REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
            error = supervisor.open();
            REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
        }
        CHECK(error == (room < 3 ? EMFILE : 0));
    }
}

TEST_CASE("an end by itself") {
    const Ending ending = watch({support::helper("behave"), "exit", "4"});
    CHECK(ending.status.exited);
    CHECK(ending.status.value == 4);
    CHECK_FALSE(ending.timed_out);
    CHECK(ending.wall > 0ns);
}

TEST_CASE("an end by the clock") {
    Watch::Settings settings;
    settings.wall = 50ms;
    const Ending ending = watch({support::helper("behave"), "sleep"}, settings, {.output = sg::Stdio::null()});
    CHECK(ending.timed_out);
    CHECK(ending.status.value == SIGKILL);
    CHECK(ending.wall >= 50ms);
}

TEST_CASE("a time limit of nothing, and one of almost for ever") {
    Watch::Settings settings;
    settings.wall = 0ms;
    CHECK(watch({support::helper("behave"), "sleep"}, settings, {.output = sg::Stdio::null()}).timed_out);
    settings.wall = std::chrono::milliseconds::max();
    CHECK_FALSE(watch({support::helper("noop")}, settings).timed_out);
}

TEST_CASE("an end by the host") {
    const Ending ending = watch({support::helper("behave"), "sleep"}, {}, {.output = sg::Stdio::null()},
                                [](Supervisor& supervisor, Watch& watch) {
                                    std::this_thread::sleep_for(30ms);
                                    supervisor.stop(watch);
                                });
    CHECK(ending.stopped);
    CHECK(ending.status.value == SIGKILL);
}

TEST_CASE("a watch that is dropped leaves nobody behind") {
    const Confinement confinement{policy.view(), policy.program(), {}};
    Child child;
    Order order =
        Order::program(confinement, {support::helper("behave"), "sleep"}, {.output = sg::Stdio::null()}, child);
    sg::process::start_program(order.plan(), child);
    const pid_t pid = child.pid;
    {
        const Watch dropped{std::move(child), Watch::Clock::now(), {}};
        CHECK(support::lives(pid));
    }
    CHECK_FALSE(support::lives(pid));
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
}

TEST_CASE("while it waits it does not spin") {
    // The listener of a worker hangs up only when it ends; until then nothing wakes the watch.
    Watch::Settings settings;
    settings.wall = 300ms;
    rusage before{};
    ::getrusage(RUSAGE_SELF, &before);
    watch({support::helper("behave"), "sleep"}, settings, {.output = sg::Stdio::null()});
    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_nvcsw - before.ru_nvcsw < 50);
}
