#pragma once

#include "../abi/numbers.hpp"
#include "../filter/interpret.hpp"
#include "../filter/recover.hpp"
#include "../policy/rule_list.hpp"
#include "../supervise/call.hpp"
#include "../supervise/rulebook.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <linux/seccomp.h>

namespace sysguard::detail {

constexpr bool may_run(const Decision& decision) noexcept {
    return decision.action == Action::allow || decision.action == Action::log || decision.action == Action::handle;
}

/// A handler, and what keeps it.
struct HeldHandler {
    policy::Handler handler{};
    policy::SharedContext context{};
};

/// What the host knows of workers under a context of libseccomp's and, where there is one, under a policy. Immutable,
/// thread-safe.
class ContextRules {
public:
    /// `own`: the policy; none stands for one that allows everything.
    ContextRules(std::vector<sock_filter> context, HeldHandler ask, const std::optional<policy::View>& own,
                 policy::SharedContext own_context)
        : context_{std::move(context)}, ask_{std::move(ask)}, own_context_{std::move(own_context)} {
        if (own) {
            for (std::size_t i = 0; i < own->rule_count; ++i) copy(*own, own->rules[i], rules_);
            otherwise_ = own->otherwise;
            foreign_ = own->foreign;
        }
        rulebook_.emplace(own_view());
    }

    policy::View own_view() const noexcept {
        return {rules_.begin(), rules_.size(), rules_.nodes(), otherwise_, foreign_};
    }

    /// Rules that come to the same as context and policy together, as far as anything but the filter asks them: what a
    /// worker may do, and what the host says to a call that the filter gives to it. Calls for which the context has
    /// more to say than that they pass or not are given to `handler`.
    RuleList together(const policy::Handler& handler) const {
        const filter::Recovered recovered{{context_.data(), context_.size()}};
        RuleList all;
        for (int number = 0; number < static_cast<int>(abi::native_limit); ++number) {
            if (!abi::is_known(number)) continue;
            const bool is_end = number == sys::exit || number == sys::exit_group;
            if (!is_end && some_may_run(number) && !append_refusals(recovered, number, all)) {
                all.add(number, nullptr, 0, false, {Action::handle}, handler);
                continue;
            }
            for (const policy::RuleRecord& rule : rules_)
                if (rule.number == number) copy(own_view(), rule, all);
        }
        return all;
    }

    /// What becomes of a call that the filter gives to the host.
    Verdict decide(const AnyCall& call) const {
        struct Opened : AnyCall {
            using AnyCall::pending;
        };
        supervise::Pending& pending = Opened{call}.pending();
        const Decision own = policy::decide(own_view(), call.number(), call.registers());
        if (!may_run(own)) return rulebook_->decide(pending);
        const bool has_handler = own == Action::handle;
        switch (said(call.number(), pending.architecture, call.registers()) & SECCOMP_RET_ACTION_FULL) {
            case SECCOMP_RET_ALLOW:
            case SECCOMP_RET_LOG: return rulebook_->decide(pending);
            case SECCOMP_RET_TRACE: return call.deny(ENOSYS);
            case SECCOMP_RET_USER_NOTIF: break;
            default: return call.kill();
        }
        using Kind = Verdict::Kind;
        Verdict first = [&] {
            const ForNow for_now{pending, has_handler};
            return ask_.handler.invoke(ask_.handler.context, call);
        }();
        if (!has_handler || (first.kind() != Kind::proceed && first.kind() != Kind::perform)) return first;
        Verdict second = rulebook_->decide(pending);
        return second.kind() == Kind::proceed ? std::move(first) : std::move(second);
    }

    /// What becomes of a call that the filter gives to the host, from its registers alone.
    Decision decide(int number, const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        const Decision own = policy::decide(own_view(), number, registers);
        const std::uint32_t native = abi::audit_architecture(abi::native_abi);
        const bool asks = (said(number, native, registers) & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF;
        return asks && may_run(own) ? Decision{Action::handle} : own;
    }

private:
    /// Keeps a call from being deferred, as whoever has deferred it may answer it at once.
    class ForNow {
    public:
        ForNow(supervise::Pending& call, bool on) noexcept : call_{call} { call_.is_for_now = on; }
        ForNow(const ForNow&) = delete;
        ForNow& operator=(const ForNow&) = delete;
        ~ForNow() { call_.is_for_now = false; }

    private:
        supervise::Pending& call_;
    };

    static void copy(const policy::View& from, const policy::RuleRecord& rule, RuleList& to) {
        to.add(rule.number, from.condition(rule), rule.node_count, false, rule.decision, rule.handler);
    }

    /// Whether the policy lets a call run with some arguments.
    bool some_may_run(int number) const noexcept {
        for (const policy::RuleRecord& rule : rules_) {
            if (rule.number != number) continue;
            if (may_run(rule.decision)) return true;
            if (rule.node_count == 0) return false;
        }
        return may_run(otherwise_);
    }

    /// Adds the cases in which the context refuses a call. Returns false where there is more to say of it.
    bool append_refusals(const filter::Recovered& recovered, int number, RuleList& all) const {
        if (!recovered.complete()) return false;
        for (const std::uint32_t value : recovered.returns(number)) {
            const Action action = filter::decision_of(value).action;
            if (action == Action::handle || (action == Action::trace && rules_.size() != 0)) return false;
        }
        return recovered.append_rules(all, number, may_run);
    }

    std::uint32_t said(int number, std::uint32_t architecture,
                       const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        seccomp_data data{number, architecture, 0, {}};
        for (std::size_t i = 0; i < abi::max_arguments; ++i) data.args[i] = registers[i];
        return filter::interpret({context_.data(), context_.size()}, data).value;
    }

    std::vector<sock_filter> context_;
    HeldHandler ask_;
    RuleList rules_{};
    Decision otherwise_{Action::allow};
    Decision foreign_{Action::kill};
    policy::SharedContext own_context_;
    std::optional<supervise::Rulebook> rulebook_{};
};

}  // namespace sysguard::detail
