#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/skip.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace sg::literals;
using namespace std::chrono_literals;
using sg::Outcome;
using sg::Rule;
using Kind = sg::Outcome::Kind;
using support::anything;
using support::has;
using support::helper;
using support::inspect;
using support::starting;
using support::static_program;
using support::with_processes;

TEST_CASE("a function returns numbers, structs, strings and vectors") {
    const sg::Sandbox box{static_program};
    struct Point {
        double x;
        int y;
    };
    enum class Colour : short { red = -3 };
    CHECK(*box.call([] { return 7U; }) == 7U);
    CHECK(*box.call([] { return -1.5; }) == -1.5);
    CHECK(*box.call([] { return true; }));
    CHECK(*box.call([] { return Colour::red; }) == Colour::red);
    CHECK(box.call([] { return Point{1.5, 2}; })->y == 2);
    CHECK(*box.call([] { return std::string(100000, 'x'); }) == std::string(100000, 'x'));
    CHECK(*box.call([] { return std::string{}; }) == "");
    CHECK(*box.call([] { return std::string{"a\0b", 3}; }) == std::string{"a\0b", 3});
    CHECK(*box.call([] { return std::vector<int>{1, 2, 3}; }) == std::vector<int>{1, 2, 3});
    CHECK(box.call([] { return std::vector<int>{}; })->empty());
    CHECK(*box.call([] {
        return std::vector<std::string>{"", "one", std::string(5000, 'y')};
    }) == std::vector<std::string>{"", "one", std::string(5000, 'y')});
    CHECK(box.call([] { return std::vector<std::string>{}; })->empty());
    CHECK(box.call([] {}));
    CHECK(box.call([] {}).outcome().kind() == Kind::returned);
}

TEST_CASE("arguments reach the function as they are") {
    const sg::Sandbox box{static_program};
    const std::string text = "text";
    std::vector<int> numbers{1, 2};
    const auto joined = box.call(
        [](const std::string& t, std::vector<int>& n, int m) {
            n.push_back(m);
            return t + std::to_string(n.size());
        },
        text, numbers, 3);
    CHECK(*joined == "text3");
    CHECK(numbers.size() == 2);  // the worker's copy grew, the host's did not
}

TEST_CASE("a function that throws, crashes, loops, exits early: each its own outcome, and the host goes on") {
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{static_program, {.limits = {.wall = 5s}}};
    const auto threw = box.call([]() -> int { throw std::runtime_error{"no such luck"}; });
    CHECK(threw.outcome().kind() == Kind::threw);
    CHECK(threw.outcome().message() == "no such luck");
    CHECK(has(threw.explain(), "no such luck"));
    CHECK_THROWS_AS((void)threw.value(), sg::Error);
    CHECK(box.call([] { throw 5; }).outcome().kind() == Kind::threw);

    const auto crashed = box.call([] { support::crash(); });
    CHECK(crashed.outcome().kind() == Kind::signalled);
    CHECK(crashed.outcome().signal() == SIGSEGV);
    CHECK(box.call([] { std::abort(); }).outcome().signal() == SIGABRT);
    CHECK(box.call([] { std::terminate(); }).outcome().signal() == SIGABRT);

    const sg::Sandbox hasty{static_program, {.limits = {.wall = 100ms}}};
    const auto looped = hasty.call([] {
        for (volatile bool go = true; go;) {
        }
    });
    CHECK(looped.outcome().kind() == Kind::timed_out);

    const auto left = box.call([]() -> int { ::_exit(4); });
    CHECK(left.outcome().kind() == Kind::ended_early);
    CHECK(left.outcome().exit_code() == 4);
    CHECK(box.call([]() -> int { ::_exit(0); }).outcome().kind() == Kind::ended_early);
    CHECK(*box.call([] { return 1; }) == 1);
}

TEST_CASE("a function that ends its thread has ended early, when its other threads have") {
    const sg::Sandbox box{anything, {.limits = {.wall = 20s}}};
    const auto left = box.call(sg::Launch{.output = sg::Stdio::capture()}, []() -> int {
        std::printf("good bye");
        ::pthread_exit(nullptr);
    });
    CAPTURE(left.explain());
    CHECK(left.outcome().kind() == Kind::ended_early);
    CHECK(left.outcome().exit_code() == 0);
    CHECK(left.outcome().output() == "good bye");

    SYSGUARD_SKIP_SANITIZED();
    const auto outlived = box.call(sg::Launch{.output = sg::Stdio::capture()}, [] {
        std::thread{[] {
            ::usleep(50000);
            (void)!::write(1, "last", 4);
        }}.detach();
        ::pthread_exit(nullptr);
    });
    CAPTURE(outlived.explain());
    CHECK(outlived.outcome().kind() == Kind::ended_early);
    CHECK(outlived.outcome().output() == "last");
}

