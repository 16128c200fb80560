#pragma once

#include "../abi/architecture.hpp"
#include "../abi/errno_names.hpp"
#include "../abi/table.hpp"
#include "../policy/condition_text.hpp"
#include "../policy/view.hpp"
#include "cacheable.hpp"
#include "detail/treatment.hpp"
#include "detail/wrap.hpp"
#include "program.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sysguard::filter {

namespace detail {

/// The handlers of a policy by number, in the order in which its rules name them; askers by numbers of their own.
class Handlers {
public:
    explicit Handlers(const policy::View& view) {
        for (std::size_t i = 0; i < view.rule_count; ++i) {
            const policy::RuleRecord& rule = view.rules[i];
            if (!rule.handler) continue;
            std::vector<policy::Handler>& known = rule.decision.value == 0 ? handlers_ : askers_;
            if (std::find(known.begin(), known.end(), rule.handler) == known.end()) known.push_back(rule.handler);
        }
    }

    std::string text(const policy::Handler& handler) const {
        const auto number = [&](const std::vector<policy::Handler>& known) {
            return std::find(known.begin(), known.end(), handler) - known.begin() + 1;
        };
        const auto asker = static_cast<std::size_t>(number(askers_));
        if (asker <= askers_.size()) return "asker " + std::to_string(asker) + " is asked";
        return "handler " + std::to_string(number(handlers_)) + " decides";
    }

private:
    std::vector<policy::Handler> handlers_{};
    std::vector<policy::Handler> askers_{};
};

inline std::string text_of(const Decision& decision) {
    switch (decision.action) {
        case Action::allow: return "allowed";
        case Action::log: return "allowed, and written to the audit log";
        case Action::deny: {
            const std::string_view name = abi::errno_name(static_cast<int>(decision.value));
            return "denied with " + (name.empty() ? "errno " + std::to_string(decision.value) : std::string{name});
        }
        case Action::fake: return "not run, and said to have returned " + std::to_string(decision.value);
        case Action::kill: return "the worker is killed";
        case Action::kill_now: return "the process is killed at once";
        case Action::kill_thread: return "the calling thread is killed at once";
        case Action::trap: return "not run, and a SIGSYS is sent that tells " + std::to_string(decision.value);
        case Action::trace: return "left to a tracer, which is told " + std::to_string(decision.value);
        case Action::handle: break;
    }
    return "the host decides";
}

/// What a rule that looks at memory comes to: the host, not the kernel, carries it out.
inline Decision after_a_look(const Decision& decision) noexcept {
    switch (decision.action) {
        case Action::allow:
        case Action::log:
        case Action::deny:
        case Action::fake:
        case Action::handle: return decision;
        default: return {Action::kill};
    }
}

inline std::string capitalized(std::string text) {
    if (text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

inline std::string counted(const std::string& title, std::size_t count) {
    return title + " (" + std::to_string(count) + "):";
}

/// Writes what a policy does. See explain().
class Explainer {
public:
    Explainer(const policy::View& view, const ProgramView& program) : view_{view}, program_{program}, handlers_{view} {}

    std::string text() {
        sort();
        wrap(out_,
             "A seccomp filter for " + std::string{abi::name(abi::native_abi)} + " of " +
                 std::to_string(program_.size) + " instructions. There are rules for " +
                 std::to_string(known_ - others_.size()) + " of the " + std::to_string(known_) + " system calls.",
             0, 0);
        for (Group& group : groups_) write(group);
        write(by_arguments_, "Decided in the kernel by their arguments, by the first line that fits");
        write(by_host_, "Decided with the host, by the first line that fits");
        if (by_host_looks_)
            wrap(out_,
                 "A call that the kernel has handed over stays with the host: where the line does not fit after all, "
                 "the "
                 "host goes on with the next ones, and performs itself what they allow.",
                 2, 2);
        write_rest();
        return std::move(out_);
    }

private:
    using Names = std::vector<std::string_view>;

    /// Calls with the same decision whatever their arguments.
    struct Group {
        Decision decision{};
        Names names{};
        Names not_cached{};
    };

    /// Calls with the same lines.
    struct Block {
        std::vector<std::string> lines{};
        Names names{};
    };

    void sort() {
        for (const abi::Syscall& call : abi::syscalls) {
            if (call.number() < 0) continue;
            ++known_;
            const Treatment treatment = treatment_of(view_, call.number());
            if (!treatment.has_rules)
                others_.push_back(&call);
            else if (treatment.reaches_host())
                add(by_host_, call, treatment);
            else if (!treatment.rules.empty())
                add(by_arguments_, call, treatment);
            else
                add(group_of(treatment.otherwise), call);
        }
        others_group_.decision = view_.otherwise;
        for (const abi::Syscall* call : others_) add(others_group_, *call);
        std::sort(groups_.begin(), groups_.end(), [](const Group& a, const Group& b) {
            const auto rank = [](Action action) {
                constexpr Action order[] = {Action::allow, Action::log,  Action::deny,     Action::fake,
                                            Action::trap,  Action::kill, Action::kill_now, Action::kill_thread};
                return std::find(std::begin(order), std::end(order), action) - std::begin(order);
            };
            const auto of_a = rank(a.decision.action);
            const auto of_b = rank(b.decision.action);
            return of_a != of_b ? of_a < of_b : a.decision.value < b.decision.value;
        });
    }

    Group& group_of(const Decision& decision) {
        for (Group& group : groups_)
            if (group.decision == decision) return group;
        groups_.push_back({decision});
        return groups_.back();
    }

    void add(Group& group, const abi::Syscall& call) {
        group.names.push_back(call.name);
        if (!cacheable(program_, call.number())) group.not_cached.push_back(call.name);
        note(group.decision);
    }

    void add(std::vector<Block>& blocks, const abi::Syscall& call, const Treatment& treatment) {
        Block block;
        for (const policy::RuleRecord* rule : treatment.rules) add(block, call, *rule);
        const std::string end = treatment.handler ? handlers_.text(treatment.handler) : text_of(treatment.otherwise);
        block.lines.push_back((treatment.rules.empty() ? "" : "otherwise ") + end);
        note(treatment.otherwise);
        for (Block& known : blocks)
            if (known.lines == block.lines) return known.names.push_back(call.name);
        block.names.push_back(call.name);
        blocks.push_back(std::move(block));
    }

    void add(Block& block, const abi::Syscall& call, const policy::RuleRecord& rule) {
        const Decision decision = rule.in_memory ? after_a_look(rule.decision) : rule.decision;
        const bool runs = decision.action == Action::allow || decision.action == Action::log;
        note(decision);
        std::string line = rule.handler             ? handlers_.text(rule.handler)
                           : rule.in_memory && runs ? "performed by the host"
                                                    : text_of(decision);
        const std::string condition = policy::condition_text(call, view_.condition(rule));
        line += condition.empty() ? ", whatever its arguments" : " if " + condition;
        if (rule.in_memory) {
            by_host_looks_ = true;
            const std::string registers = policy::condition_text(call, view_.condition(rule), policy::Shown::registers);
            line += registers.empty() ? "; the kernel hands over every call that gets here"
                                      : "; the kernel hands over those where " + registers;
        }
        block.lines.push_back(std::move(line));
    }

    void note(const Decision& decision) {
        kills_ = kills_ || decision.action == Action::kill;
        fakes_ = fakes_ || (decision.action == Action::fake && decision.value != 0);
    }

    static std::string list(const Names& names) {
        std::string text;
        for (const std::string_view name : names) {
            if (!text.empty()) text += ", ";
            text += name;
        }
        return text;
    }

    /// What is to be said of the kernel's cache.
    static std::string cached(const Group& group) {
        if (group.decision != Decision{Action::allow}) return {};
        if (group.not_cached.empty()) return "The kernel caches each of them (Linux 5.11).";
        if (group.not_cached.size() == group.names.size()) return "The kernel caches none of them.";
        return "The kernel caches each of them (Linux 5.11) but " + list(group.not_cached) + ".";
    }

    void write(const Group& group) {
        out_ += '\n';
        wrap(out_, counted(capitalized(text_of(group.decision)) + ", whatever their arguments", group.names.size()), 0,
             0);
        wrap(out_, list(group.names), 2, 2);
        const std::string note = cached(group);
        if (!note.empty()) wrap(out_, note, 2, 2);
    }

    void write(const std::vector<Block>& blocks, const char* title) {
        std::size_t count = 0;
        for (const Block& block : blocks) count += block.names.size();
        if (count == 0) return;
        out_ += '\n';
        wrap(out_, counted(title, count), 0, 0);
        for (const Block& block : blocks) {
            wrap(out_, list(block.names), 2, 2);
            for (std::size_t i = 0; i < block.lines.size(); ++i) {
                const std::string number = std::to_string(i + 1) + ". ";
                wrap(out_, number + block.lines[i], 4, 4 + number.size());
            }
        }
    }

    void write_rest() {
        out_ += '\n';
        note(view_.foreign);
        if (!others_.empty()) {
            const std::string note = cached(others_group_);
            wrap(out_,
                 counted("All other calls", others_.size()) + ' ' + text_of(view_.otherwise) + '.' +
                     (note.empty() ? "" : ' ' + note),
                 0, 2);
        }
        wrap(out_,
             "Numbers that are newer than the table, which ends at " + std::to_string(abi::native_limit - 1) +
                 ", or that it lacks: " + text_of(policy::unknown_call) + '.',
             0, 2);
        wrap(out_,
             std::string{"Calls through another ABI ("} +
                 (abi::native_abi == abi::Abi::x86_64 ? "32-bit, x32" : "32-bit") + "): " + text_of(view_.foreign) +
                 '.',
             0, 2);
        if (view_.admitted != nullptr)
            wrap(out_,
                 std::string{"Admitted of these are calls of "} + abi::name(view_.admitted->abi) +
                     ": decided as the native calls that do the same; those to which a rule for such a call cannot be "
                     "applied get what is said of another ABI.",
                 0, 2);
        if (kills_)
            wrap(out_,
                 "Where the worker is killed, the kernel stops the call, and the host kills the whole worker and tells "
                 "the call in its outcome.",
                 0, 2);
        if (fakes_) wrap(out_, "A result other than 0 is given by the host.", 0, 2);
    }

    policy::View view_;
    ProgramView program_;
    Handlers handlers_;
    std::vector<Group> groups_{};
    std::vector<Block> by_arguments_{};
    std::vector<Block> by_host_{};
    std::vector<const abi::Syscall*> others_{};
    Group others_group_{};
    std::size_t known_ = 0;
    bool by_host_looks_ = false;
    bool kills_ = false;
    bool fakes_ = false;
    std::string out_{};
};

}  // namespace detail

/// A policy in plain words, for a review: which calls are decided whatever their arguments, and which of them the
/// kernel caches; which by their arguments, and how, in the order in which the rules are tried; which the host decides,
/// with what the kernel hands over to it; and what becomes of all others, of newer ones, and of those of other ABIs.
/// Each call of the table is named at most once; rules that change nothing (repetitions, say, where presets overlap)
/// are left out. Lines of at most 100 characters where words let it, in ASCII whatever the policy holds. `program`: the
/// filter that the policy compiles to. Thread-safe.
inline std::string explain(const policy::View& view, const ProgramView& program) {
    return detail::Explainer{view, program}.text();
}

}  // namespace sysguard::filter
