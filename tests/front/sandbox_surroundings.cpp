#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace sg::literals;
using namespace std::chrono_literals;
using sg::Outcome;
using Kind = sg::Outcome::Kind;
using support::anything;
using support::contains;
using support::has;
using support::helper;
using support::inspect;
using support::starting;
using support::static_program;
using support::with_processes;

TEST_CASE("arguments and environment are those that are given, and no others") {
    ::setenv("SYSGUARD_TEST_SECRET", "1", 1);
    const auto found =
        inspect(sg::Sandbox{anything}, {.environment = {"A=1", "B=two words"}}, {helper("inspect"), "", "x y"});
    CHECK(starting(found, "environment") == std::vector<std::string>{"A=1", "B=two words"});
    CHECK(starting(found, "argument") == std::vector<std::string>{helper("inspect"), "", "x y"});
}

TEST_CASE("no descriptor leaks in") {
    const int leak = ::open("/etc/passwd", O_RDONLY);
    const int high = ::fcntl(leak, F_DUPFD, 900);
    const auto found = inspect(sg::Sandbox{anything});
    CHECK(starting(found, "descriptor") == std::vector<std::string>{"0", "1", "2"});
    ::close(leak);
    ::close(high);
}

TEST_CASE("descriptors are passed under the numbers that are asked for") {
    const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    const auto found = inspect(sg::Sandbox{anything}, {.descriptors = {{file, 7}, {file, 300}}});
    CHECK(starting(found, "descriptor") == std::vector<std::string>{"0", "1", "2", "7", "300"});
    CHECK(::fcntl(file, F_GETFD) == FD_CLOEXEC);
    ::close(file);
}

TEST_CASE("descriptors may change places") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const int a = ::open("/dev/null", O_RDONLY);
    const int b = ::open("/dev/zero", O_RDONLY);
    const auto result = sg::Sandbox{anything}.call(sg::Launch{.descriptors = {{a, b}, {b, a}}}, [a, b] {
        char byte = 1;
        const bool null_at_b = ::read(b, &byte, 1) == 0;
        const bool zero_at_a = ::read(a, &byte, 1) == 1 && byte == 0;
        return null_at_b && zero_at_a;
    });
    CHECK(*result);
    for (const int fd : {a, b, ends[0], ends[1]}) ::close(fd);
}

TEST_CASE("every number below the limit on open files can be passed, and none beyond it") {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    const rlimit few{40, own.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    sg::Launch launch;
    for (int number = 3; number < 25; ++number)
        if (number != 9) launch.descriptors.push_back({number % 2, number});
    const sg::Sandbox box{static_program};
    const Outcome most = box.run({helper("noop")}, launch);
    const Outcome highest = box.run({helper("noop")}, {.descriptors = {{0, 39}, {1, 38}}});
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{0, 40}}}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{0, 2147483647}}}), sg::Error);
    ::setrlimit(RLIMIT_NOFILE, &own);
    CAPTURE(most.explain());
    CHECK(most);
    CAPTURE(highest.explain());
    CHECK(highest);
}

TEST_CASE("a closed stream is closed, an inherited one that the host has closed is /dev/null") {
    const auto found = inspect(sg::Sandbox{anything}, {.input = sg::Stdio::close(), .error = sg::Stdio::close()});
    CHECK(starting(found, "descriptor") == std::vector<std::string>{"1"});
    const int saved = ::dup(2);
    ::close(2);
    const auto inherited = inspect(sg::Sandbox{anything});
    ::dup2(saved, 2);
    ::close(saved);
    CHECK(starting(inherited, "descriptor") == std::vector<std::string>{"0", "1", "2"});
    CHECK(contains(inherited, "target 2 /dev/null"));
}

TEST_CASE("directory, umask, session and no_new_privs") {
    const auto found = inspect(sg::Sandbox{anything}, {.directory = "/proc", .umask = 027});
    CHECK(contains(found, "directory /proc"));
    CHECK(contains(found, "umask 0027"));
    CHECK(contains(found, "session own"));
    CHECK(contains(found, "group own"));
    CHECK(contains(found, "no_new_privs 1"));
    CHECK(contains(found, "seccomp 2"));
    const auto usual = inspect(sg::Sandbox{anything});
    CHECK(contains(usual, "umask 0077"));
    char here[4096];
    REQUIRE(::getcwd(here, sizeof here) != nullptr);
    CHECK(contains(usual, "directory " + std::string{here}));
}

TEST_CASE("signals have their default dispositions, and none is blocked") {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGUSR1, [](int) {});
    sigset_t some;
    ::sigemptyset(&some);
    ::sigaddset(&some, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &some, nullptr);
    const auto found = inspect(sg::Sandbox{anything});
    CHECK(starting(found, "disposition").empty());
    CHECK(starting(found, "blocked").empty());
    sigset_t now;
    ::sigprocmask(SIG_SETMASK, nullptr, &now);
    CHECK(::sigismember(&now, SIGTERM) == 1);
    CHECK(::sigismember(&now, SIGINT) == 0);
}

