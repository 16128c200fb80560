#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/large_policy.hpp"
#include "support/probe.hpp"
#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
namespace sys = sysguard::sys;
using sg::Rule;

namespace {

constexpr seccomp_data call_data(std::uint32_t number, std::uint64_t a0 = 0, std::uint64_t a1 = 0, std::uint64_t a2 = 0,
                                 std::uint64_t a3 = 0, std::uint64_t a4 = 0, std::uint64_t a5 = 0) {
    seccomp_data data{};
    data.nr = static_cast<int>(number);
    data.arch = abi::audit_architecture(abi::native_abi);
    const std::uint64_t arguments[] = {a0, a1, a2, a3, a4, a5};
    for (int i = 0; i < 6; ++i) data.args[i] = arguments[i];
    return data;
}

constexpr std::uint32_t value(const filter::ProgramView& program, const seccomp_data& data) {
    return filter::interpret(program, data).value;
}

constexpr std::uint32_t denied(int error) {
    return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
}

/// Compiles rules that were put together at run time.
template <std::size_t capacity>
void compile(const sg::policy::View& view, filter::Program<capacity>& program) {
    const sg::policy::RulesByCall<512> by_call{view};
    program = {};
    filter::compile(view, by_call, program);
}

constexpr sg::Policy small{
    sg::allow<SYS_read, SYS_write, SYS_exit_group>,
    Rule<SYS_socket>{arg::domain == AF_INET && arg::type != SOCK_RAW}.allow(),
    Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM),
    sg::otherwise.kill_now(),
};

}  // namespace

TEST_CASE("a constant policy is a constant program") {
    static_assert(filter::is_valid(small.program()));
    static_assert(value(small.program(), call_data(SYS_read)) == SECCOMP_RET_ALLOW);
    static_assert(value(small.program(), call_data(SYS_socket, AF_INET, SOCK_STREAM)) == SECCOMP_RET_ALLOW);
    static_assert(value(small.program(), call_data(SYS_socket, AF_INET, SOCK_RAW)) == SECCOMP_RET_KILL_PROCESS);
    static_assert(value(small.program(), call_data(SYS_fchmodat, 0, 0, 0002)) == denied(EPERM));
    static_assert(value(small.program(), call_data(SYS_fchmodat, 0, 0, 0640)) == SECCOMP_RET_KILL_PROCESS);
    CHECK(small.program().size < 40);
}

TEST_CASE("other architectures are foreign") {
    seccomp_data data = call_data(SYS_read);
    for (const abi::Abi other : abi::all_abis) {
        data.arch = abi::audit_architecture(other);
        const std::uint32_t expected = other == abi::native_abi ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
        CHECK(value(small.program(), data) == expected);
    }
    data.arch = 0;
    CHECK(value(small.program(), data) == SECCOMP_RET_USER_NOTIF);
    constexpr sg::Policy deny{sg::foreign.deny(ENOSYS), sg::otherwise.allow()};
    CHECK(value(deny.program(), data) == denied(ENOSYS));
    constexpr sg::Policy now{sg::foreign.kill_now(), sg::otherwise.allow()};
    CHECK(value(now.program(), data) == SECCOMP_RET_KILL_PROCESS);
}

#if defined(__x86_64__)
TEST_CASE("x32 numbers are foreign, the whole range of them") {
    constexpr sg::Policy open{sg::foreign.kill_now(), sg::otherwise.allow()};
    for (const std::uint32_t number :
         {0x40000000U, 0x40000001U, 0x40000000U + SYS_write, 0x7fffffffU, 0x80000000U, 0xfffffffeU})
        CHECK(value(open.program(), call_data(number)) == SECCOMP_RET_KILL_PROCESS);
    CHECK(value(open.program(), call_data(0x3fffffff)) == denied(ENOSYS));
}
#endif

TEST_CASE("a call newer than the table fails with ENOSYS, and so does one that the table skips") {
    constexpr sg::Policy open{sg::otherwise.allow()};
    constexpr sg::Policy closed{sg::otherwise.kill()};
    for (const filter::ProgramView program : {open.program(), closed.program()}) {
        CHECK(value(program, call_data(abi::native_limit)) == denied(ENOSYS));
        CHECK(value(program, call_data(100000)) == denied(ENOSYS));
        CHECK(value(program, call_data(400)) == denied(ENOSYS));
    }
    CHECK(value(open.program(), call_data(abi::native_limit - 1)) == SECCOMP_RET_ALLOW);
}

