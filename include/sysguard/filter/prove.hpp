#pragma once

#include "diagram.hpp"
#include "interpret.hpp"
#include "program.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

namespace detail {

/// Runs a program on all calls at once.
class SymbolicRun {
public:
    SymbolicRun(Diagram& diagram, const ProgramView& program) : diagram_{diagram}, program_{program} {}

    /// What the program returns, as a function of the call; none where it computes what filters do not compute.
    std::optional<Diagram::Node> run() {
        const Diagram::Node root = from(0, {});
        if (!understood_ || !diagram_.complete()) return std::nullopt;
        return root;
    }

private:
    using Node = Diagram::Node;

    /// What the accumulator holds: a constant, or one word of the call under a mask.
    struct Accumulator {
        bool is_word = false;
        std::uint8_t position = 0;
        bool high = false;
        std::uint32_t bits = 0;  ///< the constant, or the mask

        std::uint64_t key(std::size_t at) const noexcept {
            return std::uint64_t{bits} | std::uint64_t{position} << 32 | std::uint64_t{high} << 40 |
                   std::uint64_t{is_word} << 41 | std::uint64_t{at} << 42;
        }
    };

    Node from(std::size_t at, Accumulator a) {
        for (;; ++at) {
            const sock_filter& instruction = program_[at];
            const std::uint32_t k = instruction.k;
            switch (instruction.code) {
                case BPF_RET | BPF_K: return diagram_.end(k);
                case BPF_LD | BPF_IMM: a = {false, 0, false, k}; break;
                case BPF_LD | BPF_W | BPF_ABS: a = word(k); break;
                case BPF_ALU | BPF_AND | BPF_K: a.bits &= k; break;
                case BPF_JMP | BPF_JA: at += k; break;
                case BPF_JMP | BPF_JEQ | BPF_K:
                case BPF_JMP | BPF_JGE | BPF_K:
                case BPF_JMP | BPF_JGT | BPF_K:
                case BPF_JMP | BPF_JSET | BPF_K: return jump(at, a);
                default: return give_up();
            }
            if (!understood_) return Diagram::no;
        }
    }

    Node jump(std::size_t at, const Accumulator& a) {
        const std::uint64_t key = a.key(at);
        if (const auto known = known_.find(key); known != known_.end()) return known->second;
        const sock_filter& instruction = program_[at];
        const Node condition = test(BPF_OP(instruction.code), instruction.k, a);
        const Node yes = condition == Diagram::no ? Diagram::no : from(at + 1 + instruction.jt, a);
        const Node no = condition == Diagram::yes ? Diagram::no : from(at + 1 + instruction.jf, a);
        if (!understood_ || !diagram_.complete()) return give_up();
        const Node chosen = diagram_.choose(condition, yes, no);
        known_.emplace(key, chosen);
        return chosen;
    }

    Node test(unsigned operation, std::uint32_t k, const Accumulator& a) {
        const unsigned shift = a.high ? 32 : 0;
        const std::uint64_t mask = std::uint64_t{a.bits} << shift;
        const std::uint64_t value = std::uint64_t{k} << shift;
        if (!a.is_word) return detail::jumps(operation, a.bits, k) ? Diagram::yes : Diagram::no;
        switch (operation) {
            case BPF_JEQ: return diagram_.range(a.position, mask, value, value);
            case BPF_JGE: return diagram_.range(a.position, mask, value, ~0ULL);
            case BPF_JGT:
                return k == 0xffffffff ? Diagram::no : diagram_.range(a.position, mask, value + (1ULL << shift), ~0ULL);
            default: return diagram_.choose(diagram_.range(a.position, mask & value, 0, 0), Diagram::no, Diagram::yes);
        }
    }

    Accumulator word(std::uint32_t offset) {
        constexpr std::uint32_t all = 0xffffffff;
        if (offset == offsetof(seccomp_data, nr)) return {true, Diagram::of_number, false, all};
        if (offset == offsetof(seccomp_data, arch)) return {true, Diagram::of_architecture, false, all};
        const std::uint32_t from_arguments = offset - static_cast<std::uint32_t>(offsetof(seccomp_data, args));
        if (offset < offsetof(seccomp_data, args)) give_up();
        return {true, static_cast<std::uint8_t>(from_arguments / 8), from_arguments % 8 != 0, all};
    }

    Node give_up() noexcept {
        understood_ = false;
        return Diagram::no;
    }

    Diagram& diagram_;
    const ProgramView& program_;
    std::unordered_map<std::uint64_t, Node> known_{};
    bool understood_ = true;
};

}  // namespace detail

/// What a filter returns, as a function of the call. None where it takes too much room, and for a program that the
/// kernel would refuse, or that does what neither sysguard's nor libseccomp's do: count, store, or look at the
/// instruction pointer.
inline std::optional<Diagram::Node> diagram_of(Diagram& diagram, const ProgramView& program) {
    if (!is_valid(program)) return std::nullopt;
    return detail::SymbolicRun{diagram, program}.run();
}

/// What a comparison of a filter with its policy came to.
struct Proof {
    bool decided = false;                   ///< false: it would take too much room
    std::optional<seccomp_data> against{};  ///< a call for which they differ

    explicit operator bool() const noexcept { return decided && !against; }
};

/// Whether a filter returns for every call what a policy says, with `value_of(decision)` for each decision: a proof
/// over all architectures, numbers and registers, and no sample. Of the calls of an ABI that the policy admits it says
/// nothing.
template <class ValueOf>
Proof prove(const ProgramView& program, const policy::View& view, const ValueOf& value_of,
            const Decision& unknown_call = policy::unknown_call) {
    Diagram diagram;
    const std::optional<Diagram::Node> filter = diagram_of(diagram, program);
    Diagram::Node rules = diagram.policy(
        view, [&](const Decision& decision) { return diagram.end(value_of(decision)); }, unknown_call);
    if (filter && view.admitted != nullptr) {
        const std::uint64_t admitted = abi::audit_architecture(view.admitted->abi);
        rules = diagram.choose(diagram.range(Diagram::of_architecture, 0xffffffff, admitted, admitted), *filter, rules);
    }
    if (!filter || !diagram.complete()) return {};
    return {true, diagram.difference(*filter, rules)};
}

/// The same for a filter of sysguard's own.
inline Proof prove(const ProgramView& program, const policy::View& view) {
    return prove(program, view, [](const Decision& decision) { return return_value(decision); });
}

}  // namespace sysguard::filter
