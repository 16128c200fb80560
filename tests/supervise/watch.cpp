#include <sysguard/policy.hpp>
#include <sysguard/supervise/supervisor.hpp>
#include <sysguard/supervise/watch.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::process::Child;
using sg::process::Descriptor;
using sg::supervise::Ending;
using sg::supervise::Rulebook;
using sg::supervise::Supervisor;
using sg::supervise::Watch;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};

/// A process that waits until it is ended.
Child sleeping() {
    Supervised process{policy.program(), [] {
                           for (;;) ::pause();
                           return 0;
                       }};
    return process.to_child();
}

struct Pipe {
    Pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        out.reset(ends[0]);
        in.reset(ends[1]);
    }
    Descriptor out{};
    Descriptor in{};
};

}  // namespace

TEST_CASE("a worker that was never started has finished, and its ending says where the start stopped") {
    Child child;
    child.failure = {sg::process::Step::execute, ENOENT};
    Watch watch{std::move(child), Watch::Clock::now(), {}};
    CHECK(watch.is_finished());
    CHECK(watch.wait_until_finished());
    const Ending ending = watch.take_ending();
    CHECK(ending.failure.step == sg::process::Step::execute);
    CHECK(ending.failure.error == ENOENT);
}

TEST_CASE("who waits for a worker waits no longer than it wants to") {
    Rulebook rules{policy.view()};
    Watch::Settings settings;
    settings.rules = &rules;
    Watch watch{sleeping(), Watch::Clock::now(), settings};
    CHECK_FALSE(watch.is_finished());
    CHECK_FALSE(watch.wait_until_finished(Watch::Clock::now() + 20ms));
    CHECK_FALSE(watch.wait_until_finished(Watch::Clock::time_point::min()));

    Supervisor supervisor;
    REQUIRE(supervisor.open() == 0);
    supervisor.add(watch);
    std::thread other{[&] { CHECK(watch.wait_until_finished()); }};
    supervisor.stop(watch);
    supervisor.run(watch);
    other.join();
    CHECK(watch.is_finished());
    CHECK(watch.take_ending().stopped);
}

TEST_CASE("the first reason to end a worker is the one that is told") {
    Rulebook rules{policy.view()};
    Watch::Settings settings;
    settings.rules = &rules;
    settings.wall = 1ms;
    Watch watch{sleeping(), Watch::Clock::now() - 1h, settings};
    Supervisor supervisor;
    REQUIRE(supervisor.open() == 0);
    supervisor.add(watch);  // and its time is over
    supervisor.stop(watch);
    supervisor.run(watch);
    const Ending ending = watch.take_ending();
    CHECK(ending.timed_out);
    CHECK_FALSE(ending.stopped);
    CHECK_FALSE(ending.status.exited);
    CHECK(ending.status.value == SIGKILL);
    CHECK(ending.wall >= 1h);
}

TEST_CASE("of its output is kept what was asked for, and the rest is counted") {
    for (const bool ends_first : {false, true}) {
        CAPTURE(ends_first);
        Rulebook rules{policy.view()};
        Watch::Settings settings;
        settings.rules = &rules;
        settings.most_output = 5;
        settings.most_error = 100;
        Pipe output;
        Pipe error;
        Child child = sleeping();
        child.output = std::move(output.out);
        child.error = std::move(error.out);
        REQUIRE(::write(output.in.get(), "0123456789", 10) == 10);
        REQUIRE(::write(error.in.get(), "wrong", 5) == 5);
        if (!ends_first) output.in.reset();
        Watch watch{std::move(child), Watch::Clock::now(), settings};
        Supervisor supervisor;
        REQUIRE(supervisor.open() == 0);
        supervisor.add(watch);
        supervisor.stop(watch);
        supervisor.run(watch);  // the pipes' other ends may still be open
        const Ending ending = watch.take_ending();
        CHECK(ending.output.text == "01234");
        CHECK(ending.output.dropped == 5);
        CHECK(ending.error.text == "wrong");
        CHECK(ending.error.dropped == 0);
    }
}

TEST_CASE("one that nobody has served is ended with its watch") {
    const support::Leftovers nothing;
    const Watch watch{sleeping(), Watch::Clock::now(), {}};
    CHECK_FALSE(watch.is_finished());
}
