#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/skip.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::Outcome;
using Kind = sg::Outcome::Kind;
using support::anything;
using support::has;
using support::helper;
using support::lines;
using support::static_program;
using support::with_processes;

namespace {

/// A worker that makes a call and goes on, while its host is killed.
template <class Call, class Ready>
void check_dies_with_host(Call call, Ready is_ready) {
    auto* const pid =
        static_cast<volatile pid_t*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t host = ::fork();
    if (host == 0) {
        (void)sg::Sandbox{anything, {.credentials = {.capabilities = sg::Capabilities::kept()}}}.call([pid, call] {
            *pid = ::getpid();
            call();
            for (;;) ::pause();
        });
        ::_exit(0);
    }
    CHECK(support::eventually([&] { return *pid != 0 && is_ready(*pid); }));
    const pid_t worker = *pid;
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(support::eventually([worker] { return !support::lives(worker); }));
    ::munmap(const_cast<pid_t*>(pid), 4096);
}

/// A line of /proc/<pid>/status or /proc/<pid>/comm.
bool says(pid_t pid, const char* file, const std::string& words) {
    std::ifstream stream{"/proc/" + std::to_string(pid) + "/" + file};
    const std::string text{std::istreambuf_iterator<char>{stream}, {}};
    return has(text, words);
}

}  // namespace

TEST_CASE("a crash is the signal that it was") {
    const sg::Sandbox box{static_program};
    const Outcome crash = box.run({helper("behave"), "crash"});
    CHECK(crash.kind() == Kind::signalled);
    CHECK(crash.signal() == SIGSEGV);
    CHECK(has(crash.explain(), "SIGSEGV"));
    const Outcome aborted = box.run({helper("behave"), "abort"});
    CHECK(aborted.kind() == Kind::signalled);
    CHECK(aborted.signal() == SIGABRT);
}

TEST_CASE("abort() of itself is let through, and of nobody else") {
    const pid_t bystander = ::fork();
    if (bystander == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto other =
        sg::Sandbox{static_program}.call([bystander] { ::syscall(SYS_tgkill, bystander, bystander, SIGABRT); });
    CHECK(other.outcome().kind() == Kind::violation);
    const auto other_signal =
        sg::Sandbox{static_program}.call([] { ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGUSR1); });
    CHECK(other_signal.outcome().kind() == Kind::violation);
    CHECK(support::lives(bystander));
    ::kill(bystander, SIGKILL);
    ::waitpid(bystander, nullptr, 0);
}

TEST_CASE("wall-clock time ends a worker that waits, processor time one that works") {
    const Outcome sleeps = sg::Sandbox{with_processes, {.limits = {.wall = 100ms}}}.run({helper("behave"), "sleep"},
                                                                                        {.output = sg::Stdio::null()});
    CHECK(sleeps.kind() == Kind::timed_out);
    CHECK(has(sleeps.explain(), "wall-clock time of 100 ms"));
    CHECK(sleeps.usage().wall >= 100ms);
    const Outcome spins = sg::Sandbox{static_program, {.limits = {.cpu = 1s}}}.run({helper("behave"), "spin"});
    CAPTURE(spins.explain());
    CHECK(spins.kind() == Kind::timed_out);
    CHECK(has(spins.explain(), "processor time of 1000 ms"));
    CHECK(spins.usage().user + spins.usage().system > 100ms);  // the kernel counts for the limit in ticks
}

TEST_CASE("signals that look like a limit or a violation are what they are") {
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::allow<SYS_tgkill>, sg::otherwise.kill()};
    const sg::Sandbox box{policy, {.limits = {.cpu = 10s}}};
    for (const int signal : {SIGXCPU, SIGSYS, SIGKILL}) {
        const Outcome outcome = box.run({helper("behave"), "signal", std::to_string(signal)});
        CAPTURE(outcome.explain());
        CHECK(outcome.kind() == Kind::signalled);
        CHECK(outcome.signal() == signal);
    }
}

TEST_CASE("no signal that a worker ignores keeps it alive") {
    const Outcome outcome = sg::Sandbox{anything, {.limits = {.wall = 200ms}}}.run({helper("behave"), "ignore"});
    CHECK(outcome.kind() == Kind::timed_out);
}

TEST_CASE("what a worker leaves behind is killed with it") {
    const sg::Sandbox box{with_processes};
    const Outcome outcome = box.run({helper("behave"), "leave", "4"}, {.output = sg::Stdio::capture()});
    CAPTURE(outcome.explain());
    CHECK(outcome);
    for (const std::string& line : lines(outcome.output())) CHECK_FALSE(support::lives(std::atoi(line.c_str())));
}

TEST_CASE("what a worker started is killed with it when its time is over") {
    const sg::Sandbox box{with_processes, {.limits = {.wall = 500ms}}};
    const Outcome outcome = box.run({helper("behave"), "gather", "4"}, {.output = sg::Stdio::capture()});
    CHECK(outcome.kind() == Kind::timed_out);
    const auto pids = lines(outcome.output());
    CHECK(pids.size() == 4);
    for (const std::string& line : pids) CHECK_FALSE(support::lives(std::atoi(line.c_str())));
}

TEST_CASE("a worker dies with the host, and so does what it started, even where the host is killed") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t host = ::fork();
    if (host == 0) {
        const sg::Sandbox box{with_processes};
        (void)box.run({helper("behave"), "gather", "4"}, {.output = sg::Stdio::from(ends[1])});
        ::_exit(0);
    }
    ::close(ends[1]);
    std::vector<pid_t> pids;
    std::FILE* const stream = ::fdopen(ends[0], "r");
    for (int pid = 0; pids.size() < 4 && std::fscanf(stream, "%d", &pid) == 1;) pids.push_back(pid);
    REQUIRE(pids.size() == 4);
    for (const pid_t pid : pids) CHECK(support::lives(pid));
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    for (const pid_t pid : pids) CHECK(support::eventually([pid] { return !support::lives(pid); }));
    std::fclose(stream);
}

TEST_CASE("a function in a worker dies with the host") {
    auto* const pid =
        static_cast<volatile pid_t*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t host = ::fork();
    if (host == 0) {
        (void)sg::Sandbox{anything}.call([pid] {
            *pid = ::getpid();
            for (;;) ::pause();
        });
        ::_exit(0);
    }
    REQUIRE(support::eventually([pid] { return *pid != 0; }));
    const pid_t worker = *pid;
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(support::eventually([worker] { return !support::lives(worker); }));
    ::munmap(const_cast<pid_t*>(pid), 4096);
}

TEST_CASE("a worker that cancels its death with the host dies with it all the same") {
    check_dies_with_host(
        [] {
            ::prctl(PR_SET_PDEATHSIG, 0);
            ::prctl(PR_SET_NAME, "ready");
        },
        [](pid_t pid) { return says(pid, "comm", "ready"); });
}

TEST_CASE("a worker that executes from a second thread, which does not die with the host, dies with it") {
    const std::string program = helper("behave");
    check_dies_with_host(
        [program] { std::thread{[program] { ::execl(program.c_str(), "behave", "sleep", nullptr); }}.join(); },
        [](pid_t pid) { return says(pid, "comm", "helper_behave"); });
}

TEST_CASE("a worker that changes its credentials, so that the kernel forgets its death with the host, dies with it") {
    if (::getuid() != 0) SYSGUARD_SKIP("only root may change its user");
    check_dies_with_host([] { ::syscall(SYS_setresuid, 65534, 65534, 65534); },
                         [](pid_t pid) { return says(pid, "status", "Uid:\t65534"); });
}
