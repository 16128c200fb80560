#pragma once

#include <sysguard/policy/family.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <linux/seccomp.h>

#include "support/choices.hpp"
#include "support/loose_policy.hpp"

namespace support {

inline std::vector<int> all_calls() {
    std::vector<int> numbers;
    for (const abi::Syscall& call : abi::syscalls)
        if (call.number() >= 0) numbers.push_back(call.number());
    return numbers;
}

/// Every action, with each kind of value.
inline std::vector<sysguard::Decision> all_decisions() {
    using sysguard::Action;
    return {{Action::allow},       {Action::allow},       {Action::log},          {Action::kill},
            {Action::kill_now},    {Action::handle},      {Action::fake, 0},      {Action::fake, 7},
            {Action::deny, EPERM}, {Action::deny, EPERM}, {Action::deny, 1},      {Action::deny, ENOSYS},
            {Action::deny, 0xfff}, {Action::kill_thread}, {Action::trap, 0xffff}, {Action::trace, 3}};
}

/// Random policies of every form that conditions and rules have, and calls taken from the edges of their constants.
class RandomPolicy {
public:
    explicit RandomPolicy(Choices choices, std::vector<int> calls = all_calls())
        : choices_{std::move(choices)}, calls_{std::move(calls)} {}

    /// `decisions` are what rules and the rest are given.
    const LoosePolicy& make(const std::vector<sysguard::Decision>& decisions) {
        policy_ = {};
        constants_.clear();
        decisions_ = decisions;
        switch (choices_.below(8)) {
            case 0: crowded(); break;
            case 1: wide(); break;
            case 2:
            case 3: apart(); break;
            default: ordinary(12); break;
        }
        policy_.otherwise = choices_.pick(decisions_);
        policy_.foreign = choices_.pick(decisions_);
        if (choices_.one_in(4)) weigh();
        return policy_;
    }

    /// A call to decide: mostly one that there are rules for, its arguments on the edges of these.
    seccomp_data input() {
        const auto number = static_cast<int>(any_number());
        seccomp_data data = input(number);
        if (choices_.one_in(32)) data.arch = architecture();
        return data;
    }

    /// The same for one number.
    seccomp_data input(int number) {
        seccomp_data data{};
        data.nr = number;
        data.arch = abi::audit_architecture(abi::native_abi);
        for (auto& argument : data.args) argument = loose_value();
        std::vector<const LoosePolicy::Rule*> rules;
        for (const LoosePolicy::Rule& rule : policy_.rules)
            if (rule.number == data.nr) rules.push_back(&rule);
        if (rules.empty()) return data;
        for (const policy::BoundNode& node : choices_.pick(rules)->nodes) {
            const bool test = node.kind == Kind::range || node.kind == Kind::member || node.kind == Kind::values;
            if (node.kind != Kind::values) tested_ = &node;
            if (!test || policy::is_in_memory(*tested_) || choices_.below(4) == 0) continue;
            const std::uint64_t constants[] = {node.low, node.high, node.extra};
            const std::uint64_t near = constants[choices_.below(node.kind == Kind::values ? 3 : 2)];
            auto& argument = data.args[tested_->position];
            const std::uint64_t others = choices_.one_in(3) ? std::uint64_t{argument} : loose_value();
            argument = ((near + choices_.below(3) - 1) & tested_->mask) | (others & ~tested_->mask);
            if (choices_.one_in(12)) argument ^= 1ULL << choices_.below(64);
        }
        return data;
    }

    Choices& choices() { return choices_; }

private:
    using Node = policy::Node;
    using Kind = policy::Node::Kind;

    static std::uint64_t ones(unsigned bits) { return ~0ULL >> (64 - bits); }

    /// Rules for some calls, often the same ones, and for families.
    void ordinary(std::uint64_t most) {
        for (std::uint64_t count = 1 + choices_.below(most); count > 0; --count) {
            if (choices_.one_in(6))
                rule(choices_.pick(families()));
            else
                rule({!policy_.rules.empty() && choices_.below(2) != 0 ? used() : choices_.pick(calls_)});
        }
    }

