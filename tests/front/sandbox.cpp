#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using namespace sg::literals;
using namespace std::chrono_literals;
using sg::Outcome;
using sg::Rule;
using Kind = sg::Outcome::Kind;
using support::has;
using support::helper;
using support::static_program;

TEST_CASE("a program runs under the policy and exits") {
    const sg::Sandbox box{static_program};
    const Outcome outcome = box.run({helper("noop")});
    CAPTURE(outcome.explain());
    CHECK(outcome);
    CHECK(outcome.kind() == Kind::exited);
    CHECK(outcome.exit_code() == 0);
    CHECK(outcome.usage().wall > 0ns);
    CHECK(outcome.usage().peak_memory > 0);
}

TEST_CASE("a program that exits with a code is an outcome that is false, and says it") {
    const Outcome outcome = sg::Sandbox{static_program}.run({helper("behave"), "exit", "3"});
    CHECK_FALSE(outcome);
    CHECK(outcome.kind() == Kind::exited);
    CHECK(outcome.exit_code() == 3);
    CHECK(has(outcome.explain(), "exited with code 3"));
}

TEST_CASE("the program in the design, less what is not there yet") {
    constexpr sg::Policy policy{
        sg::preset::cpp_runtime,
        sg::allow<SYS_getrandom, SYS_clock_nanosleep>,
        Rule<SYS_socket>{arg::domain == AF_INET && arg::type != SOCK_RAW}.allow(),
        Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM),
        sg::otherwise.kill(),
    };
    static_assert(policy.decide<SYS_socket>(AF_INET, SOCK_STREAM, 0) == sg::Action::allow);
    static_assert(policy.decide<SYS_ptrace>(0, 0, 0, 0) == sg::Action::kill);

    sg::Sandbox box{policy, {.limits = {.memory = 256_MiB, .cpu = 2s, .wall = 10s, .processes = 16}}};

    sg::Outcome converted = box.run({helper("noop"), "in.png", "out.jpg"});
    sg::Result<int> answer = box.call([](int x) { return x + 1; }, 41);
    CHECK(converted);
    CHECK(*answer == 42);

    sg::Worker worker = box.spawn({helper("behave"), "spin"});
    CHECK_FALSE(worker.wait_for(20ms));
    CHECK(worker.stop().kind() == Kind::stopped);
}

TEST_CASE("a dynamically linked program starts under cpp_runtime, and is stopped at what that has not") {
    constexpr sg::Policy policy{sg::preset::cpp_runtime, sg::otherwise.kill()};
    const sg::Sandbox box{policy};
    const Outcome echo = box.run({"/bin/echo", "hello"}, {.output = sg::Stdio::capture()});
    CAPTURE(echo.explain());
    CHECK(echo);
    CHECK(echo.output() == "hello\n");
    const Outcome makes = box.run({"/bin/mkdir", "/tmp/sysguard-test-never-made"});
    CHECK(makes.kind() == Kind::violation);
    REQUIRE(makes.violation() != nullptr);
    CHECK(has(makes.explain(), "mkdir"));
    CHECK(::access("/tmp/sysguard-test-never-made", F_OK) != 0);
}

TEST_CASE("a violation tells the call with its arguments, by their names") {
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::otherwise.kill()};
    const auto result = sg::Sandbox{policy}.call([] { ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 4); });
    const Outcome& outcome = result.outcome();
    REQUIRE(outcome.kind() == Kind::violation);
    REQUIRE(outcome.violation() != nullptr);
    CHECK(outcome.violation()->number == SYS_socket);
    CHECK(outcome.violation()->arguments[0] == AF_NETLINK);
    CHECK(outcome.violation()->instruction_pointer != 0);
    CHECK(outcome.violation()->thread > 0);
    CHECK(has(outcome.explain(), "socket(domain=16, type=524291, protocol=4)"));
}

TEST_CASE("kill_now kills without a word") {
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};
    const auto result = sg::Sandbox{policy}.call([] { ::socket(AF_NETLINK, SOCK_RAW, 0); });
    CHECK(result.outcome().kind() == Kind::violation);
    CHECK(result.outcome().violation() == nullptr);
    CHECK(result.outcome().signal() == SIGSYS);
}

