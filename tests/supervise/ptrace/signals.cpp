// Signals, job control, and how tracees die.
#include <sysguard/foreign.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/tracer.hpp>

#include <doctest/doctest.h>

#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/scratch.hpp"
#include "support/traced.hpp"

namespace sg = sysguard;
using support::Beside;
using support::Kind;
using support::Seen;

TEST_CASE("queued signals arrive in their order with all that came with them, by the thousand") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
        options.signals = true;
        const Seen seen = support::trace(options, {"signals", "2000"});
        CHECK(seen.end() == 0);
        int next = 0;
        for (const sg::Event& event : seen.of(Kind::signalled)) {
            if (event.signal != SIGRTMIN) continue;
            CHECK(event.info.si_code == SI_QUEUE);
            CHECK(event.info.si_value.sival_int == next++);
        }
        CHECK(next == 2000);
    }
}

TEST_CASE("calls that signals interrupt start again, and sleeps go on where they were") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions all;
    CHECK(support::trace(all, {"restart"}).end() == 0);
    for (sg::TraceOptions& options : support::both_ways({SYS_getpriority}))
        CHECK(support::trace(options, {"restart"}).end() == 0);
}

TEST_CASE("a signal that kills, kills") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions options;
    options.signals = true;
    for (const int signal : {SIGTERM, SIGUSR1, SIGRTMAX, SIGKILL}) {
        const Seen seen = support::trace(options, {"stop", std::to_string(signal)});
        CHECK(seen.end() == 100 + signal);
        if (signal != SIGKILL) CHECK(seen.of(Kind::signalled).back().signal == signal);
    }
    CHECK(support::trace(options, {"crash"}).end() == 100 + SIGABRT);
}

TEST_CASE("job control stops a tracee until it is continued, as it would without a tracer") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (const int stop : {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU})
        for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
            sg::Tracer tracer{options};
            Seen seen;
            const pid_t pid = seen.first =
                tracer.start(support::traced({"stop", std::to_string(stop)}), support::silent()).pid;
            enum State : int { runs, stopped, over };
            int state = runs;
            std::thread other{[&] {
                CHECK(support::eventually([&] { return __atomic_load_n(&state, __ATOMIC_ACQUIRE) != runs; }));
                if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == stopped) ::kill(pid, SIGCONT);
            }};
            tracer.run([&](const sg::Event& event) {
                seen(event);
                if (event.kind == Kind::stopped) __atomic_store_n(&state, stopped, __ATOMIC_RELEASE);
            });
            int still = runs;  // it never stopped, and nobody is to wait for that
            __atomic_compare_exchange_n(&state, &still, over, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
            other.join();
            if (seen.of(Kind::stopped).empty() && stop != SIGSTOP) continue;  // its process group is an orphan
            CHECK(seen.end() == 7);
            REQUIRE(seen.of(Kind::stopped).size() == 1);
            CHECK(seen.of(Kind::stopped)[0].signal == stop);
            CHECK(seen.of(Kind::continued).size() == 1);
            CHECK(seen.calls(SYS_getpriority).size() == 2);
        }
}

TEST_CASE("a tracee may be killed at every kind of stop") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const auto kill_at = [](Kind kind, std::vector<std::string> arguments, long call = -1) {
        for (sg::TraceOptions& options : support::both_ways({SYS_getpriority})) {
            options.signals = options.endings = true;
            sg::Tracer tracer{options};
            Seen seen;
            seen.first = tracer.start(support::traced(arguments), support::silent()).pid;
            bool is_dead = false;
            tracer.run([&](const sg::Event& event) {
                seen(event);
                if (event.kind != kind || (call >= 0 && event.call.number != call) || std::exchange(is_dead, true))
                    return;
                ::kill(event.process, SIGKILL);
                if (event.process != seen.first) ::kill(seen.first, SIGKILL);
            });
            CHECK(is_dead);
            CHECK(seen.end() == 100 + SIGKILL);
        }
    };
    kill_at(Kind::entered, {"calls", "2"}, SYS_getpriority);
    kill_at(Kind::returned, {"calls", "2"}, SYS_getpriority);
    kill_at(Kind::executed, {"calls", "2"});
    kill_at(Kind::started, {"start", "fork"});
    kill_at(Kind::started, {"start", "vfork"});
    kill_at(Kind::started, {"threads", "2"});
    kill_at(Kind::signalled, {"stop", "10"});
    kill_at(Kind::stopped, {"stop", "19"});
}

