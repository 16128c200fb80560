#include <sysguard/stacks.hpp>

#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/compat.hpp"
#include "support/memory_that_never_comes.hpp"
#include "support/stacks.hpp"

namespace sg = sysguard;
using sg::StackFrame;
using sg::StackTrace;
using Found = sg::StackFrame::Found;

namespace {

#define SKIP_WITHOUT_STACKS() \
    if (!support::sees_stacks()) SYSGUARD_SKIP("/proc/<pid>/syscall and /proc/<pid>/pagemap are not for this user")

StackTrace trace_of(const char* program, const char* how) {
    StackTrace trace;
    support::look_at(program, how, [&](const sg::AnyCall& call) { trace = sg::stack_of(call); });
    return trace;
}

/// How many frames lie in the program itself.
std::size_t frames_in(const StackTrace& trace, const std::string& module) {
    std::size_t count = 0;
    for (const StackFrame& frame : trace.frames) count += frame.module.find(module) != std::string::npos;
    return count;
}

}  // namespace

TEST_CASE("the innermost frame is where the kernel says that the call was made, in its file") {
    StackTrace trace;
    std::uint64_t pointer = 0;
    support::look_at("stacks", "plain", [&](const sg::AnyCall& call) {
        trace = sg::stack_of(call);
        pointer = call.instruction_pointer();
    });
    REQUIRE(!trace.frames.empty());
    CHECK(trace.frames[0].address == pointer);
    CHECK(trace.frames[0].found == Found::instruction_pointer);
    CHECK(trace.frames[0].module.find("libc") != std::string::npos);
    CHECK(trace.frames[0].offset != 0);
    CHECK(trace.thread != 0);
    CHECK(trace.text().rfind(" > /", 0) == 0);
}

TEST_CASE("where code keeps frame pointers, they are followed through all of it") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of("stacks_frames", "plain");
    CAPTURE(trace.text());
    // inner, middle, outer, follow, main
    CHECK(frames_in(trace, "helper_stacks_frames") >= 5);
    const auto by_pointer = std::count_if(trace.frames.begin(), trace.frames.end(),
                                          [](const StackFrame& frame) { return frame.found == Found::frame_pointer; });
    CHECK(by_pointer >= 4);
}

TEST_CASE("where it keeps none, what looks like a return address is told as no more than that") {
    SKIP_WITHOUT_STACKS();
    for (const char* const program : {"stacks", "stacks_fixed", "stacks_stripped", "stacks_static"}) {
        const StackTrace trace = trace_of(program, "plain");
        CAPTURE(trace.text());
        CHECK(frames_in(trace, std::string{"helper_"} + program) >= 5);
        CHECK(trace.text().find(" ? ") != std::string::npos);
    }
}

#if defined(__x86_64__)
TEST_CASE("a signal's handler: what it interrupted is found behind it") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of("stacks_frames", "signal");
    CAPTURE(trace.text());
    const auto signal = std::find_if(trace.frames.begin(), trace.frames.end(),
                                     [](const StackFrame& frame) { return frame.found == Found::signal_frame; });
    REQUIRE(signal != trace.frames.end());
    CHECK(signal->module.find("libc") != std::string::npos);  // in pthread_kill
    CHECK(frames_in(trace, "helper_stacks_frames") >= 6);
}
#endif

TEST_CASE("all threads of a process, none of which is stopped") {
    SKIP_WITHOUT_STACKS();
    std::vector<StackTrace> stacks;
    support::look_at("stacks_frames", "threads", [&](const sg::AnyCall& call) { stacks = sg::stacks_now(call.pid()); });
    REQUIRE(stacks.size() == 4);
    int waiting = 0;
    for (const StackTrace& each : stacks) {
        CAPTURE(each.text());
        CHECK(each.frames.size() >= 3);
        CHECK(frames_in(each, "helper_stacks_frames") >= 2);
        waiting += frames_in(each, "helper_stacks_frames") == 2;  // wait_below, wait_in_thread
    }
    CHECK(waiting == 3);
    CHECK(sg::stacks_now(0).empty());
    CHECK(sg::stacks_now(0x7fffffff).empty());
}

TEST_CASE("a thread that runs is told to run") {
    SKIP_WITHOUT_STACKS();
    const pid_t running = ::fork();
    if (running == 0)
        for (;;) __asm__ volatile("");
    CHECK(support::eventually([&] {
        const std::vector<StackTrace> stacks = sg::stacks_now(running);
        return stacks.size() == 1 && stacks[0].shortfall.rfind("it runs", 0) == 0;
    }));
    ::kill(running, SIGKILL);
    ::waitpid(running, nullptr, 0);
}

