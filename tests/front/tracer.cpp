#include <sysguard/tracer.hpp>

#include <sysguard/dynamic_policy.hpp>
#include <sysguard/foreign.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/scratch.hpp"
#include "support/traced.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using support::Kind;
using support::Seen;

TEST_CASE("a tracer sees each call of a program, its result, and the end") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::Tracer tracer;
    const Seen seen = support::trace(tracer, support::traced({"calls", "3"}));
    CHECK(seen.end() == 0);
    REQUIRE(!seen.events.empty());
    const sg::Event& first = seen.events.front();
    CHECK(first.kind == Kind::entered);
    CHECK(first.call.number == SYS_execve);
    CHECK(seen.of(Kind::executed).size() == 1);
    const auto entered = seen.calls(SYS_getpriority);
    const auto returned = seen.calls(SYS_getpriority, Kind::returned);
    REQUIRE(entered.size() == 3);
    REQUIRE(returned.size() == 3);
    CHECK(entered[2].call.arguments[1] == 2);
    CHECK(entered[0].call.instruction_pointer != 0);
    CHECK(entered[0].call.stack_pointer != 0);
    CHECK(entered[0].thread == seen.first);
    CHECK(entered[0].time.tv_sec > 0);
    CHECK(returned[0].call.result == 20);  // 20 less the nice value
    CHECK_FALSE(returned[0].call.is_error);
    CHECK(seen.calls(SYS_exit_group).size() == 1);
    CHECK(seen.calls(SYS_exit_group, Kind::returned).empty());
    CHECK(seen.events.back().kind == Kind::exited);
}

TEST_CASE("a tracer reads as its documentation shows it") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::Tracer tracer{{.calls = {SYS_openat, SYS_getpriority}}};
    tracer.start(support::traced({"calls", "1"}));
    int returned = 0;
    tracer.run([&](const sg::Event& event) { returned += event.kind == Kind::returned; });
    CHECK(returned == 1);
}

TEST_CASE("only chosen calls are told of, whichever way the program is stopped") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        const Seen seen = support::trace(options, {"calls", "5"});
        CHECK(seen.end() == 0);
        CHECK(seen.calls(SYS_getpriority, Kind::returned).size() == 5);
        CHECK(seen.of(Kind::entered).size() == 5);
    }
    sg::TraceOptions none;
    none.calls = {};
    const Seen seen = support::trace(none, {"calls", "5"});
    CHECK(seen.of(Kind::entered).empty());
    CHECK(seen.end() == 0);
}

TEST_CASE("without results, only entries are told of") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        options.results = false;
        options.signals = true;
        const Seen seen = support::trace(options, {"calls", "5"});
        CHECK(seen.calls(SYS_getpriority).size() == 5);
        CHECK(seen.of(Kind::returned).empty());
    }
}

TEST_CASE("what cannot be started says at once why not") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::Tracer tracer;
    const auto code_of = [&](std::vector<std::string> command, const sg::Launch& launch = {}) {
        try {
            tracer.start(std::move(command), launch);
        } catch (const sg::Error& error) {
            return error.code().value();
        }
        return 0;
    };
    CHECK(code_of({"/does/not/exist"}) == ENOENT);
    CHECK(code_of({"/etc/passwd"}) == EACCES);
    CHECK(code_of({}) == EINVAL);
    CHECK(code_of({std::string("/bin/l\0s", 7)}) == EINVAL);
    sg::Launch nowhere;
    nowhere.directory = "/does/not/exist";
    CHECK(code_of({"/bin/true"}, nowhere) == ENOENT);
    sg::Launch captured;
    captured.output = sg::Stdio::capture();
    CHECK(code_of({"/bin/true"}, captured) == EINVAL);
    CHECK(support::trace(tracer, support::traced({"calls", "1"})).end() == 0);  // and goes on
}

TEST_CASE("an execve that fails after all is told of, and so is the end") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const support::Scratch scratch;
    const std::string path = scratch.path() + "/no_program";
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    REQUIRE(::write(file,
                    "\x7f"
                    "ELF",
                    4) == 4);
    ::close(file);
    sg::Tracer tracer;
    const Seen seen = support::trace(tracer, {path});
    REQUIRE(seen.calls(SYS_execve, Kind::returned).size() == 1);
    CHECK(seen.calls(SYS_execve, Kind::returned)[0].call.result == -ENOEXEC);
    CHECK(seen.end() == 127);
    CHECK(seen.of(Kind::entered).size() == 1);
}

