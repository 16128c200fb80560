#pragma once

#include "../abi/error.hpp"
#include "alternatives.hpp"
#include "libseccomp_context.hpp"
#include "prove.hpp"
#include "recover.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <seccomp.h>

namespace sysguard::filter {

/// A policy as a context of libseccomp's.
struct LibseccompExport {
    LibseccompContext context;
    std::vector<std::string> notes{};  ///< what libseccomp cannot say, and what the context says instead: each a
                                       ///< refusal; none where it is the policy
};

namespace detail {

/// What a decision is in libseccomp, whose SCMP_ACT_* are the kernel's SECCOMP_RET_*. What it cannot say is a refusal.
constexpr std::uint32_t libseccomp_action(const Decision& decision) noexcept {
    constexpr std::uint32_t refused = SCMP_ACT_ERRNO(EPERM);
    switch (decision.action) {
        case Action::allow: return SCMP_ACT_ALLOW;
        case Action::log: return SCMP_ACT_LOG;
        case Action::deny: return decision.value < abi::max_errno ? SCMP_ACT_ERRNO(decision.value) : refused;
        case Action::fake: return decision.value == 0 ? SCMP_ACT_ERRNO(0) : refused;
        case Action::handle: return refused;
        case Action::kill:
        case Action::kill_now: return SCMP_ACT_KILL_PROCESS;
        case Action::kill_thread: return SCMP_ACT_KILL_THREAD;
        case Action::trap: return SCMP_ACT_TRAP;
        case Action::trace: return SCMP_ACT_TRACE(decision.value);
    }
    return SCMP_ACT_KILL_PROCESS;
}

/// What a note says of a decision that becomes another, after the names of the calls; or nothing.
inline std::string lost_by_libseccomp(const Decision& decision) {
    switch (decision.action) {
        case Action::handle: return "the host decides; in the context they fail with EPERM";
        case Action::fake:
            if (decision.value == 0) return {};
            return "fake(" + std::to_string(decision.value) + "); in the context they fail with EPERM";
        case Action::deny:
            if (decision.value < abi::max_errno) return {};
            return "deny(4095), which libseccomp does not take; in the context they fail with EPERM";
        case Action::kill:
            return "kill(); in the context the kernel kills the process, and no host learns what it tried";
        case Action::trap:
            if (decision.value == 0) return {};
            return "trap with a value, which libseccomp does not take; in the context it is 0";
        default: return {};
    }
}

class LibseccompExporter {
public:
    explicit LibseccompExporter(const policy::View& view) : view_{view} {}

    LibseccompExport run() {
        for (const Decision& unknown_call : choices()) {
            for (const bool ordered : {true, false}) {
                auto context = attempt(unknown_call, ordered);
                if (!context) continue;
                LibseccompExport made{std::move(*context), notes()};
                if (libseccomp_action(unknown_call) != libseccomp_action(policy::unknown_call))
                    made.notes.emplace_back("calls that the table does not know: ENOSYS; in the context they get " +
                                            std::string{name(unknown_call.action)} +
                                            ", as a context has one action "
                                            "for all that its rules do not name");
                return made;
            }
        }
        throw Error{ENOTSUP, "export the policy to libseccomp: " + reason_};
    }

private:
    /// What may become of unknown calls: some refusal, of which the policy's is the first.
    std::vector<Decision> choices() const {
        std::vector<Decision> found{policy::unknown_call};
        const auto add = [&](const Decision& decision) {
            const std::uint32_t action = libseccomp_action(decision);
            const bool refuses = action != SCMP_ACT_ERRNO(0) &&
                                 static_cast<std::int32_t>(action) < static_cast<std::int32_t>(SCMP_ACT_NOTIFY);
            const bool known = std::any_of(found.begin(), found.end(),
                                           [&](const Decision& other) { return libseccomp_action(other) == action; });
            if (refuses && !known && found.size() < most_choices) found.push_back(decision);
        };
        add(view_.otherwise);
        for (std::size_t i = 0; i < view_.rule_count; ++i) add(view_.rules[i].decision);
        return found;
    }

    /// One try: what becomes of unknown calls is what a context does without a rule. None where it failed; then
    /// `reason_` says why.
    std::optional<LibseccompContext> attempt(const Decision& unknown_call, bool ordered) {
        const std::uint32_t rest = libseccomp_action(unknown_call);
        LibseccompContext context{rest};
        check(::seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, libseccomp_action(view_.foreign)), "foreign");
        check(::seccomp_attr_set(context.get(), SCMP_FLTATR_API_TSKIP, 1), "the number -1");
        check(::seccomp_rule_add_exact(context.get(), SCMP_ACT_ALLOW, -1, 0), "the number -1");
        for (int number = 0; number < static_cast<int>(abi::native_limit); ++number)
            if (abi::is_known(number) && !add(context, number, {decision_of(rest), ordered, most})) return std::nullopt;
        const std::vector<sock_filter> program = program_of(context.get());
        const Proof proof = prove({program.data(), program.size()}, view_, libseccomp_action, unknown_call);
        if (proof) return context;
        reason_ = proof.decided
                      ? "what libseccomp makes of its rules is not the policy: it decides otherwise on " +
                            text(*proof.against)
                      : "what libseccomp makes of its rules is too large to be compared with the policy, or to "
                        "be a filter";
        return std::nullopt;
    }

