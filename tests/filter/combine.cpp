#include <sysguard/filter/combine.hpp>
#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/large_policy.hpp"
#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using sg::Action;
using sg::Decision;
using sg::Rule;
using Code = std::vector<sock_filter>;

namespace {

constexpr std::uint32_t native = sg::abi::audit_architecture(sg::abi::native_abi);

filter::ProgramView view_of(const Code& code) {
    return {code.data(), code.size()};
}

Code compiled(const sg::policy::View& view) {
    static filter::Program<filter::max_instructions> program;
    filter::compile(view, sg::policy::RulesByCall<512>{view}, program);
    return {program.code, program.code + program.size};
}

/// What libseccomp makes of a context, which is released.
Code exported(scmp_filter_ctx context) {
    const int file = ::memfd_create("filter", MFD_CLOEXEC);
    REQUIRE(::seccomp_export_bpf(context, file) == 0);
    ::seccomp_release(context);
    Code code(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)) / sizeof(sock_filter));
    REQUIRE(::pread(file, code.data(), code.size() * sizeof(sock_filter), 0) > 0);
    ::close(file);
    return code;
}

/// Random rules of libseccomp's.
Code random_context(std::mt19937_64& random, const std::vector<int>& calls) {
    const std::uint32_t actions[] = {SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_TRAP,  SCMP_ACT_ERRNO(1),
                                     SCMP_ACT_ERRNO(13),    SCMP_ACT_TRACE(7),    SCMP_ACT_LOG,   SCMP_ACT_ALLOW,
                                     SCMP_ACT_ALLOW,        SCMP_ACT_ALLOW,       SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(38)};
    const auto any = [&] { return actions[random() % std::size(actions)]; };
    scmp_filter_ctx context = ::seccomp_init(any());
    ::seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 1 + random() % 2);
    for (const int call : calls) {
        const scmp_arg_cmp test = {static_cast<unsigned>(random() % 3), SCMP_CMP_MASKED_EQ, 0xffffffff, random() % 4};
        ::seccomp_rule_add_array(context, any(), call, random() % 2, &test);
    }
    return exported(context);
}

}  // namespace

TEST_CASE("the order of actions is the kernel's") {
    const std::uint32_t order[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                                   SECCOMP_RET_ERRNO,        SECCOMP_RET_USER_NOTIF,  SECCOMP_RET_TRACE,
                                   SECCOMP_RET_LOG,          SECCOMP_RET_ALLOW};
    for (std::size_t a = 0; a < std::size(order); ++a)
        for (std::size_t b = 0; b < std::size(order); ++b)
            CHECK(filter::of_both(order[a] | 1, order[b] | 2) == (a < b ? order[a] | 1 : order[b] | 2));
}

TEST_CASE("the combined filter returns what the kernel makes of the two") {
    const std::vector<int> calls{SYS_read, SYS_kill, SYS_mmap, SYS_socket, SYS_lseek, SYS_prctl, SYS_getpid};
    const std::vector<Decision> decisions{{Action::allow}, {Action::allow}, {Action::kill},     {Action::kill_now},
                                          {Action::log},   {Action::trap},  {Action::deny, 13}, {Action::deny, 1}};
    std::mt19937_64 pick{1};
    std::size_t probes = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        support::RandomPolicy random{support::Choices{seed}, calls};
        const Code earlier = random_context(pick, calls);
        const Code later = support::FixedPolicy{random.make(decisions)}.compile();
        const Code both = filter::combine(view_of(earlier), view_of(later));
        REQUIRE(filter::is_valid(view_of(both)));
        for (int i = 0; i < 40; ++i) {
            seccomp_data data = random.input();
            if (pick() % 8 == 0) data.nr = static_cast<int>(pick());
            for (auto& argument : data.args)
                if (pick() % 3 == 0) argument = pick() % 4;
            const filter::Verdict first = filter::interpret(view_of(earlier), data);
            const filter::Verdict second = filter::interpret(view_of(later), data);
            const filter::Verdict combined = filter::interpret(view_of(both), data);
            ++probes;
            if (combined.value != filter::of_both(first.value, second.value))
                FAIL("seed " << seed << " call " << data.nr);
            if (first.only_number && second.only_number) CHECK(combined.only_number);
        }
    }
    MESSAGE(probes << " probes agree");
}

