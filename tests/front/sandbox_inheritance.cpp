#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/skip.hpp"
#include "support/supervised.hpp"

/// What of the host's does not come to its workers.
namespace sg = sysguard;
namespace arg = sysguard::arg;

namespace {

constexpr sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};

struct Report {
    char text[8192];
    void add(const std::string& line) {
        const std::size_t used = std::strlen(text);
        std::snprintf(text + used, sizeof text - used, "%s\n", line.c_str());
    }
};

std::string target_of(int fd) {
    char text[256];
    const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), text, sizeof text);
    return size < 0 ? "none" : std::string(text, static_cast<std::size_t>(size));
}

/// In a host that has closed some of its streams: what it has at their numbers, and what its workers get, whichever way
/// they start, several at a time.
void report_streams(int closed, Report& report) {
    for (int fd = 0; fd < 3; ++fd) ::dup2(::open("/dev/zero", O_RDWR | O_CLOEXEC), fd);
    for (int fd = 0; fd < 3; ++fd)
        if ((closed & 1 << fd) != 0) ::close(fd);
    const sg::Sandbox box{asking};
    const sg::Launch launch{.input = sg::Stdio::inherit()};
    std::vector<sg::Worker> workers;
    for (int i = 0; i < 2; ++i) workers.push_back(box.spawn({support::helper("behave"), "sleep"}));
    (void)box.call(launch, [&report] {
        for (int fd = 0; fd < 3; ++fd) report.add("function " + std::to_string(fd) + " " + target_of(fd));
        for (int fd = 3; fd < 100; ++fd)
            if (::fcntl(fd, F_GETFD) >= 0) report.add("function has " + std::to_string(fd));
    });
    for (const bool spawned : {false, true}) {
        sg::Launch captured = launch;
        captured.output = sg::Stdio::capture();
        sg::Outcome outcome;
        if (spawned) {
            sg::Worker worker = box.spawn({support::helper("inspect")}, captured);
            outcome = worker.wait();
        } else {
            outcome = box.run({support::helper("inspect")}, captured);
        }
        for (const std::string& line : support::lines(outcome.output()))
            if (line.rfind("target ", 0) == 0) report.add("program " + line.substr(7));
    }
    for (int fd = 0; fd < 3; ++fd) report.add("host " + std::to_string(fd) + " " + target_of(fd));
}

}  // namespace

TEST_CASE("whichever streams the host has closed, no worker gets a descriptor of the sandbox's own in their place") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    for (int closed = 0; closed < 8; ++closed) {
        CAPTURE(closed);
        const support::Shared<Report> report;
        const pid_t host = ::fork();
        if (host == 0) {
            report_streams(closed, *report);
            ::_exit(0);
        }
        int status = -1;
        ::waitpid(host, &status, 0);
        CHECK(status == 0);
        std::string expected;
        const auto expect = [&](const std::string& who, int fd, const char* open, const char* otherwise) {
            expected += who + " " + std::to_string(fd) + " " + ((closed & 1 << fd) == 0 ? open : otherwise) + "\n";
        };
        for (int fd = 0; fd < 3; ++fd) expect("function", fd, "/dev/zero", "/dev/null");
        for (int way = 0; way < 2; ++way)
            for (const int fd : {0, 2}) expect("program", fd, "/dev/zero", "/dev/null");
        for (int fd = 0; fd < 3; ++fd) expect("host", fd, "/dev/zero", "none");
        std::string found;
        for (const std::string& line : support::lines(report->text))
            if (line.rfind("program 1 pipe:", 0) != 0) found += line + "\n";
        CHECK(found == expected);
    }
}

TEST_CASE("a stream that is closed when a program is executed is not inherited") {
    const int saved = ::fcntl(2, F_DUPFD_CLOEXEC, 3);
    ::dup3(::open("/dev/zero", O_RDWR | O_CLOEXEC), 2, O_CLOEXEC);
    const auto found = support::inspect(sg::Sandbox{asking});
    ::dup2(saved, 2);
    ::close(saved);
    CHECK(support::contains(found, "target 2 /dev/null"));
}

TEST_CASE("a number that the host has closed before is an error, and not what the sandbox opens next") {
    const sg::Sandbox box{asking};
    const int stale = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(stale);
    for (int number = stale; number < stale + 6; ++number) {
        if (::fcntl(number, F_GETFD) >= 0) continue;
        CAPTURE(number);
        const auto refused = [&](const sg::Launch& launch) {
            for (const bool program : {false, true}) {
                try {
                    if (program)
                        (void)box.run({support::helper("noop")}, launch);
                    else
                        (void)box.call(launch, [] {});
                    return false;
                } catch (const sg::Error& error) {
                    if (error.code().value() != EBADF) return false;
                }
            }
            return true;
        };
        CHECK(refused({.descriptors = {{number, 9}}}));
        CHECK(refused({.input = sg::Stdio::from(number)}));
    }
}

TEST_CASE("a worker has not the keys of the host's session") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const auto has_key = [] {
        return ::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "sysguard test", 0) >= 0;
    };
    const support::Shared<Report> report;
    const pid_t host = ::fork();  // a session keyring, once joined, cannot be left for what was before
    if (host == 0) {
        if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 ||
            ::syscall(SYS_add_key, "user", "sysguard test", "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0) {
            report->add("no keys");
            ::_exit(0);
        }
        const pid_t child = ::fork();
        if (child == 0) ::_exit(has_key());
        int status = 0;
        ::waitpid(child, &status, 0);
        if (WEXITSTATUS(status) == 1) report->add("a fork has it");
        const auto found = sg::Sandbox{asking}.call(has_key);
        report->add(found ? (*found ? "the worker has it" : "the worker has it not") : found.explain());
        if (has_key()) report->add("the host has it still");
        ::_exit(0);
    }
    ::waitpid(host, nullptr, 0);
    const std::string found = report->text;
    if (found == "no keys\n") SYSGUARD_SKIP("keys are not offered here");
    CHECK(found == "a fork has it\nthe worker has it not\nthe host has it still\n");
}
