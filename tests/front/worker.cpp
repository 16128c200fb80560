#include <sysguard/sandbox.hpp>
#include <sysguard/worker.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/libc.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using Kind = sg::Outcome::Kind;
using support::helper;

namespace {

constexpr sg::Policy policy{sg::preset::static_runtime, sg::allow<support::libc::pause>, sg::otherwise.kill()};

}  // namespace

TEST_CASE("a worker runs while the host does something else") {
    const sg::Sandbox box{policy};
    sg::Worker worker = box.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()});
    CHECK(worker.pid() > 0);
    CHECK(support::lives(worker.pid()));
    CHECK_FALSE(worker.wait_for(1ms));
    const sg::Outcome& outcome = worker.stop();
    CHECK(outcome.kind() == Kind::stopped);
    CHECK(outcome.explain().find("stopped by the host") != std::string::npos);
    CHECK_FALSE(support::lives(worker.pid()));
    CHECK(worker.wait_for(0ms));
    CHECK(&worker.wait() == &outcome);
    CHECK(&worker.stop() == &outcome);
}

TEST_CASE("one that ends by itself keeps its outcome when it is stopped afterwards") {
    sg::Worker worker = sg::Sandbox{policy}.spawn({helper("behave"), "exit", "5"});
    CHECK(worker.wait().exit_code() == 5);
    CHECK(worker.stop().exit_code() == 5);
}

TEST_CASE("one that has ended, unnoticed so far, keeps its outcome too") {
    for (int i = 0; i < 50; ++i) {
        sg::Worker worker = sg::Sandbox{policy}.spawn({helper("behave"), "exit", "5"});
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(worker.pid()), &info, WEXITED | WNOWAIT);
        CHECK(worker.stop().exit_code() == 5);
    }
}

TEST_CASE("of one that has finished nothing is left but its outcome: a guard would kill whoever has its id by then") {
    constexpr sg::Policy starts_others{sg::otherwise.allow()};
    sg::Worker worker = sg::Sandbox{starts_others}.spawn({helper("noop")});
    CHECK(worker.wait());
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
    CHECK(errno == ECHILD);
    CHECK(worker.wait());
}

TEST_CASE("writing to a worker that has ended fails, and does no harm") {
    sg::Worker worker = sg::Sandbox{policy}.spawn({helper("behave"), "copy"},
                                                  {.input = sg::Stdio::pipe(), .output = sg::Stdio::null()});
    CHECK(worker.write("hello"));
    worker.stop();
    const pid_t without = ::fork();
    if (without == 0) {  // what would happen
        ::signal(SIGPIPE, SIG_DFL);
        (void)!::write(worker.input().get(), "more", 4);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(without, &status, 0);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE));
    CHECK_FALSE(worker.write("more"));
    CHECK_FALSE(worker.write(std::string(1 << 20, 'x')));
    worker.input().reset();
    CHECK_FALSE(worker.write("more"));
}

TEST_CASE("waiting for any length of time") {
    sg::Worker worker = sg::Sandbox{policy}.spawn({helper("behave"), "copy"},
                                                  {.input = sg::Stdio::pipe(), .output = sg::Stdio::null()});
    CHECK_FALSE(worker.wait_for(-5h));
    CHECK_FALSE(worker.wait_for(std::chrono::nanoseconds{1}));
    CHECK_FALSE(worker.wait_for(0.001s));
    std::thread closer{[&] {
        std::this_thread::sleep_for(10ms);
        worker.input().reset();
    }};
    CHECK(worker.wait_for(std::chrono::milliseconds::max()));
    closer.join();
    CHECK(worker.wait_for(std::chrono::hours::max()));
    CHECK(worker.wait().exit_code() == 0);
}

TEST_CASE("a worker outlives its sandbox, and the thread that spawned it") {
    std::vector<sg::Worker> workers;
    std::thread spawner{[&] {
        const sg::Sandbox box{policy};
        workers.push_back(box.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()}));
    }};
    spawner.join();
    std::this_thread::sleep_for(20ms);
    CHECK(support::lives(workers[0].pid()));
    CHECK(workers[0].stop().kind() == Kind::stopped);
}

TEST_CASE("its time is kept though nobody waits") {
    sg::Worker worker = sg::Sandbox{policy, {.limits = {.wall = 50ms}}}.spawn({helper("behave"), "sleep"},
                                                                              {.output = sg::Stdio::null()});
    const pid_t pid = worker.pid();
    CHECK(support::eventually([pid] { return !support::lives(pid); }));
    CHECK(worker.wait().kind() == Kind::timed_out);
}

TEST_CASE("pipes in both directions") {
    sg::Worker worker = sg::Sandbox{policy}.spawn({helper("behave"), "copy"},
                                                  {.input = sg::Stdio::pipe(), .output = sg::Stdio::pipe()});
    REQUIRE(worker.input());
    REQUIRE(worker.output());
    CHECK_FALSE(worker.error());
    CHECK(::write(worker.input().get(), "hello", 5) == 5);
    worker.input().reset();
    std::string got;
    char buffer[64];
    for (ssize_t bytes = 0; (bytes = ::read(worker.output().get(), buffer, sizeof buffer)) > 0;)
        got.append(buffer, static_cast<std::size_t>(bytes));
    CHECK(got == "hello");
    CHECK(worker.wait());
}

TEST_CASE("a violation and a failed start are outcomes here too") {
    sg::Worker worker = sg::Sandbox{policy}.spawn({helper("behave"), "execute", helper("noop")});
    CHECK(worker.wait().kind() == Kind::violation);
    sg::Worker none = sg::Sandbox{policy}.spawn({"/nowhere"});
    CHECK(none.pid() == -1);
    CHECK(none.wait().kind() == Kind::could_not_start);
    CHECK_THROWS_AS((void)sg::Sandbox{policy}.spawn({}), sg::Error);
}

TEST_CASE("a worker that is dropped is killed; one that is moved is not") {
    pid_t pid = -1;
    {
        sg::Worker first = sg::Sandbox{policy}.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()});
        pid = first.pid();
        sg::Worker second{std::move(first)};
        CHECK(support::lives(pid));
        sg::Worker third = sg::Sandbox{policy}.spawn({helper("noop")});
        third = std::move(second);
        CHECK(support::lives(pid));
    }
    CHECK_FALSE(support::lives(pid));
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
}

TEST_CASE("many at once") {
    const sg::Sandbox box{policy};
    std::vector<sg::Worker> workers;
    for (int i = 0; i < 40; ++i) workers.push_back(box.spawn({helper("behave"), "exit", std::to_string(i)}));
    for (int i = 0; i < 40; ++i) CHECK(workers[static_cast<std::size_t>(i)].wait().exit_code() == i);
}
