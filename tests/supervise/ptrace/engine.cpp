#include <sysguard/supervise/ptrace/detail/permission.hpp>
#include <sysguard/supervise/ptrace/detail/requests.hpp>
#include <sysguard/supervise/ptrace/detail/task_facts.hpp>
#include <sysguard/supervise/ptrace/detail/tracee.hpp>
#include <sysguard/supervise/ptrace/engine.hpp>

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/forked.hpp"
#include "support/traced.hpp"

namespace sg = sysguard;
namespace ptracing = sysguard::supervise::ptracing;
using sg::supervise::Tracee;
using sg::supervise::TraceeTable;
using support::Kind;
using support::Seen;

TEST_CASE("the table finds tracees by their threads, however many there are, and uses them again") {
    TraceeTable table;
    std::set<Tracee*> places;
    for (pid_t thread = 1; thread <= 1000; ++thread) places.insert(&table.add(thread * 64));
    CHECK(places.size() == 1000);
    CHECK(table.size() == 1000);
    for (pid_t thread = 1; thread <= 1000; ++thread) CHECK(table.find(thread * 64)->thread == thread * 64);
    CHECK(table.find(63) == nullptr);
    table.find(64)->in_call = true;
    table.rename(*table.find(64), 63);
    CHECK(table.find(64) == nullptr);
    CHECK(table.find(63)->in_call);
    table.for_each([&](Tracee& tracee) { table.remove(tracee); });
    CHECK(table.size() == 0);
    for (pid_t thread = 1; thread <= 1000; ++thread) {
        Tracee& again = table.add(thread);
        CHECK(places.count(&again) == 1);
        CHECK_FALSE(again.in_call);
    }
}

TEST_CASE("a walk over the table may add and remove any") {
    TraceeTable table;
    for (pid_t thread = 1; thread <= 100; ++thread) table.add(thread);
    std::set<pid_t> visited;
    table.for_each([&](Tracee& tracee) {
        visited.insert(tracee.thread);
        if (tracee.thread % 3 == 0)
            table.remove(tracee);
        else if (tracee.thread == 50)
            table.add(1000);
    });
    CHECK(visited.size() >= 100);
    CHECK(table.size() == 100 - 33 + 1);
}

TEST_CASE("what wait tells of a stop is read") {
    const auto stop = ptracing::StopStatus::of(0x7f | (SIGTRAP | 0x80) << 8);
    CHECK(stop.is_call);
    const auto event = ptracing::StopStatus::of(0x7f | SIGTRAP << 8 | 7 << 16);
    CHECK(event.stop == ptracing::Stop::seccomp);
    CHECK_FALSE(event.is_call);
    const auto group = ptracing::StopStatus::of(0x7f | SIGTSTP << 8 | 128 << 16);
    CHECK(group.stop == ptracing::Stop::trap);
    CHECK(group.signal == SIGTSTP);
    const auto signal = ptracing::StopStatus::of(0x7f | SIGRTMAX << 8);
    CHECK(signal.stop == ptracing::Stop::none);
    CHECK(signal.signal == SIGRTMAX);
}

TEST_CASE("the kernel's facts on tasks are read") {
    const ptracing::TaskFacts own = ptracing::task_facts(::getpid());
    CHECK(own.process == ::getpid());
    CHECK(own.parent == ::getppid());
    CHECK_FALSE(own.has_ended());
    CHECK(ptracing::task_facts(0x7ffffff0).has_ended());
    CHECK(ptracing::threads_of(::getpid()) == std::vector<pid_t>{::getpid()});
    CHECK(ptracing::threads_of(0x7ffffff0).empty());
    CHECK(ptracing::is_thread_of(::getpid(), ::getpid()));
    CHECK_FALSE(ptracing::is_thread_of(::getpid(), ::getppid()));
}

TEST_CASE("attaching to what is not there, to oneself, or twice says why it cannot be") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::supervise::PtraceEngine engine{{}};
    const auto code_of = [&](pid_t pid) {
        try {
            engine.attach(pid);
        } catch (const sg::Error& error) {
            return error.code().value();
        }
        return 0;
    };
    CHECK(code_of(0x7ffffff0) == ESRCH);
    CHECK(code_of(0) == EINVAL);
    CHECK(code_of(-5) == EINVAL);
    CHECK(code_of(::getpid()) == EPERM);
    const pid_t ended = ::fork();
    if (ended == 0) ::_exit(0);
    siginfo_t info;
    ::waitid(P_PID, static_cast<id_t>(ended), &info, WEXITED | WNOWAIT);
    CHECK(code_of(ended) == ESRCH);
    ::waitpid(ended, nullptr, 0);
    support::Beside program{{"sleep"}};
    CHECK(code_of(program.pid()) == 0);
    CHECK(code_of(program.pid()) == EBUSY);
    sg::supervise::PtraceEngine other{{}};
    CHECK_THROWS_WITH_AS(other.attach(program.pid()), doctest::Contains("another tracer"), sg::Error);
}

TEST_CASE("who may not trace is told why") {
    SYSGUARD_SKIP_UNTRACEABLE();
    if (::geteuid() != 0) SYSGUARD_SKIP("only root can become somebody else");
    const support::Beside program{{"sleep"}};
    const std::string said = support::in_fork([&]() -> std::string {
        if (::setgid(65534) != 0 || ::setuid(65534) != 0) return "no other user";
        sg::supervise::PtraceEngine engine{{}};
        try {
            engine.attach(program.pid());
        } catch (const sg::Error& error) {
            return std::to_string(error.code().value()) + " " + error.step();
        }
        return "attached";
    });
    CHECK(said.rfind(std::to_string(EPERM) + " attach to process", 0) == 0);
    CHECK((said.find("another user") != std::string::npos || said.find("ptrace_scope") != std::string::npos));
}

TEST_CASE("an engine that nobody runs lets go of what it has when it is destroyed") {
    SYSGUARD_SKIP_UNTRACEABLE();
    support::Beside program{{"many_threads", "3"}};
    REQUIRE(support::eventually([&] { return support::status_of(program.pid(), "Threads") == "4"; }));
    {
        sg::supervise::PtraceEngine engine{{}};
        engine.attach(program.pid());
        CHECK(support::status_of(program.pid(), "TracerPid") != "0");
    }
    CHECK(support::status_of(program.pid(), "TracerPid") == "0");
    CHECK(support::eventually([&] { return support::status_of(program.pid(), "State")[0] == 'S'; }));
}
