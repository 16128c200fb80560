#pragma once

#include "../abi/architecture.hpp"
#include "../policy/view.hpp"
#include "program.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <linux/seccomp.h>

namespace sysguard::filter {

namespace detail {

/// A list of steps of pseudo code: what is not ended by an action goes on behind it.
struct PseudoCode {
    struct Step {
        std::string text{};  ///< of a test; or an action
        bool is_action = false;
        std::shared_ptr<const PseudoCode> yes{};
        std::shared_ptr<const PseudoCode> no{};
    };

    std::vector<Step> steps{};
};

using Pseudo = std::shared_ptr<const PseudoCode>;

/// Writes conditions in the language of libseccomp's: tests of one word, within each other.
class PseudoWriter {
public:
    static Pseudo action(std::string text) { return one({std::move(text), true, {}, {}}); }

    /// `body` where the condition is `wanted`. A test that only the host can make counts as whatever lets the condition
    /// hold, as in the filter.
    static Pseudo where(const policy::BoundNode* node, bool wanted, const Pseudo& body) {
        using NodeKind = policy::Node::Kind;
        if (policy::is_in_memory(*node)) return body;
        switch (node->kind) {
            case NodeKind::negate: return where(node + 1, !wanted, body);
            case NodeKind::range: return range(*node, node->low, node->high, wanted != node->outside, body);
            case NodeKind::member: return member(node, wanted, body);
            default: break;
        }
        std::vector<const policy::BoundNode*> parts;
        for (const policy::BoundNode* part = node + 1; part < node + node->size; part += part->size)
            parts.push_back(part);
        if ((node->kind == NodeKind::all) == wanted) {
            Pseudo inner = body;
            for (std::size_t i = parts.size(); i-- > 0;) inner = where(parts[i], wanted, inner);
            return inner;
        }
        Pseudo some = nothing();
        for (const policy::BoundNode* part : parts) some = both(some, where(part, wanted, body));
        return some;
    }

    /// `body` where the number is from `low` to `high`.
    static Pseudo numbers(std::uint32_t low, std::uint32_t high, const Pseudo& body) {
        const Word number{"$syscall", all_bits};
        return low == high ? test(number, "==", low, body, {}) : between(number, low, high, body);
    }

    static void print(const Pseudo& code, unsigned level, std::string& text) {
        for (const PseudoCode::Step& step : code->steps) {
            text.append(2 * std::size_t{level}, ' ');
            text += (step.is_action ? "action " : "if (") + step.text + (step.is_action ? "\n" : ")\n");
            if (step.yes) print(step.yes, level + 1, text);
            if (!step.no) continue;
            text.append(2 * std::size_t{level}, ' ');
            text += "else\n";
            print(step.no, level + 1, text);
        }
    }

    static Pseudo both(const Pseudo& first, const Pseudo& second) {
        auto joined = std::make_shared<PseudoCode>(*first);
        joined->steps.insert(joined->steps.end(), second->steps.begin(), second->steps.end());
        return joined;
    }

    static Pseudo nothing() { return std::make_shared<const PseudoCode>(); }

private:
    static constexpr std::uint32_t all_bits = 0xffffffff;

    struct Word {
        std::string name;
        std::uint32_t mask;
    };

    static Pseudo one(PseudoCode::Step step) {
        auto code = std::make_shared<PseudoCode>();
        code->steps.push_back(std::move(step));
        return code;
    }

    static Pseudo test(const Word& word, const char* comparison, std::uint32_t value, const Pseudo& yes,
                       const Pseudo& no) {
        std::string text = word.name;
        if (word.mask != all_bits) {
            constexpr std::string_view digits = "0123456789abcdef";
            text += " & 0x";
            for (unsigned shift = 32; shift > 0; shift -= 4) text += digits[word.mask >> (shift - 4) & 15];
        }
        text += std::string{" "} + comparison + " " + std::to_string(value);
        return one({std::move(text), false, yes, no});
    }

