#include <sysguard/process/held_program.hpp>

#include <doctest/doctest.h>

#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/said.hpp"

namespace sg = sysguard;
using sg::process::HeldProgram;

namespace {

sg::Launch piped() {
    sg::Launch launch;
    launch.output = sg::Stdio::pipe();
    launch.environment = {"A=b"};
    launch.directory = "/usr";
    return launch;
}

int wait_for(pid_t pid) {
    int status = -1;
    ::waitpid(pid, &status, 0);
    return status;
}

int error_of(std::vector<std::string> command, const sg::Launch& launch) {
    try {
        HeldProgram program{std::move(command), launch, {}, false};
        program.start();
    } catch (const sg::Error& error) {
        return error.code().value();
    }
    return 0;
}

}  // namespace

TEST_CASE("a held program waits to be released, and then runs as its launch says") {
    HeldProgram program{{"/bin/sh", "-c", "echo $A; pwd; read x; echo $?"}, piped(), {}, false};
    CHECK_FALSE(program.has_filter());
    const pid_t pid = program.start();
    REQUIRE(pid > 0);
    CHECK(support::lives(pid));
    CHECK(::getsid(pid) == ::getsid(0));
    program.release();
    char text[64] = {};
    std::string all;
    for (ssize_t got = 0; (got = ::read(program.output().get(), text, sizeof text)) > 0;)
        all.append(text, static_cast<std::size_t>(got));
    CHECK(all == "b\n/usr\n1\n");
    CHECK(wait_for(pid) == 0);
}

TEST_CASE("a held program that cannot start says which step failed") {
    sg::Launch launch;
    CHECK(error_of({"/does/not/exist"}, launch) == ENOENT);
    CHECK(error_of({""}, launch) == EINVAL);
    launch.directory = "/does/not/exist";
    CHECK(error_of({"/bin/true"}, launch) == ENOENT);
    sg::Launch captured;
    captured.error = sg::Stdio::capture();
    CHECK(error_of({"/bin/true"}, captured) == EINVAL);
    try {
        HeldProgram program{{"/does/not/exist"}, {}, {}, false};
        program.start();
        FAIL("it started");
    } catch (const sg::Error& error) {
        CHECK(error.step() == "start /does/not/exist: execute the program");
    }
}

TEST_CASE("a held program's filter is there when it is executed") {
    std::vector<sock_filter> filter{{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getppid},
                                    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
                                    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    HeldProgram program{{"/bin/sh", "-c", "exit 3"}, {}, filter, false};  // asks for its parent
    CHECK(program.has_filter());
    const pid_t pid = program.start();
    program.release();
    const int status = wait_for(pid);
    CHECK((status == SIGSYS || status == (SIGSYS | 0x80) || status == 3 << 8));
}
