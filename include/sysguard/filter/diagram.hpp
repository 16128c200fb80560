#pragma once

#include "../abi/architecture.hpp"
#include "../policy/view.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <linux/seccomp.h>

namespace sysguard::filter {

/// Functions of what a filter sees of a call, as reduced ordered decision diagrams over its bits: the architecture, the
/// number, the arguments in their order, the highest bit first. Two functions of one diagram are the same for all calls
/// exactly where they are the same node (R. E. Bryant, "Graph-Based Algorithms for Boolean Function Manipulation",
/// 1986). Not thread-safe.
class Diagram {
public:
    /// A function. One that is the same for all calls is an end: `no`, `yes`, or what `end` made.
    using Node = std::uint32_t;
    static constexpr Node no = 0;
    static constexpr Node yes = 1;

    static constexpr unsigned bits = 64;                       ///< of a position
    static constexpr unsigned of_number = abi::max_arguments;  ///< the position of the call's number, of 32 bits
    static constexpr unsigned of_architecture = abi::max_arguments + 1;  ///< and of AUDIT_ARCH_*

    Diagram() : nodes_{{ends, 0, 0}, {ends, 1, 0}} {}

    /// False where more was asked of it than it has room for: what it has said then is of no use.
    bool complete() const noexcept { return !overflown_; }

    /// The function that is always `value`.
    Node end(std::uint32_t value) { return make(ends, value, 1); }

    bool is_end(Node node) const noexcept { return nodes_[node].level == ends; }
    std::uint32_t value(Node end) const noexcept { return nodes_[end].low; }

    /// What a node that is no end looks at: an argument (0 to 5), `of_number` or `of_architecture`, and which bit (0 to
    /// 63).
    unsigned position(Node node) const noexcept { return position_at(nodes_[node].level); }
    unsigned bit(Node node) const noexcept { return bits - 1 - nodes_[node].level % bits; }

    /// What a node that is no end becomes where its bit is set, or not.
    Node where(Node node, bool set) const noexcept { return set ? nodes_[node].high : nodes_[node].low; }

    /// `a` where the condition, made of `yes` and `no`, holds; `b` elsewhere.
    Node choose(Node condition, Node a, Node b) {
        if (condition == yes || a == b) return a;
        if (condition == no || overflown_) return b;
        const Key key{condition, a, b};
        if (const auto known = chosen_.find(key); known != chosen_.end()) return known->second;
        const std::uint32_t level = std::min({nodes_[condition].level, nodes_[a].level, nodes_[b].level});
        const Node low = choose(below(condition, level, false), below(a, level, false), below(b, level, false));
        const Node high = choose(below(condition, level, true), below(a, level, true), below(b, level, true));
        if (chosen_.size() == max_steps) overflown_ = true;
        const Node made = make(level, low, high);
        if (!overflown_) chosen_.emplace(key, made);
        return made;
    }

    /// What a function becomes where all of a position is known, and of all that come before it.
    Node given(Node node, unsigned position, std::uint64_t value) const noexcept {
        while (!is_end(node) && this->position(node) == position) node = where(node, (value >> bit(node) & 1) != 0);
        return node;
    }

