#include <sysguard/process/child.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <string>
#include <utility>

#include <sys/syscall.h>
#include <unistd.h>

#include "support/helpers.hpp"

using sysguard::process::Child;
using sysguard::process::ExitStatus;

namespace {

template <class Body>
Child start(Body&& body) {
    Child child;
    child.pid = ::fork();
    if (child.pid == 0) {
        body();
        ::_exit(0);
    }
    child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
    return child;
}

}  // namespace

TEST_CASE("an exit code and a signal are told apart") {
    const ExitStatus exited = start([] { ::_exit(7); }).wait();
    CHECK(exited.known);
    CHECK(exited.exited);
    CHECK(exited.value == 7);
    const ExitStatus killed = start([] { ::raise(SIGTERM); }).wait();
    CHECK(killed.known);
    CHECK_FALSE(killed.exited);
    CHECK(killed.value == SIGTERM);
}

TEST_CASE("a child that is dropped is killed and reaped") {
    pid_t pid = -1;
    {
        Child child = start([] {
            for (;;) ::pause();
        });
        pid = child.pid;
        const Child moved{std::move(child)};
        CHECK(support::lives(pid));
    }
    CHECK_FALSE(support::lives(pid));
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
}

TEST_CASE("kill ends it") {
    Child child = start([] {
        for (;;) ::pause();
    });
    child.kill();
    CHECK(child.wait().value == SIGKILL);
    CHECK(child.pid == -1);
    child.kill();  // of one that is gone: nothing
}

TEST_CASE("a status that somebody else took is known where the kernel tells it, and else is not") {
    Child child = start([] { ::_exit(9); });
    CHECK(::waitpid(child.pid, nullptr, 0) == child.pid);
    const ExitStatus status = child.wait();
    if (status.known) {
        CHECK(status.exited);
        CHECK(status.value == 9);
    } else {
        MESSAGE("this kernel does not tell (before Linux 6.15)");
    }
}