TEST_CASE("fake says a call succeeded, and does nothing") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{arg::who == 1}.fake(7), Rule<SYS_getpriority>{}.fake(0),
                                Rule<SYS_unlinkat>{}.fake(0), sg::otherwise.allow()};
    const auto result = sg::Sandbox{policy}.call([] {
        return std::vector<long>{::syscall(SYS_getpriority, 0, 1), ::syscall(SYS_getpriority, 0, 2),
                                 ::syscall(SYS_unlinkat, AT_FDCWD, "/proc/self/status", 0)};
    });
    CAPTURE(result.explain());
    CHECK(*result == std::vector<long>{7, 0, 0});
}

TEST_CASE("what cannot be executed could not start, with the step and the reason") {
    const sg::Sandbox box{static_program};
    const Outcome missing = box.run({"/nowhere/program"});
    CHECK(missing.kind() == Kind::could_not_start);
    CHECK(missing.error() == ENOENT);
    CHECK(has(missing.explain(), "execute the program"));
    CHECK(has(missing.explain(), "ENOENT"));
    CHECK(box.run({"/etc/passwd"}).error() == EACCES);
    CHECK(box.run({"/tmp"}).error() == EACCES);
    const Outcome bare = box.run({"sh"});
    CHECK(bare.kind() == Kind::could_not_start);
    CHECK(has(bare.explain(), "PATH"));
    CHECK_FALSE(has(missing.explain(), "PATH"));

    char path[] = "/tmp/sysguard-test-XXXXXX";
    const int fd = ::mkstemp(path);
    CHECK(::write(fd, "garbage", 7) == 7);
    ::fchmod(fd, 0755);
    ::close(fd);
    CHECK(box.run({path}).error() == ENOEXEC);
    ::unlink(path);

    const Outcome elsewhere = box.run({helper("noop")}, {.directory = "/nowhere"});
    CHECK(elsewhere.kind() == Kind::could_not_start);
    CHECK(has(elsewhere.explain(), "working directory"));
}

TEST_CASE("what the host got wrong is an error") {
    const sg::Sandbox box{static_program};
    CHECK_THROWS_AS((void)box.run({}), sg::Error);
    CHECK_THROWS_AS((void)box.run({""}), sg::Error);
    CHECK_THROWS_AS((sg::Sandbox{static_program, {.limits = {.wall = 0ms}}}), sg::Error);
    CHECK_THROWS_AS((sg::Sandbox{static_program, {.limits = {.wall = -1s}}}), sg::Error);
    CHECK_THROWS_AS((sg::Sandbox{static_program, {.limits = {.cpu = -1s}}}), sg::Error);
    CHECK_THROWS_AS((sg::Sandbox{static_program, {.limits = {.memory = 0}}}), sg::Error);
    CHECK_THROWS_AS((sg::Sandbox{static_program, {.limits = {.stack = 0}}}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.directory = std::string("/tmp\0/x", 7)}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop"), std::string("a\0b", 3)}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.output = sg::Stdio::pipe()}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.input = sg::Stdio::capture()}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.output = sg::Stdio::from(1000)}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{1, 2}}}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{1, 5}, {0, 5}}}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{1000, 5}}}), sg::Error);
}

TEST_CASE("a program's own exec is the policy's matter") {
    const Outcome refused = sg::Sandbox{static_program}.run({helper("behave"), "execute", helper("noop")});
    CHECK(refused.kind() == Kind::violation);
    CHECK(has(refused.explain(), "execve"));
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::allow<SYS_execve>, sg::otherwise.kill()};
    CHECK(sg::Sandbox{policy}.run({helper("behave"), "execute", helper("noop")}));
}

TEST_CASE("a script runs by its interpreter") {
    char path[] = "/tmp/sysguard-test-XXXXXX";
    const int fd = ::mkstemp(path);
    const std::string script = "#!" + helper("behave") + " exit\n";
    CHECK(::write(fd, script.data(), script.size()) == static_cast<ssize_t>(script.size()));
    ::fchmod(fd, 0755);
    ::close(fd);
    const Outcome outcome = sg::Sandbox{static_program}.run({path, "5"});
    ::unlink(path);
    CHECK(outcome.kind() == Kind::exited);
    CHECK(outcome.exit_code() == 0);  // its first argument is "exit", its second the script's path
}
