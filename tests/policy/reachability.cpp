#include <sysguard/policy.hpp>
#include <sysguard/policy/reachability.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace policy = sysguard::policy;
using sg::Rule;

namespace {

/// What is wrong with a policy of these parts, or nothing.
template <class... Parts>
std::string mistake(const Parts&... parts) {
    try {
        const sg::Policy built{parts..., sg::otherwise.kill()};
        return "";
    } catch (const sg::Error& error) {
        return error.step();
    }
}

bool unreachable(const std::string& text) {
    return text.find("never be reached") != std::string::npos;
}
bool unsatisfiable(const std::string& text) {
    return text.find("never be true") != std::string::npos;
}

}  // namespace

TEST_CASE("a narrow rule behind a wide one") {
    const auto wide = Rule<SYS_socket>{arg::domain == AF_INET}.allow();
    const auto narrow = Rule<SYS_socket>{arg::domain == AF_INET && arg::type == SOCK_RAW}.deny(EACCES);
    CHECK(unreachable(mistake(wide, narrow)));
    CHECK(mistake(narrow, wide) == "");
}

TEST_CASE("anything behind a rule without a condition") {
    CHECK(unreachable(mistake(sg::allow<SYS_socket>, Rule<SYS_socket>{}.deny(EACCES))));
    CHECK(unreachable(mistake(sg::allow<SYS_socket>, Rule<SYS_socket>{arg::domain == AF_INET}.deny(EACCES))));
    CHECK(mistake(Rule<SYS_socket>{arg::domain == AF_INET}.deny(EACCES), sg::allow<SYS_socket>) == "");
}

TEST_CASE("the same said twice is no mistake: presets may overlap") {
    CHECK(mistake(sg::allow<SYS_read>, sg::allow<SYS_read, SYS_write>) == "");
    CHECK(mistake(Rule<SYS_kill>{arg::sig <= 5}.deny(EPERM), Rule<SYS_kill>{arg::sig == 3}.deny(EPERM)) == "");
    CHECK(unreachable(mistake(Rule<SYS_kill>{arg::sig <= 5}.deny(EPERM), Rule<SYS_kill>{arg::sig == 3}.deny(EACCES))));
    CHECK(mistake(sg::preset::cpp_runtime, sg::preset::threads, sg::preset::read_files, sg::preset::write_files,
                  sg::preset::network_client, sg::preset::network_server, sg::preset::processes) == "");
}

TEST_CASE("nor is it behind a rule that takes something from both") {
    const auto first = Rule<SYS_kill>{arg::sig == 3}.deny(EACCES);
    const auto twice = Rule<SYS_kill>{arg::sig <= 5}.deny(EPERM);
    CHECK(mistake(first, twice, twice) == "");
    CHECK(mistake(first, twice, Rule<SYS_kill>{arg::sig == 4}.deny(EPERM)) == "");
    CHECK(unreachable(mistake(first, twice, Rule<SYS_kill>{arg::sig == 3}.deny(EINVAL))));
    CHECK(unreachable(mistake(first, twice, Rule<SYS_kill>{arg::sig <= 4}.deny(EINVAL))));
    CHECK(mistake(Rule<SYS_mmap>{arg::len > 1UL << 30}.deny(ENOMEM), sg::preset::static_runtime, sg::preset::threads) ==
          "");
}

TEST_CASE("what repeats a part, and what comes before both, is no mistake in constant policies") {
    constexpr sg::Policy policy{Rule<SYS_mmap>{arg::len > 1UL << 30}.deny(ENOMEM), sg::preset::static_runtime,
                                sg::preset::threads, sg::otherwise.kill()};
    static_assert(policy.decide<SYS_mmap>(0, 4096, 0, 0, 0, 0) == sg::Action::allow);
    static_assert(policy.decide<SYS_mmap>(0, 1UL << 31, 0, 0, 0, 0) == sg::Decision{sg::Action::deny, ENOMEM});
    CHECK(policy.view().rule_count > 1);
}

TEST_CASE("several rules together may cover one") {
    const auto low = Rule<SYS_kill>{arg::sig <= 5}.allow();
    const auto high = Rule<SYS_kill>{arg::sig > 5}.deny(EPERM);
    CHECK(unreachable(mistake(low, high, Rule<SYS_kill>{}.kill())));
    CHECK(unreachable(mistake(low, high, Rule<SYS_kill>{arg::pid == 7}.kill())));
    CHECK(mistake(low, Rule<SYS_kill>{arg::sig > 6}.deny(EPERM), Rule<SYS_kill>{}.kill()) == "");
    const auto either = Rule<SYS_kill>{arg::sig == 9 || arg::pid == 1}.allow();
    CHECK(unreachable(mistake(either, Rule<SYS_kill>{arg::sig == 9 && arg::pid == 1}.deny(EPERM))));
    CHECK(mistake(Rule<SYS_kill>{arg::sig == 9 && arg::pid == 1}.deny(EPERM), either) == "");
}

