#include <sysguard/policy.hpp>
#include <sysguard/supervise/listener.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"

namespace sg = sysguard;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};

}  // namespace

TEST_CASE("a call is received with its number and arguments, and answered with a value") {
    Supervised process{policy.program(), [] { return ::syscall(SYS_getpriority, 5, 6) == 77 ? 1 : 0; }};
    REQUIRE(process.wait_for_call());
    const seccomp_notif* const call = process.listener.receive();
    REQUIRE(call != nullptr);
    CHECK(call->data.nr == SYS_getpriority);
    CHECK(call->data.args[0] == 5);
    CHECK(call->data.args[1] == 6);
    CHECK(call->pid == static_cast<unsigned>(process.pid));
    process.listener.answer(call->id, 77, 0);
    CHECK(process.exit_code() == 1);
}

TEST_CASE("a call is answered with an error, which is no value") {
    Supervised process{policy.program(),
                       [] { return ::syscall(SYS_getpriority, 5, 6) == -1 && errno == EXFULL ? 1 : 0; }};
    REQUIRE(process.wait_for_call());
    const seccomp_notif* const call = process.listener.receive();
    REQUIRE(call != nullptr);
    process.listener.answer(call->id, 77, EXFULL);
    CHECK(process.exit_code() == 1);
}

TEST_CASE("several calls, one after the other: every request is received anew") {
    Supervised process{policy.program(), [] {
                           int sum = 0;
                           for (int i = 0; i < 50; ++i) sum += ::syscall(SYS_getpriority, i, 0) == i + 1;
                           return sum;
                       }};
    for (int i = 0; i < 50; ++i) {
        REQUIRE(process.wait_for_call());
        const seccomp_notif* const call = process.listener.receive();
        REQUIRE(call != nullptr);
        process.listener.answer(call->id, static_cast<std::int64_t>(call->data.args[0]) + 1, 0);
    }
    CHECK(process.exit_code() == 50);
}

TEST_CASE("a call that went away is nothing to receive, and nothing to be upset about when it is answered") {
    Supervised process{policy.program(), [] { return static_cast<int>(::syscall(SYS_getpriority, 0, 0)); }};
    REQUIRE(process.wait_for_call());
    ::kill(process.pid, SIGKILL);
    CHECK(process.exit_code() == -SIGKILL);
    CHECK(process.listener.receive() == nullptr);
    process.listener.answer(12345, 0, 0);
}

TEST_CASE("a listener that nobody uses hangs up") {
    Supervised process{policy.program(), [] { return 3; }};
    CHECK(process.exit_code() == 3);
    pollfd source{process.listener.fd(), POLLIN, 0};
    CHECK(::poll(&source, 1, 60000) == 1);
    CHECK((source.revents & POLLIN) == 0);
    CHECK((source.revents & POLLHUP) != 0);
    process.listener.close();
    CHECK_FALSE(process.listener);
}

TEST_CASE("when the host closes its listener, calls fail") {
    Supervised process{policy.program(),
                       [] { return ::syscall(SYS_getpriority, 0, 0) == -1 && errno == ENOSYS ? 1 : 0; }};
    REQUIRE(process.wait_for_call());
    process.listener.close();
    CHECK(process.exit_code() == 1);
}
