#include <sysguard/supervise/call.hpp>
#include <sysguard/supervise/verdict.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sg = sysguard;
using sg::Verdict;
using Kind = sg::Verdict::Kind;

namespace {

struct Asked {
    Asked() { pending.call = sg::abi::find(SYS_getpriority); }
    sg::AnyCall call() { return sg::AnyCall{pending}; }
    sg::supervise::Pending pending{};
};

}  // namespace

TEST_CASE("only a call makes a verdict, and it has one owner") {
    static_assert(!std::is_default_constructible_v<Verdict>);
    static_assert(!std::is_constructible_v<Verdict, Kind>);
    static_assert(!std::is_constructible_v<Verdict, Kind, std::int64_t>);
    static_assert(!std::is_copy_constructible_v<Verdict>);
    CHECK(std::is_nothrow_move_constructible_v<Verdict>);
}

TEST_CASE("what it says") {
    Asked asked;
    const Verdict denied = asked.call().deny(EXFULL);
    CHECK(denied.kind() == Kind::deny);
    CHECK(denied.error() == EXFULL);
    CHECK(denied.value() == 0);
    const Verdict faked = asked.call().fake(-7'000'000'000);
    CHECK(faked.kind() == Kind::fake);
    CHECK(faked.value() == -7'000'000'000);
    CHECK(faked.error() == 0);
    CHECK(asked.call().kill().kind() == Kind::kill);
    CHECK(asked.call().proceed_unchecked().kind() == Kind::proceed);
}

TEST_CASE("a call that cannot be performed fails with ENOSYS, and one that can says so") {
    Asked asked;
    asked.pending.number = SYS_getpriority;
    CHECK(asked.call().perform_if_possible().error() == ENOSYS);
    asked.pending.number = SYS_openat;
    CHECK(asked.call().perform_if_possible().kind() == Kind::perform);
}

TEST_CASE("a descriptor is a duplicate: the host's stays the host's, and goes with the verdict where nobody takes it") {
    Asked asked;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    char byte = 0;
    {
        const Verdict verdict = asked.call().return_fd(ends[1]);
        CHECK(verdict.kind() == Kind::descriptor);
        CHECK(verdict.error() == 0);
        CHECK(::close(ends[1]) == 0);
        CHECK(::read(ends[0], &byte, 1) == -1);  // somebody may still write
        CHECK(errno == EAGAIN);
    }
    CHECK(::read(ends[0], &byte, 1) == 0);
    ::close(ends[0]);
    CHECK(asked.call().return_fd(-1).error() == EBADF);
}

TEST_CASE("an errno that is none is the host's mistake") {
    Asked asked;
    for (const int error : {0, -EPERM, 4096}) CHECK_THROWS_AS((void)asked.call().deny(error), sg::Error);
}
