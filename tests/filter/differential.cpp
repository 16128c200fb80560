#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/filter/prove.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <linux/seccomp.h>

#include "support/environment.hpp"
#include "support/judges.hpp"
#include "support/kernel_judge.hpp"
#include "support/libseccomp_judge.hpp"
#include "support/random_policy.hpp"

// Four judges of the same policies: the rules themselves, the compiled program in the interpreter, the compiled program
// in the live kernel, and libseccomp's program where the policy can be expressed in it.

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace filter = sysguard::filter;
using support::Code;
using support::LoosePolicy;
using support::RandomPolicy;
using support::Trial;

namespace {

/// Calls on the edges of a policy's rules, and each number of the table and some behind it.
std::vector<seccomp_data> inputs_for(RandomPolicy& random) {
    std::vector<seccomp_data> inputs(400);
    for (seccomp_data& input : inputs) input = random.input();
    for (int number = 0; number < abi::native_limit + 3; ++number) {
        inputs.push_back(inputs[static_cast<std::size_t>(number) % 400]);
        inputs.back().nr = number;
    }
    return inputs;
}

/// What each judge says of one trial; empty where it says nothing.
std::map<std::string, std::uint32_t> opinions(const Trial& trial, const support::KernelJudge& kernel) {
    const support::FixedPolicy policy{trial.policy};
    const Code code = policy.compile();
    std::map<std::string, std::uint32_t> said;
    said["the rules"] = support::by_rules(policy.view(), trial.input);
    said["the interpreter"] = support::by_interpreter(code, trial.input);
    if (kernel.decides(trial.input)) said["the kernel"] = kernel.judge(code, {trial.input})[0];
    for (const bool tree : {false, true}) {
        const std::optional<Code> theirs = support::LibseccompJudge::program(trial.policy, tree);
        if (theirs && support::LibseccompJudge::is_comparable(trial.input))
            said[tree ? "libseccomp's tree" : "libseccomp's list"] = support::by_interpreter(*theirs, trial.input);
    }
    return said;
}

/// Whether the judges disagree, or one of them does not come to an end.
bool disagree(const Trial& trial, const support::KernelJudge& kernel) {
    try {
        const auto said = opinions(trial, kernel);
        const std::uint32_t first = said.begin()->second;
        return std::any_of(said.begin(), said.end(), [&](const auto& one) { return one.second != first; });
    } catch (const std::exception&) {
        return true;
    }
}

/// The smallest trial that can be found in which the judges disagree, to read.
std::string report(const Trial& trial, const support::KernelJudge& kernel, std::uint64_t seed) {
    const Trial small = support::shrunk(trial, [&](const Trial& smaller) { return disagree(smaller, kernel); });
    std::string lines = "seed " + std::to_string(seed) + ", a policy:\n" + support::text(small.policy) +
                        "a call: " + support::text(small.input) + "\n";
    try {
        for (const auto& [judge, value] : opinions(small, kernel))
            lines += judge + ": " + support::value_text(value) + "\n";
    } catch (const std::exception& exception) {
        lines += exception.what();
    }
    return lines;
}

/// How often each judge was asked, and agreed with the rules.
struct Tally {
    std::size_t policies = 0;
    std::size_t too_long = 0;  ///< policies whose filter the kernel would not take
    std::size_t proven = 0;    ///< policies whose filter is proven to be right for all calls
    std::size_t interpreter = 0;
    std::size_t kernel = 0;
    std::size_t libseccomp = 0;
    std::size_t conditional = 0;  ///< calls that the arguments decided
    std::map<std::uint32_t, std::size_t> verdicts{};
    std::size_t longest = 0;
};

/// Puts calls to all judges. Returns the first trial on which they disagree.
std::optional<Trial> try_policy(RandomPolicy& random, const support::KernelJudge& kernel, Tally& tally) {
    const LoosePolicy& loose = random.make(support::all_decisions());
    const support::FixedPolicy policy{loose};
    Code code;
    try {
        code = policy.compile();
    } catch (const sg::Error& error) {
        REQUIRE(error.code().value() == E2BIG);
        ++tally.too_long;
        return std::nullopt;
    }
    const std::optional<Code> theirs = support::LibseccompJudge::program(loose, random.choices().below(2) == 0);
    const filter::Proof proof = filter::prove(support::view(code), policy.view());
    if (proof.against) return Trial{loose, *proof.against};
    tally.proven += proof.decided;
    ++tally.policies;
    tally.longest = std::max(tally.longest, code.size());

    std::vector<seccomp_data> live_inputs;
    std::vector<std::uint32_t> expected;
    for (const seccomp_data& input : inputs_for(random)) {
        const std::uint32_t value = support::by_rules(policy.view(), input);
        const filter::Verdict verdict = filter::interpret(support::view(code), input);
        if (!verdict.valid || verdict.value != value) return Trial{loose, input};
        ++tally.interpreter;
        tally.conditional += !verdict.only_number;
        ++tally.verdicts[value];
        if (theirs && support::LibseccompJudge::is_comparable(input)) {
            if (support::by_interpreter(*theirs, input) != value) return Trial{loose, input};
            ++tally.libseccomp;
        }
        if (!kernel.decides(input)) continue;
        live_inputs.push_back(input);
        expected.push_back(value);
    }
    const std::vector<std::uint32_t> answers = kernel.judge(code, live_inputs);
    for (std::size_t i = 0; i < live_inputs.size(); ++i) {
        if (answers[i] != expected[i]) return Trial{loose, live_inputs[i]};
        ++tally.kernel;
    }
    return std::nullopt;
}

}  // namespace

