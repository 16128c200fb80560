#pragma once

#include <sysguard/filter/compile.hpp>
#include <sysguard/policy/view.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace support {

namespace policy = sysguard::policy;
namespace abi = sysguard::abi;

using Code = std::vector<sock_filter>;

inline sysguard::filter::ProgramView view(const Code& code) {
    return {code.data(), code.size()};
}

/// A policy whose parts can be taken out and put in.
struct LoosePolicy {
    struct Rule {
        int number = 0;
        std::vector<policy::BoundNode> nodes{};
        bool of_same_rule = false;
        sysguard::Decision decision{};
    };

    std::vector<Rule> rules{};
    sysguard::Decision otherwise{};
    sysguard::Decision foreign{};
    std::vector<policy::Weight> weights{};  ///< as sg::weights orders them: the most frequent first
};

/// A loose policy as the library takes it.
class FixedPolicy {
public:
    static constexpr std::size_t most_rules = 1024;

    explicit FixedPolicy(const LoosePolicy& loose)
        : otherwise_{loose.otherwise}, foreign_{loose.foreign}, weights_{loose.weights} {
        for (const LoosePolicy::Rule& rule : loose.rules) {
            policy::RuleRecord record{static_cast<std::int16_t>(rule.number),
                                      static_cast<std::uint16_t>(nodes_.size()),
                                      static_cast<std::uint16_t>(rule.nodes.size()),
                                      rule.of_same_rule,
                                      false,
                                      rule.decision,
                                      {}};
            for (const policy::BoundNode& node : rule.nodes)
                record.in_memory = record.in_memory || policy::is_in_memory(node);
            nodes_.insert(nodes_.end(), rule.nodes.begin(), rule.nodes.end());
            records_.push_back(record);
        }
    }

    policy::View view() const {
        return {records_.data(), records_.size(), nodes_.data(),
                otherwise_,      foreign_,        {weights_.data(), weights_.size()}};
    }

    /// Its filter. Throws `Error` (E2BIG) where that is longer than the kernel takes.
    Code compile() const {
        static const auto program = std::make_unique<sysguard::filter::Program<sysguard::filter::max_instructions>>();
        sysguard::filter::compile(view(), policy::RulesByCall<most_rules>{view()}, *program);
        return {program->code, program->code + program->size};
    }

private:
    std::vector<policy::RuleRecord> records_{};
    std::vector<policy::BoundNode> nodes_{};
    sysguard::Decision otherwise_;
    sysguard::Decision foreign_;
    std::vector<policy::Weight> weights_;
};

inline std::string hex(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

inline std::string call_name(std::int64_t number) {
    const bool known = number >= 0 && number < abi::native_limit && abi::is_known(static_cast<int>(number));
    return known ? std::string{abi::find(static_cast<int>(number))->name} : hex(static_cast<std::uint32_t>(number));
}

/// A bound condition, as C++ might have it.
inline std::string condition_text(const policy::BoundNode* node) {
    using Kind = policy::Node::Kind;
    if (policy::is_in_memory(*node)) return "memory of argument " + std::to_string(node->position);
    const std::string masked = "(argument" + std::to_string(node->position) + " & " + hex(node->mask) + ")";
    switch (node->kind) {
        case Kind::range: {
            if (node->low == node->high) return masked + (node->outside ? " != " : " == ") + hex(node->low);
            return (node->outside ? "!" : "") + masked + ".between(" + hex(node->low) + ", " + hex(node->high) + ")";
        }
        case Kind::member: {
            std::string list;
            for (unsigned i = 0; i < node->count; ++i)
                list += (i == 0 ? "" : ", ") + hex(policy::member_value(node, i));
            return masked + ".in(" + list + ")";
        }
        case Kind::negate: return "!(" + condition_text(node + 1) + ")";
        default: {
            std::string text;
            for (const policy::BoundNode* part = node + 1; part < node + node->size; part += part->size)
                text += (text.empty() ? "" : node->kind == Kind::all ? " && " : " || ") + condition_text(part);
            return "(" + text + ")";
        }
    }
}

inline std::string decision_text(const sysguard::Decision& decision) {
    const bool has_value = decision.action == sysguard::Action::deny || decision.action == sysguard::Action::fake;
    return std::string{sysguard::name(decision.action)} + "(" + (has_value ? std::to_string(decision.value) : "") + ")";
}

/// A policy to read, a rule a line.
inline std::string text(const LoosePolicy& policy) {
    std::string lines;
    for (const LoosePolicy::Rule& rule : policy.rules)
        lines += "  Rule<" + call_name(rule.number) + ">{" +
                 (rule.nodes.empty() ? "" : condition_text(rule.nodes.data())) + "}." + decision_text(rule.decision) +
                 "\n";
    for (const policy::Weight& weight : policy.weights)
        lines += "  weight of " + call_name(weight.number) + ": " + std::to_string(weight.part) + "\n";
    return lines + "  foreign." + decision_text(policy.foreign) + "\n  otherwise." + decision_text(policy.otherwise) +
           "\n";
}

/// A call to read.
inline std::string text(const seccomp_data& data) {
    std::string line = call_name(data.nr) + "(";
    for (int i = 0; i < 6; ++i) line += (i == 0 ? "" : ", ") + hex(data.args[i]);
    line += ")";
    if (data.arch != abi::audit_architecture(abi::native_abi)) line += " of the architecture " + hex(data.arch);
    return line;
}

}  // namespace support
