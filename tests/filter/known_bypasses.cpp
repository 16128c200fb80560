#include <sysguard/filter/install.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/libseccomp_judge.hpp"
#include "support/probe.hpp"
#include "support/shared.hpp"
#include "support/skip.hpp"

// Values that filters of others have let through, each of them let through here, and then refused by sysguard's filter
// for the rule that says the same.

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using sg::Rule;
using support::LibseccompFilter;

namespace {

/// What became of pushing input into a terminal: 0, or an errno.
struct Pushed {
    bool has_terminal;
    int plainly;
    int disguised[33];  ///< with bit 32, 33, ... 63 of the request set, and with all of them
    bool arrived;       ///< what the disguised requests pushed can be read
};

int errno_of(long result) {
    return result < 0 ? errno : 0;
}

/// Pushes input into a terminal of this test's own, in a child under a filter.
Pushed push_into_terminal(const filter::ProgramView& program) {
    support::Shared<Pushed> pushed;
    const pid_t child = ::fork();
    if (child == 0) {
        ::setsid();
        const int controller = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        char name[64] = "";
        if (controller < 0 || ::grantpt(controller) != 0 || ::unlockpt(controller) != 0 ||
            ::ptsname_r(controller, name, sizeof name) != 0)
            ::_exit(0);
        const int terminal = ::open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);  // becomes the controlling one
        if (terminal < 0) ::_exit(0);
        pushed->has_terminal = true;
        filter::install(program);
        const char line = '\n';
        const auto push = [&](std::uint64_t request) {
            return errno_of(::syscall(SYS_ioctl, terminal, request, &line));
        };
        pushed->plainly = push(TIOCSTI);
        for (unsigned bit = 0; bit < 32; ++bit) pushed->disguised[bit] = push(1ULL << (32 + bit) | TIOCSTI);
        pushed->disguised[32] = push(0xffffffff00000000 | TIOCSTI);
        char got = 0;
        pushed->arrived = ::syscall(SYS_read, terminal, &got, 1) == 1 && got == line;
        ::syscall(SYS_exit_group, 0);  // a sanitizer's _exit does more than the filter allows
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    return *pushed;
}

/// Checks that disguised requests get past `theirs`, and none past `ours`; plain ones past neither.
void check_disguised_requests(const support::Code& theirs, const filter::ProgramView& ours) {
    const Pushed before = push_into_terminal(support::view(theirs));
    if (!before.has_terminal) SYSGUARD_SKIP("no terminal can be made here");
    CHECK(before.plainly == EPERM);
    // A kernel without dev.tty.legacy_tiocsti refuses them itself, with EIO, unless they are root's.
    bool arrives = true;
    for (const int error : before.disguised) {
        const bool passed_the_filter = error == 0 || error == EIO;
        CHECK(passed_the_filter);
        arrives = arrives && error == 0;
    }
    CHECK(before.arrived == arrives);

    const Pushed after = push_into_terminal(ours);
    CHECK(after.plainly == EPERM);
    for (const int error : after.disguised) CHECK(error == EPERM);
    CHECK_FALSE(after.arrived);
}

/// What one call comes to under a filter.
long result_of(const filter::ProgramView& program, const support::Probe& probe) {
    const std::vector<support::Answer> answers = support::make_calls(program, {probe});
    CHECK(answers[0].made);
    return answers[0].result;
}

/// A filter that refuses all but the end of the process, for rules to be added to.
struct Closed : LibseccompFilter {
    Closed() : LibseccompFilter{SCMP_ACT_ERRNO(EPERM)} {
        REQUIRE(is_made());
        REQUIRE(add(SCMP_ACT_ALLOW, SYS_exit_group, {}) == 0);
    }
};

}  // namespace

TEST_CASE("live: Flatpak's CVE-2019-10063, a terminal's input pushed past a refusal of TIOCSTI") {
    LibseccompFilter theirs{SCMP_ACT_ALLOW};
    REQUIRE(theirs.add(SCMP_ACT_ERRNO(EPERM), SYS_ioctl, {{1, SCMP_CMP_EQ, TIOCSTI, 0}}) == 0);
    constexpr sg::Policy ours{Rule<SYS_ioctl>{arg::request == TIOCSTI}.deny(EPERM), sg::otherwise.allow()};
    check_disguised_requests(theirs.program(), ours.program());
}

