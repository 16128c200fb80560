#pragma once

#include "../abi/architecture.hpp"
#include "../policy/view.hpp"
#include "detail/search_tree.hpp"
#include "program.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/seccomp.h>

namespace sysguard::filter {

/// A bound for the instructions that `rules` rules with `nodes` nodes of conditions come to.
constexpr std::size_t program_capacity(std::size_t rules, std::size_t nodes) noexcept {
    const std::size_t bound = 64 + 4 * rules + 16 * nodes;
    return bound < max_instructions ? bound : max_instructions;
}

/// What a filter returns for a rule that may match.
constexpr std::uint32_t return_value(const policy::RuleRecord& rule) noexcept {
    return return_value(rule.in_memory ? Decision{Action::handle} : rule.decision);
}

namespace detail {

/// The conditions of the calls that have some: which calls share theirs, and where their code begins.
template <std::size_t capacity, std::size_t rule_capacity>
class Blocks {
public:
    constexpr Blocks(const policy::View& view, const policy::RulesByCall<rule_capacity>& by_call,
                     Emitter<capacity>& emitter) noexcept
        : view_{view}, by_call_{by_call}, out_{emitter} {}

    /// What a call of the table comes to.
    constexpr Leaf leaf(int number) {
        Leaf leaf{return_value(view_.otherwise)};
        std::uint16_t tested = 0;
        int rule = by_call_.first(number);
        for (; rule >= 0 && view_.rules[rule].node_count != 0; rule = by_call_.next(rule)) ++tested;
        if (rule >= 0) leaf.value = return_value(view_.rules[rule]);
        std::uint16_t index = 0;
        for (rule = by_call_.first(number); index < tested; rule = by_call_.next(rule)) {
            ++index;
            if (return_value(view_.rules[rule]) != leaf.value) leaf.conditions = index;
        }
        if (leaf.conditions > 0) leaf.block = block(number, leaf);
        return leaf;
    }

    /// Where the code of a leaf begins; written on first use.
    constexpr Label label(const Leaf& leaf) {
        if (leaf.conditions == 0) return out_.ret(leaf.value);
        Label& known = labels_[leaf.block];
        if (known == 0) known = write(leaf);
        return known;
    }

private:
    /// The first rule of the earliest call with the same conditions in the same order.
    constexpr std::int16_t block(int number, const Leaf& leaf) {
        for (std::size_t i = 0; i < known_count_; ++i)
            if (known_[i].value == leaf.value && same(known_[i], number, leaf.conditions)) return known_[i].block;
        Leaf added = leaf;
        added.block = static_cast<std::int16_t>(by_call_.first(number));
        known_[known_count_++] = added;
        return added.block;
    }

    constexpr bool same(const Leaf& known, int number, std::size_t conditions) const noexcept {
        if (known.conditions != conditions) return false;
        int a = known.block;
        int b = by_call_.first(number);
        for (std::size_t i = 0; i < conditions; ++i) {
            if (!same(view_.rules[a], view_.rules[b])) return false;
            a = by_call_.next(a);
            b = by_call_.next(b);
        }
        return true;
    }

    constexpr bool same(const policy::RuleRecord& a, const policy::RuleRecord& b) const noexcept {
        return return_value(a) == return_value(b) && same_condition(a, b);
    }

    constexpr bool same_condition(const policy::RuleRecord& a, const policy::RuleRecord& b) const noexcept {
        if (a.node_count != b.node_count) return false;
        for (std::size_t i = 0; i < a.node_count; ++i)
            if (!(view_.condition(a)[i] == view_.condition(b)[i])) return false;
        return true;
    }

    constexpr Label write(const Leaf& leaf) {
        std::int16_t rules[rule_capacity == 0 ? 1 : rule_capacity]{};
        int rule = leaf.block;
        std::size_t count = 0;
        for (std::size_t i = 0; i < leaf.conditions; ++i) {
            out_.ret(return_value(view_.rules[rule]));
            std::size_t earlier = 0;
            while (earlier < count && !same_condition(view_.rules[rules[earlier]], view_.rules[rule])) ++earlier;
            if (earlier == count) rules[count++] = static_cast<std::int16_t>(rule);
            rule = by_call_.next(rule);
        }
        ConditionCode<capacity> code{out_};
        Label next = out_.ret(leaf.value);
        bool written = false;
        for (std::size_t i = count; i-- > 0;) {
            const policy::RuleRecord& record = view_.rules[rules[i]];
            const Label yes = out_.ret(return_value(record));
            if (written) next = code.share_load(view_.condition(record), next);
            const Label before = out_.top();
            next = code.condition(view_.condition(record), yes, next);
            written = out_.top() != before;
        }
        return next;
    }