    /// Many rules for one or two calls.
    void crowded() {
        const int calls[] = {choices_.pick(calls_), choices_.pick(calls_)};
        for (std::uint64_t count = 12 + choices_.below(84); count > 0; --count) rule({calls[choices_.below(2)]}, 60);
    }

    /// More calls than one plan of the search takes.
    void wide() {
        ordinary(8);
        const std::uint64_t every = 1 + choices_.below(6);
        sysguard::Decision decision = choices_.pick(decisions_);
        for (const int number : calls_) {
            if (choices_.below(3) == 0) decision = choices_.pick(decisions_);
            if (choices_.below(every) == 0) policy_.rules.push_back({number, {}, false, decision});
        }
    }

    struct Place {
        unsigned position = 0;
        std::uint64_t tested = 0;  ///< the bits that a mask may look at
    };

    /// The arguments that a filter can compare.
    static std::vector<Place> places(int number) {
        std::vector<Place> found;
        const abi::Syscall& call = *abi::find(number);
        for (int i = 0; i < call.argument_count(); ++i)
            if (!abi::is_pointer(call.arguments[i].type))
                found.push_back({static_cast<unsigned>(i), abi::info(call.arguments[i].type).tested});
        return found;
    }

    std::uint64_t equality_mask(const Place& place) {
        const std::uint64_t mask = choices_.one_in(3) ? choices_.number() | 7 : choices_.one_in(2) ? ~0ULL : ones(32);
        return mask & place.tested;
    }

    static policy::BoundNode equality(const Place& place, std::uint64_t mask, std::uint64_t value) {
        policy::BoundNode test;
        test.kind = Kind::range;
        test.size = 1;
        test.position = static_cast<std::uint8_t>(place.position);
        test.mask = mask;
        test.low = test.high = value & mask;
        return test;
    }

    policy::BoundNode any_equality(const Place& place) { return equality(place, equality_mask(place), bits(64)); }

    /// Rules whose order does not matter, of equalities: of each call, no two match the same, for they want other
    /// values of one argument under one mask; or all say the same.
    void apart() {
        for (std::uint64_t calls = 1 + choices_.below(6); calls > 0; --calls) {
            const int number = choices_.pick(calls_);
            const std::vector<Place> all = places(number);
            const auto is_ours = [&](const LoosePolicy::Rule& rule) { return rule.number == number; };
            if (all.empty() || std::any_of(policy_.rules.begin(), policy_.rules.end(), is_ours)) continue;
            const std::uint64_t most = choices_.one_in(3) ? 1 : 8;
            const bool alike = choices_.one_in(3);
            const sysguard::Decision decision = choices_.pick(decisions_);
            const Place place = choices_.pick(all);
            const std::uint64_t mask = equality_mask(place);
            std::uint64_t value = choices_.below(2) == 0 ? 0 : bits(64);
            for (std::uint64_t count = 1 + choices_.below(most); count > 0; --count) {
                std::vector<policy::BoundNode> nodes{alike ? any_equality(choices_.pick(all))
                                                           : equality(place, mask, value)};
                if (most == 1 && all.size() > 1) {
                    policy::BoundNode both;
                    both.size = 3;
                    const Place& other = choices_.pick(all);
                    if (other.position != nodes[0].position) nodes = {both, nodes[0], any_equality(other)};
                }
                policy_.rules.push_back({number, nodes, false, alike ? decision : choices_.pick(decisions_)});
                value = ((value | ~mask) + 1) & mask;  // one more under the mask, which has more than there are rules
                if (mask == ~0ULL && choices_.one_in(4)) value += 1ULL << 33;
            }
        }
        if (policy_.rules.empty()) ordinary(4);
    }