TEST_CASE("and so does the kernel, with two filters on") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{arg::which == 1}.deny(EXFULL),
                                Rule<SYS_getpriority>{arg::which == 2}.log(), sg::otherwise.allow()};
    scmp_filter_ctx context = ::seccomp_init(SCMP_ACT_ALLOW);
    const auto add = [&](std::uint32_t action, std::uint64_t which, std::uint64_t who) {
        const scmp_arg_cmp tests[] = {{0, SCMP_CMP_EQ, which, 0}, {1, SCMP_CMP_EQ, who, 0}};
        REQUIRE(::seccomp_rule_add_array(context, action, SYS_getpriority, 2, tests) == 0);
    };
    add(SCMP_ACT_ERRNO(EBADE), 1, 0);
    add(SCMP_ACT_TRACE(1), 1, 1);
    add(SCMP_ACT_ERRNO(EBADE), 2, 0);
    add(SCMP_ACT_ERRNO(EBADE), 0, 0);
    const Code earlier = exported(context);
    const Code both = filter::combine(view_of(earlier), policy.program());
    const auto results = [](const std::vector<filter::ProgramView>& programs) {
        std::vector<int> found;
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            for (const filter::ProgramView& program : programs) {
                const sock_fprog loaded{static_cast<unsigned short>(program.size),
                                        const_cast<sock_filter*>(program.code)};
                if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) != 0) ::_exit(1);
            }
            for (int which = 0; which < 3; ++which)
                for (int who = 0; who < 2; ++who) {
                    const int error = ::syscall(SYS_getpriority, which, who) < 0 ? errno : 0;
                    if (::write(ends[1], &error, sizeof error) < 0) ::_exit(1);
                }
            ::_exit(0);
        }
        ::close(ends[1]);
        int error = 0;
        while (::read(ends[0], &error, sizeof error) > 0) found.push_back(error);
        ::close(ends[0]);
        ::waitpid(child, nullptr, 0);
        return found;
    };
    const std::vector<int> kernel = results({view_of(earlier), policy.program()});
    CHECK(kernel == results({view_of(both)}));
    REQUIRE(kernel.size() == 6);
    CHECK(kernel[0] == EBADE);
    CHECK(kernel[2] == EXFULL);  // of two errnos, that of the later filter
    CHECK(kernel[3] == EXFULL);
    CHECK(kernel[4] == EBADE);
}

TEST_CASE("a filter that refuses more is short, and what both allow is cached") {
    const support::LargePolicy rules = support::large_policy();
    const Code large = compiled({rules.begin(), rules.size(), rules.nodes(), {Action::deny, EPERM}, {Action::kill}});
    const Code dead{{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS}};
    CHECK(filter::combine(view_of(dead), view_of(large)).size() == 1);
    CHECK(filter::combine(view_of(large), view_of(dead)).size() == 1);
    const Code open{{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    CHECK(filter::combine(view_of(open), view_of(large)).size() <= large.size());
    const Code twice = filter::combine(view_of(large), view_of(large));
    CHECK(filter::is_valid(view_of(twice)));
    const filter::Verdict verdict = filter::interpret(view_of(twice), {SYS_getpid, native, 0, {}});
    CHECK(verdict.value == SECCOMP_RET_ALLOW);
    CHECK(verdict.only_number);
    MESSAGE(large.size() << " instructions with themselves are " << twice.size());
}

TEST_CASE("what would be too large, or is no filter, is refused") {
    const auto error_of = [](const Code& earlier, const Code& later) {
        try {
            (void)filter::combine(view_of(earlier), view_of(later));
        } catch (const sg::Error& error) {
            return error.code().value();
        }
        return 0;
    };
    Code many;
    for (std::uint32_t i = 0; i < 2000; ++i) {
        many.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, i});
        many.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | i});
    }
    many.insert(many.begin(), {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0});
    many.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
    REQUIRE(filter::is_valid(view_of(many)));
    CHECK(error_of(many, many) == E2BIG);
    CHECK(error_of(many, {}) == EINVAL);
    CHECK(error_of({{BPF_RET | BPF_A, 0, 0, 0}}, many) == EINVAL);
}
