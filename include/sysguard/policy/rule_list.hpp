#pragma once

#include "../abi/error.hpp"
#include "rules.hpp"

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace sysguard::policy {

/// Rules in their order, as many as there come at run time: chosen by a configuration, read from a file. What goes into
/// a `Rules{...}` goes in here. Owns copies, and shares what handlers have captured. Not thread-safe while it grows.
class [[nodiscard]] RuleList {
public:
    static constexpr std::size_t max_rules = 4096;   ///< none of them could get an instruction of its own beyond that
    static constexpr std::size_t max_nodes = 65535;  ///< of all conditions together

    RuleList() = default;

    template <class... Parts>
        requires(sizeof...(Parts) > 0)
    explicit RuleList(const Parts&... parts) { (append(parts), ...); }

    /// Adds a rule for a native call. `nodes`, of which there are `count`, 0 for a rule that always matches, are
    /// copied. `of_same_rule`: it is for a further call of the family of the one before. Throws `Error`: EINVAL for a
    /// number that the table does not know, E2BIG where there are more rules or conditions than a policy can have.
    void add(int number, const BoundNode* nodes, std::size_t count, bool of_same_rule, const Decision& decision,
             const Handler& handler = {}) {
        if (!abi::is_known(number))
            throw Error{EINVAL,
                        "rule for call " + std::to_string(number) + ": no system call of the table has this number"};
        if (rules_.size() == max_rules || count > max_nodes - nodes_.size())
            throw Error{E2BIG, "put rules together: a policy has at most " + std::to_string(max_rules) +
                                   " rules, and " + std::to_string(max_nodes) + " parts of conditions"};
        RuleRecord rule;
        rule.number = static_cast<std::int16_t>(number);
        rule.first_node = static_cast<std::uint16_t>(nodes_.size());
        rule.node_count = static_cast<std::uint16_t>(count);
        rule.of_same_rule = of_same_rule;
        for (std::size_t i = 0; i < count; ++i) rule.in_memory = rule.in_memory || is_in_memory(nodes[i]);
        rule.decision = decision;
        rule.handler = handler;
        nodes_.insert(nodes_.end(), nodes, nodes + count);
        rules_.push_back(rule);
    }

    template <std::size_t r, std::size_t n, bool c>
    void append(const Rules<r, n, c>& rules) {
        take(rules);
        context_ = SharedContext::join(context_, rules.contexts().context());
    }

    template <class Make>
    void append(const OnDemand<Make>& group) {
        take(group);
    }

    void append(const RuleList& other) {
        const RuleList copy = other;  // it may be this one
        take(copy);
        context_ = SharedContext::join(context_, copy.context_);
    }

    /// Leaves out the rules for which `unwanted(const RuleRecord&)` returns true; all are there until it has been asked
    /// about all.
    template <class Unwanted>
    void erase_if(const Unwanted& unwanted) {
        std::vector<RuleRecord> kept;
        kept.reserve(rules_.size());
        for (const RuleRecord& rule : rules_)
            if (!unwanted(rule)) kept.push_back(rule);
        rules_ = std::move(kept);
    }

    /// Keeps what handlers of its rules have captured.
    void keep(const SharedContext& context) { context_ = SharedContext::join(context_, context); }

    const RuleRecord* begin() const noexcept { return rules_.data(); }
    const RuleRecord* end() const noexcept { return rules_.data() + rules_.size(); }
    std::size_t size() const noexcept { return rules_.size(); }
    const BoundNode* nodes() const noexcept { return nodes_.data(); }
    std::size_t node_count() const noexcept { return nodes_.size(); }

    /// What the rules' handlers have captured.
    SharedContext context() const noexcept { return context_; }

private:
    template <class Group>
    void take(const Group& group) {
        for (const RuleRecord& rule : group)
            add(rule.number, group.nodes() + rule.first_node, rule.node_count, rule.of_same_rule, rule.decision,
                rule.handler);
    }

    std::vector<RuleRecord> rules_{};
    std::vector<BoundNode> nodes_{};
    SharedContext context_{};
};

}  // namespace sysguard::policy

namespace sysguard {
using policy::RuleList;
}  // namespace sysguard
