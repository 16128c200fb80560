#include <sysguard/filter/cacheable.hpp>
#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

#include <sys/socket.h>
#include <sys/syscall.h>

#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace abi = sysguard::abi;
namespace filter = sysguard::filter;
using sg::Rule;

namespace {

constexpr sg::Policy small{
    sg::allow<SYS_read, SYS_write>,
    Rule<SYS_socket>{arg::domain == AF_INET}.allow(),
    Rule<SYS_kill>{arg::sig == 0}.allow(),
    Rule<SYS_kill>{}.allow(),
    Rule<SYS_openat>{}.deny(EPERM),
    Rule<SYS_uname>{}.log(),
    sg::otherwise.kill(),
};
static_assert(filter::cacheable(small.program(), SYS_read));
static_assert(filter::cacheable(small.program(), SYS_kill), "its conditions change nothing");
static_assert(!filter::cacheable(small.program(), SYS_socket));
static_assert(!filter::cacheable(small.program(), SYS_openat), "only what is allowed is");
static_assert(!filter::cacheable(small.program(), SYS_uname), "nor what is logged");
static_assert(!filter::cacheable(small.program(), SYS_ptrace));
static_assert(!filter::cacheable(small.program(), SYS_read, abi::audit_architecture(abi::Abi::i386)));

bool cacheable(std::initializer_list<sock_filter> code, int number) {
    return filter::cacheable({code.begin(), code.size()}, number);
}

constexpr std::uint16_t load = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t ret = BPF_RET | BPF_K;

}  // namespace

TEST_CASE("each instruction that the kernel follows, and none other") {
    const sock_filter allow{ret, 0, 0, SECCOMP_RET_ALLOW};
    const sock_filter refuse{ret, 0, 0, SECCOMP_RET_ERRNO | 1};
    CHECK(cacheable({allow}, 0));
    CHECK_FALSE(cacheable({refuse}, 0));
    CHECK_FALSE(cacheable({{ret, 0, 0, SECCOMP_RET_ALLOW | 1}}, 0));
    CHECK_FALSE(cacheable({{BPF_RET | BPF_A, 0, 0, 0}}, 0));
    const auto jump = [&](unsigned operation, std::uint32_t k, int number) {
        return cacheable(
            {{load, 0, 0, 0}, {static_cast<std::uint16_t>(BPF_JMP | BPF_K | operation), 0, 1, k}, allow, refuse},
            number);
    };
    CHECK(jump(BPF_JEQ, 5, 5));
    CHECK_FALSE(jump(BPF_JEQ, 5, 6));
    CHECK(jump(BPF_JGE, 5, 5));
    CHECK_FALSE(jump(BPF_JGE, 5, 4));
    CHECK_FALSE(jump(BPF_JGT, 5, 5));
    CHECK(jump(BPF_JGT, 5, 6));
    CHECK(jump(BPF_JSET, 6, 4));
    CHECK_FALSE(jump(BPF_JSET, 6, 1));
    CHECK(cacheable(
        {{load, 0, 0, 4}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, abi::audit_architecture(abi::native_abi)}, allow, refuse},
        0));
    CHECK(cacheable({{BPF_JMP | BPF_JA, 0, 0, 1}, refuse, allow}, 0));
    CHECK(cacheable(
        {{load, 0, 0, 0}, {BPF_ALU | BPF_AND | BPF_K, 0, 0, 3}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 1}, allow, refuse},
        5));
    CHECK_FALSE(cacheable({{load, 0, 0, 16}, allow}, 0));
    CHECK_FALSE(cacheable({{load, 0, 0, 8}, allow}, 0));
    CHECK_FALSE(cacheable({{BPF_ALU | BPF_OR | BPF_K, 0, 0, 3}, allow}, 0));
    CHECK_FALSE(cacheable({{BPF_MISC | BPF_TAX, 0, 0, 0}, allow}, 0));
    CHECK_FALSE(cacheable({{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, allow}, 0));
    CHECK_FALSE(cacheable({{BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 0}, allow}, 0));
    CHECK_FALSE(cacheable({{load, 0, 0, 0}}, 0));
    CHECK_FALSE(cacheable({}, 0));
}

TEST_CASE("what is cacheable is what the interpreter allows without a look at the arguments") {
    const std::vector<int> calls = support::all_calls();
    const std::uint64_t seed = std::random_device{}();
    INFO("seed ", seed);
    support::RandomPolicy random{support::Choices{seed}};
    int count = 0;
    for (int round = 0; round < 40; ++round) {
        const support::FixedPolicy policy{
            random.make({{sg::Action::allow}, {sg::Action::allow}, {sg::Action::deny, 1}, {sg::Action::kill}})};
        support::Code code;
        try {
            code = policy.compile();
        } catch (const sg::Error&) {
            continue;
        }
        for (const int number : calls) {
            const bool says = filter::cacheable(support::view(code), number);
            seccomp_data data{};
            data.nr = number;
            data.arch = abi::audit_architecture(abi::native_abi);
            const filter::Verdict verdict = filter::interpret(support::view(code), data);
            CHECK(says == (verdict.only_number && verdict.value == SECCOMP_RET_ALLOW));
            count += says;
        }
    }
    CHECK(count > 0);
}
