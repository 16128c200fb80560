#pragma once

#include "filters.hpp"
#include "recorded_runs.hpp"

#include <sysguard/dynamic_policy.hpp>
#include <sysguard/filter/alternatives.hpp>
#include <sysguard/filter/interpret.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bench {

namespace sg = sysguard;

/// How much of a filter runs for the calls that it allows, with all arguments 0: instructions, the loads and the return
/// among them.
struct Executed {
    double mean = 0;      ///< all calls alike
    double recorded = 0;  ///< each as often as in a recorded run
    std::size_t worst = 0;
};

inline Executed executed(const Code& code, const std::vector<sg::CallCount>& run) {
    Executed executed;
    double calls = 0;
    double counts = 0;
    for (const sg::abi::Syscall& call : sg::abi::syscalls) {
        if (call.number() < 0) continue;
        seccomp_data data{};
        data.nr = call.number();
        data.arch = sg::abi::audit_architecture(sg::abi::native_abi);
        const sg::filter::Verdict verdict = sg::filter::interpret(view(code), data);
        if (verdict.value != SECCOMP_RET_ALLOW) continue;
        ++calls;
        executed.mean += static_cast<double>(verdict.instructions);
        executed.worst = std::max(executed.worst, verdict.instructions);
        for (const sg::CallCount& counted : run) {
            if (counted.number != data.nr) continue;
            counts += static_cast<double>(counted.count);
            executed.recorded += static_cast<double>(verdict.instructions * counted.count);
        }
    }
    executed.mean /= calls;
    executed.recorded /= counts;
    return executed;
}

/// A policy in libseccomp's terms.
class Peer {
public:
    struct Rule {
        int number = 0;
        std::uint32_t action = 0;
        std::vector<scmp_arg_cmp> comparisons{};
    };

    Peer(std::uint32_t otherwise, std::vector<Rule> rules) : otherwise_{otherwise}, rules_{std::move(rules)} {}

    /// For each call alternatives that exclude each other.
    explicit Peer(const sg::DynamicPolicy& policy) : otherwise_{action(policy.view().otherwise)} {
        const sg::policy::View rules = policy.view();
        for (const sg::abi::Syscall& call : sg::abi::syscalls) {
            if (call.number() < 0) continue;
            const auto list = sg::filter::alternatives(rules, call.number(), {.rest = rules.otherwise});
            expect(list.has_value(), "libseccomp cannot say what the policy does");
            for (const sg::filter::Alternative& alternative : *list) {
                Rule rule{call.number(), action(alternative.decision)};
                for (const sg::filter::Comparison& comparison : alternative.comparisons)
                    rule.comparisons.push_back(converted(comparison));
                rules_.push_back(rule);
            }
        }
    }

    static std::uint32_t action(const sg::Decision& decision) {
        expect(decision == sg::Action::allow || decision == sg::Action::deny, "a decision that was not expected");
        return decision == sg::Action::allow ? SCMP_ACT_ALLOW
                                             : SCMP_ACT_ERRNO(static_cast<std::uint32_t>(decision.value));
    }

    /// `level`: 1 is a chain of comparisons, 2 a binary tree (SCMP_FLTATR_CTL_OPTIMIZE).
    Code build(unsigned level) const {
        scmp_filter_ctx context = ::seccomp_init(otherwise_);
        expect(context != nullptr, "seccomp_init failed");
        expect(::seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, level) == 0, "seccomp_attr_set failed");
        for (const Rule& rule : rules_)
            expect(
                ::seccomp_rule_add_array(context, rule.action, rule.number,
                                         static_cast<unsigned>(rule.comparisons.size()), rule.comparisons.data()) == 0,
                "seccomp_rule_add_array failed");
        return take_filter(context);
    }

private:
    static scmp_arg_cmp converted(const sg::filter::Comparison& comparison) {
        using Kind = sg::filter::Comparison::Kind;
        const scmp_compare operation = comparison.kind == Kind::equal              ? SCMP_CMP_EQ
                                       : comparison.kind == Kind::not_equal        ? SCMP_CMP_NE
                                       : comparison.kind == Kind::less_or_equal    ? SCMP_CMP_LE
                                       : comparison.kind == Kind::greater_or_equal ? SCMP_CMP_GE
                                                                                   : SCMP_CMP_MASKED_EQ;
        const bool masked = comparison.kind == Kind::masked_equal;
        return {comparison.position, operation, masked ? comparison.mask : comparison.value, comparison.value};
    }

    std::uint32_t otherwise_;
    std::vector<Rule> rules_{};
};

