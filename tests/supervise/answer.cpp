#include <sysguard/policy.hpp>
#include <sysguard/supervise/answer.hpp>
#include <sysguard/supervise/call.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"

namespace sg = sysguard;
using sg::supervise::Answerer;
using sg::supervise::Pending;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};

/// What the call came to, as the code that its process ends with.
int priority() {
    const long result = ::syscall(SYS_getpriority, 5, 6);
    return result < 0 ? 100 + errno : static_cast<int>(result);
}

/// What a process sees when one call of its own is answered.
template <class Decide, class Body>
int answered(Decide&& decide, Body&& body, bool is_its_answer = true) {
    Supervised process{policy.program(), body};
    Pending call;
    process.receive(call);
    CHECK(Answerer::answer(process.listener, call, decide(call)) == is_its_answer);
    return process.exit_code();
}

}  // namespace

TEST_CASE("an error, a value, and what the kernel says") {
    CHECK(answered([](Pending& call) { return sg::AnyCall{call}.deny(EXFULL); }, priority) == 100 + EXFULL);
    CHECK(answered([](Pending& call) { return sg::AnyCall{call}.fake(7); }, priority) == 7);
    CHECK(answered([](Pending& call) { return sg::AnyCall{call}.proceed_unchecked(); }, priority) == 100 + EINVAL);
}

TEST_CASE("a success is not said where something that belongs to it could not be written") {
    CHECK(answered(
              [](Pending& call) {
                  CHECK_FALSE(call.write(1, "x", 1));
                  return sg::AnyCall{call}.fake(7);
              },
              priority) == 100 + EFAULT);
}

TEST_CASE("a descriptor arrives with the number that the call returns, to be closed on exec or not") {
    const auto flags_of_received = [] {
        const int fd = static_cast<int>(::syscall(SYS_getpriority, 5, 6));
        char byte = 0;
        if (fd < 0 || ::read(fd, &byte, 1) != 1 || byte != 0) return 99;
        return ::fcntl(fd, F_GETFD);
    };
    const sg::process::Descriptor zero{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    CHECK(answered([&](Pending& call) { return sg::AnyCall{call}.return_fd(zero.get()); }, flags_of_received) ==
          FD_CLOEXEC);
    CHECK(answered([&](Pending& call) { return sg::AnyCall{call}.return_fd(zero.get(), false); }, flags_of_received) ==
          0);
}

TEST_CASE("a process without room for a descriptor is told so") {
    const auto without_room = [] {
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_NOFILE, &none);
        return priority();
    };
    CHECK(answered([](Pending& call) { return sg::AnyCall{call}.return_fd(0); }, without_room) == 100 + EMFILE);
}

TEST_CASE("what only a supervisor can carry out is refused") {
    CHECK(answered([](Pending& call) { return sg::AnyCall{call}.kill(); }, priority) == 100 + EPERM);
}

TEST_CASE("a call is answered once, and one that has gone not at all") {
    Supervised process{policy.program(), priority};
    Pending call;
    process.receive(call);
    CHECK(Answerer::answer(process.listener, call, sg::AnyCall{call}.fake(1)));
    CHECK_FALSE(Answerer::answer(process.listener, call, sg::AnyCall{call}.fake(2)));
    CHECK_FALSE(Answerer::answer(process.listener, call, sg::AnyCall{call}.return_fd(0)));
    CHECK(process.exit_code() == 1);
}