TEST_CASE("what the callback throws ends tracing, and is passed on") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions options;
    options.detachable = true;
    sg::Tracer tracer{options};
    const pid_t program = tracer.start(support::traced({"calls", "100"}), support::silent()).pid;
    int events = 0;
    CHECK_THROWS_AS(tracer.run([&](const sg::Event&) {
        if (++events == 10) throw std::runtime_error{"enough"};
    }),
                    std::runtime_error);
    CHECK(events == 10);
    int status = -1;
    CHECK(::waitpid(program, &status, 0) == program);  // it was let go, and is the host's child
    CHECK(status == 0);
    CHECK(support::trace(tracer, support::traced({"calls", "1"})).end() == 0);
}

TEST_CASE("another thread stops a tracer, which then lets its tracees go") {
    SYSGUARD_SKIP_UNTRACEABLE();
    support::Beside program{{"many_threads", "5"}};
    REQUIRE(support::eventually([&] { return support::status_of(program.pid(), "Threads") == "6"; }));
    sg::Tracer tracer;
    tracer.attach(program.pid());
    Seen seen;
    int attached = 0;
    std::thread other{[&] {
        CHECK(support::eventually([&] { return __atomic_load_n(&attached, __ATOMIC_ACQUIRE) == 6; }));
        tracer.stop();
    }};
    tracer.run([&](const sg::Event& event) {
        seen(event);
        if (event.kind == Kind::attached) __atomic_add_fetch(&attached, 1, __ATOMIC_ACQ_REL);
    });
    other.join();
    CHECK(seen.of(Kind::attached).size() == 6);
    CHECK(seen.of(Kind::detached).size() == 6);
    CHECK(support::status_of(program.pid(), "TracerPid") == "0");
    CHECK(WTERMSIG(program.end()) == SIGKILL);
}

TEST_CASE("a tracer that serves takes what comes until it is stopped") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions options;
    options.calls = {SYS_getpriority};
    sg::Tracer tracer{options};
    Seen seen;
    std::thread server{[&] { tracer.serve(seen); }};
    for (int i = 0; i < 3; ++i) tracer.start(support::traced({"calls", "2"}), support::silent());
    support::Beside program{{"sleep"}};
    tracer.attach(program.pid());
    tracer.detach(program.pid());
    CHECK(support::status_of(program.pid(), "TracerPid") == "0");
    CHECK_THROWS_AS(tracer.detach(program.pid()), sg::Error);
    CHECK_THROWS_AS(tracer.run([](const sg::Event&) {}), sg::Error);
    for (int i = 0; i < 3; ++i) tracer.start(support::traced({"calls", "2"}), support::silent());
    // What has been started last has not ended yet, perhaps: then its stop kills it.
    tracer.stop();
    server.join();
    CHECK(seen.of(Kind::executed).size() >= 3);
    CHECK(seen.of(Kind::exited).size() + seen.of(Kind::killed).size() == 6);
}

TEST_CASE("the callback itself may start, attach, detach and stop") {
    SYSGUARD_SKIP_UNTRACEABLE();
    support::Beside program{{"sleep"}};
    sg::TraceOptions options;
    options.calls = {SYS_getpriority};
    sg::Tracer tracer{options};
    tracer.start(support::traced({"calls", "1"}), support::silent());
    Seen seen;
    bool began = false;
    tracer.run([&](const sg::Event& event) {
        seen(event);
        if (event.kind == Kind::entered && !std::exchange(began, true)) {
            tracer.start(support::traced({"calls", "2"}), support::silent());
            tracer.attach(program.pid());
        }
        if (event.kind == Kind::attached) tracer.detach(program.pid());
    });
    CHECK(seen.calls(SYS_getpriority).size() == 3);
    CHECK(seen.of(Kind::exited).size() == 2);
    REQUIRE(seen.of(Kind::detached).size() == 1);
    CHECK(seen.of(Kind::detached)[0].thread == program.pid());
}

