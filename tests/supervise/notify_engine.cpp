#include <sysguard/supervise/notify_engine.hpp>
#include <sysguard/tracer.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

#include "support/forked.hpp"
#include "support/traced.hpp"

namespace sg = sysguard;
using support::Kind;
using support::Seen;

namespace {

sg::TraceOptions entries_of(sg::CallSet calls) {
    sg::TraceOptions options;
    options.calls = calls;
    options.results = false;
    return options;
}

Seen notified(sg::CallSet calls, std::vector<std::string> arguments) {
    sg::Tracer tracer{entries_of(calls)};
    const Seen seen = support::trace(tracer, support::traced(std::move(arguments)));
    CHECK(tracer.by_notification());
    return seen;
}

}  // namespace

TEST_CASE("entries of chosen calls are told of by notification, with their arguments, and the calls run") {
    const Seen seen = notified({SYS_getpriority}, {"calls", "3"});
    CHECK(seen.end() == 0);
    REQUIRE(seen.events.size() == 5);
    CHECK(seen.events[0].kind == Kind::executed);
    for (std::size_t i = 0; i < 3; ++i) {
        const sg::Event& event = seen.events[i + 1];
        CHECK(event.kind == Kind::entered);
        CHECK(event.call.number == SYS_getpriority);
        CHECK(event.call.arguments[1] == i);
        CHECK(event.call.instruction_pointer != 0);
        CHECK(event.thread == seen.first);
        CHECK(event.process == seen.first);
    }
    CHECK(seen.events[4].kind == Kind::exited);
}

TEST_CASE("both engines see the same entries") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const auto entries = [](const Seen& seen) {
        std::vector<std::pair<int, std::uint64_t>> list;
        for (const sg::Event& event : seen.of(Kind::entered))
            if (!sg::supervise::NotifyEngine::untold().contains(event.call.number))
                list.emplace_back(event.call.number,
                                  event.call.abi == sg::abi::native_abi ? event.call.arguments[2] : 0);
        return list;
    };
    Seen of_ptrace = support::trace({}, {"calls", "20"});
    auto expected = entries(of_ptrace);
    REQUIRE(expected.size() > 20);
    expected.erase(expected.begin());  // the execve that starts it
    const auto found = entries(notified(sg::CallSet::all(), {"calls", "20"}));
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i].first == expected[i].first);
}

TEST_CASE("threads, processes and other programs are told of, each by its own ids") {
    for (const char* const way : {"fork", "vfork", "clone", "clone_untraced"}) {
        const Seen seen = notified({SYS_getpriority}, {"start", way});
        const auto calls = seen.calls(SYS_getpriority);
        REQUIRE(calls.size() == 1);
        CHECK(calls[0].process != seen.first);
        CHECK(calls[0].process == calls[0].thread);
        CHECK(seen.end() == (std::string{way} == "vfork" ? 0 : 5));
    }
    const Seen threads = notified({SYS_getpriority}, {"threads", "10"});
    CHECK(threads.calls(SYS_getpriority).size() == 10);
    for (const sg::Event& event : threads.calls(SYS_getpriority)) {
        CHECK(event.process == threads.first);
        CHECK(event.thread != threads.first);
    }
    CHECK(notified({SYS_execve}, {"storm", "20"}).calls(SYS_execve).size() == 20);
    CHECK(notified({SYS_getpriority}, {"thread_exec"}).calls(SYS_getpriority).size() == 2);
}

TEST_CASE("signals reach a program that is seen by notification, and its calls start again") {
    CHECK(notified({SYS_getpriority, SYS_rt_sigprocmask, SYS_rt_sigqueueinfo}, {"signals", "500"}).end() == 0);
    CHECK(notified(sg::CallSet::all(), {"restart"}).end() == 0);
    CHECK(notified({SYS_getpriority}, {"stop", std::to_string(SIGTERM)}).end() == 100 + SIGTERM);
}

