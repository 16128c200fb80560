// What comes of a traced thread: processes, threads, other programs.
#include <sysguard/foreign.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/tracer.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/traced.hpp"

namespace sg = sysguard;
using support::Kind;
using support::Origin;
using support::Seen;

namespace {

/// The one event that told of a child.
sg::Event child_of(const Seen& seen) {
    const auto started = seen.of(Kind::started);
    REQUIRE(started.size() == 1);
    return started[0];
}

}  // namespace

TEST_CASE("what a program starts is traced from its beginning, in whichever way it starts it") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const std::map<std::string, Origin> ways{
        {"fork", Origin::fork}, {"vfork", Origin::vfork}, {"clone", Origin::clone}, {"clone3", Origin::fork}};
    for (const auto& [way, origin] : ways)
        for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
            CAPTURE(way);
            const Seen seen = support::trace(options, {"start", way});
            const sg::Event child = child_of(seen);
            CHECK(child.origin == origin);
            CHECK(child.parent == seen.first);
            CHECK(child.process == child.thread);
            const auto calls = seen.calls(SYS_getpriority, Kind::returned);
            REQUIRE(calls.size() == 1);
            CHECK(calls[0].process == child.process);
            CHECK(seen.end_of(child.thread) == (way == "vfork" ? 0 : 5));
            CHECK(seen.end() == (way == "vfork" ? 0 : 5));
            CHECK(seen.of(Kind::executed).size() == (way == "vfork" ? 2 : 1));
            CHECK(seen.of(Kind::lost).empty());
        }
}

TEST_CASE("a child that asks to be untraced is traced all the same") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (const char* const way : {"clone_untraced", "clone3_untraced"})
        for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
            CAPTURE(way);
            const Seen seen = support::trace(options, {"start", way});
            const sg::Event child = child_of(seen);
            REQUIRE(seen.calls(SYS_getpriority).size() == 1);
            CHECK(seen.calls(SYS_getpriority)[0].process == child.process);
            CHECK(seen.end() == 5);
            const auto clones = seen.calls(SYS_clone);
            REQUIRE(clones.size() == 1);
            CHECK(clones[0].done == sg::Event::arguments_changed);
            const auto refused = seen.calls(SYS_clone3);
            CHECK(refused.size() == (std::string{way} == "clone3_untraced" ? 1 : 0));
            for (const sg::Event& event : refused) CHECK(event.result == -ENOSYS);
        }
}

TEST_CASE("a child that gets away, as the flag came behind the look at it, is told of as lost, and caught again") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        const Seen seen = support::trace(options, {"flip", "30"});
        CHECK(seen.end() == 0);
        std::set<pid_t> told;
        for (const sg::Event& event : seen.of(Kind::started)) told.insert(event.process);
        told.erase(seen.first);
        std::set<pid_t> lost;
        for (const sg::Event& event : seen.of(Kind::lost)) {
            CHECK(event.parent == seen.first);
            lost.insert(event.thread);
        }
        for (const pid_t process : lost) CHECK(told.count(process) == 0);
        CHECK(told.size() + lost.size() == 30);  // none without a word
        const auto calls = seen.calls(SYS_getpriority);
        CHECK(calls.size() >= told.size());
        MESSAGE("lost: ", lost.size(), ", of which ", calls.size() - told.size(), " were caught before their call");
    }
}

TEST_CASE("without following, such a child gets away: so the flag does what the tracer guards against") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions options;
    options.calls = {SYS_getpriority};
    options.follow = sg::Follow::threads;
    for (const char* const way : {"clone_untraced", "fork"}) {
        const Seen seen = support::trace(options, {"start", way});
        CHECK(seen.end() == 5);
        CHECK(seen.of(Kind::started).empty());
        CHECK(seen.of(Kind::entered).empty());
    }
}

TEST_CASE("threads are traced, and those that are not followed are let go") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        const Seen seen = support::trace(options, {"threads", "20"});
        CHECK(seen.end() == 0);
        const auto started = seen.of(Kind::started);
        CHECK(started.size() == 20);
        for (const sg::Event& event : started) {
            CHECK(event.origin == Origin::thread);
            CHECK(event.process == seen.first);
            CHECK(event.thread != seen.first);
        }
        std::set<pid_t> threads;
        for (const sg::Event& event : seen.calls(SYS_getpriority, Kind::returned)) {
            threads.insert(event.thread);
            CHECK(event.process == seen.first);
        }
        CHECK(seen.calls(SYS_getpriority, Kind::returned).size() == 20);
        CHECK(seen.of(Kind::exited).size() == 21);
    }
    sg::TraceOptions options;
    options.calls = {SYS_getpriority};
    options.follow = sg::Follow::threads;
    CHECK(support::trace(options, {"threads", "5"}).calls(SYS_getpriority).size() == 5);
    options.follow = sg::Follow::nothing;
    const Seen seen = support::trace(options, {"threads", "5"});
    CHECK(seen.calls(SYS_getpriority).empty());
    CHECK(seen.end() == 0);
}

