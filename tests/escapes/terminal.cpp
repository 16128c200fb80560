#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <csignal>

#include "support/escapes.hpp"

/// Attempts by the host's terminal, which a worker has been given: to type into it, to have it as its own, to have it
/// signal the host.
namespace sg = sysguard;
using namespace support;

namespace {

/// What the attempts find out.
struct Terminal {
    int without = not_made;
    int within = not_made;
    bool was_offered = false;
};

/// Runs an attempt in a host that has a pseudo-terminal as its controlling one, and gives workers that. Everything with
/// a terminal happens in processes of its own, as a session has one for good.
template <class Act>
Terminal at_terminal(Held held, Act act) {
    const Shared<Terminal> seen;
    const sg::process::Descriptor master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0) return *seen;
    const char* const name = ::ptsname(master.get());
    for (const bool is_held : {false, true}) {
        const pid_t host = ::fork();
        if (host == 0) {
            ::alarm(60);
            ::setsid();
            const int terminal = ::open(name, O_RDWR);
            ::ioctl(terminal, TIOCSCTTY, 0);
            ::signal(SIGHUP, SIG_IGN);
            if (!is_held) {
                seen->without = without_sandbox([&] { return act(terminal); });
                ::_exit(0);
            }
            const Scene scene;
            if (const auto box = box_of(held, scene)) {
                seen->was_offered = true;
                const auto result = box->call({.descriptors = {{terminal, terminal}}}, [&] { return act(terminal); });
                if (result) seen->within = *result;
            }
            std::fflush(stdout);
            ::_exit(0);
        }
        ::waitpid(host, nullptr, 0);
    }
    return *seen;
}

template <class Act>
void show_at_terminal(Act act) {
    for (const Held held : {by_sandbox, by_spaces, by_root}) {
        const std::string holding = name(held);
        CAPTURE(holding);
        const Terminal seen = at_terminal(held, act);
        if (seen.without == not_made) SYSGUARD_SKIP("there are no pseudo-terminals here");
        if (seen.without == EIO || seen.without == EPERM)
            SYSGUARD_SKIP("this kernel refuses it without a sandbox, too (dev.tty.legacy_tiocsti)");
        CHECK(seen.without == 0);
        if (!seen.was_offered) continue;
        CHECK(seen.within != 0);
        CHECK(seen.within != not_made);
    }
}

}  // namespace

TEST_CASE("type into the host's terminal") {
    show_at_terminal([](int terminal) { return errno_of(::ioctl(terminal, TIOCSTI, "x")); });
}

TEST_CASE("type into the host's terminal from a session of its own") {
    show_at_terminal([](int terminal) {
        if (errno_of(::ioctl(terminal, TIOCSTI, "x")) == 0) return 0;
        const pid_t child = ::fork();
        if (child == 0) {
            ::setsid();
            ::ioctl(terminal, TIOCSCTTY, 1);
            ::_exit(errno_of(::ioctl(terminal, TIOCSTI, "x")));
        }
        int status = 0;
        return child < 0 || ::waitpid(child, &status, 0) != child ? ECANCELED : WEXITSTATUS(status);
    });
}

TEST_CASE("open the terminal of the session") {
    show_at_terminal([](int) { return try_open("/dev/tty", O_RDWR); });
}

TEST_CASE("take the foreground of the host's terminal") {
    show_at_terminal([](int terminal) {
        ::signal(SIGTTOU, SIG_IGN);
        ::setpgid(0, 0);
        return errno_of(::tcsetpgrp(terminal, ::getpgrp()));
    });
}

TEST_CASE("have the host's terminal signal its session") {
    show_at_terminal([](int terminal) {
        ::signal(SIGTTOU, SIG_IGN);
        pid_t group = 0;
        return errno_of(::ioctl(terminal, TIOCGPGRP, &group));
    });
}

TEST_CASE("leave the host without its terminal") {
    show_at_terminal([](int terminal) {
        ::signal(SIGHUP, SIG_IGN);
        return errno_of(::ioctl(terminal, TIOCNOTTY));
    });
}
