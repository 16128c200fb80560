#include <sysguard/process/signals.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <initializer_list>

#include <sys/syscall.h>
#include <unistd.h>

namespace process = sysguard::process;

namespace {

volatile std::sig_atomic_t handled = 0;

/// The kernel's mask of the calling thread, which libc does not show whole.
unsigned long long mask() {
    unsigned long long blocked = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &blocked, 8);
    return blocked;
}

}  // namespace

TEST_CASE("a signal waits while signals are blocked, and comes afterwards") {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) { handled = handled + 1; };
    REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
    handled = 0;

    ::raise(SIGUSR1);
    CHECK(handled == 1);
    {
        const process::SignalsBlocked blocked;
        ::raise(SIGUSR1);
        CHECK(handled == 1);
    }
    CHECK(handled == 2);
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("threads keep what libc needs: setuid of a threaded host waits for all of them") {
    const unsigned long long before = mask();
    constexpr unsigned long long of_libc = 3ULL << 31;  // 32 and 33
    constexpr unsigned long long unblockable = 1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1);
    {
        const process::HandlersBlocked blocked;
        CHECK(mask() == ~(of_libc | unblockable));
    }
    CHECK(mask() == before);
    {
        const process::SignalsBlocked blocked;
        CHECK(mask() == ~unblockable);
    }
    CHECK(mask() == before);
}

TEST_CASE("writing where nobody reads raises nothing, and what was pending before stays") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    ::close(ends[0]);
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) { handled = handled + 1; };
    REQUIRE(::sigaction(SIGPIPE, &action, &before) == 0);
    handled = 0;
    CHECK(::write(ends[1], "x", 1) < 0);
    CHECK(handled == 1);  // without the guard
    {
        const process::PipeSignalHeld held;
        CHECK(::write(ends[1], "x", 1) < 0);
    }
    CHECK(handled == 1);

    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::sigprocmask(SIG_BLOCK, &pipe, nullptr);
    ::raise(SIGPIPE);
    {
        const process::PipeSignalHeld held;
        CHECK(::write(ends[1], "x", 1) < 0);
    }
    CHECK(handled == 1);
    ::sigprocmask(SIG_UNBLOCK, &pipe, nullptr);
    CHECK(handled == 2);
    ::sigaction(SIGPIPE, &before, nullptr);
    ::close(ends[1]);
}

TEST_CASE("libc's own signals are blocked too, and the mask is afterwards what it was") {
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, SIGUSR2);
    ::sigprocmask(SIG_BLOCK, &one, nullptr);
    const unsigned long long before = mask();
    CHECK((before >> (SIGUSR2 - 1) & 1) == 1);
    {
        const process::SignalsBlocked outer;
        const process::SignalsBlocked inner;
        for (const int signal : {SIGTERM, SIGUSR1, 32, 33}) CHECK((mask() >> (signal - 1) & 1) == 1);
    }
    CHECK(mask() == before);
    ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
}