    /// As a recorded run would: few calls are most of it.
    void weigh() {
        std::uint64_t left = 1 << 16;
        for (std::uint64_t count = choices_.below(12); count > 0; --count) {
            const int number = choices_.below(2) == 0 && !policy_.rules.empty() ? used() : choices_.pick(calls_);
            const auto is_named = [&](const policy::Weight& weight) { return weight.number == number; };
            if (std::any_of(policy_.weights.begin(), policy_.weights.end(), is_named)) continue;
            const std::uint64_t part = choices_.below(left / (policy_.weights.empty() ? 1 : 2) + 1);
            policy_.weights.push_back({number, static_cast<std::uint32_t>(part)});
            left -= part;
        }
        std::sort(policy_.weights.begin(), policy_.weights.end(),
                  [](const policy::Weight& a, const policy::Weight& b) { return a.part > b.part; });
    }

    int used() { return choices_.pick(policy_.rules).number; }

    static const std::vector<std::vector<int>>& families() {
        namespace family = sysguard::family;
        const auto list = [](const auto& calls) {
            std::vector<int> numbers;
            for (const int number : calls.numbers)
                if (number >= 0) numbers.push_back(number);
            return numbers;
        };
        static const std::vector<std::vector<int>> all{
            list(family::open),  list(family::chmod),       list(family::read),    list(family::write),
            list(family::send),  list(family::fork),        list(family::set_uid), list(family::mkdir),
            list(family::wait),  list(family::send_signal), list(family::rename),  list(family::protect_memory),
            list(family::accept)};
        return all;
    }

    /// One in `without` has no condition.
    void rule(const std::vector<int>& numbers, std::uint64_t without = 6) {
        const bool always = choices_.one_in(without);
        const sysguard::Decision decision = choices_.pick(decisions_);
        for (int attempt = 0; attempt < 8 && !always; ++attempt) {
            if (choices_.below(6) != 0 || nodes_.empty()) nodes_ = condition(numbers);
            std::vector<LoosePolicy::Rule> rules;
            if (nodes_.empty() || !bind(numbers, decision, rules)) continue;
            for (const LoosePolicy::Rule& bound : rules) {
                for (const policy::BoundNode& node : bound.nodes)
                    for (const std::uint64_t constant : {node.low, node.high, node.extra})
                        constants_.push_back(constant);
                policy_.rules.push_back(bound);
            }
            return;
        }
        for (const int number : numbers) policy_.rules.push_back({number, {}, number != numbers[0], decision});
    }

    /// False where the condition names what a call lacks, or a value that does not fit it.
    bool bind(const std::vector<int>& numbers, const sysguard::Decision& decision,
              std::vector<LoosePolicy::Rule>& rules) const {
        for (const int number : numbers) {
            const abi::Syscall& call = *abi::find(number);
            for (const Node& node : nodes_)
                if (node.argument != abi::ArgName::none && call.position(node.argument) < 0) return false;
            std::vector<policy::BoundNode> bound(nodes_.size());
            try {
                policy::bind(nodes_.data(), nodes_.size(), call, bound.data());
            } catch (const sysguard::Error&) {
                return false;
            }
            rules.push_back({number, bound, number != numbers[0], decision});
        }
        return true;
    }

    std::vector<Node> condition(const std::vector<int>& numbers) {
        const abi::Syscall& call = *abi::find(numbers[0]);
        std::vector<abi::Argument> shared;
        for (int i = 0; i < call.argument_count(); ++i) {
            const auto lacks = [&](int number) { return abi::find(number)->position(call.arguments[i].name) < 0; };
            if (std::none_of(numbers.begin(), numbers.end(), lacks)) shared.push_back(call.arguments[i]);
        }
        std::vector<Node> nodes;
        const auto is_pointer = [](const abi::Argument& argument) { return abi::is_pointer(argument.type); };
        if (choices_.below(4) != 0)
            shared.erase(std::remove_if(shared.begin(), shared.end(), is_pointer), shared.end());
        if (shared.empty()) return nodes;
        for (int depth = static_cast<int>(choices_.below(4)); depth >= 0; --depth) {
            nodes.clear();
            tree(shared, nodes, depth);
            if (nodes.size() <= policy::max_condition_nodes) return nodes;
        }
        return {};
    }

