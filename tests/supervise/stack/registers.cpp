#include <sysguard/supervise/stack/registers.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/skip.hpp"

using namespace sysguard::supervise;

namespace {

/// A process that waits in pause(2), having said where a variable of its stack is.
struct Waiting {
    Waiting() {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        pid = ::fork();
        if (pid == 0) {
            const std::uint64_t here = reinterpret_cast<std::uint64_t>(&ends);
            if (::write(ends[1], &here, sizeof here) != sizeof here) ::_exit(1);
            for (;;) ::pause();
        }
        CHECK(::read(ends[0], &on_stack, sizeof on_stack) == sizeof on_stack);
        ::close(ends[0]);
        ::close(ends[1]);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    pid_t pid;
    std::uint64_t on_stack = 0;
};

}  // namespace

TEST_CASE("of a thread that waits: stack and instruction pointer, and that the others are not known") {
    const Waiting process;
    Registers registers;
    int error = EAGAIN;
    CHECK(support::eventually([&] { return (error = registers_of_waiting(process.pid, registers)) != EAGAIN; }));
    if (error == ENOENT || error == EPERM || error == EACCES) SYSGUARD_SKIP("/proc/<pid>/syscall is not there");
    REQUIRE(error == 0);
    CHECK(registers.abi == sysguard::abi::native_abi);
    CHECK(registers.has_stack_pointer());
    CHECK(registers.stack_pointer() < process.on_stack);
    CHECK(registers.stack_pointer() > process.on_stack - 65536);
    CHECK_FALSE(registers.has_frame_pointer());
    CHECK(registers.instruction_pointer != 0);
}

TEST_CASE("of one that runs, or is none, nothing") {
    Registers registers;
    CHECK(registers_of_waiting(0, registers) == ENOENT);
    CHECK(registers_of_waiting(-1, registers) == ENOENT);
    CHECK(registers_of_waiting(0x7fffffff, registers) == ENOENT);
    const pid_t running = ::fork();
    if (running == 0)
        for (;;) __asm__ volatile("");
    int error = 0;
    CHECK(support::eventually([&] { return (error = registers_of_waiting(running, registers)) != 0; }));
    CHECK((error == EAGAIN || error == EPERM || error == EACCES || error == ENOENT));
    ::kill(running, SIGKILL);
    ::waitpid(running, nullptr, 0);
}

TEST_CASE("of one that stands still for its tracer, all, and the same") {
    const Waiting process;
    if (::ptrace(PTRACE_SEIZE, process.pid, nullptr, nullptr) != 0) SYSGUARD_SKIP("ptrace(2) is refused");
    Registers registers;
    CHECK(registers_of_stopped(process.pid, registers) == ESRCH);
    REQUIRE(::ptrace(PTRACE_INTERRUPT, process.pid, nullptr, nullptr) == 0);
    int status = 0;
    REQUIRE(::waitpid(process.pid, &status, __WALL) == process.pid);
    REQUIRE(registers_of_stopped(process.pid, registers) == 0);
    CHECK(registers.abi == sysguard::abi::native_abi);
    CHECK(registers.has_frame_pointer());
    const StackAbi abi = stack_abi(registers.abi);
    for (int i = 0; i < abi.count; ++i) CHECK(registers.has(i) == (i != 32));
    CHECK(registers.stack_pointer() < process.on_stack);
    CHECK(registers.stack_pointer() > process.on_stack - 65536);
    CHECK(::ptrace(PTRACE_DETACH, process.pid, nullptr, nullptr) == 0);
}

TEST_CASE("numbers of registers that there are not are not known") {
    Registers registers;
    registers.known = ~std::uint64_t{0};
    CHECK_FALSE(registers.has(-1));
    CHECK_FALSE(registers.has(Registers::most));
    CHECK(registers.has(Registers::most - 1));
}