    /// The values of the ends that a function has, each once.
    std::vector<std::uint32_t> values(Node node) const {
        std::vector<std::uint32_t> found;
        std::unordered_set<Node> seen{node};
        for (std::vector<Node> left{node}; !left.empty();) {
            const Node next = left.back();
            left.pop_back();
            if (is_end(next)) found.push_back(value(next));
            if (is_end(next)) continue;
            for (const Node below : {nodes_[next].low, nodes_[next].high})
                if (seen.insert(below).second) left.push_back(below);
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    /// Whether `low <= (value & mask) <= high`, unsigned.
    Node range(unsigned position, std::uint64_t mask, std::uint64_t low, std::uint64_t high) {
        Node above = yes;
        Node under = yes;
        for (unsigned bit = 0; bit < bits; ++bit) {
            const std::uint32_t level = level_of(position, bit);
            const bool low_bit = (low >> bit & 1) != 0;
            const bool high_bit = (high >> bit & 1) != 0;
            const bool looked_at = (mask >> bit & 1) != 0;
            const Node set_above = low_bit ? above : yes;
            const Node set_under = high_bit ? under : no;
            above = make(level, low_bit ? no : above, looked_at ? set_above : low_bit ? no : above);
            under = make(level, high_bit ? yes : under, looked_at ? set_under : high_bit ? yes : under);
        }
        return choose(above, under, no);
    }

    /// Whether a condition holds, as far as registers say: a test that only the host can make counts as whatever lets
    /// the condition hold.
    Node condition(const policy::BoundNode* node, bool positive = true) {
        using Kind = policy::Node::Kind;
        if (policy::is_in_memory(*node)) return positive ? yes : no;
        switch (node->kind) {
            case Kind::range: {
                const Node inside = range(node->position, node->mask, node->low, node->high);
                return node->outside ? choose(inside, no, yes) : inside;
            }
            case Kind::member: {
                Node some = no;
                for (unsigned i = 0; i < node->count; ++i) {
                    const std::uint64_t value = policy::member_value(node, i);
                    some = choose(range(node->position, node->mask, value, value), yes, some);
                }
                return some;
            }
            case Kind::negate: return choose(condition(node + 1, !positive), no, yes);
            default: break;
        }
        const bool all = node->kind != Kind::any;
        Node joined = all ? yes : no;
        for (const policy::BoundNode* part = node + 1; part < node + node->size; part += part->size) {
            const Node next = condition(part, positive);
            joined = all ? choose(joined, next, no) : choose(joined, yes, next);
        }
        return joined;
    }

    /// What a policy says of a call of the table, with `end_of(decision)` for each decision: `policy::decide` for all
    /// registers at once.
    template <class EndOf>
    Node call(const policy::View& view, int number, const EndOf& end_of) {
        std::vector<const policy::RuleRecord*> rules;
        for (std::size_t i = 0; i < view.rule_count; ++i) {
            if (view.rules[i].number != number) continue;
            rules.push_back(&view.rules[i]);
            if (view.rules[i].node_count == 0) break;
        }
        Node decided = end_of(view.otherwise);
        for (std::size_t i = rules.size(); i-- > 0;) {
            const policy::RuleRecord& rule = *rules[i];
            const Node matches = rule.node_count == 0 ? yes : condition(view.condition(rule));
            const Decision decision = rule.in_memory ? Decision{Action::handle} : rule.decision;
            decided = choose(matches, end_of(decision), decided);
        }
        return decided;
    }

    /// What a policy says of every call, with `end_of(decision)` for each decision; of those that the table does not
    /// know it says `unknown_call`.
    template <class EndOf>
    Node policy(const policy::View& view, const EndOf& end_of, const Decision& unknown_call = policy::unknown_call) {
        constexpr std::uint64_t word = 0xffffffff;
        const Node unknown = end_of(unknown_call);
        Node decided = unknown;
        if (abi::native_abi == abi::Abi::x86_64)
            decided = choose(range(of_number, word, abi::x32_bit, word), end_of(view.foreign), decided);
        decided = choose(range(of_number, word, policy::skipped_call, policy::skipped_call), end_of(skipped), decided);
        const auto says = [&](std::uint32_t call) {
            return abi::is_known(static_cast<int>(call)) ? this->call(view, static_cast<int>(call), end_of) : unknown;
        };
        Node same = says(0);
        for (std::uint32_t first = 0, next = 1; first < abi::native_limit; ++next) {
            const bool more = next < abi::native_limit;
            const Node node = more ? says(next) : no;
            if (more && node == same) continue;
            decided = choose(range(of_number, word, first, next - 1), same, decided);
            same = node;
            first = next;
        }
        constexpr std::uint32_t native = abi::audit_architecture(abi::native_abi);
        return choose(range(of_architecture, word, native, native), decided, end_of(view.foreign));
    }

    /// A call for which two functions differ; none where they are the same.
    std::optional<seccomp_data> difference(Node a, Node b) const noexcept {
        if (a == b) return std::nullopt;
        std::uint64_t values[abi::max_arguments + 2]{};
        while (!is_end(a) || !is_end(b)) {
            const std::uint32_t level = std::min(nodes_[a].level, nodes_[b].level);
            const bool set = below(a, level, false) == below(b, level, false);
            if (set) values[position_at(level)] |= 1ULL << (bits - 1 - level % bits);
            a = below(a, level, set);
            b = below(b, level, set);
        }
        seccomp_data data{};
        data.nr = static_cast<int>(values[of_number]);
        data.arch = static_cast<std::uint32_t>(values[of_architecture]);
        std::copy(values, values + abi::max_arguments, data.args);
        return data;
    }

private:
    static constexpr std::uint32_t ends = (abi::max_arguments + 2) * bits;
    static constexpr std::size_t max_nodes = 1U << 19;
    static constexpr std::size_t max_steps = 1U << 20;
    static constexpr Decision skipped{Action::allow};

    static constexpr unsigned position_at(std::uint32_t level) noexcept {
        const unsigned place = level / bits;
        return place == 0 ? of_architecture : place == 1 ? of_number : place - 2;
    }
    static constexpr std::uint32_t level_of(unsigned position, unsigned bit) noexcept {
        const unsigned place = position == of_architecture ? 0 : position == of_number ? 1 : position + 2;
        return place * bits + bits - 1 - bit;
    }

    struct Key {
        std::uint32_t a;
        std::uint32_t b;
        std::uint32_t c;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const noexcept {
            std::uint64_t hash = key.a;
            for (const std::uint32_t part : {key.b, key.c}) hash = (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ULL + part;
            return static_cast<std::size_t>((hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL >> 16);
        }
    };
    struct Place {
        std::uint32_t level;  ///< the place among all bits, or `ends`
        Node low;             ///< of an end: its value
        Node high;
    };

    Node below(Node node, std::uint32_t level, bool set) const noexcept {
        return nodes_[node].level == level ? where(node, set) : node;
    }

    Node make(std::uint32_t level, Node low, Node high) {
        if (low == high && level != ends) return low;
        const auto [known, is_new] = made_.try_emplace(Key{level, low, high}, static_cast<Node>(nodes_.size()));
        if (!is_new) return known->second;
        if (nodes_.size() == max_nodes) {
            overflown_ = true;
            made_.erase(known);
            return no;
        }
        nodes_.push_back({level, low, high});
        return known->second;
    }

    std::vector<Place> nodes_;
    std::unordered_map<Key, Node, Hash> made_{};
    std::unordered_map<Key, Node, Hash> chosen_{};
    bool overflown_ = false;
};

}  // namespace sysguard::filter