TEST_CASE("live: snapd's CVE-2019-7303, a terminal's input pushed where all but TIOCSTI is allowed") {
    Closed theirs;
    REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_read, {}) == 0);
    REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_ioctl, {{1, SCMP_CMP_NE, TIOCSTI, 0}}) == 0);
    constexpr sg::Policy ours{sg::allow<SYS_exit_group, SYS_read>, Rule<SYS_ioctl>{arg::request != TIOCSTI}.allow(),
                              sg::otherwise.deny(EPERM)};
    check_disguised_requests(theirs.program(), ours.program());
}

TEST_CASE("live: libseccomp's union of two ranges lets through what lies in neither") {
    Closed theirs;
    REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_read, {{2, SCMP_CMP_LE, 5, 0}}) == 0);
    REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_read, {{2, SCMP_CMP_GT, 0x200000000, 0}}) == 0);
    constexpr sg::Policy ours{sg::allow<SYS_exit_group>,
                              Rule<SYS_read>{arg::count <= 5 || arg::count > 0x200000000}.allow(),
                              sg::otherwise.deny(EPERM)};
    constexpr std::uint64_t no_descriptor = ~0ULL;
    const auto read = [&](const filter::ProgramView& program, std::uint64_t count) {
        return result_of(program, {SYS_read, {no_descriptor, 0, count}});
    };
    CHECK(read(ours.program(), 5) == -EBADF);
    CHECK(read(ours.program(), 6) == -EPERM);
    CHECK(read(ours.program(), 0xffffffff) == -EPERM);
    CHECK(read(ours.program(), 0x200000000) == -EPERM);
    CHECK(read(ours.program(), 0x200000001) == -EBADF);

    const support::Code program = theirs.program();
    CHECK(read(support::view(program), 5) == -EBADF);
    if (read(support::view(program), 6) == -EPERM) SYSGUARD_SKIP("this libseccomp gets the union right");
    CHECK(read(support::view(program), 6) == -EBADF);
}

TEST_CASE("live: libseccomp drops a rule that a wider one contradicts, and says nothing") {
    // readahead with a count of 5 is refused, all others are allowed: in either order, 5 is allowed.
    constexpr std::uint64_t no_descriptor = ~0ULL;
    const auto read_ahead = [&](const filter::ProgramView& program, std::uint64_t count) {
        return result_of(program, {SYS_readahead, {no_descriptor, 0, count}});
    };
    for (const bool refused_first : {true, false}) {
        Closed theirs;
        const auto refuse = [&] { return theirs.add(SCMP_ACT_ERRNO(EACCES), SYS_readahead, {{2, SCMP_CMP_EQ, 5, 0}}); };
        if (refused_first) CHECK(refuse() == 0);
        CHECK(theirs.add(SCMP_ACT_ALLOW, SYS_readahead, {}) == 0);
        if (!refused_first) CHECK(refuse() == 0);
        const support::Code program = theirs.program();
        CHECK(read_ahead(support::view(program), 6) == -EBADF);
        CHECK(read_ahead(support::view(program), 5) == -EBADF);
    }

    constexpr auto refuse = Rule<SYS_readahead>{arg::count == 5}.deny(EACCES);
    constexpr auto allow = sg::allow<SYS_readahead, SYS_exit_group>;
    constexpr sg::Policy ours{refuse, allow, sg::otherwise.deny(EPERM)};
    CHECK(read_ahead(ours.program(), 6) == -EBADF);
    CHECK(read_ahead(ours.program(), 5) == -EACCES);
    try {
        const sg::Policy reversed{allow, refuse, sg::otherwise.deny(EPERM)};
        FAIL("a rule that cannot be reached was taken");
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == EINVAL);
        CHECK(error.step().find("never be reached") != std::string::npos);
    }
}