TEST_CASE("a thread that stands still for its tracer, by its registers") {
    SKIP_WITHOUT_STACKS();
    const pid_t waiting = ::fork();
    if (waiting == 0)
        for (;;) ::pause();
    if (::ptrace(PTRACE_SEIZE, waiting, nullptr, nullptr) == 0) {
        CHECK(::ptrace(PTRACE_INTERRUPT, waiting, nullptr, nullptr) == 0);
        int status = 0;
        CHECK(::waitpid(waiting, &status, __WALL) == waiting);
        sg::supervise::Registers registers;
        CHECK(sg::supervise::registers_of_stopped(waiting, registers) == 0);
        const StackTrace trace = sg::stack_of(waiting, registers);
        CAPTURE(trace.text());
        CHECK(trace.frames.size() >= 2);
        CHECK(frames_in(trace, "test.front.stacks") >= 1);
        CHECK(::ptrace(PTRACE_DETACH, waiting, nullptr, nullptr) == 0);
    }
    ::kill(waiting, SIGKILL);
    ::waitpid(waiting, nullptr, 0);
}

TEST_CASE("a violation's origin, taken by a witness") {
    SKIP_WITHOUT_STACKS();
    struct Origin final : sg::Witness {
        void see(const sg::AnyCall& call) override { trace = sg::stack_of(call); }
        StackTrace trace{};
    } origin;
    sg::Options options;
    options.witness = &origin;
    const sg::Policy policy{sg::Rule<SYS_getsid>{}.kill(), sg::otherwise.allow()};
    const sg::Sandbox box{policy, options};
    const sg::Outcome outcome = box.run({support::helper("stacks_frames"), "plain"});
    REQUIRE(outcome.violation() != nullptr);
    CAPTURE(origin.trace.text());
    CHECK(origin.trace.thread == outcome.violation()->thread);
    REQUIRE(!origin.trace.frames.empty());
    CHECK(origin.trace.frames[0].address == outcome.violation()->instruction_pointer);
    CHECK(frames_in(origin.trace, "helper_stacks_frames") >= 5);
}