TEST_CASE("a tracee that is killed while it is held, or in a call, ends, and so does the run") {
    SYSGUARD_SKIP_UNTRACEABLE();
    using namespace std::chrono_literals;
    sg::TraceOptions options;
    options.calls = {SYS_getpriority, SYS_ppoll, SYS_rt_sigsuspend};
    options.injections = {{{SYS_getpriority}, sg::Tampering{}.delay(10min), {}}};
    for (const char* const what : {"calls", "many_threads"}) {
        sg::Tracer tracer{options};
        Seen seen;
        const pid_t pid = seen.first = tracer.start(support::traced({what, "3"}), support::silent()).pid;
        bool held = false;
        std::thread other{[&] {
            CHECK(support::eventually([&] { return __atomic_load_n(&held, __ATOMIC_ACQUIRE); }));
            ::kill(pid, SIGKILL);
        }};
        tracer.run([&](const sg::Event& event) {
            seen(event);
            if (event.kind == Kind::entered && event.call.number == SYS_getpriority)
                __atomic_store_n(&held, true, __ATOMIC_RELEASE);
        });
        other.join();
        CHECK(seen.end() == 100 + SIGKILL);
    }
}

namespace {

/// A program whose threads count in shared memory.
struct Counting {
    Counting() {
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CHECK(::ftruncate(file, 4096) == 0);
        counters = static_cast<std::uint64_t*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
        ::close(file);
    }
    ~Counting() { ::munmap(counters, 4096); }
    bool all_go_on() const {
        std::uint64_t before[threads];
        for (int i = 0; i < threads; ++i) before[i] = __atomic_load_n(&counters[i], __ATOMIC_RELAXED);
        return support::eventually([&] {
            for (int i = 0; i < threads; ++i)
                if (__atomic_load_n(&counters[i], __ATOMIC_RELAXED) <= before[i] + 10) return false;
            return true;
        });
    }
    static constexpr int threads = 4;
    support::Scratch scratch{};
    std::string path = scratch.path() + "/counters";
    std::uint64_t* counters = nullptr;
};

}  // namespace

TEST_CASE("a process that runs is attached to with all threads, and goes on unharmed when it is let go") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const Counting counting;
    Beside program{{"count", counting.path, std::to_string(Counting::threads)}};
    REQUIRE(counting.all_go_on());
    for (int round = 0; round < 10; ++round) {
        sg::Tracer tracer;
        tracer.attach(program.pid());
        Seen seen;
        int calls = 0;
        tracer.run([&](const sg::Event& event) {
            if (event.kind == Kind::attached || event.kind == Kind::detached) seen(event);
            if (event.kind == Kind::returned && ++calls == 100) tracer.detach(program.pid());
        });
        CHECK(calls >= 100);
        CHECK(seen.of(Kind::attached).size() == Counting::threads);
        CHECK(seen.of(Kind::detached).size() == Counting::threads);
        CHECK(support::status_of(program.pid(), "TracerPid") == "0");
        CHECK(support::status_of(program.pid(), "SigPnd") == "0000000000000000");
        CHECK(support::status_of(program.pid(), "ShdPnd") == "0000000000000000");
        CHECK(counting.all_go_on());
    }
    CHECK(WTERMSIG(program.end()) == SIGKILL);
}