TEST_CASE("limits are set, and none above the host's own") {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    const auto found = inspect(sg::Sandbox{
        anything,
        {.limits = {
             .memory = 512_MiB, .cpu = 1500ms, .open_files = own.rlim_max + 5, .file_size = 64_KiB, .stack = 1_MiB}}});
    rlimit core{};
    ::getrlimit(RLIMIT_CORE, &core);
    CHECK(contains(found, core.rlim_max == 0 ? "limit core 0 0" : "limit core 1 1"));
    CHECK(contains(found, "limit memory 536870912 536870912"));
    CHECK(contains(found, "limit cpu 2 3"));
    CHECK(contains(found, "limit file_size 65536 65536"));
    CHECK(contains(found, "limit stack 1048576 1048576"));
    CHECK(contains(found, "limit files " + std::to_string(own.rlim_max) + " " + std::to_string(own.rlim_max)));
}

TEST_CASE("a limit on open files is enough to start with, or an error") {
    const std::vector<sg::PassedDescriptor> several{{1, 3}, {1, 4}, {1, 9}};
    for (const auto& descriptors : {std::vector<sg::PassedDescriptor>{}, several}) {
        int too_low = 0;
        for (std::uint64_t files = 0; files < 20; ++files) {
            const sg::Sandbox box{static_program, {.limits = {.open_files = files}}};
            CAPTURE(files);
            try {
                const Outcome outcome = box.run({helper("noop")}, {.descriptors = descriptors});
                CAPTURE(outcome.explain());
                CHECK(outcome);
                CHECK(*box.call({.descriptors = descriptors}, [] { return 3; }) == 3);
            } catch (const sg::Error& error) {
                CHECK(has(error.step(), "limit open files"));
                ++too_low;
            }
        }
        CHECK(too_low >= 5);
        CHECK(too_low <= 12);
    }
    constexpr sg::Policy silent{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};
    CHECK(sg::Sandbox{silent, {.limits = {.open_files = 0}}}.run({helper("noop")}));
}

TEST_CASE("a limit on processes: refused for root whose policy starts tasks, else counted from what there is") {
    const sg::Options options{.limits = {.processes = 200}};  // others of the user come and go meanwhile
    CHECK_NOTHROW((void)sg::Sandbox(static_program, options));
    if (::getuid() == 0) {
        try {
            (void)sg::Sandbox(with_processes, options);
            FAIL("made");
        } catch (const sg::Error& error) {
            CHECK(error.code().value() == ENOTSUP);
        }
        return;
    }
    const sg::Sandbox box{with_processes, options};
    const Outcome some = box.run({helper("behave"), "leave", "2"});
    const Outcome many = box.run({helper("behave"), "leave", "700"});
    CAPTURE(some.explain());
    CHECK(some);
    CHECK(many.kind() == Kind::exited);
    CHECK(many.exit_code() == 3);  // fork failed
}

TEST_CASE("output is captured, up to what is asked for, and what is beyond is counted") {
    const sg::Sandbox box{static_program};
    const Outcome all =
        box.run({helper("behave"), "print", "300"}, {.output = sg::Stdio::capture(), .error = sg::Stdio::capture()});
    CHECK(all);
    CHECK(all.output().size() == 300 * 1024);
    CHECK(all.output_dropped() == 0);
    CHECK(all.error_output() == "complaint\n");
    const Outcome some = box.run({helper("behave"), "print", "300"},
                                 {.output = sg::Stdio::capture(1000), .error = sg::Stdio::capture(0)});
    CHECK(some);
    CHECK(some.output() == std::string(1000, 'x'));
    CHECK(some.output_dropped() == 300 * 1024 - 1000);
    CHECK(some.error_output().empty());
    CHECK(some.error_output_dropped() == 10);
}

TEST_CASE("input is nothing unless given") {
    const sg::Sandbox box{static_program};
    const Outcome nothing = box.run({helper("behave"), "copy"}, {.output = sg::Stdio::capture()});
    CHECK(nothing);
    CHECK(nothing.output().empty());
    const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    const Outcome copy =
        box.run({helper("behave"), "copy"}, {.input = sg::Stdio::from(file), .output = sg::Stdio::capture()});
    ::close(file);
    std::ifstream stream{"/etc/passwd"};
    const std::string expected{std::istreambuf_iterator<char>{stream}, {}};
    CHECK(copy.output() == expected);
}

TEST_CASE("a worker that is ended keeps the output that it had written") {
    const sg::Sandbox box{with_processes, {.limits = {.wall = 200ms}}};
    const Outcome outcome = box.run({helper("behave"), "sleep"}, {.output = sg::Stdio::capture()});
    CHECK(outcome.kind() == Kind::timed_out);
    CHECK(std::atoi(outcome.output().c_str()) > 0);
}
