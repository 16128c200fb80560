#pragma once

#include <sysguard/policy/rules.hpp>
#include <sysguard/policy/view.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace support {

namespace policy = sysguard::policy;
namespace abi = sysguard::abi;

/// Random policies, and arguments taken from the edges of their constants.
class RandomPolicy {
public:
    using Rules = policy::Rules<64, 64 * policy::max_condition_nodes>;

    RandomPolicy(std::uint64_t seed, std::vector<int> calls) : random_{seed}, calls_{std::move(calls)} {}

    /// `decisions` are what rules and the rest are given.
    policy::View make(const std::vector<sysguard::Decision>& decisions) {
        rules_ = Rules{};
        constants_.clear();
        used_.clear();
        const std::size_t count = 1 + below(12);
        for (std::size_t i = 0; i < count; ++i) {
            const int number = !used_.empty() && below(2) != 0 ? pick(used_) : pick(calls_);
            used_.push_back(number);
            policy::BoundNode bound[policy::max_condition_nodes];
            const std::size_t nodes = below(5) == 0 ? 0 : condition(*abi::find(number), bound);
            for (std::size_t n = 0; n < nodes; ++n)
                for (const std::uint64_t constant : {bound[n].low, bound[n].high, bound[n].extra, bound[n].mask})
                    constants_.push_back(constant);
            rules_.add(number, bound, nodes, false, pick(decisions));
        }
        return {rules_.begin(), rules_.size(), rules_.nodes(), pick(decisions), {sysguard::Action::kill}};
    }

    /// A call that the policy has rules for.
    int used_call() { return pick(used_); }

    std::uint64_t argument() {
        std::uint64_t value = constants_.empty() || below(5) == 0 ? random_() : pick(constants_) + below(3) - 1;
        if (below(4) == 0) value ^= 1ULL << (32 + below(32));
        if (below(8) == 0) value ^= 1ULL << below(64);
        return below(6) == 0 ? 0 : value;
    }

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    template <class T>
    const T& pick(const std::vector<T>& list) {
        return list[below(list.size())];
    }

private:
    using Node = policy::Node;

    struct Draft {
        const abi::Syscall& call;
        std::vector<int> positions;
        std::vector<Node> nodes;
    };

    static std::uint64_t ones(unsigned bits) { return ~0ULL >> (64 - bits); }

    std::size_t condition(const abi::Syscall& call, policy::BoundNode* bound) {
        Draft draft{call, {}, {}};
        for (int i = 0; i < call.argument_count(); ++i)
            if (!abi::is_pointer(call.arguments[i].type)) draft.positions.push_back(i);
        if (draft.positions.empty()) return 0;
        do {
            draft.nodes.clear();
            tree(draft, 3);
        } while (draft.nodes.size() > policy::max_condition_nodes);
        policy::bind(draft.nodes.data(), draft.nodes.size(), call, bound);
        return draft.nodes.size();
    }

    void tree(Draft& draft, int depth) {
        const std::uint64_t kind = depth == 0 ? 0 : below(4);
        if (kind == 0) return test(draft);
        const std::size_t place = draft.nodes.size();
        draft.nodes.emplace_back();
        if (kind == 1) {
            draft.nodes[place].kind = Node::Kind::negate;
            tree(draft, depth - 1);
        } else {
            draft.nodes[place].kind = kind == 2 ? Node::Kind::all : Node::Kind::any;
            for (std::uint64_t parts = 2 + below(2); parts > 0; --parts) tree(draft, depth - 1);
        }
        draft.nodes[place].size = static_cast<std::uint16_t>(draft.nodes.size() - place);
    }

    std::uint64_t bits(unsigned width) {
        switch (below(6)) {
            case 0: return below(4);
            case 1: return below(16) & ones(width);
            case 2: return ones(width) - below(3);
            case 3: return (1ULL << (width - 1)) - below(2);
            case 4: return ((1ULL << 32) + below(5) - 2) & ones(width);
            default: return random_() & ones(width);
        }
    }

    void test(Draft& draft) {
        const abi::Argument& argument = draft.call.arguments[pick(draft.positions)];
        const abi::TypeInfo& info = abi::info(argument.type);
        Node node;
        node.argument = argument.name;
        node.size = 1;
        unsigned width = 64 - static_cast<unsigned>(__builtin_clzll(info.compared));
        bool is_signed = info.is_signed;
        std::uint64_t tested = info.tested;
        if (info.kind == abi::TypeInfo::Kind::word) {
            width = below(2) == 0 ? 32 : 64;
            is_signed = below(2) == 0;
            tested = ones(width);
            node.width = {static_cast<std::uint8_t>(width), is_signed};
        }
        if (below(3) == 0) mask(node, tested);
        const std::uint64_t readable = readable_bits(argument.type);
        const auto value = [&]() -> policy::Number {
            const std::uint64_t pattern = bits(width) & (node.masked ? ~0ULL : readable);
            if (node.masked) return {pattern & node.mask.bits, false};
            const bool negative = is_signed && (pattern >> (width - 1)) != 0;
            return {negative ? pattern | ~ones(width) : pattern, negative};
        };
        const std::uint64_t form = below(node.masked ? 4 : 3);
        if (form == 0) return member(draft, node, value, readable);
        node.kind = form == 3 ? Node::Kind::bits : Node::Kind::range;
        node.values[0] = value();
        node.values[1] = below(2) == 0 ? node.values[0] : value();
        if (is_less(node.values[1], node.values[0])) std::swap(node.values[0], node.values[1]);
        const std::uint64_t open = below(4);
        node.low_open = open == 1;
        node.high_open = open == 2;
        draft.nodes.push_back(node);
    }

    void mask(Node& node, std::uint64_t tested) {
        node.masked = true;
        do {
            switch (below(3)) {
                case 0: node.mask.bits = 1ULL << below(64); break;
                case 1: node.mask.bits = random_(); break;
                default: node.mask.bits = (2ULL << below(63)) - 1; break;
            }
            node.mask.bits &= tested;
        } while (node.mask.bits == 0);
    }

    /// The bits that a value without a mask may have, beside whatever others: not MAP_HUGETLB, which lets mmap read
    /// more.
    static std::uint64_t readable_bits(abi::Type type) {
        if (abi::info(type).kind == abi::TypeInfo::Kind::word) return ~0ULL;
        return abi::compared_beside(type, 0) & ~(type == abi::Type::map_flags ? std::uint64_t{0x40000} : 0);
    }

    void member(Draft& draft, Node node, const auto& value, std::uint64_t readable) {
        const std::size_t count = 1 + below(12);
        node.kind = Node::Kind::member;
        node.count = static_cast<std::uint16_t>(count);
        node.size = static_cast<std::uint16_t>(1 + (count + 2) / 3);
        const std::size_t place = draft.nodes.size() + 1;
        draft.nodes.push_back(node);
        draft.nodes.resize(place + (count + 2) / 3);
        policy::Number run = value();
        for (std::size_t i = 0; i < count; ++i) {
            draft.nodes[place + i / 3].kind = Node::Kind::values;
            const bool neighbour = i > 0 && !node.masked && !run.negative && run.bits < 7;
            run = neighbour ? policy::Number{(run.bits + 1) & readable, false} : value();
            draft.nodes[place + i / 3].values[i % 3] = run;
        }
    }

    static bool is_less(const policy::Number& a, const policy::Number& b) {
        return a.negative != b.negative ? a.negative : a.bits < b.bits;
    }

    std::mt19937_64 random_;
    std::vector<int> calls_;
    Rules rules_{};
    std::vector<std::uint64_t> constants_{};
    std::vector<int> used_{};
};

}  // namespace support