TEST_CASE("the host's other children stay the host's") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const auto child = [] {
        const pid_t pid = ::fork();
        if (pid == 0) ::_exit(3);
        return pid;
    };
    const pid_t own = child();
    pid_t of_thread = -1;
    sg::Tracer tracer;
    Seen seen;
    seen.first = tracer.start(support::traced({"start", "fork"}), support::silent()).pid;
    bool begun = false;
    std::thread other{[&] {
        of_thread = child();
        CHECK(support::eventually([&] { return __atomic_load_n(&begun, __ATOMIC_ACQUIRE); }));
    }};
    tracer.run([&](const sg::Event& event) {
        seen(event);
        __atomic_store_n(&begun, true, __ATOMIC_RELEASE);
    });
    other.join();
    CHECK(seen.end() == 5);
    for (const pid_t pid : {own, of_thread}) {
        int status = -1;
        CHECK(::waitpid(pid, &status, 0) == pid);
        CHECK(status == 3 << 8);
    }
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);  // nothing is left behind
    CHECK(errno == ECHILD);
}

namespace {

bool is_there(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0;
}

}  // namespace

TEST_CASE("a call that a policy denies does not run, and the program is told so") {
    SYSGUARD_SKIP_UNTRACEABLE();
    constexpr sg::Policy no_files{sg::Rule<SYS_openat>{(arg::flags & O_CREAT) != 0}.deny(EROFS), sg::otherwise.allow()};
    const support::Scratch scratch;
    for (sg::TraceOptions& options : support::both_ways({})) {
        const std::string path = scratch.path() + "/file";
        CHECK(support::trace(options, {"make", path}).end() == 0);
        CHECK(is_there(path));  // without the policy
        ::unlink(path.c_str());
        sg::Tracer tracer{options, no_files};
        const Seen seen = support::trace(tracer, support::traced({"make", path}));
        CHECK(seen.end() == EROFS);
        CHECK_FALSE(is_there(path));
        const auto refused = seen.calls(SYS_openat);
        REQUIRE(refused.size() == 1);
        CHECK(refused[0].done == sg::Event::refused);
        CHECK(refused[0].decision == sg::Decision{sg::Action::deny, EROFS});
        CHECK(refused[0].result == -EROFS);
        REQUIRE(seen.calls(SYS_openat, Kind::returned).size() == 1);
        CHECK(seen.calls(SYS_openat, Kind::returned)[0].call.result == -EROFS);
    }
}

TEST_CASE("a policy fakes, logs and kills") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({})) {
        constexpr sg::Policy faking{sg::Rule<SYS_getpriority>{}.fake(33), sg::otherwise.allow()};
        sg::Tracer faker{options, faking};
        CHECK(support::printed(faker, {"results", "2"}) == "33 33\n");

        constexpr sg::Policy logging{sg::Rule<SYS_getpriority>{}.log(), sg::otherwise.allow()};
        sg::Tracer logger{options, logging};
        const Seen logged = support::trace(logger, support::traced({"calls", "2"}));
        CHECK(logged.end() == 0);
        REQUIRE(logged.calls(SYS_getpriority).size() == 2);
        CHECK(logged.calls(SYS_getpriority)[0].done == sg::Event::logged);

        constexpr sg::Policy killing{sg::Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};
        sg::Tracer killer{options, killing};
        const Seen killed = support::trace(killer, support::traced({"start", "fork"}));
        CHECK(killed.end() == 100 + SIGKILL);
        REQUIRE(killed.calls(SYS_getpriority).size() == 1);
        CHECK(killed.calls(SYS_getpriority)[0].done == sg::Event::was_killed);
        CHECK(killed.of(Kind::killed).size() == 2);  // the child that called, and its parent
        CHECK(killed.of(Kind::exited).empty());
    }
}

TEST_CASE("what a policy refuses by default does not run either") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const sg::DynamicPolicy policy{sg::RuleList{sg::preset::static_runtime}, sg::otherwise.deny(EUCLEAN)};
    sg::TraceOptions options;
    options.calls = {};
    sg::Tracer tracer{options, policy};
    const std::string text = support::printed(tracer, {"results", "1"});
    CHECK(text == std::to_string(-EUCLEAN) + "\n");
}

