#include <sysguard/supervise/stack/snapshot.hpp>

#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/listening.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
using sg::supervise::Pending;
using sg::supervise::StackSnapshot;
using sg::supervise::threads_of;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_getsid>{}.kill(), sg::otherwise.allow()};
constexpr std::uint64_t mark = 0x5afe5afe5afe5afe;

int marked_call() {
    volatile std::uint64_t marked[16];
    for (volatile std::uint64_t& each : marked) each = mark;
    const long result = ::syscall(SYS_getsid, 0);
    return result == 5 && marked[0] == mark ? 0 : 1;
}

int marks_in(const StackSnapshot& snapshot) {
    int count = 0;
    std::uint64_t word = 0;
    for (std::uint64_t at = snapshot.stack.low; at < snapshot.stack.view().high(); at += 8)
        count += snapshot.stack.view().word(at, 8, word) && word == mark;
    return count;
}

}  // namespace

TEST_CASE("of a pending call: where it was made, its stack, its mappings; and the thread goes on unharmed") {
    Supervised process{policy.program(), marked_call};
    Pending call;
    process.receive(call);
    const StackSnapshot snapshot = StackSnapshot::take(sg::AnyCall{call});
    CHECK(snapshot.thread == process.pid);
    CHECK(snapshot.registers.instruction_pointer == call.instruction_pointer);
    CHECK(call.is_pending());
    process.listener.answer(call.id, 5, 0);
    CHECK(process.exit_code() == 0);
    CHECK(snapshot.mappings.find(call.instruction_pointer) != nullptr);
    if (!snapshot.registers.has_stack_pointer()) SYSGUARD_SKIP("/proc/<pid>/syscall is not for this user");
    CHECK(snapshot.shortfall.empty());
    CHECK(marks_in(snapshot) == 16);
    CHECK(snapshot.stack.bytes.size() <= StackSnapshot::most_bytes);
}

TEST_CASE("of one that has gone away, no more than where it was made") {
    Supervised process{policy.program(), marked_call};
    Pending call;
    process.receive(call);
    ::kill(process.pid, SIGKILL);
    CHECK(process.exit_code() == -SIGKILL);
    const StackSnapshot snapshot = StackSnapshot::take(sg::AnyCall{call});
    CHECK(snapshot.registers.instruction_pointer == call.instruction_pointer);
    CHECK(snapshot.stack.bytes.empty());
    CHECK(snapshot.mappings.ranges().empty());
    CHECK(snapshot.shortfall.find("gone away") != std::string::npos);
}

TEST_CASE("of a thread that nobody holds and that runs, or of none, no stack") {
    const pid_t running = ::fork();
    if (running == 0)
        for (;;) __asm__ volatile("");
    CHECK(support::eventually([&] {
        const StackSnapshot snapshot = StackSnapshot::take_of_unheld(running);
        CHECK(snapshot.stack.bytes.empty());
        return !snapshot.shortfall.empty();
    }));
    ::kill(running, SIGKILL);
    ::waitpid(running, nullptr, 0);
    const StackSnapshot nobody = StackSnapshot::take_of_unheld(0x7fffffff);
    CHECK(nobody.stack.bytes.empty());
    CHECK(nobody.shortfall.find("ENOENT") != std::string::npos);
}

TEST_CASE("threads of a process") {
    std::vector<pid_t> threads = threads_of(::getpid());
    CHECK(threads.size() == 1);
    CHECK(threads[0] == ::getpid());
    bool is_over = false;
    std::thread other{[&is_over] {
        while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) ::usleep(1000);
    }};
    CHECK(support::eventually([] { return threads_of(::getpid()).size() == 2; }));
    CHECK(threads_of(::getpid(), 1).size() == 1);
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    other.join();
    CHECK(threads_of(0).empty());
    CHECK(threads_of(-1).empty());
    CHECK(threads_of(0x7fffffff).empty());
}