    static Pseudo at_least(const Word& word, std::uint32_t value, const Pseudo& body) {
        return value == 0 ? body : test(word, ">=", value, body, {});
    }
    static Pseudo at_most(const Word& word, std::uint32_t value, const Pseudo& body) {
        return value >= word.mask ? body : test(word, ">", value, {}, body);
    }
    static Pseudo between(const Word& word, std::uint32_t low, std::uint32_t high, const Pseudo& body) {
        return low == high ? test(word, "==", low, body, {}) : at_least(word, low, at_most(word, high, body));
    }

    static Word word(const policy::BoundNode& node, bool high) {
        return {"$a" + std::to_string(node.position) + (high ? ".hi32" : ".lo32"),
                static_cast<std::uint32_t>(high ? node.mask >> 32 : node.mask)};
    }

    static std::uint32_t low_part(std::uint64_t value) noexcept { return static_cast<std::uint32_t>(value); }
    static std::uint32_t high_part(std::uint64_t value) noexcept { return static_cast<std::uint32_t>(value >> 32); }

    static Pseudo equal(const policy::BoundNode& node, std::uint64_t value, const Pseudo& yes, const Pseudo& no) {
        const Word low = word(node, false);
        const Word high = word(node, true);
        if (high.mask == 0) return test(low, "==", low_part(value), yes, no);
        if (low.mask == 0) return test(high, "==", high_part(value), yes, no);
        return test(high, "==", high_part(value), test(low, "==", low_part(value), yes, no), no);
    }

    static Pseudo above(const policy::BoundNode& node, std::uint64_t least, const Pseudo& body) {
        const Word low = word(node, false);
        const Word high = word(node, true);
        if (least == 0) return body;
        if (high.mask == 0) return at_least(low, low_part(least), body);
        if (low.mask == 0) return at_least(high, high_part(least), body);
        if (low_part(least) == 0) return at_least(high, high_part(least), body);
        const Pseudo on_bound = test(high, "==", high_part(least), at_least(low, low_part(least), body), {});
        return high_part(least) == high.mask ? on_bound : test(high, ">", high_part(least), body, on_bound);
    }

    static Pseudo below(const policy::BoundNode& node, std::uint64_t most, const Pseudo& body) {
        const Word low = word(node, false);
        const Word high = word(node, true);
        if (most >= node.mask) return body;
        if (high.mask == 0) return at_most(low, low_part(most), body);
        if (low.mask == 0 || low_part(most) >= low.mask) return at_most(high, high_part(most), body);
        const Pseudo on_bound = test(high, "==", high_part(most), at_most(low, low_part(most), body), body);
        const Pseudo not_above =
            high_part(most) == 0 ? test(high, "==", 0, at_most(low, low_part(most), body), {}) : on_bound;
        return high_part(most) >= high.mask || high_part(most) == 0 ? not_above
                                                                    : test(high, ">", high_part(most), {}, not_above);
    }

    static Pseudo range(const policy::BoundNode& node, std::uint64_t low, std::uint64_t high, bool inside,
                        const Pseudo& body) {
        if (low == high) return inside ? equal(node, low, body, {}) : equal(node, low, {}, body);
        if (inside) return above(node, low, below(node, high, body));
        const Pseudo under = low == 0 ? nothing() : below(node, low - 1, body);
        return high >= node.mask ? under : both(under, above(node, high + 1, body));
    }