TEST_CASE("threads that are made while a process is attached to are traced, too") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (int round = 0; round < 5; ++round) {
        Beside program{{"threads", "300"}};
        REQUIRE(support::eventually([&] { return support::status_of(program.pid(), "Name") == "helper_traced"; }));
        sg::TraceOptions options;
        options.calls = {SYS_getpriority};
        sg::Tracer tracer{options};
        Seen seen;
        try {
            tracer.attach(program.pid());
        } catch (const sg::Error&) {
            continue;  // it has ended already
        }
        tracer.run(seen);
        CHECK(seen.end_of(program.pid()) == 0);
        std::size_t threads = seen.of(Kind::started).size();
        for (const sg::Event& event : seen.of(Kind::attached)) threads += event.thread != event.process;
        CHECK(threads >= seen.calls(SYS_getpriority).size());
        CHECK(seen.of(Kind::exited).size() == threads + 1);
    }
}

TEST_CASE("a process that job control has stopped is attached to and let go stopped") {
    SYSGUARD_SKIP_UNTRACEABLE();
    Beside program{{"many_threads", "3"}};
    REQUIRE(support::eventually([&] { return support::status_of(program.pid(), "Threads") == "4"; }));
    ::kill(program.pid(), SIGSTOP);
    REQUIRE(support::eventually([&] { return support::status_of(program.pid(), "State")[0] == 'T'; }));
    sg::Tracer tracer;
    tracer.attach(program.pid());
    Seen seen;
    int stopped = 0;
    std::thread runner{[&] {
        tracer.run([&](const sg::Event& event) {
            seen(event);
            if (event.kind == Kind::stopped) __atomic_add_fetch(&stopped, 1, __ATOMIC_ACQ_REL);
        });
    }};
    CHECK(support::eventually([&] { return __atomic_load_n(&stopped, __ATOMIC_ACQUIRE) == 4; }));
    tracer.detach(program.pid());
    runner.join();
    CHECK(seen.of(Kind::detached).size() == 4);
    CHECK(seen.of(Kind::entered).empty());
    CHECK(support::eventually([&] { return support::status_of(program.pid(), "State")[0] == 'T'; }));
    ::kill(program.pid(), SIGCONT);
    CHECK(support::eventually([&] { return support::status_of(program.pid(), "State")[0] == 'S'; }));
}

namespace {

pid_t handled_in = 0;
int children_told = 0;

void note_child(int) {
    const auto thread = static_cast<pid_t>(::syscall(SYS_gettid));
    if (handled_in == 0 || thread != ::getpid()) handled_in = thread;
    ++children_told;
}

}  // namespace

TEST_CASE("a host's handler for SIGCHLD runs in none of the tracer's threads") {
    SYSGUARD_SKIP_UNTRACEABLE();
    struct sigaction action {};
    action.sa_handler = note_child;
    action.sa_flags = SA_RESTART;
    struct sigaction before {};
    ::sigaction(SIGCHLD, &action, &before);
    sg::TraceOptions options;
    options.calls = {SYS_getpriority};
    CHECK(support::trace(options, {"calls", "50"}).end() == 0);
    ::sigaction(SIGCHLD, &before, nullptr);
    CHECK(children_told > 0);
    CHECK(handled_in == ::getpid());
    CHECK(support::trace(options, {"calls", "50"}).end() == 0);
}

TEST_CASE("a thread in vfork, which nothing stops, does not hold up the end of tracing") {
    SYSGUARD_SKIP_UNTRACEABLE();
    Beside program{{"vfork_sleep"}};
    REQUIRE(support::eventually([&] { return support::status_of(program.pid(), "State")[0] == 'D'; }));
    sg::Tracer tracer;
    tracer.attach(program.pid());
    tracer.stop();
    Seen seen;
    tracer.run(seen);
    CHECK(support::status_of(program.pid(), "TracerPid") == "0");
    CHECK(support::status_of(program.pid(), "State")[0] == 'D');
    CHECK(WTERMSIG(program.end()) == SIGKILL);
}

