// A fuzzer's bytes as a policy and calls. All judges that need no process must agree: the rules themselves, the compiled
// program in the interpreter, the proof, and libseccomp where the policy can be expressed in it.
//
//   cmake -S . -B build/fuzz -G Ninja -D CMAKE_CXX_COMPILER=clang++ -D SYSGUARD_BUILD_FUZZERS=ON
//   cmake --build build/fuzz --target fuzz_filter
//   build/fuzz/tests/fuzz/fuzz_filter -max_total_time=60 -max_len=2048 -len_control=0

#include <sysguard/filter/interpret.hpp>
#include <sysguard/filter/prove.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include <linux/seccomp.h>

#include "support/judges.hpp"
#include "support/libseccomp_judge.hpp"
#include "support/random_policy.hpp"

namespace {

namespace filter = sysguard::filter;
using support::Code;
using support::LoosePolicy;
using support::Trial;

/// A policy with all that is made of it.
struct Case {
    support::FixedPolicy policy;
    Code code;
    std::optional<Code> list;
    std::optional<Code> tree;

    explicit Case(const LoosePolicy& loose)
        : policy{loose},
          code{policy.compile()},
          list{support::LibseccompJudge::program(loose, false)},
          tree{support::LibseccompJudge::program(loose, true)} {}

    /// What the judges say of a call if they do not agree.
    std::string objections(const seccomp_data& input) const {
        const std::uint32_t expected = support::by_rules(policy.view(), input);
        std::string text;
        const auto ask = [&](const char* judge, const Code& program) {
            const std::uint32_t value = support::by_interpreter(program, input);
            if (value != expected) text += std::string{judge} + ": " + support::value_text(value) + "\n";
        };
        ask("the interpreter", code);
        if (list && support::LibseccompJudge::is_comparable(input)) ask("libseccomp's list", *list);
        if (tree && support::LibseccompJudge::is_comparable(input)) ask("libseccomp's tree", *tree);
        return text.empty() ? text : text + "the rules: " + support::value_text(expected) + "\n";
    }
};

[[noreturn]] void fail(const Trial& trial) {
    const auto fails = [](const Trial& smaller) { return !Case{smaller.policy}.objections(smaller.input).empty(); };
    const Trial small = support::shrunk(trial, fails);
    std::fprintf(stderr, "a policy:\n%sa call: %s\n%s", support::text(small.policy).c_str(),
                 support::text(small.input).c_str(), Case{small.policy}.objections(small.input).c_str());
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    support::RandomPolicy random{support::Choices{bytes, size}};
    const LoosePolicy policy = random.make(support::all_decisions());
    try {
        const Case whole{policy};
        for (int i = 0; i < 32; ++i) {
            const seccomp_data input = random.input();
            if (!whole.objections(input).empty()) fail({policy, input});
        }
        if (!random.choices().one_in(8)) return 0;  // a proof takes longer than all else
        const filter::Proof proof = filter::prove(support::view(whole.code), whole.policy.view());
        if (proof.against) fail({policy, *proof.against});
    } catch (const sysguard::Error& error) {
        if (error.code().value() != E2BIG) throw;
    }
    return 0;
}
