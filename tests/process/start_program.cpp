#include <sysguard/policy.hpp>
#include <sysguard/process/order.hpp>
#include <sysguard/process/start_program.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/helpers.hpp"

namespace sg = sysguard;
using sg::process::Child;
using sg::process::Confinement;
using sg::process::Order;
using sg::process::Step;

namespace {

constexpr sg::Policy asking{sg::preset::static_runtime, sg::otherwise.kill()};
constexpr sg::Policy silent{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};

template <class Policy>
Child start(const Policy& policy, const std::string& program, const sg::Launch& launch = {},
            const sg::Options& options = {}) {
    const Confinement confinement{policy.view(), policy.program(), options};
    Child child;
    Order order = Order::program(confinement, {program}, launch, child);
    sg::process::start_program(order.plan(), child);
    return child;
}

}  // namespace

TEST_CASE("a program has started when the call returns, and its listener is the host's") {
    Child child = start(asking, support::helper("noop"));
    CHECK(child.started());
    CHECK(child.pid > 0);
    CHECK(child.pidfd);
    CHECK(child.listener);
    CHECK(child.wait().value == 0);
}

TEST_CASE("a start in a copy of the host's memory brings the same") {
    const sg::Options options{.credentials = {.memory_deny_write_execute = true}, .optional = sg::Layers::all()};
    for (const bool ask : {false, true}) {
        Child child = ask ? start(asking, support::helper("noop"), {}, options)
                          : start(silent, support::helper("noop"), {}, options);
        CHECK(child.started());
        CHECK(child.pid > 0);
        CHECK(child.pidfd);
        CHECK(static_cast<bool>(child.listener) == ask);
        CHECK(child.wait().value == 0);
    }
}

TEST_CASE("where the policy asks nothing there is no listener") {
    Child child = start(silent, support::helper("noop"));
    CHECK(child.started());
    CHECK_FALSE(child.listener);
    CHECK(child.wait().value == 0);
}

TEST_CASE("the step that fails is named, and nothing is left, also of a start in a copy of the host's memory") {
    for (const bool ask : {false, true})
        for (const bool copies : {false, true}) {
            const sg::Options options{.credentials = {.memory_deny_write_execute = copies},
                                      .optional = sg::Layers::all()};
            const auto failure = [&](const std::string& program, const sg::Launch& launch = {}) {
                const Child child =
                    ask ? start(asking, program, launch, options) : start(silent, program, launch, options);
                CHECK_FALSE(child.started());
                CHECK(child.pid == -1);
                return child.failure;
            };
            CHECK(failure("/nowhere").step == Step::execute);
            CHECK(failure("/nowhere").error == ENOENT);
            CHECK(failure(support::helper("noop"), {.directory = "/etc/passwd"}).step == Step::directory);
            CHECK(failure(support::helper("noop"), {.directory = "/etc/passwd"}).error == ENOTDIR);
        }
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("a host without room for what the worker's start brings ends it, and says so") {
    for (const bool copies : {false, true}) {
        int taken[4096];
        int count = 0;
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        const rlimit few{64, before.rlim_max};
        const sg::Options options{.credentials = {.memory_deny_write_execute = copies}, .optional = sg::Layers::all()};
        const Confinement confinement{asking.view(), asking.program(), options};
        Child child;
        Order order = Order::program(confinement, {support::helper("noop")}, {}, child);
        auto& plan = order.plan();
        ::setrlimit(RLIMIT_NOFILE, &few);
        for (int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC); fd >= 0;
             fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC))
            taken[count++] = fd;
        sg::process::start_program(plan, child);
        ::setrlimit(RLIMIT_NOFILE, &before);
        while (count > 0) ::close(taken[--count]);
        CHECK_FALSE(child.started());
        CHECK(child.pid == -1);
        CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
    }
}

TEST_CASE("the host's signal mask and handlers are what they were") {
    sigset_t before;
    ::sigprocmask(SIG_SETMASK, nullptr, &before);
    Child child = start(asking, support::helper("noop"));
    child.wait();
    sigset_t after;
    ::sigprocmask(SIG_SETMASK, nullptr, &after);
    for (int signal = 1; signal < 65; ++signal) CHECK(::sigismember(&before, signal) == ::sigismember(&after, signal));
}