    const policy::View& view_;
    const policy::RulesByCall<rule_capacity>& by_call_;
    Emitter<capacity>& out_;
    Leaf known_[rule_capacity == 0 ? 1 : rule_capacity]{};
    std::size_t known_count_ = 0;
    Label labels_[rule_capacity == 0 ? 1 : rule_capacity]{};
};

/// All numbers, merged into ranges.
class Ranges {
public:
    /// The numbers from `first` to `last`, which follow those added before.
    constexpr void add(std::uint32_t first, std::uint32_t last, const Leaf& leaf, bool known) noexcept {
        const bool likely =
            known && (leaf.conditions > 0 || leaf.value == SECCOMP_RET_ALLOW || leaf.value == SECCOMP_RET_LOG);
        if (count_ == 0 || !(ranges_[count_ - 1].leaf == leaf)) ranges_[count_++] = {first, last, 0, leaf};
        ranges_[count_ - 1].last = last;
        ranges_[count_ - 1].weight += likely ? 16 : 1;
    }

    /// Counts the calls of a recorded run.
    constexpr void weigh(const policy::WeightList& weights) noexcept {
        for (std::size_t i = 0; i < weights.size; ++i) {
            std::size_t range = 0;
            while (ranges_[range].last < static_cast<std::uint32_t>(weights.first[i].number)) ++range;
            ranges_[range].weight += weights.first[i].part;
        }
    }

    constexpr Range* data() noexcept { return ranges_; }
    constexpr std::size_t size() const noexcept { return count_; }

private:
    Range ranges_[max_ranges]{};
    std::size_t count_ = 0;
};

}  // namespace detail

/// What writes the code for calls of foreign ABIs, whose architecture is in the accumulator, and says where it begins.
template <std::size_t capacity, std::size_t rule_capacity>
struct ForeignCode {
    detail::Label (*write)(const policy::View& view, const policy::RulesByCall<rule_capacity>& by_call,
                           detail::Emitter<capacity>& out) = nullptr;
    bool is_there = false;  ///< GCC takes `write != nullptr` for no constant under -fsanitize=undefined
};

/// Compiles a policy to a filter: the architecture first, then a search over ranges of numbers, then conditions. Calls
/// that are allowed whatever their arguments load nothing but the number, so that the kernel caches them (Linux 5.11,
/// seccomp_cache_prepare). With weights, the search is quick for the calls that count much. A filter too large for the
/// kernel is an error. `foreign_code` is for a policy that admits a foreign ABI. Thread-safe.
template <std::size_t capacity, std::size_t rule_capacity>
constexpr void compile(const policy::View& view, const policy::RulesByCall<rule_capacity>& by_call,
                       Program<capacity>& program, const ForeignCode<capacity, rule_capacity>& foreign_code = {}) {
    detail::Emitter<capacity> out;
    const detail::Label admitted = foreign_code.is_there ? foreign_code.write(view, by_call, out) : 0;
    detail::Blocks<capacity, rule_capacity> blocks{view, by_call, out};
    const detail::Leaf unknown{return_value(policy::unknown_call)};
    const detail::Leaf foreign{return_value(view.foreign)};
    const detail::Leaf skipped{SECCOMP_RET_ALLOW};

    detail::Ranges ranges;
    for (std::uint32_t number = 0; number < abi::native_limit; ++number) {
        const bool known = abi::is_known(static_cast<int>(number));
        ranges.add(number, number, known ? blocks.leaf(static_cast<int>(number)) : unknown, known);
    }
    if (abi::native_abi == abi::Abi::x86_64) {
        ranges.add(abi::native_limit, abi::x32_bit - 1, unknown, false);
        ranges.add(abi::x32_bit, policy::skipped_call - 1, foreign, false);
    } else {
        ranges.add(abi::native_limit, policy::skipped_call - 1, unknown, false);
    }
    ranges.add(policy::skipped_call, policy::skipped_call, skipped, false);

    ranges.weigh(view.weights);
    detail::SearchTree tree{out, blocks, view.weights};
    out.fall_into(tree.write(ranges.data(), ranges.size()));
    const detail::Label native = out.emit(BPF_LD | BPF_W | BPF_ABS, 0);
    const detail::Label other = foreign_code.is_there ? admitted : out.ret(foreign.value);
    out.fall_into(out.jump(BPF_JEQ, abi::audit_architecture(abi::native_abi), native, other));
    out.emit(BPF_LD | BPF_W | BPF_ABS, 4);
    out.finish(program);
}

}  // namespace sysguard::filter
