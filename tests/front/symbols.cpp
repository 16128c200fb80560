#include <sysguard/symbols.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/compat.hpp"
#include "support/reach.hpp"
#include "support/stacks.hpp"

namespace sg = sysguard;
using sg::StackFrame;
using sg::StackTrace;
using Found = sg::StackFrame::Found;
using support::functions;
using support::in_a_row;

namespace {

const std::vector<std::string> chain{"inner", "middle", "outer", "chain::Link::follow(char const*) const", "main"};

#define SKIP_WITHOUT_STACKS()  \
    SYSGUARD_SKIP_SANITIZED(); \
    if (!support::sees_stacks()) SYSGUARD_SKIP("/proc/<pid>/syscall and /proc/<pid>/pagemap are not for this user")

StackTrace trace_of(const char* program, const char* how, const sg::Symbolizer& symbolizer = sg::Symbolizer{}) {
    StackTrace trace;
    support::look_at(program, how, [&](const sg::AnyCall& call) { trace = symbolizer.stack_of(call); });
    return trace;
}

bool has_guess(const StackTrace& trace) {
    return std::any_of(trace.frames.begin(), trace.frames.end(),
                       [](const StackFrame& frame) { return frame.found == Found::scanned; });
}

}  // namespace

TEST_CASE("code without frame pointers: each caller by the tables, with its function, to where the thread began") {
    SKIP_WITHOUT_STACKS();
    for (const char* const program : {"stacks", "stacks_fixed", "stacks_static"}) {
        const support::Leftovers leftovers;
        const StackTrace trace = trace_of(program, "plain");
        CAPTURE(trace.text());
        CHECK(in_a_row(functions(trace), chain));
        CHECK_FALSE(has_guess(trace));
        CHECK(trace.shortfall.empty());
        REQUIRE(trace.frames.size() > 2);
        CHECK(trace.frames.back().symbol == "_start");
        CHECK(trace.frames[0].found == Found::instruction_pointer);
        CHECK(trace.frames[1].found == Found::call_frame_information);
        CHECK(trace.frames[1].text().find("(inner+0x") != std::string::npos);
    }
}

TEST_CASE("code with frame pointers, of which none is known at first: the first is looked for, the others are sure") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of("stacks_frames", "plain");
    CAPTURE(trace.text());
    std::vector<std::string> names = functions(trace);
    for (std::string& name : names)
        if (name[0] == '?') name.erase(0, 1);
    CHECK(in_a_row(names, chain));
    const auto guesses = std::count_if(trace.frames.begin(), trace.frames.end(),
                                       [](const StackFrame& frame) { return frame.found == Found::scanned; });
    CHECK(guesses <= 2);
}

TEST_CASE("a stripped program: its frames, without names") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of("stacks_stripped", "plain");
    CAPTURE(trace.text());
    CHECK(in_a_row(functions(trace), {"-", "-", "-", "-", "-"}));
    CHECK_FALSE(has_guess(trace));
    CHECK(trace.text().find("helper_stacks_stripped() [0x") != std::string::npos);
}

TEST_CASE("a function whose frame has no constant size") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of("stacks", "room");
    CAPTURE(trace.text());
    std::vector<std::string> names = functions(trace);
    for (std::string& name : names)
        if (name[0] == '?') name.erase(0, 1);
    CHECK(in_a_row(names, {"inner", "middle", "outer", "with_room", "chain::Link::follow(char const*) const", "main"}));
}

TEST_CASE("a signal's handler, and what it interrupted") {
    SKIP_WITHOUT_STACKS();
    for (const char* const program : {"stacks", "stacks_static"}) {
        const StackTrace trace = trace_of(program, "signal");
        CAPTURE(trace.text());
        const std::vector<std::string> names = functions(trace);
        CHECK(in_a_row(names, {"inner", "middle", "outer", "handle"}));
        CHECK(in_a_row(names, {"interrupted", "chain::Link::follow(char const*) const", "main"}));
        CHECK(std::any_of(trace.frames.begin(), trace.frames.end(),
                          [](const StackFrame& frame) { return frame.found == Found::signal_frame; }));
        CHECK_FALSE(has_guess(trace));
    }
}