TEST_CASE("a function returns optionals, variants, tuples and durations, whole or in structs and vectors") {
    struct Found {
        std::optional<int> line;
        bool exact;
        std::array<std::pair<char, double>, 2> scores;
        std::chrono::milliseconds took;
    };
    const sg::Sandbox box{static_program};
    const auto found = box.call([] { return Found{7, true, {{{'a', 1.5}, {'b', 2.5}}}, 3ms}; });
    CHECK(found->line == 7);
    CHECK(found->exact);
    CHECK(found->scores[1].second == 2.5);
    CHECK(found->took == 3ms);
    CHECK(box.call([] { return std::optional<int>{}; })->has_value() == false);
    CHECK(std::get<bool>(*box.call([] { return std::variant<int, bool>{true}; })));
    CHECK(box.call([] { return std::vector<Found>(3); })->size() == 3);
}

TEST_CASE("a function that eats memory comes to its limit") {
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{sg::Policy{sg::preset::static_runtime, sg::otherwise.deny(EPERM)},
                          {.limits = {.memory = 64_MiB, .wall = 30s}}};
    const auto eaten = box.call([] {
        std::vector<std::vector<char>> all;
        for (;;) all.emplace_back(1 << 20, 'x');
    });
    CAPTURE(eaten.explain());
    CHECK(eaten.outcome().kind() == Kind::out_of_memory);
    CHECK(*box.call([] { return std::vector<char>(1 << 20, 'x').size(); }) == 1 << 20);
}

TEST_CASE("limits so high that they are none") {
    const sg::Sandbox box{static_program, {.limits = {.memory = ~0ULL, .file_size = ~0ULL}}};
    CHECK(*box.call([] { return std::vector<char>(1 << 20, 'x').size(); }) == 1 << 20);
    CHECK(box.run({helper("noop")}));
}

TEST_CASE("a message with control characters is shown with escapes") {
    SYSGUARD_SKIP_SANITIZED();
    const auto threw = sg::Sandbox{static_program}.call([] { throw std::runtime_error{"red \x1b[31m\n"}; });
    CHECK(has(threw.explain(), "red \\x1b[31m\\x0a"));
    CHECK(threw.outcome().message() == "red \x1b[31m\n");
    const auto later = sg::Sandbox{static_program}.call([] {
        throw std::runtime_error{
            "\xc2\x9b"
            "31m \x9d"
            "0"};
    });
    CHECK(has(later.explain(), "\\xc2\\x9b31m \\x9d0"));
}

TEST_CASE("a result that is larger than the room for it") {
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{static_program, {.most_result = 1000}};
    CHECK(box.call([] { return std::string(1000, 'x'); }));
    const auto large = box.call([] { return std::string(1001, 'x'); });
    CHECK(large.outcome().kind() == Kind::garbled);
    CHECK(has(large.explain(), "1000 bytes"));
    const auto message = box.call([] { throw std::runtime_error{std::string(5000, 'y')}; });
    CHECK(message.outcome().kind() == Kind::threw);
    CHECK(message.outcome().message() == std::string(1000, 'y'));
}

TEST_CASE("a function sees none of the host's descriptors, and no output of the host's is written twice") {
    const int leak = ::open("/etc/passwd", O_RDONLY);
    const auto open = sg::Sandbox{anything}.call([] {
        int count = 0;
        for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0;
        return count;
    });
    CHECK(*open == 3);
    ::close(leak);

    std::printf("host");
    const auto result =
        sg::Sandbox{anything}.call(sg::Launch{.output = sg::Stdio::capture()}, [] { std::printf("worker"); });
    std::printf("\n");
    CHECK(result.outcome().output() == "worker");
}

TEST_CASE("a function never has the listener of its own filter, under a policy that asks the host") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};
    const auto found = sg::Sandbox{policy}.call([] {
        std::vector<std::string> links;
        for (int fd = 0; fd < 1024; ++fd) {
            char target[256] = {};
            if (::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target - 1) > 0)
                links.emplace_back(target);
        }
        return links;
    });
    REQUIRE(found);
    CHECK(found->size() == 3);
    for (const std::string& link : *found) CHECK_FALSE(has(link, "seccomp"));
    const auto program = inspect(sg::Sandbox{policy});
    CHECK(starting(program, "descriptor").size() == 3);
}

TEST_CASE("handlers of the host's do not run in a worker") {
    SYSGUARD_SKIP_SANITIZED();
    ::signal(SIGSEGV, [](int) { ::_exit(99); });
    const auto crashed = sg::Sandbox{static_program}.call([] { support::crash(); });
    ::signal(SIGSEGV, SIG_DFL);
    CHECK(crashed.outcome().kind() == Kind::signalled);
}