    bool add(const LibseccompContext& context, int number, const AlternativesForm& form) {
        Diagram diagram;
        const Diagram::Node root = diagram.call(
            view_, number, [&](const Decision& decision) { return diagram.end(libseccomp_action(decision)); });
        const auto list = alternatives(diagram, root, decision_of, form);
        if (!list) {
            reason_ = "the rules for " + std::string{abi::find(number)->name} + " take more than " +
                      std::to_string(most) + " rules of libseccomp's, which have one comparison of an argument each, " +
                      "and no order";
            return false;
        }
        for (const Alternative& alternative : *list) {
            std::vector<scmp_arg_cmp> tests;
            for (const Comparison& comparison : alternative.comparisons) tests.push_back(test(comparison));
            const int result = ::seccomp_rule_add_exact_array(context.get(), return_value(alternative.decision), number,
                                                              static_cast<unsigned>(tests.size()), tests.data());
            check(result, abi::find(number)->name);
        }
        return true;
    }

    static scmp_arg_cmp test(const Comparison& comparison) noexcept {
        const unsigned position = comparison.position;
        switch (comparison.kind) {
            case Comparison::Kind::equal: return {position, SCMP_CMP_EQ, comparison.value, 0};
            case Comparison::Kind::not_equal: return {position, SCMP_CMP_NE, comparison.value, 0};
            case Comparison::Kind::less_or_equal: return {position, SCMP_CMP_LE, comparison.value, 0};
            case Comparison::Kind::greater_or_equal: return {position, SCMP_CMP_GE, comparison.value, 0};
            case Comparison::Kind::masked_equal: break;
        }
        return {position, SCMP_CMP_MASKED_EQ, comparison.mask, comparison.value};
    }

    static void check(int result, std::string_view what) {
        if (result != 0) throw Error{-result, "export the policy to libseccomp: " + std::string{what}};
    }

    static std::string text(const seccomp_data& data) {
        std::string text = abi::is_known(data.nr) ? std::string{abi::find(data.nr)->name} : std::to_string(data.nr);
        for (std::size_t i = 0; i < abi::max_arguments; ++i)
            text += (i == 0 ? "(" : ", ") + std::to_string(data.args[i]);
        return text + "), architecture " + std::to_string(data.arch);
    }

    /// What the context says otherwise, with the calls that it says it of.
    std::vector<std::string> notes() const {
        std::vector<std::pair<std::string, std::vector<std::string>>> lost;
        const auto note = [&](const Decision& decision, const std::string& what) {
            const std::string text = lost_by_libseccomp(decision);
            if (text.empty()) return;
            auto known = std::find_if(lost.begin(), lost.end(), [&](const auto& one) { return one.first == text; });
            if (known == lost.end()) known = lost.insert(known, {text, {}});
            std::vector<std::string>& calls = known->second;
            if (std::find(calls.begin(), calls.end(), what) == calls.end()) calls.push_back(what);
        };
        for (std::size_t i = 0; i < view_.rule_count; ++i) {
            const policy::RuleRecord& rule = view_.rules[i];
            note(rule.in_memory ? Decision{Action::handle} : rule.decision, std::string{abi::find(rule.number)->name});
        }
        note(view_.otherwise, "calls without a rule");
        note(view_.foreign, "calls of other architectures");
        std::vector<std::string> texts;
        if (view_.admitted != nullptr)
            texts.push_back(std::string{"calls of "} + abi::name(view_.admitted->abi) +
                            ": the policy admits them, and the context does not");
        for (const auto& [text, calls] : lost) {
            std::string& line = texts.emplace_back();
            for (const std::string& call : calls) line += (line.empty() ? "" : ", ") + call;
            line += ": " + text;
        }
        return texts;
    }

    static constexpr std::size_t most = 256;  ///< rules of libseccomp's for one call
    static constexpr std::size_t most_choices = 6;

    const policy::View& view_;
    std::string reason_{};
};

}  // namespace detail

/// A policy as a new context of libseccomp's, which can be exported, loaded or printed. What it exports is compared
/// with the policy, for all calls (`prove`): a context that does anything else is not handed out. What libseccomp
/// cannot say becomes a refusal, with a note. libseccomp chains its rules; SCMP_FLTATR_CTL_OPTIMIZE can be set on the
/// context, after which nothing is compared. Throws `Error`: ENOTSUP where it would take too many rules, or libseccomp
/// makes of them what the policy is not.
inline LibseccompExport export_libseccomp(const policy::View& view) {
    return detail::LibseccompExporter{view}.run();
}

}  // namespace sysguard::filter
