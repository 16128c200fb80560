#include <sysguard/decide/terminal.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::Rule;

namespace {

/// What a terminal shows and what a person types, as two pipes.
struct Terminal {
    explicit Terminal(const std::string& typed, bool hang_up = true) {
        int ends[2];
        CHECK(::pipe2(ends, O_CLOEXEC) == 0);
        input.reset(ends[0]);
        keyboard.reset(ends[1]);
        CHECK(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        screen.reset(ends[0]);
        output.reset(ends[1]);
        CHECK(::write(keyboard.get(), typed.data(), typed.size()) == static_cast<ssize_t>(typed.size()));
        if (hang_up) keyboard.reset();
    }

    sg::TerminalAsker asker() const { return {input.get(), output.get()}; }

    std::string shown() const {
        char text[4096];
        const ssize_t size = ::read(screen.get(), text, sizeof text);
        return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "";
    }

    sg::process::Descriptor input;
    sg::process::Descriptor keyboard;
    sg::process::Descriptor output;
    sg::process::Descriptor screen;
};

/// Whether a call was allowed that was asked about so.
bool allowed(const Terminal& terminal, std::chrono::milliseconds time = 60s) {
    const sg::Policy policy{Rule<SYS_getpriority>{}.ask(terminal.asker(), {.time = time, .error = EXFULL}),
                            sg::otherwise.allow()};
    const auto result = sg::Sandbox{policy}.call([] {
        const long got = ::syscall(SYS_getpriority, 0, 0);
        return got < 0 ? -errno : static_cast<int>(got);
    });
    REQUIRE(result);
    CHECK((*result == 20 || *result == -EXFULL));
    return *result == 20;
}

}  // namespace

TEST_CASE("a clear yes is a yes, all else is a no") {
    for (const char* yes : {"y\n", "yes\n", "Y\n", "Yes\n"}) CHECK(allowed(Terminal{yes}));
    for (const char* no : {"\n", "n\n", "no\n", "yy\n", "yeah\n", " y\n", "y", "", "\x1b[Ay\n", "y\r\n"})
        CHECK_FALSE(allowed(Terminal{no}));
}

TEST_CASE("a line that is longer than any answer is a no") {
    CHECK_FALSE(allowed(Terminal{std::string(5000, 'y') + "\n"}));
}

TEST_CASE("nobody answers: the time is over") {
    const Terminal terminal{"y", false};
    CHECK_FALSE(allowed(terminal, 50ms));
}

TEST_CASE("what is shown: program, process id, call, number and arguments") {
    const Terminal terminal{"y\n"};
    CHECK(allowed(terminal));
    const std::string shown = terminal.shown();
    CHECK(shown.find("test.decide.terminal (pid ") != std::string::npos);
    CHECK(shown.find("calls getpriority(which=0, who=0) (system call " + std::to_string(SYS_getpriority) + ")") !=
          std::string::npos);
    CHECK(shown.find("Allow? [y/N]") != std::string::npos);
}

TEST_CASE("a path with control characters cannot draw on the terminal") {
    const Terminal terminal{"n\n"};
    const sg::Policy policy{Rule<SYS_openat>{sg::arg::flags == O_RDONLY}.ask(terminal.asker()), sg::otherwise.allow()};
    CHECK(sg::Sandbox{policy}.call([] { ::syscall(SYS_openat, AT_FDCWD, "/tmp/\x1b[2J\n\"x", O_RDONLY); }));
    const std::string shown = terminal.shown();
    CHECK(shown.find("path=\"/tmp/\\x1b[2J\\x0a\\\"x\"") != std::string::npos);
    CHECK(shown.find('\x1b') == std::string::npos);
}
