#include <sysguard/policy.hpp>
#include <sysguard/policy/possibilities.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace arg = sysguard::arg;
namespace sys = sysguard::sys;
using sg::Rule;
using sg::policy::Fate;
using sg::policy::Knowledge;
using sg::policy::Known;
using sg::policy::Possibilities;
using N = sysguard::abi::ArgName;

namespace {

constexpr std::uint64_t int_bits = 0xffffffff;

constexpr bool may(const auto& policy, Fate fate, int number, const Knowledge& knowledge = {}) {
    return Possibilities{policy.view()}.may(fate, number, knowledge);
}

constexpr bool open_beside(const auto& policy, int ruled, int other, const Knowledge& of_ruled = {},
                           const Knowledge& of_other = {}) {
    return Possibilities{policy.view()}.is_open_beside(ruled, of_ruled, other, of_other);
}

}  // namespace

TEST_CASE("what is known of arguments decides") {
    constexpr sg::Policy policy{Rule<SYS_kill>{arg::sig == 9}.deny(EPERM), Rule<SYS_kill>{arg::pid > 5}.allow(),
                                sg::otherwise.kill()};
    static_assert(may(policy, Fate::runs, SYS_kill));
    static_assert(may(policy, Fate::runs, SYS_kill, Known{N::sig, int_bits, 1}));
    static_assert(!may(policy, Fate::runs, SYS_kill, Known{N::sig, int_bits, 9}));
    static_assert(may(policy, Fate::runs, SYS_kill, Known{N::sig, int_bits, 9, true}));
    static_assert(!may(policy, Fate::runs, SYS_kill, Known{N::pid, int_bits, 5}));
    static_assert(!may(policy, Fate::runs, SYS_kill, {Known{N::pid, int_bits, 6}, Known{N::sig, int_bits, 9}}));
    static_assert(may(policy, Fate::runs, SYS_kill, Known{N::fd, int_bits, 6}));
    static_assert(!may(policy, Fate::runs, SYS_read));
    static_assert(!may(policy, Fate::runs, -1));
    CHECK(may(policy, Fate::stopped, SYS_kill));
    CHECK(may(policy, Fate::stopped, SYS_read));
    CHECK_FALSE(may(policy, Fate::stopped, SYS_kill, {Known{N::pid, int_bits, 6}, Known{N::sig, int_bits, 1}}));
}

TEST_CASE("rules that no argument gets to say nothing") {
    const sg::Policy covered{Rule<SYS_kill>{arg::sig < 5}.deny(EPERM), Rule<SYS_kill>{arg::sig >= 5}.deny(EACCES),
                             sg::otherwise.allow()};
    CHECK_FALSE(may(covered, Fate::runs, SYS_kill));
    const sg::Policy in_part{Rule<SYS_kill>{arg::sig < 5}.deny(EPERM), Rule<SYS_kill>{arg::sig >= 6}.deny(EACCES),
                             sg::otherwise.allow()};
    CHECK(may(in_part, Fate::runs, SYS_kill));
    CHECK(may(in_part, Fate::runs, SYS_kill, Known{N::sig, int_bits, 5}));
    CHECK_FALSE(may(in_part, Fate::runs, SYS_kill, Known{N::sig, int_bits, 5, true}));
}

TEST_CASE("all forms of conditions are understood from bits") {
    const sg::Policy policy{Rule<SYS_socket>{arg::domain.in(AF_INET, AF_INET6) && !(arg::type == SOCK_RAW)}.allow(),
                            Rule<SYS_socket>{arg::protocol.between(3, 7) || (arg::type & ~0xf) != 0}.deny(EPERM),
                            sg::otherwise.kill()};
    const Possibilities can{policy.view()};
    CHECK(can.always(Fate::runs, SYS_socket, {Known{N::domain, int_bits, AF_INET6}, Known{N::type, int_bits, 1}}));
    CHECK(can.always(Fate::stopped, SYS_socket, Known{N::domain, int_bits, AF_UNIX}));
    CHECK(can.always(Fate::stopped, SYS_socket, Known{N::domain, 1, 1}));
    CHECK_FALSE(can.always(Fate::stopped, SYS_socket, Known{N::domain, 1, 0}));
    CHECK(can.may(Fate::runs, SYS_socket, Known{N::domain, 1, 0}));
    CHECK_FALSE(can.always(Fate::runs, -1));
    CHECK(can.is_ruled(SYS_socket));
    CHECK_FALSE(can.is_ruled(SYS_bind));
    CHECK_FALSE(can.is_ruled(-1));
}

