#pragma once

#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/policy/view.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <linux/seccomp.h>

#include "support/loose_policy.hpp"

namespace support {

/// The rules' own evaluation.
inline std::uint32_t by_rules(const policy::View& policy, const seccomp_data& input) {
    if (input.arch != abi::audit_architecture(abi::native_abi)) return sysguard::filter::return_value(policy.foreign);
    std::uint64_t arguments[6];
    for (int i = 0; i < 6; ++i) arguments[i] = input.args[i];
    return sysguard::filter::return_value(policy::decide(policy, input.nr, arguments));
}

/// The compiled program in the interpreter; 0xffffffff, which no filter returns, where it is no program.
inline std::uint32_t by_interpreter(const Code& code, const seccomp_data& input) {
    const sysguard::filter::Verdict verdict = sysguard::filter::interpret(view(code), input);
    return verdict.valid ? verdict.value : 0xffffffff;
}

/// A policy and a call.
struct Trial {
    LoosePolicy policy{};
    seccomp_data input{};
};

/// Makes a trial of which `fails` is true as small as can be: each step takes something away of which it is true still.
template <class Fails>
class Shrinking {
public:
    Shrinking(Trial trial, Fails fails) : trial_{std::move(trial)}, fails_{std::move(fails)} {}

    Trial result() {
        for (bool better = true; better && attempts_ < most_attempts;) {
            better = fewer_rules();
            better = simpler_conditions() || better;
            better = simpler_input() || better;
        }
        return trial_;
    }

private:
    using Kind = policy::Node::Kind;
    using Nodes = std::vector<policy::BoundNode>;

    static constexpr int most_attempts = 4000;

    bool accept(Trial candidate) {
        if (++attempts_ > most_attempts || !fails_(candidate)) return false;
        trial_ = std::move(candidate);
        return true;
    }

    bool fewer_rules() {
        bool better = !trial_.policy.weights.empty() && without_weights();
        for (std::size_t chunk = trial_.policy.rules.size(); chunk > 0; chunk /= 2)
            for (std::size_t at = 0; at + chunk <= trial_.policy.rules.size();) {
                Trial fewer = trial_;
                const auto first = fewer.policy.rules.begin() + static_cast<std::ptrdiff_t>(at);
                fewer.policy.rules.erase(first, first + static_cast<std::ptrdiff_t>(chunk));
                const bool accepted = accept(std::move(fewer));
                better = better || accepted;
                if (!accepted) at += chunk;
            }
        return better;
    }

    bool without_weights() {
        Trial plain = trial_;
        plain.policy.weights.clear();
        return accept(std::move(plain));
    }

    bool simpler_conditions() {
        bool better = false;
        for (std::size_t rule = 0; rule < trial_.policy.rules.size(); ++rule) {
            better = replaced(rule, {}) || better;
            for (std::size_t node = 0; node < nodes(rule).size(); ++node) {
                const Nodes now = nodes(rule);
                better =
                    (node > 0 && replaced(rule, {now.begin() + at(node), now.begin() + at(node) + now[node].size})) ||
                    without(rule, node) || simpler_constants(rule, node) || better;
            }
        }
        return better;
    }

    static std::ptrdiff_t at(std::size_t index) { return static_cast<std::ptrdiff_t>(index); }

    const Nodes& nodes(std::size_t rule) const { return trial_.policy.rules[rule].nodes; }

    bool replaced(std::size_t rule, Nodes by) {
        if (nodes(rule).empty() || (!by.empty() && by.size() >= nodes(rule).size() && by == nodes(rule))) return false;
        if (!by.empty() && by[0].kind == Kind::values) return false;
        Trial simpler = trial_;
        simpler.policy.rules[rule].nodes = std::move(by);
        return accept(std::move(simpler));
    }

    /// Without some nodes; what they are parts of has that many less.
    static Nodes cut(Nodes nodes, std::size_t from, std::size_t count) {
        for (std::size_t i = 0; i < from; ++i)
            if (nodes[i].kind != Kind::values && i + nodes[i].size >= from + count)
                nodes[i].size = static_cast<std::uint16_t>(nodes[i].size - count);
        nodes.erase(nodes.begin() + at(from), nodes.begin() + at(from + count));
        return nodes;
    }

    /// Without one part of the joint that it belongs to, or the last value of a set.
    bool without(std::size_t rule, std::size_t node) {
        Nodes fewer = nodes(rule);
        const policy::BoundNode taken = fewer[node];
        if (taken.kind == Kind::member && taken.count > 1) {
            if (--fewer[node].count % 3 == 0) fewer = cut(fewer, node + taken.size - 1U, 1);
            return replaced(rule, fewer);
        }
        if (node == 0 || taken.kind == Kind::values) return false;
        std::size_t joint = node;
        do {
            if (joint-- == 0) return false;
        } while (fewer[joint].kind == Kind::values || joint + fewer[joint].size < node + taken.size);
        const bool only_part = fewer[joint].size == taken.size + 1;
        return fewer[joint].kind != Kind::negate && !only_part && replaced(rule, cut(fewer, node, taken.size));
    }

    bool simpler_constants(std::size_t rule, std::size_t node) {
        if (nodes(rule)[node].kind != Kind::range) return false;
        bool better = false;
        const auto change = [&](auto&& apply) {
            Nodes simpler = nodes(rule);
            apply(simpler[node]);
            const policy::BoundNode& test = simpler[node];
            if (!(simpler == nodes(rule)) && test.low <= test.high && ((test.low | test.high) & ~test.mask) == 0)
                better = replaced(rule, simpler) || better;
        };
        change([](policy::BoundNode& test) { test.low = test.high; });
        change([](policy::BoundNode& test) { test.low = 0; });
        change([](policy::BoundNode& test) { test.high = test.mask; });
        change([](policy::BoundNode& test) { test.mask = ~0ULL; });
        change([](policy::BoundNode& test) { test.mask = 0xffffffff; });
        return better;
    }

    bool simpler_input() {
        bool better = false;
        for (auto& argument : trial_.input.args) {
            const auto change = [&](std::uint64_t value) {
                if (value == argument) return;
                Trial simpler = trial_;
                simpler.input.args[&argument - trial_.input.args] = value;
                better = accept(std::move(simpler)) || better;
            };
            change(0);
            change(static_cast<std::uint32_t>(argument));
            for (int bit = 63; bit >= 0; --bit) change(argument & ~(1ULL << bit));
        }
        return better;
    }

    Trial trial_;
    Fails fails_;
    int attempts_ = 0;
};

template <class Fails>
Trial shrunk(Trial trial, Fails fails) {
    return Shrinking<Fails>{std::move(trial), std::move(fails)}.result();
}

/// What a filter's return value is, to read.
inline std::string value_text(std::uint32_t value) {
    const std::uint32_t data = value & SECCOMP_RET_DATA;
    switch (value & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW: return "allow";
        case SECCOMP_RET_LOG: return "log";
        case SECCOMP_RET_USER_NOTIF: return "ask the host";
        case SECCOMP_RET_KILL_PROCESS: return "kill the process";
        case SECCOMP_RET_KILL_THREAD: return "kill the thread";
        case SECCOMP_RET_TRAP: return "trap " + std::to_string(data);
        case SECCOMP_RET_TRACE: return "trace " + std::to_string(data);
        case SECCOMP_RET_ERRNO: return data == 0 ? "result 0" : "errno " + std::to_string(data);
        default: return hex(value);
    }
}

}  // namespace support