TEST_CASE("masks: bits that cannot be had together, and bits that can") {
    const auto odd = Rule<SYS_lseek>{(arg::offset & 1) == 1}.allow();
    const auto even = Rule<SYS_lseek>{(arg::offset & 1) == 0}.deny(EPERM);
    CHECK(unreachable(mistake(odd, even, Rule<SYS_lseek>{arg::offset == 77}.kill())));
    CHECK(unreachable(mistake(odd, Rule<SYS_lseek>{(arg::offset & 3) == 3}.kill())));
    CHECK(mistake(odd, Rule<SYS_lseek>{(arg::offset & 2) == 2}.kill()) == "");
    CHECK(unreachable(mistake(odd, Rule<SYS_lseek>{arg::offset.in(1, 3, 0x7fffffff1)}.kill())));
    CHECK(mistake(odd, Rule<SYS_lseek>{arg::offset.in(1, 3, 0x7fffffff2)}.kill()) == "");
    CHECK(unreachable(
        mistake(Rule<SYS_lseek>{arg::offset < 256}.allow(), Rule<SYS_lseek>{(arg::offset & ~0xff) == 0}.kill())));
    CHECK(mistake(Rule<SYS_lseek>{arg::offset < 255}.allow(), Rule<SYS_lseek>{(arg::offset & ~0xff) == 0}.kill()) ==
          "");
}

TEST_CASE("a condition that contradicts itself") {
    CHECK(unsatisfiable(mistake(Rule<SYS_socket>{arg::domain == AF_INET && arg::domain == AF_INET6}.allow())));
    CHECK(unsatisfiable(mistake(Rule<SYS_read>{arg::count < 0U}.allow())));
    CHECK(unsatisfiable(mistake(Rule<SYS_read>{arg::fd > 5 && arg::fd < 3}.allow())));
    CHECK(unsatisfiable(mistake(Rule<SYS_lseek>{(arg::offset & 8) && (arg::offset & 12) == 4}.allow())));
    CHECK(unsatisfiable(mistake(Rule<SYS_read>{!(arg::fd >= -2147483648L)}.allow())));
    CHECK(mistake(Rule<SYS_read>{arg::fd > 5 && arg::fd < 7}.allow()) == "");
}

TEST_CASE("a rule for a family is reached where one of its calls is") {
    CHECK(mistake(sg::allow<SYS_openat>, Rule<sg::family::open>{}.deny(EACCES)) == "");
    CHECK(unreachable(mistake(sg::allow<sg::family::open>, Rule<sg::family::open>{}.deny(EACCES))));
    CHECK(unreachable(mistake(Rule<sg::family::open>{}.deny(EACCES), sg::allow<SYS_openat>)));
}

TEST_CASE("a policy too intricate to search counts as reachable, and is not refused") {
    const auto many = [](auto operand, int step) {
        return operand.in(1 * step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step, 8 * step, 9 * step,
                          10 * step, 11 * step, 12 * step, 13 * step, 14 * step, 15 * step, 16 * step);
    };
    const auto intricate = many(arg::addr, 3) && many(arg::len, 5) && many(arg::offset, 7) && many(arg::fd, 9);
    CHECK(mistake(Rule<SYS_mmap>{!intricate}.allow(), Rule<SYS_mmap>{intricate}.deny(EPERM)) == "");

    // But where an earlier rule has no condition, or the same one, no search is needed.
    const auto denied = Rule<SYS_mmap>{intricate}.deny(EPERM);
    CHECK(unreachable(mistake(sg::allow<SYS_mmap>, denied)));
    CHECK(unreachable(mistake(Rule<SYS_mmap>{arg::len == 1}.deny(EACCES), sg::allow<SYS_mmap>, denied)));
    CHECK(unreachable(mistake(Rule<SYS_mmap>{intricate}.allow(), denied)));
    CHECK(mistake(Rule<SYS_mmap>{}.deny(EPERM), denied) == "");
    CHECK(mistake(Rule<SYS_mmap>{arg::len == 1}.allow(), denied, denied) == "");
    CHECK(mistake(Rule<SYS_mmap>{arg::len == 1}.allow(), denied, sg::allow<SYS_mmap>) == "");
    const auto below_usr =
        Rule<SYS_openat>{arg::path.under("/usr") && (arg::flags & 1) && (arg::flags & 2) && (arg::flags & 64) &&
                         (arg::flags & 128) && (arg::flags & 256) && (arg::flags & 512) && (arg::flags & 1024)};
    CHECK(mistake(below_usr.allow(), below_usr.deny(EPERM)) == "");
    CHECK(unreachable(mistake(sg::allow<SYS_openat>, below_usr.deny(EPERM))));
}

TEST_CASE("what is refused is never reached by any of many arguments") {
    std::mt19937_64 random{20261120};
    int refused = 0;
    for (int round = 0; round < 400; ++round) {
        const auto value = [&] { return static_cast<int>(random() % 6); };
        const auto mask = [&] { return 1 << random() % 3; };
        const auto condition = [&] {
            return (arg::sig.between(value() / 2, 2 + value()) && arg::pid != value()) || (arg::sig & mask()) == 0;
        };
        const auto first = Rule<SYS_kill>{condition()}.allow();
        const auto second = Rule<SYS_kill>{condition()}.deny(EPERM);
        const auto last = Rule<SYS_kill>{arg::pid.between(1, 1 + value()) && arg::sig > value()}.kill_now();
        const bool says_unreachable = unreachable(mistake(first, second, last));
        bool second_reached = false;
        bool last_reached = false;
        for (std::uint64_t pid = 0; pid < 10; ++pid)
            for (std::uint64_t signal = 0; signal < 20; ++signal) {
                const std::uint64_t arguments[6] = {pid, signal, 0, 0, 0, 0};
                const auto holds = [&](const auto& rules) { return policy::matches(rules.nodes(), arguments); };
                second_reached = second_reached || (holds(second) && !holds(first));
                last_reached = last_reached || (holds(last) && !holds(first) && !holds(second));
            }
        CHECK(says_unreachable != (second_reached && last_reached));
        refused += says_unreachable;
    }
    CHECK(refused > 10);
    CHECK(refused < 390);
}
