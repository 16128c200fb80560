#include <sysguard/filter/install.hpp>
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

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/helpers.hpp"
#include "support/libc.hpp"
#include "support/skip.hpp"

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

constexpr sg::Policy policy{sg::preset::static_runtime, sg::allow<support::libc::pause>, sg::otherwise.kill()};

/// A worker that sleeps, started and not watched yet.
struct Sleeper {
    Sleeper() {
        Order order =
            Order::program(confinement, {support::helper("behave"), "sleep"}, {.output = sg::Stdio::null()}, child);
        sg::process::start_program(order.plan(), child);
        order.finish_start();
        settings.rules = &rules;
    }

    const Confinement confinement{policy.view(), policy.program(), {}};
    const Rulebook rules{confinement.policy()};
    Child child;
    Watch::Settings settings;
};

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
#ifdef SYSGUARD_SANITIZED
    SYSGUARD_SKIP("a sanitizer's runtime needs a descriptor to look at an object's type");
#endif
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

TEST_CASE("a time limit that is over in the last nanosecond of a second") {
    Sleeper sleeper;
    sleeper.settings.wall = 100ms;
    const auto second = std::chrono::ceil<std::chrono::seconds>(Watch::Clock::now() + 50ms);
    Watch watch{std::move(sleeper.child), second - 1ns - 100ms, sleeper.settings};
    Supervisor supervisor;
    CHECK(supervisor.open() == 0);
    supervisor.add(watch);
    supervisor.run(watch);
    CHECK(watch.take_ending().timed_out);
}

TEST_CASE("a worker whose end nobody would be told of is ended at once") {
    const std::string said = support::in_fork([] {
        constexpr sg::Policy full{sg::Rule<SYS_epoll_ctl>{sysguard::arg::op == EPOLL_CTL_ADD}.deny(ENOSPC),
                                  sg::otherwise.allow()};
        Sleeper sleeper;
        Watch watch{std::move(sleeper.child), Watch::Clock::now(), sleeper.settings};
        Supervisor supervisor;
        if (supervisor.open() != 0) return std::string{"not open"};
        sg::filter::install(full.program());  // as /proc/sys/fs/epoll/max_user_watches would have it
        supervisor.add(watch);
        supervisor.run(watch);
        const Ending ending = watch.take_ending();
        return "ended by " + std::to_string(ending.status.value) + " for " + std::to_string(ending.supervision_error);
    });
    CHECK(said == "ended by " + std::to_string(SIGKILL) + " for " + std::to_string(ENOSPC));
}
