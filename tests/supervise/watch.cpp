#include <sysguard/policy.hpp>
#include <sysguard/process/order.hpp>
#include <sysguard/process/start_program.hpp>
#include <sysguard/supervise/watch.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include <sys/eventfd.h>
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
using sg::supervise::Watch;

namespace {

constexpr sg::Policy policy{sg::preset::static_runtime, sg::allow<SYS_pause>, sg::otherwise.kill()};

Ending watch(std::vector<std::string> command, Watch::Settings settings = {}, const sg::Launch& launch = {}) {
    const Confinement confinement{policy.view(), policy.program(), {}};
    Child child;
    Order order = Order::program(confinement, std::move(command), launch, child);
    const auto start = Watch::Clock::now();
    sg::process::start_program(order.plan(), child);
    order.close_worker_ends();
    settings.policy = confinement.policy();
    return Watch{std::move(child), start, settings}.run();
}

}  // namespace

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
    const sg::process::Descriptor stop{::eventfd(0, EFD_CLOEXEC)};
    std::thread later{[&] {
        std::this_thread::sleep_for(30ms);
        const std::uint64_t one = 1;
        CHECK(::write(stop.get(), &one, sizeof one) == sizeof one);
    }};
    Watch::Settings settings;
    settings.stop_fd = stop.get();
    const Ending ending = watch({support::helper("behave"), "sleep"}, settings, {.output = sg::Stdio::null()});
    later.join();
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