TEST_CASE("live: where two rules want the same values and say different things, the first holds") {
    // libseccomp refuses the second, and the host that does not look takes the filter without it.
    Closed theirs;
    REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_readahead, {{2, SCMP_CMP_EQ, 5, 0}}) == 0);
    CHECK(theirs.add(SCMP_ACT_ERRNO(EACCES), SYS_readahead, {{2, SCMP_CMP_EQ, 5, 0}}) == -EEXIST);
    const auto overlapping = [] {
        return sg::Policy{sg::allow<SYS_exit_group>, Rule<SYS_readahead>{arg::count.between(5, 9)}.allow(),
                          Rule<SYS_readahead>{arg::count.between(8, 12)}.deny(EACCES), sg::otherwise.deny(EPERM)};
    }();
    const auto read_ahead = [&](std::uint64_t count) {
        return result_of(overlapping.program(), {SYS_readahead, {~0ULL, 0, count}});
    };
    CHECK(read_ahead(4) == -EPERM);
    CHECK(read_ahead(5) == -EBADF);
    CHECK(read_ahead(9) == -EBADF);
    CHECK(read_ahead(10) == -EACCES);
    CHECK(read_ahead(13) == -EPERM);
    try {
        const sg::Policy repeated{Rule<SYS_readahead>{arg::count == 5}.allow(),
                                  Rule<SYS_readahead>{arg::count == 5}.deny(EACCES), sg::otherwise.deny(EPERM)};
        FAIL("a rule that cannot be reached was taken");
    } catch (const sg::Error& error) {
        CHECK(error.step().find("never be reached") != std::string::npos);
    }
}

TEST_CASE("live: libseccomp shares code between calls, and takes one argument for another") {
    // Of equalities alone. fadvise64 is allowed with an offset of 0, and with an offset of 1 for advice 7; libseccomp's
    // list of calls then allows an offset of 1 with advice 0, because it compares the advice with the offset's 0.
    Closed theirs;
    const auto is = [](unsigned position, std::uint64_t value) {
        return scmp_arg_cmp{position, SCMP_CMP_MASKED_EQ, 0xffffffff, value};
    };
    for (const std::uint64_t offset : {0U, 2U})
        REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_readahead, {is(1, offset)}) == 0);
    for (const std::uint64_t offset : {5U, 7U, 8U})
        REQUIRE(theirs.add(SCMP_ACT_LOG, SYS_readahead, {is(1, offset)}) == 0);
    REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_fadvise64, {is(1, 0)}) == 0);
    REQUIRE(theirs.add(SCMP_ACT_ALLOW, SYS_fadvise64, {is(1, 1), is(3, 7)}) == 0);

    constexpr auto offset = arg::offset & 0xffffffffUL;
    constexpr sg::Policy ours{sg::allow<SYS_exit_group>, Rule<SYS_readahead>{offset.in(0, 2)}.allow(),
                              Rule<SYS_readahead>{offset.in(5, 7, 8)}.log(),
                              Rule<SYS_fadvise64>{offset == 0 || (offset == 1 && arg::advice == 7)}.allow(),
                              sg::otherwise.deny(EPERM)};
    const auto advise = [](const filter::ProgramView& program, std::uint64_t from, std::uint64_t advice) {
        return result_of(program, {SYS_fadvise64, {~0ULL, from, 0, advice}});
    };
    CHECK(advise(ours.program(), 0, 0) == -EBADF);
    CHECK(advise(ours.program(), 1, 7) == -EBADF);
    CHECK(advise(ours.program(), 1, 0) == -EPERM);
    CHECK(advise(ours.program(), 7, 7) == -EPERM);

    const support::Code program = theirs.program();
    CHECK(advise(support::view(program), 1, 7) == -EBADF);
    if (advise(support::view(program), 1, 0) == -EPERM) SYSGUARD_SKIP("this libseccomp shares no wrong code");
    CHECK(advise(support::view(program), 1, 0) == -EBADF);
}
