#include <sysguard/filter/interpret.hpp>
#include <sysguard/filter/prove.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include <sys/syscall.h>

#include "support/large_policy.hpp"
#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using sg::Action;
using sg::Decision;
using sg::Rule;

namespace {

constexpr sg::Policy policy{sg::preset::cpp_runtime,
                            Rule<SYS_socket>{arg::domain == 2 && arg::type.in(1, 2)}.allow(),
                            Rule<SYS_kill>{arg::sig != 0 && arg::pid > 1}.deny(EPERM),
                            Rule<SYS_readahead>{arg::count <= 5 || arg::count > 0x200000000}.log(),
                            Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.fake(0),
                            sg::foreign.deny(ENOSYS),
                            sg::otherwise.kill()};

template <std::size_t rules>
std::vector<sock_filter> compiled(const sg::policy::View& view) {
    static filter::Program<filter::max_instructions> program;
    program.size = 0;
    filter::compile(view, sg::policy::RulesByCall<rules>{view}, program);
    return {program.code, program.code + program.size};
}

}  // namespace

TEST_CASE("a filter is proven to be its policy") {
    const filter::Proof proof = filter::prove(policy.program(), policy.view());
    CHECK(proof.decided);
    CHECK_FALSE(proof.against);
}

TEST_CASE("an instruction that is changed is found out, with a call that shows it") {
    const filter::ProgramView right = policy.program();
    int found = 0;
    for (std::size_t i = 0; i < right.size; i += 7) {
        std::vector<sock_filter> wrong(right.begin(), right.end());
        wrong[i].k ^= BPF_CLASS(wrong[i].code) == BPF_LD ? 8U : 1U;
        if (!filter::is_valid({wrong.data(), wrong.size()})) continue;
        const filter::Proof proof = filter::prove({wrong.data(), wrong.size()}, policy.view());
        if (!proof.against) continue;
        ++found;
        CHECK(filter::interpret(right, *proof.against).value !=
              filter::interpret({wrong.data(), wrong.size()}, *proof.against).value);
    }
    CHECK(found > 10);
}

TEST_CASE("constants and masks are followed") {
    constexpr sg::Policy allow{sg::foreign.kill_now(), sg::otherwise.allow()};
    const filter::ProgramView right = allow.program();
    // Before all of it: a constant under a mask, compared, and what cannot be then.
    std::vector<sock_filter> longer{{BPF_LD | BPF_IMM, 0, 0, 0xff},
                                    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xf},
                                    {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0xf},
                                    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_LOG}};
    longer.insert(longer.end(), right.begin(), right.end());
    CHECK(filter::prove({longer.data(), longer.size()}, allow.view()));
    longer[1].k = 0xe;
    CHECK(filter::prove({longer.data(), longer.size()}, allow.view()).against);
}

TEST_CASE("what a filter never does is not judged") {
    const sock_filter pointer[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 8}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    CHECK_FALSE(filter::prove({pointer, 2}, policy.view()).decided);
    const sock_filter returns[] = {{BPF_RET | BPF_A, 0, 0, 0}};
    CHECK_FALSE(filter::prove({returns, 1}, policy.view()).decided);
    CHECK_FALSE(filter::prove({pointer, 0}, policy.view()).decided);
}

TEST_CASE("the filter of a large policy is proven") {
    const support::LargePolicy rules = support::large_policy();
    const sg::policy::View view{rules.begin(), rules.size(), rules.nodes(), {Action::deny, EPERM}, {Action::kill}};
    const std::vector<sock_filter> program = compiled<512>(view);
    CHECK(filter::prove({program.data(), program.size()}, view));
}

TEST_CASE("filters of random policies are proven") {
    int proven = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        support::RandomPolicy random{support::Choices{seed},
                                     {SYS_read, SYS_kill, SYS_mmap, SYS_socket, SYS_lseek, SYS_prctl}};
        const support::FixedPolicy fixed{
            random.make({{Action::allow}, {Action::kill_now}, {Action::deny, EPERM}, {Action::log}})};
        const sg::policy::View view = fixed.view();
        const std::vector<sock_filter> program = fixed.compile();
        const filter::Proof proof = filter::prove({program.data(), program.size()}, view);
        if (proof) ++proven;
        if (proof.against) FAIL("seed " << seed << ", call " << proof.against->nr);
    }
    CHECK(proven > 30);
}