    void tree(const std::vector<abi::Argument>& arguments, std::vector<Node>& nodes, int depth) {
        const std::uint64_t kind = depth == 0 ? 0 : choices_.below(4);
        if (kind == 0) return test(choices_.pick(arguments), nodes);
        const std::size_t place = nodes.size();
        nodes.emplace_back();
        if (kind == 1) {
            nodes[place].kind = Kind::negate;
            tree(arguments, nodes, depth - 1);
        } else {
            nodes[place].kind = kind == 2 ? Kind::all : Kind::any;
            for (std::uint64_t parts = 2 + choices_.below(2); parts > 0; --parts) tree(arguments, nodes, depth - 1);
        }
        nodes[place].size = static_cast<std::uint16_t>(nodes.size() - place);
    }

    std::uint64_t bits(unsigned width) {
        if (!constants_.empty() && choices_.below(3) == 0)
            return (choices_.pick(constants_) + choices_.below(3) - 1) & ones(width);
        switch (choices_.below(6)) {
            case 0: return choices_.below(4);
            case 1: return choices_.below(16) & ones(width);
            case 2: return ones(width) - choices_.below(3);
            case 3: return (1ULL << (width - 1)) - choices_.below(2);
            case 4: return ((1ULL << 32) + choices_.below(5) - 2) & ones(width);
            default: return choices_.number() & ones(width);
        }
    }

    void test(const abi::Argument& argument, std::vector<Node>& nodes) {
        Node node;
        node.argument = argument.name;
        node.size = 1;
        if (abi::is_pointer(argument.type)) return memory(argument.type, node, nodes);
        const abi::TypeInfo& info = abi::info(argument.type);
        unsigned width = 64 - static_cast<unsigned>(__builtin_clzll(info.compared));
        bool is_signed = info.is_signed;
        std::uint64_t tested = info.tested;
        if (info.kind == abi::TypeInfo::Kind::word) {
            width = 8U << choices_.below(4);
            is_signed = choices_.below(2) == 0;
            tested = ones(width);
            node.width = {static_cast<std::uint8_t>(width), is_signed};
        }
        if (choices_.below(3) == 0) {
            const std::uint64_t mask = choices_.below(3) == 0   ? 1ULL << choices_.below(64)
                                       : choices_.below(2) == 0 ? choices_.number()
                                                                : (2ULL << choices_.below(63)) - 1;
            node.masked = true;
            node.mask.bits = (mask & tested) != 0 ? mask & tested : tested;
        }
        const std::uint64_t readable = readable_bits(argument.type);
        const auto value = [&]() -> policy::Number {
            const std::uint64_t pattern = bits(width) & (node.masked ? ~0ULL : readable);
            if (node.masked) return {pattern & node.mask.bits, false};
            const bool negative = is_signed && (pattern >> (width - 1)) != 0;
            return {negative ? pattern | ~ones(width) : pattern, negative};
        };
        const std::uint64_t form = choices_.below(node.masked ? 4 : 3);
        if (form == 0) return member(nodes, node, value, readable);
        node.kind = form == 3 ? Kind::bits : Kind::range;
        node.values[0] = value();
        node.values[1] = choices_.below(2) == 0 ? node.values[0] : value();
        if (is_less(node.values[1], node.values[0])) std::swap(node.values[0], node.values[1]);
        const std::uint64_t open = choices_.below(4);
        node.low_open = open == 1;
        node.high_open = open == 2;
        nodes.push_back(node);
    }

