// The filter of a policy of 350 calls and 20 rules on arguments, against what libseccomp makes of the same policy: how
// long it takes to build and to install, how long it is, and how much of it runs for an allowed call.

#include "filters.hpp"
#include "support/large_policy.hpp"

#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/interpret.hpp>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <linux/audit.h>
#include <seccomp.h>

namespace sg = sysguard;
namespace filter = sysguard::filter;
namespace sys = sysguard::sys;

namespace {

using bench::Code;
using bench::expect;
using bench::install;
using bench::view;

const support::LargePolicy rules = support::large_policy();

Code own() {
    static filter::Program<filter::max_instructions> program;
    const sg::policy::View policy{
        rules.begin(), rules.size(), rules.nodes(), {sg::Action::deny, EPERM}, {sg::Action::kill_now}};
    const sg::policy::RulesByCall<512> by_call{policy};
    filter::compile(policy, by_call, program);
    return {program.code, program.code + program.size};
}

/// One of libseccomp's rules: an argument, by position, and what it is compared with.
struct Peer {
    int number;
    scmp_arg_cmp condition;
};

/// The 20 rules in libseccomp's terms. What an int is compared with is masked: libseccomp compares 64 bits.
std::vector<Peer> peers() {
    std::vector<Peer> list;
    const auto masked = [&](int number, unsigned position, std::uint64_t mask, std::uint64_t value) {
        list.push_back({number, SCMP_CMP64(position, SCMP_CMP_MASKED_EQ, mask, value)});
    };
    const auto equal = [&](int number, unsigned position, std::initializer_list<std::uint64_t> values) {
        for (const std::uint64_t value : values) masked(number, position, 0xffffffff, value);
    };
    equal(sys::socket, 0, {AF_UNIX, AF_INET, AF_INET6});
    equal(sys::socketpair, 0, {AF_UNIX});
    masked(sys::clone, 0, 0x7e020000, 0);
    equal(sys::personality, 0, {0, 8, 0x20000, 0x20008, 0xffffffff});
    list.push_back({sys::ioctl, SCMP_CMP64(1, SCMP_CMP_NE, TIOCSTI)});
    equal(sys::prctl, 0, {PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG});
    equal(sys::fcntl, 1, {F_GETFL, F_SETFL, F_GETFD, F_SETFD});
    masked(sys::mmap, 2, PROT_WRITE, 0);
    masked(sys::mmap, 2, PROT_EXEC, 0);
    masked(sys::mprotect, 2, PROT_EXEC, 0);
    equal(sys::kill, 1, {0});
    equal(sys::tgkill, 2, {6});
    equal(sys::prlimit64, 0, {0});
    equal(sys::setsockopt, 1, {SOL_SOCKET});
    equal(sys::getsockopt, 1, {SOL_SOCKET});
    masked(sys::openat, 2, O_ACCMODE, O_RDONLY);
    list.push_back({sys::madvise, SCMP_CMP64(2, SCMP_CMP_LE, 4)});
    equal(sys::sendto, 5, {0});
    masked(sys::fchmodat, 2, 06000, 0);
    masked(sys::fchmod, 1, 06000, 0);
    equal(sys::sched_setscheduler, 1, {0});
    return list;
}

/// `level`: 1 is a chain of comparisons, 2 a binary tree (SCMP_FLTATR_CTL_OPTIMIZE).
Code libseccomp(unsigned level) {
    scmp_filter_ctx context = ::seccomp_init(SCMP_ACT_ERRNO(EPERM));
    expect(context != nullptr, "seccomp_init failed");
    expect(::seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, level) == 0, "seccomp_attr_set failed");
    for (const sg::policy::RuleRecord& rule : rules)
        if (rule.node_count == 0)
            expect(::seccomp_rule_add(context, SCMP_ACT_ALLOW, rule.number, 0) == 0, "seccomp_rule_add failed");
    static const std::vector<Peer> list = peers();
    for (const Peer& peer : list)
        expect(::seccomp_rule_add_array(context, SCMP_ACT_ALLOW, peer.number, 1, &peer.condition) == 0,
               "seccomp_rule_add_array failed");
    return bench::take_filter(context);
}

void build(benchmark::State& state) {
    bench::Comparison{}
        .add("sysguard", [] { return bench::Comparison::time([] { benchmark::DoNotOptimize(own()); }); })
        .add("libseccomp chain",
             [] { return bench::Comparison::time([] { benchmark::DoNotOptimize(libseccomp(1)); }); })
        .add("libseccomp tree", [] { return bench::Comparison::time([] { benchmark::DoNotOptimize(libseccomp(2)); }); })
        .run(state);
}

/// Counts the instructions of a filter, and those that run for a call that is allowed whatever its arguments.
void size(benchmark::State& state, const Code& code) {
    double executed = 0;
    double calls = 0;
    for ([[maybe_unused]] auto iteration : state) {
        executed = calls = 0;
        for (const sg::policy::RuleRecord& rule : rules) {
            if (rule.node_count != 0) continue;
            seccomp_data data{};
            data.nr = rule.number;
            data.arch = sg::abi::audit_architecture(sg::abi::native_abi);
            const filter::Verdict verdict = filter::interpret(view(code), data);
            if (verdict.value != SECCOMP_RET_ALLOW) continue;
            executed += static_cast<double>(verdict.instructions);
            ++calls;
        }
    }
    state.counters["instructions"] = static_cast<double>(code.size());
    state.counters["executed per allowed call"] = executed / calls;
    state.counters["calls allowed"] = calls;
}

void install_filters(benchmark::State& state) {
    const Code nothing{{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const Code mine = own();
    const Code chain = libseccomp(1);
    const Code tree = libseccomp(2);
    bench::Comparison{}
        .add("one instruction", [&] { return install(nothing); })
        .add("sysguard", [&] { return install(mine); })
        .add("libseccomp chain", [&] { return install(chain); })
        .add("libseccomp tree", [&] { return install(tree); })
        .run(state);
}

BENCHMARK(build)->Iterations(200)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(size, sysguard, own())->Iterations(1);
BENCHMARK_CAPTURE(size, libseccomp_chain, libseccomp(1))->Iterations(1);
BENCHMARK_CAPTURE(size, libseccomp_tree, libseccomp(2))->Iterations(1);
BENCHMARK(install_filters)->Iterations(200)->Unit(benchmark::kMillisecond);

}  // namespace