TEST_CASE("-1, by which a tracer skips a call, passes") {
    CHECK(value(small.program(), call_data(0xffffffff)) == SECCOMP_RET_ALLOW);
}

TEST_CASE("calls that are allowed whatever their arguments can be cached by the kernel, others cannot") {
    constexpr sg::Policy policy{sg::preset::cpp_runtime, sg::preset::threads, sg::preset::network_client,
                                sg::otherwise.kill()};
    int cacheable = 0;
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number() < 0) continue;
        std::vector<std::uint32_t> values;
        bool ended = false;
        for (std::size_t i = 0; i < policy.view().rule_count && !ended; ++i) {
            const auto& rule = policy.view().rules[i];
            if (rule.number != call.number()) continue;
            values.push_back(filter::return_value(rule.decision));
            ended = rule.node_count == 0;
        }
        if (!ended) values.push_back(filter::return_value(policy.view().otherwise));
        const bool conditional = std::any_of(values.begin(), values.end(), [&](auto v) { return v != values.back(); });
        const filter::Verdict verdict =
            filter::interpret(policy.program(), call_data(static_cast<std::uint32_t>(call.number())));
        CAPTURE(std::string{call.name});
        CHECK(verdict.only_number == !conditional);
        cacheable += verdict.only_number && verdict.value == SECCOMP_RET_ALLOW;
    }
    CHECK(cacheable > 60);
}

TEST_CASE("rules that say what happens anyhow cost nothing") {
    constexpr sg::Policy with{Rule<SYS_kill>{arg::sig == 5}.deny(EPERM), sg::otherwise.deny(EPERM)};
    constexpr sg::Policy without{sg::otherwise.deny(EPERM)};
    CHECK(with.program().size == without.program().size);
}

TEST_CASE("a condition that an earlier rule of the call has already tested costs nothing") {
    constexpr sg::Policy once{Rule<SYS_kill>{arg::sig == 5}.allow(), Rule<SYS_kill>{arg::pid > 1}.allow(),
                              sg::otherwise.deny(EPERM)};
    constexpr sg::Policy again{Rule<SYS_kill>{arg::sig == 5}.allow(), Rule<SYS_kill>{arg::pid > 1}.allow(),
                               Rule<SYS_kill>{arg::sig == 5}.allow(), sg::otherwise.deny(EPERM)};
    CHECK(again.program().size == once.program().size);
    CHECK(value(again.program(), call_data(SYS_kill, 1, 5)) == SECCOMP_RET_ALLOW);
    CHECK(value(again.program(), call_data(SYS_kill, 2, 4)) == SECCOMP_RET_ALLOW);
    CHECK(value(again.program(), call_data(SYS_kill, 1, 4)) == denied(EPERM));
}

TEST_CASE("calls with the same conditions share their code") {
    constexpr sg::Policy one{Rule<sys::fchmodat>{(arg::mode & 06000) == 0 || arg::mode == 01777}.allow(),
                             sg::otherwise.kill()};
    constexpr sg::Policy two{Rule<sys::fchmodat>{(arg::mode & 06000) == 0 || arg::mode == 01777}.allow(),
                             Rule<sys::fchmodat2>{(arg::mode & 06000) == 0 || arg::mode == 01777}.allow(),
                             sg::otherwise.kill()};
    CHECK(two.program().size <= one.program().size + 2);
}

TEST_CASE("64-bit comparisons at their edges") {
    constexpr std::uint64_t edges[] = {0,
                                       1,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x100000000,
                                       0x100000001,
                                       0x1ffffffff,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xffffffff00000000,
                                       0xfffffffffffffffe,
                                       0xffffffffffffffff};
    for (const std::uint64_t bound : edges) {
        const sg::Policy less{Rule<SYS_read>{arg::count <= bound}.allow(), sg::otherwise.deny(EPERM)};
        const sg::Policy more{Rule<SYS_read>{arg::count >= bound}.allow(), sg::otherwise.deny(EPERM)};
        const sg::Policy equal{Rule<SYS_read>{arg::count == bound}.allow(), sg::otherwise.deny(EPERM)};
        for (const std::uint64_t edge : edges)
            for (const std::uint64_t count : {edge - 1, edge, edge + 1}) {
                const seccomp_data data = call_data(SYS_read, 0, 0, count);
                CHECK((value(less.program(), data) == SECCOMP_RET_ALLOW) == (count <= bound));
                CHECK((value(more.program(), data) == SECCOMP_RET_ALLOW) == (count >= bound));
                CHECK((value(equal.program(), data) == SECCOMP_RET_ALLOW) == (count == bound));
            }
        for (const std::uint64_t upper : edges) {
            if (upper < bound) continue;
            const sg::Policy between{Rule<SYS_read>{arg::count.between(bound, upper)}.allow(),
                                     sg::otherwise.deny(EPERM)};
            for (const std::uint64_t edge : edges)
                for (const std::uint64_t count : {edge - 1, edge, edge + 1})
                    CHECK((value(between.program(), call_data(SYS_read, 0, 0, count)) == SECCOMP_RET_ALLOW) ==
                          (bound <= count && count <= upper));
        }
    }
}