TEST_CASE("a policy that forbids everything still lets a function's result come home") {
    constexpr sg::Policy nothing{sg::otherwise.kill()};
    CHECK(*sg::Sandbox{nothing}.call([] { return 5; }) == 5);
    constexpr sg::Policy now{sg::foreign.kill_now(), sg::otherwise.kill_now()};
    CHECK(*sg::Sandbox{now}.call([] { return 6; }) == 6);
}

TEST_CASE("the host may have threads, and several at a time may use a sandbox") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const sg::Sandbox box{static_program};
    std::vector<std::thread> threads;
    std::vector<int> good(8);
    for (std::size_t t = 0; t < good.size(); ++t)
        threads.emplace_back([&box, &good, t] {
            for (int i = 0; i < 20; ++i) {
                const auto called = box.call([i] { return std::vector<int>(1000, i); });
                good[t] += called && called->at(999) == i;
                good[t] += static_cast<bool>(box.run({helper("noop")}));
                good[t] += box.call([] { ::socket(AF_INET, SOCK_STREAM, 0); }).outcome().kind() == Kind::violation;
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const int count : good) CHECK(count == 60);
}

TEST_CASE("nothing is left in the host: no descriptor, no process, no thread") {
    const auto count = [](const char* path) {
        int entries = 0;
        DIR* const directory = ::opendir(path);
        while (::readdir(directory) != nullptr) ++entries;
        ::closedir(directory);
        return entries;
    };
    const sg::Sandbox box{with_processes, {.limits = {.wall = 20s}}};
    const auto use = [&] {
        (void)box.run({helper("behave"), "leave", "2"}, {.output = sg::Stdio::capture()});
        (void)box.run({"/nowhere"});
        (void)box.run({helper("noop")}, {.directory = "/nowhere"});
        (void)box.call([] { throw 1; });
        (void)box.call([] { std::abort(); });
        (void)sg::Sandbox{static_program}.run({helper("behave"), "execute", "/bin/true"});
        sg::Worker worker =
            box.spawn({helper("behave"), "sleep"}, {.input = sg::Stdio::pipe(), .output = sg::Stdio::pipe()});
    };
    use();
    const int descriptors = count("/proc/self/fd");
    const int threads = count("/proc/self/task");
    for (int i = 0; i < 10; ++i) use();
    CHECK(count("/proc/self/fd") == descriptors);
    CHECK(count("/proc/self/task") == threads);
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
    CHECK(errno == ECHILD);
}

/// Whether the kernel tells how a process ended that has been reaped (PIDFD_INFO_EXIT, Linux 6.15).
static bool tells_of_reaped() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(3);
    const sg::process::Descriptor pidfd{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
    ::waitpid(child, nullptr, 0);
    const sg::process::ExitStatus status = sg::process::detail::status_after_reaping(pidfd.get());
    return status.known && status.exited && status.value == 3;
}

TEST_CASE("a host that ignores SIGCHLD, so that the kernel reaps for it, still learns the ends of functions") {
    ::signal(SIGCHLD, SIG_IGN);
    const auto called = sg::Sandbox{static_program}.call([] { return 3; });
    const Outcome program = sg::Sandbox{static_program}.run({helper("behave"), "exit", "3"});
    ::signal(SIGCHLD, SIG_DFL);
    CAPTURE(called.explain());
    CAPTURE(program.explain());
    CHECK(*called == 3);
    if (tells_of_reaped()) {
        CHECK(program.kind() == Kind::exited);
        CHECK(program.exit_code() == 3);
    } else {  // nobody can tell any more, and that is what is said
        CHECK(program.kind() == Kind::lost);
        CHECK(program.explain().find("ignores SIGCHLD") != std::string::npos);
    }
}

TEST_CASE("inside a sandbox that has a listener already, the reason is said") {
    static constexpr sg::Policy outer{Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};
    static constexpr sg::Policy quiet{sg::foreign.kill_now(), Rule<SYS_getpriority>{}.kill_now(),
                                      sg::otherwise.allow()};
    const auto told = sg::Sandbox{outer}.call([] {
        const sg::Result<int> inner = sg::Sandbox{outer}.call([] { return 1; });
        const Outcome program = sg::Sandbox{outer}.run({helper("noop")});
        const sg::Result<int> without = sg::Sandbox{quiet}.call([] { return 2; });
        return std::vector<std::string>{inner.explain(), program.explain(), without.explain()};
    });
    CAPTURE(told.explain());
    REQUIRE(told);
    CHECK(has(told->at(0), "could not start"));
    CHECK(has(told->at(0), "has a listener already"));
    CHECK(has(told->at(1), "has a listener already"));
    CHECK(told->at(2) == "the function returned.");
}