/// The median of each of several works done by turns.
inline std::vector<double> medians(int rounds, const std::vector<std::function<double()>>& works) {
    std::vector<std::vector<double>> times(works.size());
    for (int round = 0; round < rounds; ++round)
        for (std::size_t i = 0; i < works.size(); ++i) times[i].push_back(works[i]());
    std::vector<double> medians;
    for (std::vector<double>& each : times) {
        std::nth_element(each.begin(), each.begin() + rounds / 2, each.end());
        medians.push_back(each[static_cast<std::size_t>(rounds / 2)]);
    }
    return medians;
}

/// A line of the table.
struct Filter {
    std::string maker;
    std::size_t instructions = 0;
    Executed executed{};
    double build = 0;    ///< microseconds
    double install = 0;  ///< microseconds
};

/// Our filter for a policy, ours weighed by a recorded run, and libseccomp's two for the same policy, by turns.
/// Building ours is making a policy of rules, with all its checks.
inline std::vector<Filter> compare(const sg::RuleList& rules, const sg::Decision& otherwise, const Peer& peer,
                                   const std::vector<sg::CallCount>& run) {
    const sg::Ending<false> end{otherwise};
    const sg::policy::Weights<std::dynamic_extent> weights = sg::weights(run);
    const auto code = [](const sg::DynamicPolicy& policy) {
        return Code(policy.program().begin(), policy.program().end());
    };
    const std::vector<std::pair<std::string, std::function<Code()>>> makers = {
        {"sysguard",
         [&] {
             return code(sg::DynamicPolicy{rules, end});
         }},
        {"sysguard weighed",
         [&] {
             return code(sg::DynamicPolicy{rules, weights, end});
         }},
        {"libseccomp chain", [&] { return peer.build(1); }},
        {"libseccomp tree", [&] { return peer.build(2); }},
    };
    std::vector<Filter> filters;
    std::vector<Code> codes;
    std::vector<std::function<double()>> builds;
    std::vector<std::function<double()>> installations;
    for (const auto& [maker, build] : makers) {
        codes.push_back(build());
        filters.push_back({maker, codes.back().size(), executed(codes.back(), run)});
        builds.push_back([&work = build] { return Comparison::time([&] { benchmark::DoNotOptimize(work()); }); });
    }
    for (const Code& each : codes) installations.push_back([&each] { return install(each); });
    const std::vector<double> built = medians(101, builds);
    const std::vector<double> installed = medians(101, installations);
    for (std::size_t i = 0; i < filters.size(); ++i) {
        filters[i].build = built[i];
        filters[i].install = installed[i];
    }
    return filters;
}

inline std::vector<Filter> compare(const sg::RuleList& rules, const sg::Decision& otherwise,
                                   const std::vector<sg::CallCount>& run) {
    return compare(rules, otherwise, Peer{sg::DynamicPolicy{rules, sg::Ending<false>{otherwise}}}, run);
}

inline void print_heading() {
    std::printf("%-31s %-17s %12s   %-23s   %-15s   %s\n", "", "", "", "executed: all  by run", "build", "install");
    std::printf("%-31s %-17s %12s   %8s %7s %6s   %7s %7s   %7s %5s\n", "policy; recorded run", "filter",
                "instructions", "mean", "mean", "worst", "us", "x", "us", "x");
}

inline void print(const std::string& policy, const std::vector<Filter>& filters) {
    const Filter& first = filters.front();
    for (const Filter& filter : filters)
        std::printf("%-31s %-17s %12zu   %8.2f %7.2f %6zu   %7.0f %7.2f   %7.0f %5.2f\n",
                    &filter == &first ? policy.c_str() : "", filter.maker.c_str(), filter.instructions,
                    filter.executed.mean, filter.executed.recorded, filter.executed.worst, filter.build,
                    filter.build / first.build, filter.install, filter.install / first.install);
}

}  // namespace bench