TEST_CASE("signed comparisons at their edges") {
    constexpr std::int64_t edges[] = {
        INT64_MIN, INT64_MIN + 1, -0x100000001, -0x100000000, -0x80000001LL, -0x80000000LL, -2,       -1, 0,
        1,         0x7fffffff,    0x80000000,   0xffffffff,   0x100000000,   INT64_MAX - 1, INT64_MAX};
    for (const std::int64_t bound : edges) {
        const sg::Policy wide{Rule<SYS_lseek>{arg::offset >= bound}.allow(), sg::otherwise.deny(EPERM)};
        for (const std::int64_t offset : edges)
            CHECK((value(wide.program(), call_data(SYS_lseek, 0, static_cast<std::uint64_t>(offset))) ==
                   SECCOMP_RET_ALLOW) == (offset >= bound));
        if (bound < INT32_MIN || bound > INT32_MAX) continue;
        const sg::Policy narrow{Rule<SYS_kill>{arg::pid < bound || arg::sig == 1}.allow(), sg::otherwise.deny(EPERM)};
        for (const std::int64_t pid : edges) {
            const auto read = static_cast<std::int32_t>(static_cast<std::uint32_t>(pid));
            CHECK((value(narrow.program(), call_data(SYS_kill, static_cast<std::uint64_t>(pid))) ==
                   SECCOMP_RET_ALLOW) == (read < bound));
        }
    }
}

TEST_CASE("the union that libseccomp lets 6 through: a0 <= 5 or a0 > 0x200000000") {
    constexpr sg::Policy policy{Rule<SYS_read>{arg::count <= 5 || arg::count > 0x200000000}.allow(),
                                sg::otherwise.deny(EPERM)};
    static_assert(value(policy.program(), call_data(SYS_read, 0, 0, 5)) == SECCOMP_RET_ALLOW);
    static_assert(value(policy.program(), call_data(SYS_read, 0, 0, 6)) == denied(EPERM));
    static_assert(value(policy.program(), call_data(SYS_read, 0, 0, 0x200000000)) == denied(EPERM));
    CHECK(value(policy.program(), call_data(SYS_read, 0, 0, 0x200000001)) == SECCOMP_RET_ALLOW);
}

TEST_CASE("jumps farther than eight bits reach") {
    // Each value goes its own way, and all of them to the same returns: far more than 255 instructions of conditions.
    sg::Rules<64, 64 * 32> rules;
    for (int i = 0; i < 20; ++i) {
        const auto far = Rule<SYS_read>{(arg::count & (0x10000000ULL << i)) != 0 &&
                                        (arg::fd == i || arg::count.between(5ULL << 33 | 7, 9ULL << 33)) &&
                                        (arg::count & (3ULL << (i + 2))) != (1ULL << (i + 2))}
                             .deny(1 + i);
        rules.append(far);
    }
    const sg::policy::View view{rules.begin(), rules.size(), rules.nodes(), {sg::Action::allow}, {sg::Action::kill}};
    static filter::Program<filter::max_instructions> program;
    compile(view, program);
    CHECK(program.size > 300);
    REQUIRE(filter::is_valid(program));
    support::Choices choices{7};
    for (int round = 0; round < 20000; ++round) {
        const std::uint64_t fd = choices.below(22);
        const std::uint64_t count =
            (choices.below(2) == 0 ? choices.number() : 1ULL << choices.below(64)) >> choices.below(40);
        const std::uint64_t arguments[6] = {fd, 0, count, 0, 0, 0};
        CHECK(value(program, call_data(SYS_read, fd, 0, count)) ==
              filter::return_value(decide(view, SYS_read, arguments)));
    }
}