TEST_CASE("what the host looks at does not run, whatever memory says") {
    const sg::Policy looked_at{Rule<SYS_openat>{arg::path.under("/srv")}.allow(), sg::otherwise.kill()};
    CHECK_FALSE(may(looked_at, Fate::runs, SYS_openat));
    const sg::Policy in_part{Rule<SYS_openat>{(arg::flags & 3) != 0 && !arg::path.under("/srv")}.deny(EACCES),
                             sg::allow<SYS_openat>, sg::otherwise.kill()};
    CHECK_FALSE(may(in_part, Fate::runs, SYS_openat, Known{N::flags, 3, O_WRONLY}));
    CHECK(may(in_part, Fate::runs, SYS_openat, Known{N::flags, 3, O_RDONLY}));
}

TEST_CASE("ENOSYS of a rule sends on, and refuses nothing; of all the rest, it refuses") {
    const sg::Policy policy{Rule<SYS_clone3>{}.deny(ENOSYS), Rule<SYS_kill>{arg::sig == 1}.allow(),
                            sg::otherwise.deny(ENOSYS)};
    CHECK(may(policy, Fate::stopped, SYS_clone3));
    CHECK_FALSE(may(policy, Fate::refused, SYS_clone3));
    CHECK(may(policy, Fate::refused, SYS_kill));
}

TEST_CASE("a tracer may let calls run, where a worker can be one") {
    sg::Rules<4, 0> rules;
    rules.add(SYS_getppid, nullptr, 0, false, {sg::Action::trace, 1});
    const auto view = [&] {
        return sg::policy::View{rules.begin(), rules.size(), rules.nodes(), {sg::Action::kill}, {sg::Action::kill}};
    };
    CHECK_FALSE(Possibilities{view()}.may(Fate::runs, SYS_getppid));
    rules.add(SYS_ptrace, nullptr, 0, false, {sg::Action::allow});
    CHECK(Possibilities{view()}.may(Fate::runs, SYS_getppid));
}

TEST_CASE("one call beside another: with the same arguments") {
    constexpr sg::Policy reading{Rule<SYS_openat>{(arg::flags & O_ACCMODE) == O_RDONLY}.allow(),
                                 Rule<sys::open_by_handle_at>{(arg::flags & (O_ACCMODE | O_CLOEXEC)) == 0}.allow(),
                                 sg::allow<sys::openat2>, sg::otherwise.kill()};
    static_assert(open_beside(reading, SYS_openat, sys::openat2));
    static_assert(!open_beside(reading, SYS_openat, sys::open_by_handle_at));
    static_assert(open_beside(reading, sys::open_by_handle_at, SYS_openat));
    static_assert(!open_beside(reading, sys::openat2, SYS_openat));
    static_assert(!open_beside(reading, SYS_read, SYS_openat));
    static_assert(!open_beside(reading, SYS_openat, -1));
    CHECK_FALSE(open_beside(reading, SYS_openat, SYS_read));
    CHECK_FALSE(open_beside(reading, SYS_openat, sys::openat2, Known{N::flags, int_bits, 0}));
    CHECK_FALSE(open_beside(reading, SYS_openat, sys::open_by_handle_at, {}, Known{N::flags, int_bits, O_WRONLY}));
}

TEST_CASE("calls with the same rules are as open as each other") {
    const auto condition = arg::mode & 07002;
    const sg::Policy same{Rule<SYS_fchmodat>{condition}.deny(EPERM), Rule<SYS_fchmod>{condition}.deny(EPERM),
                          sg::otherwise.allow()};
    CHECK_FALSE(open_beside(same, SYS_fchmodat, SYS_fchmod));
    const sg::Policy more{Rule<SYS_fchmodat>{condition}.deny(EPERM), Rule<SYS_fchmod>{condition}.deny(EPERM),
                          Rule<SYS_fchmod>{arg::mode == 1}.deny(EPERM), sg::otherwise.allow()};
    CHECK(open_beside(more, SYS_fchmod, SYS_fchmodat));
    CHECK_FALSE(open_beside(more, SYS_fchmodat, SYS_fchmod));
    const sg::Policy by_another{Rule<SYS_fchmodat>{arg::dirfd == 1}.deny(EPERM),
                                Rule<SYS_fchmod>{arg::fd == 1}.deny(EPERM), sg::otherwise.allow()};
    CHECK(open_beside(by_another, SYS_fchmodat, SYS_fchmod));
    const sg::Policy other_decision{Rule<SYS_fchmodat>{condition}.deny(EPERM), Rule<SYS_fchmod>{condition}.allow(),
                                    sg::otherwise.kill()};
    CHECK(open_beside(other_decision, SYS_fchmodat, SYS_fchmod));
}

