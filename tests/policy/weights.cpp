#include <sysguard/dynamic_policy.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/filter/prove.hpp>
#include <sysguard/policy/weights.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <sys/syscall.h>

#include "support/large_policy.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
namespace sys = sysguard::sys;
using sg::Rule;

namespace {

filter::Verdict verdict(const filter::ProgramView& program, int number, std::uint64_t argument = 0) {
    seccomp_data data{};
    data.nr = number;
    data.arch = abi::audit_architecture(abi::native_abi);
    for (auto& each : data.args) each = argument;
    return filter::interpret(program, data);
}

std::string refusal(const std::vector<sg::CallCount>& counts) {
    try {
        const auto weights = sg::weights(counts);
        return "none";
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == EINVAL);
        return error.step();
    }
}

constexpr sg::Policy plain{sg::preset::cpp_runtime, Rule<sys::ioctl>{arg::request != 5}.allow(), sg::otherwise.kill()};
constexpr sg::Policy weighted{sg::preset::cpp_runtime, Rule<sys::ioctl>{arg::request != 5}.allow(),
                              sg::weights({{sys::futex, 9000}, {sys::ioctl, 500}, {sys::close, 200}}),
                              sg::otherwise.kill()};

}  // namespace

TEST_CASE("frequent calls are found by fewer instructions") {
    const auto futex = verdict(weighted.program(), sys::futex);
    CHECK(futex.value == SECCOMP_RET_ALLOW);
    CHECK(futex.instructions == 5);  // the architecture, two, the number, the call, the return
    CHECK(futex.instructions < verdict(plain.program(), sys::futex).instructions);
    CHECK(verdict(weighted.program(), sys::ioctl).instructions < verdict(plain.program(), sys::ioctl).instructions);
}

TEST_CASE("weights change no decision, and no call's place in the kernel's cache") {
    for (int number = -1; number < static_cast<int>(abi::native_limit) + 10; ++number)
        for (const std::uint64_t argument : {0ULL, 5ULL, 0x5401ULL, ~0ULL}) {
            const auto one = verdict(plain.program(), number, argument);
            const auto other = verdict(weighted.program(), number, argument);
            CHECK(other.value == one.value);
            CHECK(other.only_number == one.only_number);
        }
}

TEST_CASE("weighed filters are proven to be their policies") {
    CHECK(filter::prove(weighted.program(), weighted.view()).decided);
    CHECK_FALSE(filter::prove(weighted.program(), weighted.view()).against);
    std::mt19937_64 random{20261124};
    const support::LargePolicy rules = support::large_policy();
    for (int round = 0; round < 20; ++round) {
        std::vector<sg::CallCount> counts;
        for (const abi::Syscall& call : abi::syscalls)
            if (call.number() >= 0 && random() % 8 == 0) counts.push_back({call.number(), random() >> random() % 64});
        const sg::DynamicPolicy policy{sg::RuleList{rules}, sg::weights(counts), sg::otherwise.deny(EPERM)};
        const filter::Proof proof = filter::prove(policy.program(), policy.view());
        CHECK(proof.decided);
        CHECK_FALSE(proof.against);
    }
}

TEST_CASE("only proportions count, whatever the counts") {
    const auto parts = [](std::uint64_t a, std::uint64_t b, std::uint64_t c) {
        const auto weights = sg::weights(std::vector<sg::CallCount>{{sys::read, a}, {sys::write, b}, {sys::close, c}});
        std::vector<std::uint32_t> list;
        for (std::size_t i = 0; i < weights.view().size; ++i) list.push_back(weights.view().first[i].part);
        return list;
    };
    constexpr std::uint64_t most = UINT64_MAX;
    CHECK(parts(1, 2, 1) == std::vector<std::uint32_t>{32768, 16384, 16384});
    CHECK(parts(1ULL << 62, 1ULL << 63, 1ULL << 62) == parts(1, 2, 1));
    CHECK(parts(most, most, most) == parts(7, 7, 7));
    CHECK(parts(most, 1, 0) == std::vector<std::uint32_t>{65536, 0, 0});
    CHECK(parts(0, 0, 0) == std::vector<std::uint32_t>{0, 0, 0});
    CHECK(sg::weights(std::vector<sg::CallCount>{}).view().size == 0);
}

TEST_CASE("without counts the filter is the same as without weights") {
    constexpr sg::Policy zero{sg::preset::cpp_runtime, Rule<sys::ioctl>{arg::request != 5}.allow(),
                              sg::weights({{sys::futex, 0}, {sys::ioctl, 0}}), sg::otherwise.kill()};
    REQUIRE(zero.program().size == plain.program().size);
    for (std::size_t i = 0; i < zero.program().size; ++i) {
        CHECK(zero.program()[i].code == plain.program()[i].code);
        CHECK(zero.program()[i].k == plain.program()[i].k);
    }
}

TEST_CASE("weights made at run time come to the same filter as constant ones") {
    const std::vector<sg::CallCount> counts{{sys::close, 200}, {sys::ioctl, 500}, {sys::futex, 9000}};
    const sg::Policy policy{sg::preset::cpp_runtime, Rule<sys::ioctl>{arg::request != 5}.allow(), sg::weights(counts),
                            sg::otherwise.kill()};
    const sg::DynamicPolicy dynamic{sg::RuleList{sg::preset::cpp_runtime, Rule<sys::ioctl>{arg::request != 5}.allow()},
                                    sg::weights(counts), sg::otherwise.kill()};
    for (const filter::ProgramView program : {policy.program(), dynamic.program()}) {
        REQUIRE(program.size == weighted.program().size);
        for (std::size_t i = 0; i < program.size; ++i) CHECK(program[i].k == weighted.program()[i].k);
    }
}

TEST_CASE("what is wrong with weights is said") {
    CHECK(refusal({{sys::read, 1}, {9999, 1}}).find("9999: no system call of this architecture") != std::string::npos);
    CHECK(refusal({{-1, 1}}).find("-1: no system call of this architecture") != std::string::npos);
    CHECK(refusal({{sys::read, 1}, {sys::write, 1}, {sys::read, 1}}).find("read: it is named twice") !=
          std::string::npos);
    const auto weights = sg::weights(std::vector<sg::CallCount>{{sys::read, 1}});
    CHECK_THROWS_AS((sg::Policy{weights, weights, sg::otherwise.kill()}), sg::Error);
}
