#include <sysguard/process/guard.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"

using sysguard::process::Guard;

namespace {

pid_t start_session() {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setsid();
        for (;;) ::pause();
    }
    return pid;
}

}  // namespace

TEST_CASE("a guard kills the session when the host is killed") {
    auto* const session =
        static_cast<volatile pid_t*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t host = ::fork();
    if (host == 0) {
        Guard guard;
        if (guard.start(true) != 0) ::_exit(1);
        const pid_t pid = start_session();
        *guard.session() = pid;
        *session = pid;
        for (;;) ::pause();
    }
    REQUIRE(support::eventually([session] { return *session != 0; }));
    CHECK(support::lives(*session));
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(support::eventually([session] { return !support::lives(*session); }));
    ::munmap(const_cast<pid_t*>(session), 4096);
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