    /// A test that only the host can make, or, of a pointer that it can say nothing of, one of any register.
    void memory(abi::Type type, Node node, std::vector<Node>& nodes) {
        if (type == abi::Type::socket_address) {
            node.kind = Kind::range;
            node.facet = choices_.below(2) == 0 ? policy::Facet::port : policy::Facet::loopback;
            node.values[0] = node.values[1] = {1, false};
            nodes.push_back(node);
            return;
        }
        node.kind = Kind::equal;
        node.facet = policy::Facet::text;
        node.count = 3;
        node.size = 2;
        nodes.push_back(node);
        nodes.emplace_back().kind = Kind::values;
    }

    /// The bits that a value without a mask may have, beside whatever others: not MAP_HUGETLB, which lets mmap read
    /// more.
    static std::uint64_t readable_bits(abi::Type type) {
        if (abi::info(type).kind == abi::TypeInfo::Kind::word) return ~0ULL;
        return abi::compared_beside(type, 0) & ~(type == abi::Type::map_flags ? std::uint64_t{0x40000} : 0);
    }

    void member(std::vector<Node>& nodes, Node node, const auto& value, std::uint64_t readable) {
        const std::size_t count = 1 + choices_.below(12);
        node.kind = Kind::member;
        node.count = static_cast<std::uint16_t>(count);
        node.size = static_cast<std::uint16_t>(1 + (count + 2) / 3);
        const std::size_t place = nodes.size() + 1;
        nodes.push_back(node);
        nodes.resize(place + (count + 2) / 3);
        policy::Number run = value();
        for (std::size_t i = 0; i < count; ++i) {
            nodes[place + i / 3].kind = Kind::values;
            nodes[place + i / 3].size = 1;
            const bool neighbour = i > 0 && !node.masked && !run.negative && run.bits < 7;
            run = neighbour ? policy::Number{(run.bits + 1) & readable, false} : value();
            nodes[place + i / 3].values[i % 3] = run;
        }
    }

    static bool is_less(const policy::Number& a, const policy::Number& b) {
        return a.negative != b.negative ? a.negative : a.bits < b.bits;
    }

    std::uint32_t any_number() {
        const auto known = static_cast<std::uint32_t>(policy_.rules.empty() ? choices_.pick(calls_) : used());
        if (choices_.below(8) != 0) return known;
        constexpr auto limit = static_cast<std::uint32_t>(abi::native_limit);
        const std::uint32_t edges[] = {known - 1,
                                       known + 1,
                                       0,
                                       limit - 1,
                                       limit,
                                       limit + 1,
                                       abi::x32_bit - 1,
                                       abi::x32_bit,
                                       abi::x32_bit | known,
                                       0x7fffffff,
                                       0x80000000,
                                       0x80000000 | known,
                                       policy::skipped_call - 1,
                                       policy::skipped_call,
                                       static_cast<std::uint32_t>(choices_.below(600))};
        return edges[choices_.below(std::size(edges))];
    }

    std::uint32_t architecture() {
        const std::uint32_t native = abi::audit_architecture(abi::native_abi);
        const std::uint32_t others[] = {abi::audit_architecture(abi::Abi::i386),
                                        abi::audit_architecture(abi::Abi::arm),
                                        abi::audit_architecture(abi::Abi::riscv64),
                                        native ^ 0x80000000,
                                        native + 1,
                                        0,
                                        static_cast<std::uint32_t>(choices_.number())};
        return others[choices_.below(std::size(others))];
    }

    std::uint64_t loose_value() {
        switch (choices_.below(8)) {
            case 0: return choices_.number();
            case 1: return ~0ULL;
            case 2: return 1ULL << choices_.below(64);
            case 3: return choices_.number() << 32;
            case 4: return constants_.empty() ? choices_.below(4) : choices_.pick(constants_) + choices_.below(3) - 1;
            case 5: return choices_.below(4);
            default: return 0;
        }
    }

    Choices choices_;
    std::vector<int> calls_;
    std::vector<sysguard::Decision> decisions_{};
    LoosePolicy policy_{};
    std::vector<std::uint64_t> constants_{};
    std::vector<Node> nodes_{};
    const policy::BoundNode* tested_ = nullptr;
};

}  // namespace support