TEST_CASE("random policies: the rules, the interpreter, the live kernel and libseccomp agree on a million calls") {
    const support::KernelJudge kernel;
    const std::uint64_t seed = support::first_seed();
    const std::uint64_t count = support::rounds(3000);
    Tally tally;
    for (std::uint64_t i = 0; i < count; ++i) {
        RandomPolicy random{support::Choices{seed + i}};
        const std::optional<Trial> failed = try_policy(random, kernel, tally);
        if (failed) FAIL(report(*failed, kernel, seed + i));
    }
    MESSAGE(tally.policies << " policies from seed " << seed << ", their filters of up to " << tally.longest
                           << " instructions, " << tally.proven
                           << " proven to be right; calls on which the rules agree with the interpreter: "
                           << tally.interpreter << ", with the live kernel: " << tally.kernel << ", with libseccomp: "
                           << tally.libseccomp << "; decided by arguments: " << tally.conditional);
    CHECK(tally.too_long * 20 <= count);
    CHECK(tally.proven > tally.policies * 8 / 10);
    CHECK(tally.conditional > tally.interpreter / 8);
    CHECK(tally.kernel > tally.interpreter * 9 / 10);
    CHECK(tally.libseccomp > tally.interpreter / 40);
    for (const sg::Decision& decision : support::all_decisions())
        CHECK(tally.verdicts[filter::return_value(decision)] > tally.interpreter / 200);
}

namespace {

/// Changes what one instruction of a program does. False where it does not fit the instruction.
bool spoil(sock_filter& one, support::Choices& choices) {
    const unsigned operation = BPF_OP(one.code);
    const bool jump = BPF_CLASS(one.code) == BPF_JMP && operation != BPF_JA;
    switch (choices.below(6)) {
        case 0: ++one.k; return true;
        case 1: --one.k; return true;
        case 2: one.k ^= 1U << choices.below(32); return true;
        case 3: std::swap(one.jt, one.jf); return jump && one.jt != one.jf;
        case 4: ++(choices.below(2) == 0 ? one.jt : one.jf); return jump;
        default: one.code ^= BPF_JGT ^ BPF_JGE; return jump && (operation == BPF_JGT || operation == BPF_JGE);
    }
}

}  // namespace

TEST_CASE("programs with one wrong instruction are noticed, but for those that it makes no difference to") {
    std::size_t wrong = 0;
    std::size_t noticed = 0;
    std::size_t alike = 0;
    const std::uint64_t seed = support::first_seed();
    for (std::uint64_t i = 0; i < support::rounds(1500); ++i) {
        RandomPolicy random{support::Choices{seed + i}};
        const support::FixedPolicy policy{random.make(support::all_decisions())};
        const Code right = policy.compile();
        const std::vector<seccomp_data> inputs = inputs_for(random);
        Code code = right;
        if (!spoil(code[random.choices().below(code.size())], random.choices())) continue;
        if (!filter::is_valid(support::view(code))) continue;
        ++wrong;
        const bool seen = std::any_of(inputs.begin(), inputs.end(), [&](const seccomp_data& input) {
            return support::by_interpreter(code, input) != support::by_rules(policy.view(), input);
        });
        noticed += seen;
        if (seen) continue;
        const filter::Proof proof = filter::prove(support::view(code), policy.view());
        alike += static_cast<bool>(proof);
        if (proof.against)
            CHECK(support::by_interpreter(code, *proof.against) != support::by_rules(policy.view(), *proof.against));
    }
    MESSAGE(wrong << " changed programs: " << noticed << " are noticed, " << alike << " do the same, "
                  << wrong - noticed - alike << " are not noticed");
    CHECK(noticed + alike > wrong * 9 / 10);
    CHECK(noticed > wrong * 7 / 10);
}

TEST_CASE("a disagreement is shrunk to a policy that shows no more than the cause") {
    // A compiler that takes every "above" for "not below".
    const auto fails = [](const Trial& trial) {
        const support::FixedPolicy policy{trial.policy};
        Code code = policy.compile();
        for (sock_filter& one : code)
            if (one.code == (BPF_JMP | BPF_JGT | BPF_K)) one.code = BPF_JMP | BPF_JGE | BPF_K;
        return support::by_interpreter(code, trial.input) != support::by_rules(policy.view(), trial.input);
    };
    int found = 0;
    for (std::uint64_t seed = 1; found < 20; ++seed) {
        RandomPolicy random{support::Choices{seed}};
        const LoosePolicy policy = random.make(support::all_decisions());
        for (const seccomp_data& input : inputs_for(random)) {
            if (!fails({policy, input})) continue;
            const Trial small = support::shrunk({policy, input}, fails);
            CAPTURE(seed);
            CAPTURE(support::text(small.policy));
            CHECK(fails(small));
            CHECK(small.policy.rules.size() <= 2);
            CHECK(small.policy.rules[0].nodes.size() <= 6);
            ++found;
            break;
        }
    }
}