TEST_CASE("what is too intricate to search is possible") {
    const auto many = [](auto operand, int step) {
        return operand.in(1 * step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step, 8 * step, 9 * step,
                          10 * step, 11 * step, 12 * step, 13 * step, 14 * step, 15 * step, 16 * step);
    };
    const auto intricate = many(arg::len, 5) && many(arg::offset, 7) && many(arg::fd, 9) && many(arg::flags, 2);
    const sg::Policy policy{Rule<SYS_mmap>{intricate && arg::addr == 1}.allow(),
                            Rule<SYS_mmap>{intricate && arg::addr == 2}.deny(EPERM),
                            Rule<SYS_mremap>{many(arg::new_size, 3) && many(arg::old_size, 3) &&
                                             many(arg::old_address, 3) && many(arg::flags, 3)}
                                .allow(),
                            sg::otherwise.kill()};
    CHECK(may(policy, Fate::runs, SYS_mmap));
    CHECK(open_beside(policy, SYS_mmap, SYS_mremap));
}

TEST_CASE("whatever becomes of some call is possible, and each decision is named") {
    const std::vector<int> calls{sys::read, sys::lseek, sys::socket, sys::kill, sys::fchmodat, sys::fchmod, sys::mmap};
    support::RandomPolicy random{support::Choices{20261124}, calls};
    std::size_t exact = 0;
    std::size_t impossible = 0;
    for (int round = 0; round < 3000; ++round) {
        const support::LoosePolicy& loose =
            random.make({{sg::Action::allow}, {sg::Action::deny, EPERM}, {sg::Action::kill}});
        const support::FixedPolicy policy{loose};
        const sg::policy::View view = policy.view();
        const Possibilities can{view};
        support::Choices& choices = random.choices();
        const int number = choices.pick(loose.rules).number;
        const Known known{abi::find(number)->arguments[choices.below(3)].name, choices.number() & 0xff0000ff, 0};
        bool seen[2] = {false, false};
        for (int i = 0; i < 40; ++i) {
            const seccomp_data input = random.input(number);
            std::uint64_t arguments[6];
            std::copy(std::begin(input.args), std::end(input.args), arguments);
            const int position = abi::find(number)->position(known.argument);
            if (position >= 0) arguments[position] &= ~known.mask;
            const sg::Decision decision = sg::policy::decide(view, number, arguments);
            const bool runs = decision == sg::Action::allow;
            seen[runs] = true;
            bool named = false;
            can.each_decision(number, [&](const sg::Decision& each) { named = named || each == decision; });
            CHECK(named);
        }
        const bool possible[2] = {can.may(Fate::stopped, number, known), can.may(Fate::runs, number, known)};
        for (const bool runs : {false, true}) {
            CHECK((possible[runs] || !seen[runs]));
            exact += possible[runs] == seen[runs];
            impossible += !possible[runs];
        }
    }
    MESSAGE(exact << " of 6000 answers seen, " << impossible << " impossible");
    CHECK(exact > 5000);
    CHECK(impossible > 100);
}

TEST_CASE("where one call is seen to run with what another is refused, it is open beside it") {
    support::RandomPolicy random{support::Choices{20261125}, {sys::fchmodat, sys::fchmod, sys::fchmodat2}};
    std::size_t found = 0;
    std::size_t seen = 0;
    for (int round = 0; round < 2000; ++round) {
        const support::FixedPolicy policy{
            random.make({{sg::Action::allow}, {sg::Action::deny, EPERM}, {sg::Action::kill}})};
        const sg::policy::View view = policy.view();
        const Possibilities can{view};
        if (!can.is_ruled(sys::fchmodat)) continue;
        bool shown = false;
        for (int i = 0; i < 100; ++i) {
            std::uint64_t of_ruled[6];
            std::uint64_t of_other[6];
            const seccomp_data ruled = random.input(sys::fchmodat);
            const seccomp_data other = random.input(sys::fchmod);
            std::copy(std::begin(ruled.args), std::end(ruled.args), of_ruled);
            std::copy(std::begin(other.args), std::end(other.args), of_other);
            of_ruled[2] = of_other[1] = i % 2 == 0 ? of_ruled[2] : of_other[1];  // the mode
            shown = shown || (!(sg::policy::decide(view, sys::fchmodat, of_ruled) == sg::Action::allow) &&
                              sg::policy::decide(view, sys::fchmod, of_other) == sg::Action::allow);
        }
        const bool open = can.is_open_beside(sys::fchmodat, {}, sys::fchmod, {});
        CHECK((open || !shown));
        found += open;
        seen += shown;
    }
    MESSAGE(seen << " of " << found << " seen");
    CHECK(seen * 10 > found * 9);
    CHECK(found > 200);
    CHECK(found < 1800);
}