TEST_CASE("a program that executes another is traced on, under the same id") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority, SYS_execve})) {
        const Seen seen = support::trace(options, {"exec"});
        CHECK(seen.end() == 0);
        CHECK(seen.of(Kind::executed).size() == 2);
        CHECK(seen.calls(SYS_execve).size() == 2);
        CHECK(seen.calls(SYS_execve, Kind::returned).size() == 2);
        CHECK(seen.calls(SYS_getpriority).size() == 2);
    }
}

TEST_CASE("a thread that executes takes over its process's id, and the others end") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority, SYS_execve}))
        for (int round = 0; round < 5; ++round) {
            const Seen seen = support::trace(options, {"thread_exec"});
            CHECK(seen.end() == 0);
            const auto executed = seen.of(Kind::executed);
            REQUIRE(executed.size() == 2);
            CHECK(executed[1].thread == seen.first);
            CHECK(executed[1].former != seen.first);
            CHECK(seen.of(Kind::started).size() == 4);
            const auto returned = seen.calls(SYS_execve, Kind::returned);
            REQUIRE(returned.size() == 2);
            CHECK(returned[1].thread == seen.first);
            CHECK(returned[1].call.result == 0);
            CHECK(seen.calls(SYS_getpriority).size() == 2);
        }
}

TEST_CASE("a storm of programs and a bounded bomb of forks are traced to their ends") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_execve})) {
        const Seen storm = support::trace(options, {"storm", "50"});
        CHECK(storm.end() == 0);
        CHECK(storm.of(Kind::executed).size() == 51);
        CHECK(storm.calls(SYS_execve, Kind::returned).size() == 51);
        const Seen bomb = support::trace(options, {"bomb", "6"});
        CHECK(bomb.end() == 0);
        CHECK(bomb.of(Kind::started).size() == 126);
        CHECK(bomb.of(Kind::exited).size() == 127);
        for (const sg::Event& event : bomb.of(Kind::started)) CHECK(event.origin == Origin::fork);
    }
}

TEST_CASE("on a busy machine, too, it is told whose child each is, and no time is lost") {
    SYSGUARD_SKIP_UNTRACEABLE();
    std::vector<pid_t> busy;
    for (unsigned i = 0; i < 3 * std::thread::hardware_concurrency() && i < 12; ++i) {
        busy.push_back(::fork());
        if (busy.back() != 0) continue;
        ::alarm(30);
        for (volatile bool goes_on = true; goes_on;) {
        }
    }
    for (sg::TraceOptions& options : support::both_ways({SYS_execve})) {
        const Seen bomb = support::trace(options, {"bomb", "6"});
        CHECK(bomb.end() == 0);
        CHECK(bomb.of(Kind::started).size() == 126);
        CHECK(bomb.of(Kind::exited).size() == 127);
        for (const sg::Event& event : bomb.of(Kind::started)) CHECK(event.origin == Origin::fork);
    }
    for (const pid_t process : busy) {
        CHECK(::waitpid(process, nullptr, WNOHANG) == 0);  // it was busy all the time: less than half a minute
        ::kill(process, SIGKILL);
        ::waitpid(process, nullptr, 0);
    }
}

TEST_CASE("a tracee can neither become traced by its parent nor trace its children") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions options;
    options.calls = {SYS_ptrace};
    const Seen seen = support::trace(options, {"trace"});
    CHECK(seen.end() == 0);
    const auto returned = seen.calls(SYS_ptrace, Kind::returned);
    REQUIRE(returned.size() == 2);
    for (const sg::Event& event : returned) CHECK(event.call.result == -EPERM);
}

TEST_CASE("a filter of the program's own that asks a tracer has none, as without this one") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        const Seen seen = support::trace(options, {"own_filter"});
        CHECK(seen.end() == 0);
        REQUIRE(seen.calls(SYS_getpriority, Kind::returned).size() == 1);
        CHECK(seen.calls(SYS_getpriority, Kind::returned)[0].call.result == -ENOSYS);
    }
}