TEST_CASE("no more room is kept for a program than the kernel takes") {
    CHECK(filter::program_capacity(0, 0) < 100);
    CHECK(filter::program_capacity(10, 20) > filter::program_capacity(10, 10));
    CHECK(filter::program_capacity(10, 1000) == filter::max_instructions);
}

TEST_CASE("a filter that the kernel would not take is an error that says so") {
    // 250 sets of values far apart, each with its own answer.
    static sg::Rules<256, 256 * 32> rules;
    for (std::uint64_t i = 0; i < 250; ++i) {
        const auto v = [i](std::uint64_t n) { return (i * 64 + n) << 34 | (n * 7 + i); };
        rules.append(Rule<SYS_read>{arg::count.in(v(0), v(1), v(2), v(3), v(4), v(5), v(6), v(7), v(8), v(9))}.deny(
            static_cast<int>(1 + i)));
    }
    const sg::policy::View view{rules.begin(), rules.size(), rules.nodes(), {sg::Action::allow}, {sg::Action::kill}};
    static filter::Program<filter::max_instructions> program;
    try {
        compile(view, program);
        FAIL("compiled");
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == E2BIG);
        CHECK(error.step().find("4096") != std::string::npos);
    }
}

TEST_CASE("350 calls and 20 rules on arguments: at most 120 instructions, 10 of them executed for an allowed call") {
    static const support::LargePolicy rules = support::large_policy();
#if defined(__x86_64__)
    REQUIRE(rules.size() == 350);
#endif
    const sg::policy::View view{
        rules.begin(), rules.size(), rules.nodes(), {sg::Action::deny, EPERM}, {sg::Action::kill}};
    static filter::Program<filter::max_instructions> program;
    compile(view, program);
    std::size_t executed = 0;
    std::size_t allowed = 0;
    for (const auto& rule : rules) {
        if (rule.node_count != 0) continue;
        const filter::Verdict verdict = filter::interpret(program, call_data(static_cast<std::uint32_t>(rule.number)));
        CHECK(verdict.value == SECCOMP_RET_ALLOW);
        CHECK(verdict.only_number);
        executed += verdict.instructions;
        ++allowed;
    }
    MESSAGE(program.size << " instructions, " << static_cast<double>(executed) / static_cast<double>(allowed)
                         << " executed on average");
    CHECK(program.size <= 120);
    CHECK(executed <= 10 * allowed);
}

TEST_CASE("live: random policies, their filters as they are, on calls that are really made") {
    // Calls that do no harm whatever their arguments; none of them fails with the errors that the rules deny with.
    const std::vector<int> calls{SYS_getpriority, SYS_fadvise64, SYS_fchmod,
                                 SYS_lseek,       SYS_kcmp,      SYS_sched_get_priority_max};
    const std::vector<sg::Decision> decisions{
        {sg::Action::allow}, {sg::Action::deny, EXFULL}, {sg::Action::deny, EBADRQC}};
    std::size_t denied = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        support::RandomPolicy random{support::Choices{seed}, calls};
        support::LoosePolicy loose = random.make(decisions);
        loose.rules.insert(loose.rules.begin(), {SYS_exit_group, {}, false, {sg::Action::allow}});
        const support::FixedPolicy policy{loose};
        const support::Code program = policy.compile();
        std::vector<support::Probe> probes(200);
        for (support::Probe& probe : probes) {
            seccomp_data input;
            do {
                input = random.input();
            } while (std::find(calls.begin(), calls.end(), input.nr) == calls.end());
            probe.number = input.nr;
            std::copy(std::begin(input.args), std::end(input.args), probe.arguments);
            if (probe.number == SYS_fchmod || probe.number == SYS_fadvise64 || probe.number == SYS_lseek)
                probe.arguments[0] |= 0x40000000;  // no open descriptor
        }
        const std::vector<support::Answer> answers = support::make_calls(support::view(program), probes);
        for (std::size_t i = 0; i < probes.size(); ++i) {
            REQUIRE(answers[i].made);
            const sg::Decision decision = decide(policy.view(), probes[i].number, probes[i].arguments);
            const bool was_denied = answers[i].result == -EXFULL || answers[i].result == -EBADRQC;
            CAPTURE(seed);
            CAPTURE(i);
            CHECK(was_denied == (decision == sg::Action::deny));
            if (was_denied) CHECK(answers[i].result == -decision.value);
            denied += was_denied;
        }
    }
    CHECK(denied > 1000);
}
