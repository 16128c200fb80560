#include <sysguard/filter/alternatives.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <vector>

#include <sys/syscall.h>

#include "support/large_policy.hpp"
#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using Kind = filter::Comparison::Kind;
using sg::Action;
using sg::Decision;
using sg::Rule;

namespace {

constexpr Decision killed{Action::kill};

/// What the alternatives say, and how many of them hold.
struct Said {
    Decision decision{};
    int holding = 0;
};

Said say(const std::vector<filter::Alternative>& list, const Decision& rest, const std::uint64_t* registers) {
    Said said{rest};
    for (const filter::Alternative& one : list) {
        if (!one.holds(registers)) continue;
        said.decision = one.decision;
        ++said.holding;
    }
    return said;
}

std::vector<filter::Alternative> made(const sg::policy::View& view, int number, bool ordered = true) {
    const auto list = filter::alternatives(view, number, {.rest = killed, .ordered = ordered});
    REQUIRE(list);
    return *list;
}

}  // namespace

TEST_CASE("a test of 32 bits is an equality under a mask, one of 64 a comparison") {
    constexpr sg::Policy policy{Rule<SYS_kill>{arg::sig == 9}.deny(EPERM),
                                Rule<SYS_lseek>{arg::offset == -1}.allow(),
                                Rule<SYS_read>{arg::count <= 5 || arg::count > 0x200000000}.allow(),
                                Rule<SYS_write>{arg::count != 7}.allow(),
                                Rule<SYS_getrandom>{arg::count > 0 && arg::flags == 0}.log(),
                                sg::otherwise.kill()};
    const auto kill = made(policy.view(), SYS_kill);
    REQUIRE(kill.size() == 1);
    CHECK(kill[0].decision == Decision{Action::deny, EPERM});
    REQUIRE(kill[0].comparisons.size() == 1);
    CHECK(kill[0].comparisons[0] == filter::Comparison{1, Kind::masked_equal, 0xffffffff, 9});
    const auto lseek = made(policy.view(), SYS_lseek);
    REQUIRE(lseek.size() == 1);
    CHECK(lseek[0].comparisons[0] == filter::Comparison{1, Kind::equal, ~0ULL, ~0ULL});
    const auto read = made(policy.view(), SYS_read);
    REQUIRE(read.size() == 2);
    CHECK(read[0].comparisons[0] == filter::Comparison{2, Kind::less_or_equal, ~0ULL, 5});
    CHECK(read[1].comparisons[0] == filter::Comparison{2, Kind::greater_or_equal, ~0ULL, 0x200000001});
    const auto write = made(policy.view(), SYS_write);
    REQUIRE(write.size() == 1);
    CHECK(write[0].comparisons[0] == filter::Comparison{2, Kind::not_equal, ~0ULL, 7});
    const auto random = made(policy.view(), SYS_getrandom);
    REQUIRE(random.size() == 1);
    CHECK(random[0].decision == Action::log);
    REQUIRE(random[0].comparisons.size() == 2);
    CHECK(random[0].comparisons[0] == filter::Comparison{1, Kind::not_equal, ~0ULL, 0});
    CHECK(random[0].comparisons[1] == filter::Comparison{2, Kind::masked_equal, 0xffffffff, 0});
    CHECK(made(policy.view(), SYS_getpid).empty());
    for (const filter::Alternative& one : made(policy.view(), SYS_read, false))
        for (const filter::Comparison& comparison : one.comparisons)
            CHECK((comparison.kind == Kind::masked_equal || comparison.kind == Kind::equal));
}