TEST_CASE("threads that are about to end are told of while their memory is there") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions options;
    options.calls = {};
    options.endings = true;
    sg::Tracer tracer{options};
    const pid_t first = tracer.start(support::traced({"stop", "10"}), support::silent()).pid;  // raises SIGUSR1
    int endings = 0;
    tracer.run([&](const sg::Event& event) {
        if (event.kind != Kind::ending) return;
        ++endings;
        CHECK(event.status == SIGUSR1);
        CHECK(::access(("/proc/" + std::to_string(first) + "/exe").c_str(), F_OK) == 0);
    });
    CHECK(endings == 1);
}

TEST_CASE("a 32-bit program's calls are told of by their own numbers, and kept from running") {
    SYSGUARD_SKIP_UNTRACEABLE();
    if (::access(support::helper("compat").c_str(), X_OK) != 0) SYSGUARD_SKIP("the compiler makes no 32-bit programs");
    const std::vector<std::string> command{
        support::helper("compat"), "96", "0", "0", "then", "20"};  // getpriority, getpid
    const auto of_compat = [](const Seen& seen, int number, Kind kind) {
        std::vector<sg::Event> found;
        for (const sg::Event& event : seen.of(kind))
            if (event.call.abi == sg::abi::compat_abi && event.call.number == number) found.push_back(event);
        return found;
    };
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        sg::Tracer tracer{options};
        const Seen seen = support::trace(tracer, command);
        if (seen.end() == 127) SYSGUARD_SKIP("this kernel runs no 32-bit programs");
        CHECK(seen.end() == 0);
        CHECK(seen.of(Kind::entered).size() == 1);
        REQUIRE(of_compat(seen, 96, Kind::returned).size() == 1);
        CHECK(of_compat(seen, 96, Kind::returned)[0].call.result == 20);

        options.injections = {{{SYS_getpriority}, sg::Tampering::refuse(ENOSPC), {}}};
        sg::Tracer refusing{options};
        const Seen refused = support::trace(refusing, command);
        REQUIRE(of_compat(refused, 96, Kind::returned).size() == 1);
        CHECK(of_compat(refused, 96, Kind::returned)[0].call.result == -ENOSPC);

        sg::Tampering other;
        other.change_argument(0, 99);
        options.injections = {{{SYS_getpriority}, other, {}}};
        sg::Tracer changing{options};
        const Seen changed = support::trace(changing, command);
        REQUIRE(of_compat(changed, 96, Kind::returned).size() == 1);
        CHECK(of_compat(changed, 96, Kind::returned)[0].call.result == -EINVAL);

        options.injections = {{{SYS_getpriority}, sg::Tampering{}.change_result(0x1234), {}}};
        sg::Tracer lying{options};
        const Seen told = support::trace(lying, command);
        REQUIRE(of_compat(told, 96, Kind::returned).size() == 1);
        CHECK(told.of(Kind::returned)[0].result == 0x1234);
    }
}

TEST_CASE("a policy that is kept by tracing says what becomes of a 32-bit program") {
    SYSGUARD_SKIP_UNTRACEABLE();
    if (::access(support::helper("compat").c_str(), X_OK) != 0) SYSGUARD_SKIP("the compiler makes no 32-bit programs");
    const std::vector<std::string> command{support::helper("compat"), "96", "0", "0"};
    for (sg::TraceOptions& options : support::both_ways({})) {
        sg::Tracer untouched{options};
        if (support::trace(untouched, command).end() != 0) SYSGUARD_SKIP("this kernel runs no 32-bit programs");

        constexpr sg::Policy native{sg::otherwise.allow()};
        sg::Tracer killing{options, native};
        CHECK(support::trace(killing, command).end() == 100 + SIGKILL);

        constexpr sg::Policy denying{sg::foreign.deny(EXDEV), sg::otherwise.allow()};
        sg::Tracer refusing{options, denying};
        const Seen refused = support::trace(refusing, command);
        REQUIRE(!refused.of(Kind::returned).empty());
        for (const sg::Event& event : refused.of(Kind::returned)) CHECK(event.call.result == -EXDEV);

        constexpr sg::Policy admitting{sg::Rule<SYS_getpriority>{}.deny(EXFULL), sg::admit<sg::abi::compat_abi>,
                                       sg::otherwise.allow()};
        sg::Tracer keeping{options, admitting};
        const Seen kept = support::trace(keeping, command);
        CHECK(kept.end() == 0);
        REQUIRE(kept.of(Kind::returned).size() == 1);
        CHECK(kept.of(Kind::returned)[0].call.number == 96);
        CHECK(kept.of(Kind::returned)[0].call.result == -EXFULL);
    }
}