namespace {

/// A host that traces something until it is killed. `begin` says what; it returns the traced process's id.
template <class Begin>
pid_t trace_in_a_host_that_is_killed(const Begin& begin) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t host = ::fork();
    if (host == 0) {
        sg::TraceOptions options;
        options.calls = {SYS_getpriority};
        const pid_t traced = begin(options, [&](sg::Tracer& tracer, pid_t pid) {
            tracer.run([&](const sg::Event& event) {
                if (event.kind == Kind::entered || event.kind == Kind::attached)
                    static_cast<void>(::write(ends[1], &pid, sizeof pid) + 1);
            });
            return pid;
        });
        ::_exit(traced > 0 ? 0 : 1);
    }
    pid_t traced = -1;
    CHECK(::read(ends[0], &traced, sizeof traced) == sizeof traced);
    ::close(ends[0]);
    ::close(ends[1]);
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    return traced;
}

}  // namespace

TEST_CASE("when the host is killed, what it attached to lives on, and what it was to end dies") {
    SYSGUARD_SKIP_UNTRACEABLE();
    Beside program{{"many_threads", "3"}};
    REQUIRE(support::eventually([&] { return support::status_of(program.pid(), "Threads") == "4"; }));
    const pid_t attached = trace_in_a_host_that_is_killed([&](const sg::TraceOptions& options, auto&& run) {
        sg::Tracer tracer{options};
        tracer.attach(program.pid());
        return run(tracer, program.pid());
    });
    CHECK(attached == program.pid());
    CHECK(support::eventually([&] { return support::status_of(program.pid(), "TracerPid") == "0"; }));
    CHECK(support::lives(program.pid()));

    for (const bool has_filter : {true, false}) {
        const pid_t started = trace_in_a_host_that_is_killed([&](sg::TraceOptions options, auto&& run) {
            options.detachable = !has_filter;
            options.kills_at_end = !has_filter;
            sg::Tracer tracer{options};
            return run(tracer, tracer.start(support::traced({"many_threads", "1"}), support::silent()).pid);
        });
        REQUIRE(started > 0);
        CHECK(support::eventually([&] { return !support::lives(started); }));
    }
}

TEST_CASE("signals that come while a process is let go arrive") {
    SYSGUARD_SKIP_UNTRACEABLE();
    for (int round = 0; round < 20; ++round) {
        Beside program{{"sleep"}};
        sg::Tracer tracer;
        try {
            tracer.attach(program.pid());
        } catch (const sg::Error&) {
            continue;
        }
        ::kill(program.pid(), SIGUSR1);
        tracer.stop();
        Seen seen;
        tracer.run(seen);
        siginfo_t info{};
        CHECK(::waitid(P_PID, static_cast<id_t>(program.pid()), &info, WEXITED | WNOWAIT) == 0);
        CHECK(info.si_code == CLD_KILLED);
        CHECK(info.si_status == SIGUSR1);
    }
}

TEST_CASE("one thread alone may be traced") {
    SYSGUARD_SKIP_UNTRACEABLE();
    const Counting counting;
    Beside program{{"count", counting.path, std::to_string(Counting::threads)}};
    REQUIRE(counting.all_go_on());
    const auto threads = sg::supervise::ptracing::threads_of(program.pid());
    REQUIRE(threads.size() == Counting::threads);
    sg::Tracer tracer;
    tracer.attach_thread(threads[1]);
    int calls = 0;
    tracer.run([&](const sg::Event& event) {
        if (event.kind == Kind::entered) CHECK(event.thread == threads[1]);
        if (++calls == 100) tracer.stop();
    });
    CHECK(counting.all_go_on());
}

TEST_CASE("a started program whose filter needs its tracer cannot be let go, and is killed where one could be") {
    SYSGUARD_SKIP_UNTRACEABLE();
    sg::TraceOptions options;
    options.calls = {SYS_getpriority};
    sg::Tracer tracer{options};
    Seen seen;
    seen.first = tracer.start(support::traced({"many_threads", "2"}), support::silent()).pid;
    int refused = 0;
    tracer.run([&](const sg::Event& event) {
        seen(event);
        if (event.kind != Kind::entered) return;
        try {
            tracer.detach(event.process);
        } catch (const sg::Error& error) {
            refused = error.code().value();
        }
        tracer.stop();
    });
    CHECK(refused == ENOTSUP);
    CHECK(seen.end() == 100 + SIGKILL);
}
