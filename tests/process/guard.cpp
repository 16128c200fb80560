#include <sysguard/process/guard.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"

using sysguard::process::Guard;

namespace {

/// A process that has a session of its own by now: one that has none yet is nobody's to kill.
pid_t start_session() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return -1;
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setsid();
        if (::write(ends[1], "", 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
    char byte = 0;
    if (::read(ends[0], &byte, 1) != 1) return -1;
    ::close(ends[0]);
    ::close(ends[1]);
    return pid;
}

}  // namespace

TEST_CASE("a guard kills the session when the host is killed, also one that it is told of elsewhere") {
    for (const bool elsewhere : {false, true}) {
        auto* const session = static_cast<volatile pid_t*>(
            ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        volatile pid_t* const is_told = session + 1;
        const pid_t host = ::fork();
        if (host == 0) {
            Guard guard;
            if (guard.start(true) != 0) ::_exit(1);
            const pid_t pid = start_session();
            *session = pid;
            if (elsewhere)
                guard.look_at(const_cast<pid_t*>(session));
            else
                *guard.session() = pid;
            *is_told = 1;
            for (;;) ::pause();
        }
        REQUIRE(support::eventually([is_told] { return *is_told != 0; }));
        CHECK(support::lives(*session));
        ::kill(host, SIGKILL);
        ::waitpid(host, nullptr, 0);
        CHECK(support::eventually([session] { return !support::lives(*session); }));
        if (support::lives(*session)) ::kill(*session, SIGKILL);  // or it would keep the output of a test that failed
        ::munmap(const_cast<pid_t*>(session), 4096);
    }
}

TEST_CASE("a guard that is to kill ends a process that has not made its session yet, too") {
    Guard guard;
    REQUIRE(guard.start(true) == 0);
    const pid_t pid = ::fork();
    if (pid == 0)
        for (;;) ::pause();
    *guard.session() = pid;
    CHECK(guard.kill_and_stop());
    CHECK(support::eventually([pid] { return !support::lives(pid); }));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

TEST_CASE("without a guard the session outlives the host") {
    auto* const session =
        static_cast<volatile pid_t*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t host = ::fork();
    if (host == 0) {
        *session = start_session();
        for (;;) ::pause();
    }
    REQUIRE(support::eventually([session] { return *session != 0; }));
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    ::usleep(50000);
    CHECK(support::lives(*session));
    ::kill(*session, SIGKILL);
    ::munmap(const_cast<pid_t*>(session), 4096);
}

TEST_CASE("a guard that is no longer needed goes, and leaves the session alone") {
    const pid_t session = start_session();
    {
        Guard first;
        CHECK(first.start(true) == 0);
        *first.session() = session;
        Guard second{std::move(first)};
    }
    CHECK(support::lives(session));
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == 0);  // the session is the only child
    ::kill(session, SIGKILL);
    ::waitpid(session, nullptr, 0);
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
}

TEST_CASE("a guard holds none of the host's descriptors") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    Guard guard;
    CHECK(guard.session() == nullptr);
    REQUIRE(guard.start(true) == 0);
    ::close(ends[1]);
    char byte = 0;
    CHECK(support::eventually([&] { return ::read(ends[0], &byte, 1) == 0; }));  // nobody has the other end any more
    ::close(ends[0]);
}