    static Pseudo member(const policy::BoundNode* node, bool wanted, const Pseudo& body) {
        Pseudo code = wanted ? nothing() : body;
        for (unsigned i = 0; i < node->count; ++i) {
            const std::uint64_t value = policy::member_value(node, i);
            code = wanted ? both(code, equal(*node, value, body, {})) : equal(*node, value, {}, code);
        }
        return code;
    }
};

/// An action as seccomp_export_pfc(3) has it; behind it, what the host makes of it.
inline std::string pseudo_action(const Decision& decision) {
    const std::uint32_t value = return_value(decision);
    const std::string data = "(" + std::to_string(value & SECCOMP_RET_DATA) + ");";
    switch (value & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW: return "ALLOW;";
        case SECCOMP_RET_LOG: return "LOG;";
        case SECCOMP_RET_ERRNO: return "ERRNO" + data;
        case SECCOMP_RET_TRACE: return "TRACE" + data;
        case SECCOMP_RET_TRAP: return "TRAP;";
        case SECCOMP_RET_KILL_THREAD: return "KILL;";
        case SECCOMP_RET_USER_NOTIF: {
            const bool has_value = decision.action == Action::fake;
            return std::string{"NOTIFY; # "} + name(decision.action) + "(" +
                   (has_value ? std::to_string(decision.value) : "") + ")";
        }
        default: return "KILL_PROCESS;";
    }
}

/// What the filter does with a call that has rules, from the first to the last that can be reached.
inline Pseudo pseudo_call(const policy::View& view, int number) {
    Pseudo code = PseudoWriter::nothing();
    for (std::size_t i = 0; i < view.rule_count; ++i) {
        const policy::RuleRecord& rule = view.rules[i];
        if (rule.number != number) continue;
        const Pseudo action =
            PseudoWriter::action(pseudo_action(rule.in_memory ? Decision{Action::handle} : rule.decision));
        code = PseudoWriter::both(
            code, rule.node_count == 0 ? action : PseudoWriter::where(view.condition(rule), true, action));
        if (rule.node_count == 0) break;
    }
    return code;
}

/// The numbers that the table does not know.
inline Pseudo pseudo_unknown(const policy::View& view) {
    const bool has_x32 = abi::native_abi == abi::Abi::x86_64;
    const Pseudo unknown = PseudoWriter::action(pseudo_action(policy::unknown_call));
    Pseudo code = PseudoWriter::numbers(policy::skipped_call, policy::skipped_call, PseudoWriter::action("ALLOW;"));
    if (has_x32)
        code = PseudoWriter::both(code, PseudoWriter::numbers(abi::x32_bit, policy::skipped_call,
                                                              PseudoWriter::action(pseudo_action(view.foreign))));
    for (std::uint32_t first = 0; first <= abi::native_limit; ++first) {
        if (first < abi::native_limit && abi::is_known(static_cast<int>(first))) continue;
        std::uint32_t last = first;
        while (last < abi::native_limit && !abi::is_known(static_cast<int>(last))) ++last;
        const bool is_end = last >= abi::native_limit;
        code =
            PseudoWriter::both(code, PseudoWriter::numbers(first, is_end ? policy::skipped_call : last - 1, unknown));
        first = last;
    }
    return code;
}

}  // namespace detail

/// A policy in the pseudo code of libseccomp's (seccomp_export_pfc(3)): what a step does not end goes on behind it, so
/// that the first matching rule decides. It is the filter that is written: what the host decides is `NOTIFY`, with what
/// it is in the policy behind it. Thread-safe.
inline std::string pseudo_code(const policy::View& view) {
    const std::string_view architecture = abi::name(abi::native_abi);
    const std::string token = std::to_string(abi::audit_architecture(abi::native_abi));
    std::string text = "#\n# pseudo filter code start\n#\n# filter for arch " + std::string{architecture} + " (" +
                       token + ")\nif ($arch == " + token + ")\n";
    text += "  # system calls that the table does not know\n";
    detail::PseudoWriter::print(detail::pseudo_unknown(view), 1, text);
    for (int number = 0; number < static_cast<int>(abi::native_limit); ++number) {
        if (!abi::is_known(number)) continue;
        const detail::Pseudo code = detail::pseudo_call(view, number);
        if (code->steps.empty()) continue;
        text += "  # filter for syscall \"" + std::string{abi::find(number)->name} + "\" (" + std::to_string(number) +
                ")\n  if ($syscall == " + std::to_string(number) + ")\n";
        detail::PseudoWriter::print(code, 2, text);
    }
    text += "  # default action\n  action " + detail::pseudo_action(view.otherwise) +
            "\n# invalid architecture action\naction " + detail::pseudo_action(view.foreign) +
            "\n#\n# pseudo filter code end\n#\n";
    return text;
}

}  // namespace sysguard::filter