TEST_CASE("a policy that tracing cannot keep is refused, and the refusal says what to do") {
    const sg::Policy looking{sg::Rule<SYS_openat>{arg::path.under("/tmp")}.deny(EPERM), sg::otherwise.allow()};
    CHECK_THROWS_WITH_AS((sg::Tracer{{}, looking}), doctest::Contains("looks at memory"), sg::Error);
    const sg::Policy handling{
        sg::Rule<SYS_socket>{}.handle([](const sg::Call<SYS_socket>& call) { return call.proceed(); }),
        sg::otherwise.allow()};
    CHECK_THROWS_WITH_AS((sg::Tracer{{}, handling}), doctest::Contains("has a handler"), sg::Error);
    sg::RuleList trap;
    trap.add(SYS_socket, nullptr, 0, false, {sg::Action::trap, 1});
    CHECK_THROWS_WITH_AS((sg::Tracer{{}, sg::DynamicPolicy{trap, sg::otherwise.allow()}}), doctest::Contains("trap"),
                         sg::Error);
}

TEST_CASE("a function decides what is done to chosen calls") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        sg::Tracer tracer{options};
        int count = 0;
        tracer.decide_unchecked([&count](const sg::Event& event) {
            CHECK(event.call.number == SYS_getpriority);
            switch (++count) {
                case 1: return sg::Tampering::refuse(EBADF);
                case 2: return sg::Tampering::fake(-4096);
                case 3: return sg::Tampering{}.change_result(5);
                case 4: return sg::Tampering{}.change_result(-ENXIO);
                case 5: return sg::Tampering{}.change_argument(0, 77);  // no such `which`
                default: return sg::Tampering{};
            }
        });
        CHECK(support::printed(tracer, {"results", "6"}) ==
              std::to_string(-EBADF) + " -4096 5 " + std::to_string(-ENXIO) + " " + std::to_string(-EINVAL) + " 20\n");
        CHECK_THROWS_AS(tracer.decide_unchecked([](const sg::Event&) { return sg::Tampering{}; }), sg::Error);
    }
}

TEST_CASE("injections are done to the calls that their counts say, of each thread by itself") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const std::string failed = std::to_string(-ENOSPC);
    const auto results = [&](const char* when) {
        sg::TraceOptions options;
        options.calls = {};
        options.injections = {{{SYS_getpriority}, sg::Tampering::refuse(ENOSPC), sg::When::parse(when)}};
        sg::Tracer tracer{options};
        return support::printed(tracer, {"results", "6"});
    };
    CHECK(results("3") == "20 20 " + failed + " 20 20 20\n");
    CHECK(results("5+") == "20 20 20 20 " + failed + " " + failed + "\n");
    CHECK(results("2+2") == "20 " + failed + " 20 " + failed + " 20 " + failed + "\n");
    CHECK(results("2..3") == "20 " + failed + " " + failed + " 20 20 20\n");
    CHECK(results("1..5+3") == failed + " 20 20 " + failed + " 20 20\n");
}

TEST_CASE("signals and delays are injected") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        options.injections = {{{SYS_getpriority}, sg::Tampering{}.add_signal(SIGUSR2), {2, 2, 1}}};
        const Seen seen = support::trace(options, {"calls", "5"});
        CHECK(seen.end() == 100 + SIGUSR2);
        const auto entered = seen.calls(SYS_getpriority);
        REQUIRE(entered.size() == 2);
        CHECK(entered[1].done == sg::Event::signal_added);

        using namespace std::chrono_literals;
        options.injections = {{{SYS_getpriority}, sg::Tampering{}.delay(20ms, 10ms), {1, 1, 1}}};
        const Seen slow = support::trace(options, {"calls", "2"});
        CHECK(slow.end() == 0);
        const auto calls = slow.calls(SYS_getpriority);
        REQUIRE(calls.size() == 2);
        const auto nanoseconds = [](const timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; };
        CHECK(nanoseconds(calls[1].time) - nanoseconds(calls[0].time) >= 30'000'000);
    }
}

TEST_CASE("a changed argument is back in its register afterwards") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        sg::Tampering all;
        for (int i = 0; i < 6; ++i) all.change_argument(i, 1000U + static_cast<unsigned>(i));
        options.injections = {{{SYS_getpriority}, all, {}}};
        const Seen seen = support::trace(options, {"registers"});
        CHECK(seen.end() == 0);
        REQUIRE(seen.calls(SYS_getpriority).size() == 1);
        CHECK(seen.calls(SYS_getpriority)[0].arguments[5] == 1005);
        CHECK(seen.calls(SYS_getpriority)[0].call.arguments[5] == 15);
        CHECK(seen.calls(SYS_getpriority, Kind::returned)[0].call.result == -EINVAL);
    }
}