TEST_CASE("what only ptrace can tell is left to ptrace") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions with_signals = entries_of({SYS_getpriority});
    with_signals.signals = true;
    sg::TraceOptions untold = entries_of({SYS_close});
    for (const sg::TraceOptions& options : {with_signals, untold}) {
        sg::Tracer tracer{options};
        CHECK(support::trace(tracer, support::traced({"calls", "1"})).end() == 0);
        CHECK_FALSE(tracer.by_notification());
    }
    sg::Tracer tracer{entries_of({SYS_getpriority})};
    support::trace(tracer, support::traced({"calls", "1"}));
    CHECK_THROWS_AS(tracer.attach(::getppid()), sg::Error);
}

TEST_CASE("where the host runs under a filter with a listener, ptrace takes the place of notification") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const std::string said = support::in_fork([]() -> std::string {
        sock_filter code[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                              {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_sysinfo},
                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
        const sock_fprog program{4, code};
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        const long listener =
            ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        if (listener < 0) return "no listener";
        sg::Tracer tracer{entries_of({SYS_getpriority})};
        const Seen seen = support::trace(tracer, support::traced({"calls", "3"}));
        return std::to_string(seen.end()) + " " + std::to_string(seen.calls(SYS_getpriority).size()) +
               (tracer.by_notification() ? " by notification" : " by ptrace");
    });
    if (said == "no listener") SYSGUARD_SKIP("the tests themselves run under a filter with a listener");
    CHECK(said == "0 3 by ptrace");
}

TEST_CASE("a program that cannot be started by notification says why") {
    sg::Tracer tracer{entries_of({SYS_getpriority})};
    const auto code_of = [&](std::vector<std::string> command) {
        try {
            tracer.start(std::move(command));
        } catch (const sg::Error& error) {
            return error.code().value();
        }
        return 0;
    };
    CHECK(code_of({"/does/not/exist"}) == ENOENT);
    CHECK(code_of({}) == EINVAL);
    CHECK(support::trace(tracer, support::traced({"calls", "1"})).end() == 0);
}

TEST_CASE("stopping, and what the callback throws, kill what is seen by notification") {
    sg::Tracer tracer{entries_of({SYS_getpriority})};
    Seen seen;
    seen.first = tracer.start(support::traced({"many_threads", "2"}), support::silent()).pid;
    bool called = false;
    std::thread other{[&] {
        CHECK(support::eventually([&] { return __atomic_load_n(&called, __ATOMIC_ACQUIRE); }));
        tracer.stop();
    }};
    tracer.run([&](const sg::Event& event) {
        seen(event);
        if (event.kind == Kind::entered) __atomic_store_n(&called, true, __ATOMIC_RELEASE);
    });
    other.join();
    CHECK(seen.end() == 100 + SIGKILL);
    const pid_t pid = tracer.start(support::traced({"calls", "100"}), support::silent()).pid;
    CHECK_THROWS_AS(tracer.run([](const sg::Event&) { throw std::runtime_error{"enough"}; }), std::runtime_error);
    CHECK_FALSE(support::lives(pid));
}

#if defined(__x86_64__)
TEST_CASE("a 32-bit program's calls are told of by their own numbers by notification, too") {
    if (::access(support::helper("compat").c_str(), X_OK) != 0) SYSGUARD_SKIP("the compiler makes no 32-bit programs");
    sg::Tracer tracer{entries_of({SYS_getpriority})};
    const Seen seen = support::trace(tracer, {support::helper("compat"), "96", "0", "0", "then", "20"});
    if (seen.end() != 0) SYSGUARD_SKIP("this kernel runs no 32-bit programs");
    REQUIRE(seen.of(Kind::entered).size() == 1);
    CHECK(seen.of(Kind::entered)[0].call.abi == sg::abi::Abi::i386);
    CHECK(seen.of(Kind::entered)[0].call.number == 96);
}
#endif