TEST_CASE("earlier rules are taken out of later ones; without a rest, all is said") {
    constexpr sg::Policy policy{Rule<SYS_socket>{arg::domain == 17}.deny(EAFNOSUPPORT),
                                Rule<SYS_socket>{(arg::type & 1) != 0}.allow(), sg::otherwise.kill()};
    const auto list = filter::alternatives(policy.view(), SYS_socket);
    REQUIRE(list);
    for (const std::uint64_t domain : {0ULL, 16ULL, 17ULL, 18ULL, 17ULL | 1ULL << 40, ~0ULL})
        for (const std::uint64_t type : {0ULL, 1ULL, 2ULL, 3ULL, 1ULL << 33}) {
            const std::uint64_t registers[6] = {domain, type};
            const Said said = say(*list, {Action::allow, 99}, registers);
            CHECK(said.holding == 1);
            CHECK(said.decision == policy.decide(SYS_socket, {domain, type}));
        }
}

TEST_CASE("where the host looks at memory, the host decides") {
    constexpr sg::Policy policy{Rule<SYS_openat>{arg::path.under("/usr") && (arg::flags & 3) == 0}.allow(),
                                Rule<SYS_openat>{!arg::path.under("/tmp")}.deny(EPERM), sg::otherwise.kill()};
    for (const auto& one : made(policy.view(), SYS_openat)) CHECK(one.decision == Action::handle);
}

TEST_CASE("too many alternatives are none") {
    constexpr sg::Policy policy{Rule<SYS_kill>{arg::pid != 5 && arg::sig != 9}.allow(), sg::otherwise.kill()};
    CHECK_FALSE(filter::alternatives(policy.view(), SYS_kill, {.rest = killed}));
    CHECK(filter::alternatives(policy.view(), SYS_kill, {.rest = killed, .most = 1024}));
    CHECK(filter::alternatives(policy.view(), SYS_kill, {.rest = Decision{Action::allow}})->size() == 33);
}

TEST_CASE("a large policy has few, and they are exact") {
    const support::LargePolicy rules = support::large_policy();
    const sg::policy::View view{rules.begin(), rules.size(), rules.nodes(), {Action::deny, EPERM}, {Action::kill}};
    std::size_t count = 0;
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const auto list = filter::alternatives(view, rules.begin()[i].number, {.rest = view.otherwise});
        REQUIRE(list);
        count += list->size();
    }
    CHECK(count < 2 * rules.size());
}

TEST_CASE("a comparison of no kind does not hold") {
    const std::uint64_t registers[6]{};
    CHECK(filter::Comparison{0, Kind::equal, ~0ULL, 0}.holds(registers));
    CHECK_FALSE(filter::Comparison{0, static_cast<Kind>(99), ~0ULL, 0}.holds(registers));
}

TEST_CASE("random policies: they exclude each other and say what the rules say") {
    const std::vector<Decision> decisions{{Action::allow},        {Action::kill}, {Action::deny, EPERM},
                                          {Action::deny, EACCES}, {Action::log},  {Action::fake, 3}};
    std::size_t expressed = 0;
    std::size_t probes = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        support::RandomPolicy random{support::Choices{seed},
                                     {SYS_read, SYS_kill, SYS_mmap, SYS_socket, SYS_lseek, SYS_prctl}};
        const support::LoosePolicy& loose = random.make(decisions);
        const support::FixedPolicy policy{loose};
        const sg::policy::View view = policy.view();
        const int number = random.choices().pick(loose.rules).number;
        for (const bool ordered : {true, false}) {
            const auto list =
                filter::alternatives(view, number, {.rest = view.otherwise, .ordered = ordered, .most = 2000});
            if (!list) continue;
            ++expressed;
            for (int i = 0; i < 200; ++i) {
                const seccomp_data input = random.input(number);
                std::uint64_t registers[6];
                std::copy(std::begin(input.args), std::end(input.args), registers);
                const Said said = say(*list, view.otherwise, registers);
                ++probes;
                if (said.decision == sg::policy::decide(view, number, registers) && said.holding <= 1) continue;
                FAIL("seed " << seed << ", call " << number);
            }
        }
    }
    MESSAGE(expressed << " of 400 expressed, " << probes << " probes agree");
    CHECK(expressed > 200);
}