TEST_CASE("a thread that is killed while it is looked at leaves no stack of another's") {
    StackTrace trace;
    const sg::Policy policy{sg::Rule<SYS_getsid>{}.handle([&](const sg::Call<SYS_getsid>& call) {
                                ::kill(call.pid(), SIGKILL);
                                support::eventually([&] { return !call.is_pending(); });
                                trace = sg::stack_of(call);
                                return call.deny(EXDEV);
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    CHECK(box.run({support::helper("stacks"), "plain"}).signal() == SIGKILL);
    CHECK(trace.frames.size() == 1);
    CHECK(trace.frames[0].module.empty());
    CHECK(trace.shortfall.find("gone away") != std::string::npos);
}

TEST_CASE("a call of 32 bits: where it was made, and what called it") {
    SKIP_WITHOUT_STACKS();
#if defined(__x86_64__)
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    struct Origin final : sg::Witness {
        void see(const sg::AnyCall& call) override { trace = sg::stack_of(call); }
        StackTrace trace{};
    } origin;
    sg::Options options;
    options.witness = &origin;
    const sg::Policy policy{sg::foreign.kill(), sg::otherwise.allow()};
    const sg::Sandbox box{policy, options};
    const sg::Outcome outcome = box.run({support::helper("compat"), "20", "0"});
    REQUIRE(outcome.violation() != nullptr);
    CAPTURE(origin.trace.text());
    CHECK(origin.trace.frames.size() >= 2);
    CHECK(frames_in(origin.trace, "helper_compat") == origin.trace.frames.size());
#else
    SYSGUARD_SKIP("no programs of 32 bits here");
#endif
}

#if defined(__x86_64__)

namespace {

/// Makes getsid(2) with the stack and the frame pointer somewhere else.
[[gnu::noinline]] long ask_from(std::uint64_t stack_pointer, std::uint64_t frame_pointer) {
    long result = SYS_getsid;
    __asm__ volatile(
        "mov %%rsp, %%r12\n\t"
        "mov %%rbp, %%r13\n\t"
        "mov %[stack], %%rsp\n\t"
        "mov %[frame], %%rbp\n\t"
        "xor %%edi, %%edi\n\t"
        "syscall\n\t"
        "mov %%r12, %%rsp\n\t"
        "mov %%r13, %%rbp"
        : "+a"(result)
        : [stack] "r"(stack_pointer), [frame] "r"(frame_pointer)
        : "rcx", "r11", "r12", "r13", "rdi", "memory", "cc");
    return result;
}

/// The trace of a function that does so.
template <class Ask>
StackTrace trace_of_function(Ask&& ask) {
    StackTrace trace;
    const sg::Policy policy{sg::Rule<SYS_getsid>{}.handle([&](const sg::Call<SYS_getsid>& call) {
                                trace = sg::stack_of(call);
                                return call.deny(EXDEV);
                            }),
                            sg::otherwise.allow()};
    sg::Options options;
    options.limits.wall = std::chrono::seconds{60};
    options.credentials.capabilities = sg::Capabilities::kept();
    const sg::Sandbox box{policy, options};
    const auto called = box.call([&] { return ask(); });
    CAPTURE(called.explain());
    CHECK(called);
    if (called) CHECK(*called == -EXDEV);
    return trace;
}

/// Pages of a function's own.
std::uint64_t pages(std::size_t size) {
    return reinterpret_cast<std::uint64_t>(
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

}  // namespace

TEST_CASE(
    "a stack pointer into nothing, the kernel, code or the last page gives the place of the call, and the reason") {
    SKIP_WITHOUT_STACKS();
    for (const std::uint64_t pointer : {std::uint64_t{0}, std::uint64_t{8}, std::uint64_t{0x7ffffffff000},
                                        std::uint64_t{0x500000001}, ~std::uint64_t{0}, std::uint64_t{1} << 63,
                                        std::uint64_t{0xffffffff81000000}, std::uint64_t{0xffffffffff600000}}) {
        CAPTURE(pointer);
        const StackTrace trace = trace_of_function([pointer] { return ask_from(pointer, pointer); });
        REQUIRE(trace.frames.size() == 1);
        CHECK(trace.frames[0].module.find("test.front.stacks") != std::string::npos);
        CHECK(!trace.shortfall.empty());
    }
}

TEST_CASE(
    "a stack that is full of return addresses and of loops is walked to its end, and no further than the bounds") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of_function([] {
        constexpr std::size_t size = 1 << 20;
        const std::uint64_t low = pages(size);
        const auto inside = reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
        for (std::uint64_t at = low; at < low + size; at += 16) {
            *reinterpret_cast<std::uint64_t*>(at) = at;  // a frame pointer that leads to itself
            *reinterpret_cast<std::uint64_t*>(at + 8) = inside;
        }
        return ask_from(low, low);
    });
    CHECK(trace.frames.size() == sg::supervise::most_frames);
    CHECK(trace.shortfall == "there are more frames than are looked for");
}

TEST_CASE("a stack of addresses that are no return addresses costs no more than the bounds") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of_function([] {
        constexpr std::size_t size = 1 << 20;
        const std::uint64_t low = pages(size);
        for (std::uint64_t at = low; at < low + size; at += 8)
            *reinterpret_cast<std::uint64_t*>(at) = reinterpret_cast<std::uint64_t>(&ask_from) + 1;
        return ask_from(low, low);
    });
    CHECK(trace.frames.size() == 1);
}

TEST_CASE("a stack of memory that never comes holds up nobody") {
    SKIP_WITHOUT_STACKS();
    {
        const support::MemoryThatNeverComes trap;
        if (!trap) SYSGUARD_SKIP("userfaultfd(2) is not for this user");
    }
    const StackTrace trace = trace_of_function([] {
        char* const page = support::page_that_never_comes(1 << 16);
        return page == nullptr ? 0 : ask_from(reinterpret_cast<std::uint64_t>(page) + 64, 0);
    });
    CHECK(trace.frames.size() == 1);
}

TEST_CASE("code of memory that never comes is not read to see whether it calls") {
    SKIP_WITHOUT_STACKS();
    {
        const support::MemoryThatNeverComes trap;
        if (!trap) SYSGUARD_SKIP("userfaultfd(2) is not for this user");
    }
    const StackTrace trace = trace_of_function([] {
        char* const code = support::page_that_never_comes(1 << 16);
        if (code == nullptr || ::mprotect(code, 1 << 16, PROT_READ | PROT_EXEC) != 0) return 0L;
        const std::uint64_t low = pages(65536);
        for (std::uint64_t at = low; at < low + 65536; at += 8)
            *reinterpret_cast<std::uint64_t*>(at) = reinterpret_cast<std::uint64_t>(code) + 100;
        return ask_from(low, 0);
    });
    CHECK(trace.frames.size() == 1);
}

TEST_CASE("a file's name cannot write to a terminal") {
    SKIP_WITHOUT_STACKS();
    const StackTrace trace = trace_of_function([] {
        const int fd = ::open("/tmp/sysguard_\x1b[31m", O_RDWR | O_CREAT | O_CLOEXEC, 0700);
        ::unlink("/tmp/sysguard_\x1b[31m");
        unsigned char code[4096] = {0x0f, 0x05, 0xc3};  // syscall; ret
        if (::write(fd, code, sizeof code) != sizeof code) return 0L;
        auto* const call =
            reinterpret_cast<long (*)()>(::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
        long result = SYS_getsid;
        __asm__ volatile("call *%[call]" : "+a"(result) : [call] "r"(call), "D"(0L) : "rcx", "r11", "memory");
        return result;
    });
    REQUIRE(!trace.frames.empty());
    CHECK(trace.frames[0].module.find("/tmp/sysguard_\\x1b[31m") == 0);
    CHECK(trace.text().find('\x1b') == std::string::npos);
}

#endif