TEST_CASE("all threads of a process, each with its functions") {
    SKIP_WITHOUT_STACKS();
    const sg::Symbolizer symbolizer;
    std::vector<StackTrace> stacks;
    support::look_at("stacks", "threads", [&](const sg::AnyCall& call) { stacks = symbolizer.stacks_now(call.pid()); });
    REQUIRE(stacks.size() == 4);
    int waiting = 0;
    for (const StackTrace& each : stacks) {
        CAPTURE(each.text());
        waiting += in_a_row(functions(each), {"wait_below", "wait_in_thread"});
        CHECK_FALSE(has_guess(each));
    }
    CHECK(waiting == 3);
    CHECK(std::any_of(stacks.begin(), stacks.end(),
                      [](const StackTrace& each) { return in_a_row(functions(each), chain); }));
}

TEST_CASE("a thread that stands still for its tracer: frame pointers are known, so nothing is a guess") {
    SKIP_WITHOUT_STACKS();
    const sg::Symbolizer symbolizer;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t waiting = ::fork();
    if (waiting == 0) {
        char byte;
        while (::read(ends[0], &byte, 1) < 0) {
        }
        ::_exit(9);
    }
    bool is_traced = false;
    if (::ptrace(PTRACE_SEIZE, waiting, nullptr, nullptr) == 0) {
        is_traced = true;
        CHECK(::ptrace(PTRACE_INTERRUPT, waiting, nullptr, nullptr) == 0);
        int status = 0;
        CHECK(::waitpid(waiting, &status, __WALL) == waiting);
        sg::supervise::Registers registers;
        CHECK(sg::supervise::registers_of_stopped(waiting, registers) == 0);
        const StackTrace trace = symbolizer.stack_of(waiting, registers);
        CAPTURE(trace.text());
        CHECK_FALSE(has_guess(trace));
        CHECK(functions(trace).size() > 3);
        const std::vector<std::string> names = functions(trace);
        CHECK(std::find(names.begin(), names.end(), "main") != names.end());
        CHECK(::ptrace(PTRACE_DETACH, waiting, nullptr, nullptr) == 0);
    }
    CHECK(::write(ends[1], "x", 1) == 1);
    int status = 0;
    ::waitpid(waiting, &status, 0);
    CHECK(WEXITSTATUS(status) == 9);
    ::close(ends[0]);
    ::close(ends[1]);
    if (!is_traced) SYSGUARD_SKIP("ptrace(2) is refused");
}

TEST_CASE("from a zygote, the same") {
    SKIP_WITHOUT_STACKS();
    sg::Zygote zygote;
    sg::SymbolizerOptions options;
    options.zygote = &zygote;
    const sg::Symbolizer symbolizer{options};
    const StackTrace trace = trace_of("stacks", "plain", symbolizer);
    CAPTURE(trace.text());
    CHECK(in_a_row(functions(trace), chain));
}

TEST_CASE("many threads of the host take traces at a time") {
    SKIP_WITHOUT_STACKS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const sg::Symbolizer symbolizer;
    std::vector<std::string> texts(3);
    std::vector<std::thread> threads;
    for (std::string& text : texts)
        threads.emplace_back([&] {
            for (int i = 0; i < 3; ++i) text = trace_of("stacks", "plain", symbolizer).text();
        });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& text : texts) CHECK(text.find("chain::Link::follow") != std::string::npos);
}

TEST_CASE("a program of 32 bits") {
    SKIP_WITHOUT_STACKS();
#if defined(__x86_64__)
    if (::access(support::helper("compat").c_str(), X_OK) != 0 || !support::has_i386())
        SYSGUARD_SKIP("no programs of 32 bits here");
    struct Origin final : sg::Witness {
        void see(const sg::AnyCall& call) override { trace = symbolizer.stack_of(call); }
        sg::Symbolizer symbolizer{};
        StackTrace trace{};
    } origin;
    sg::Options options;
    options.witness = &origin;
    const sg::Policy policy{sg::foreign.kill(), sg::otherwise.allow()};
    const sg::Sandbox box{policy, options};
    const sg::Outcome outcome = box.run({support::helper("compat"), "20", "0"});
    REQUIRE(outcome.violation() != nullptr);
    CAPTURE(origin.trace.text());
    std::vector<std::string> names = functions(origin.trace);
    for (std::string& name : names)
        if (name[0] == '?') name.erase(0, 1);
    CHECK(in_a_row(names, {"make_call", "run"}));
#else
    SYSGUARD_SKIP("no programs of 32 bits here");
#endif
}

TEST_CASE("a handler or a witness that looks leaves nothing behind") {
    SKIP_WITHOUT_STACKS();
    const support::Leftovers leftovers;
    for (int i = 0; i < 5; ++i) CHECK(!trace_of("stacks", "plain").frames.empty());
}
