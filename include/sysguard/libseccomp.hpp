#pragma once

#include "abi/error.hpp"
#include "detail/context_rules.hpp"
#include "filter/combine.hpp"
#include "filter/export_libseccomp.hpp"
#include "filter/interpret.hpp"
#include "filter/libseccomp_context.hpp"
#include "filter/pseudo_code.hpp"
#include "filter/recover.hpp"
#include "policy.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <linux/seccomp.h>
#include <seccomp.h>

namespace sysguard {

using filter::LibseccompContext;
using filter::LibseccompExport;

/// What a Sandbox can be made of: a `Policy`, a `DynamicPolicy`.
template <class T>
concept AnyPolicy = requires(const T& policy) {
    policy.view();
    policy.program();
    policy.context();
};

/// What can decide calls in the host: a `Verdict(const AnyCall&)`.
template <class T>
concept AnyHandler = std::is_invocable_r_v<Verdict, const T&, const AnyCall&>;

/// A context of libseccomp's that workers run under: `Sandbox box{LibseccompPolicy{context}}`. The context remains the
/// host's, which may change or release it afterwards. With a policy of sysguard's both have to let a call pass: the
/// kernel sees one filter, which returns what it would make of two, the context's installed first (`filter::of_both`).
///
/// `ask`, a `Verdict(const AnyCall&)`, is who decides the calls that the context gives to a listener (SCMP_ACT_NOTIFY).
/// It runs as the handler of a rule does. What it lets pass, the policy still has to allow; where the policy has a
/// handler for the call, too, that is asked next, and `ask` cannot answer later. Calls that the policy never allows are
/// not asked about; of calls that the table does not know, and of those of other architectures, nobody is asked: they
/// fail with ENOSYS, or get what `foreign` says. A call that the context gives to a tracer (SCMP_ACT_TRACE) and the
/// policy to a handler fails with ENOSYS, as without a tracer.
///
/// As with any policy, a worker may execute the program that it starts with, and end itself, whatever the context says.
/// Attributes of a context that concern seccomp_load(3) alone do nothing here (SCMP_FLTATR_CTL_LOG, _TSYNC, _SSB).
/// Immutable and thread-safe.
class LibseccompPolicy {
public:
    /// Throws `Error`: EINVAL for a context that lacks the native architecture, has others, or has SCMP_ACT_NOTIFY;
    /// E2BIG where the filter exceeds 4096 instructions.
    explicit LibseccompPolicy(scmp_filter_ctx context) : LibseccompPolicy{context, std::nullopt, {}} {}

    template <AnyHandler Ask>
    LibseccompPolicy(scmp_filter_ctx context, Ask ask)
        : LibseccompPolicy{context, std::nullopt, hold(std::move(ask))} {}

    /// A context may have other architectures here: of their calls the policy lets none pass.
    template <AnyPolicy Own>
    LibseccompPolicy(scmp_filter_ctx context, const Own& policy)
        : LibseccompPolicy{context, Parts{policy.view(), policy.program(), policy.context()}, {}} {}

    template <AnyPolicy Own, AnyHandler Ask>
    LibseccompPolicy(scmp_filter_ctx context, const Own& policy, Ask ask)
        : LibseccompPolicy{context, Parts{policy.view(), policy.program(), policy.context()}, hold(std::move(ask))} {}

    /// What becomes of a call with these arguments, as the filter says, and the policy where the filter asks
    /// the host.
    template <int number, class... Arguments>
    Decision decide(Arguments... arguments) const noexcept {
        static_assert(abi::is_known(number), "no system call of sysguard's table has this number");
        static_assert(!abi::is_known(number) || sizeof...(Arguments) == abi::find(number)->argument_count(),
                      "decide<SYS_x>(...) takes as many arguments as the call has");
        return decide(number, {policy::detail::register_value(arguments)...});
    }

    /// The same for a number and six registers known at run time.
    Decision decide(int number, const std::uint64_t (&registers)[abi::max_arguments]) const noexcept {
        seccomp_data data{number, abi::audit_architecture(abi::native_abi), 0, {}};
        for (std::size_t i = 0; i < abi::max_arguments; ++i) data.args[i] = registers[i];
        const Decision decision = filter::decision_of(filter::interpret(program(), data).value);
        return decision == Action::handle ? (*context_.get<Held>())->decide(number, registers) : decision;
    }

    /// The seccomp filter. It lives as long as the policy.
    filter::ProgramView program() const noexcept { return {code_.data(), code_.size()}; }

    /// Rules that say what a worker may do, and what the host says to the calls that the filter gives to it.
    policy::View view() const noexcept { return {rules_.begin(), rules_.size(), rules_.nodes(), otherwise_, foreign_}; }

    policy::SharedContext context() const noexcept { return context_; }

private:
    using Held = std::unique_ptr<const detail::ContextRules>;

    struct Parts {
        policy::View view;
        filter::ProgramView program;
        policy::SharedContext context;
    };

    template <class Ask>
    static detail::HeldHandler hold(Ask ask) {
        const policy::SharedContext context = policy::SharedContext::make(std::move(ask));
        const auto invoke = [](const void* held, const AnyCall& call) -> Verdict {
            return (*static_cast<const Ask*>(held))(call);
        };
        return {{invoke, context.template get<Ask>()}, context};
    }

    LibseccompPolicy(scmp_filter_ctx context, const std::optional<Parts>& own, detail::HeldHandler ask) {
        check_architectures(context, !own.has_value());
        if (own && own->view.admitted != nullptr)
            throw Error{EINVAL,
                        "use a policy below the libseccomp context: it admits 32-bit calls (sg::admit), which the "
                        "context is not asked about; take that out"};
        code_ = filter::program_of(context);
        if (!filter::is_valid(program()))
            throw Error{EINVAL, "use the libseccomp context: what it exports is no filter that the kernel takes"};
        const bool asks = returns(SECCOMP_RET_USER_NOTIF);
        if (asks && !ask.handler)
            throw Error{EINVAL,
                        "use the libseccomp context: it has SCMP_ACT_NOTIFY; say who decides those calls, as the last "
                        "argument: [](const AnyCall& call) -> Verdict { ... }"};
        std::optional<policy::View> own_view;
        if (own) own_view = own->view;
        auto rules = std::make_unique<const detail::ContextRules>(code_, std::move(ask), own_view,
                                                                  own ? own->context : policy::SharedContext{});
        if (own) {
            otherwise_ = own->view.otherwise;
            foreign_ = own->view.foreign;
            code_ = filter::combine(program(), own->program);
        }
        context_ = policy::SharedContext::make(Held{std::move(rules)});
        const auto decide = [](const void* held, const AnyCall& call) -> Verdict {
            return (*static_cast<const Held*>(held))->decide(call);
        };
        rules_ = (*context_.get<Held>())->together({decide, context_.get<Held>()});
    }

    static void check_architectures(scmp_filter_ctx context, bool alone) {
        if (context == nullptr) throw Error{EINVAL, "use a libseccomp context: it is null"};
        if (::seccomp_arch_exist(context, SCMP_ARCH_NATIVE) != 0)
            throw Error{EINVAL,
                        "use the libseccomp context: it lacks the native architecture, so that it would refuse every "
                        "call; add it: seccomp_arch_add(context, SCMP_ARCH_NATIVE)"};
        for (const std::uint32_t other : std::initializer_list<std::uint32_t>{
                 SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32, SCMP_ARCH_AARCH64, SCMP_ARCH_ARM})
            if (alone && other != ::seccomp_arch_native() && ::seccomp_arch_exist(context, other) == 0)
                throw Error{EINVAL,
                            "use the libseccomp context: it lets calls of another architecture pass, whose numbers "
                            "mean other calls; remove that (seccomp_arch_remove), or give a policy, too, which "
                            "refuses them"};
    }

    bool returns(std::uint32_t action) const noexcept {
        for (const sock_filter& instruction : code_)
            if (BPF_CLASS(instruction.code) == BPF_RET && (instruction.k & SECCOMP_RET_ACTION_FULL) == action)
                return true;
        return false;
    }

    std::vector<sock_filter> code_{};
    RuleList rules_{};
    Decision otherwise_{Action::allow};
    Decision foreign_{Action::kill};
    policy::SharedContext context_{};
};

/// A policy as a context of libseccomp's: see `filter::export_libseccomp`. It says what the rules say, and not what a
/// sandbox lets a worker do beside them, to execute its program and to end itself.
template <AnyPolicy Own>
LibseccompExport export_to_libseccomp(const Own& policy) {
    return filter::export_libseccomp(policy.view());
}

/// A policy in the pseudo code that libseccomp prints: see `filter::pseudo_code`.
template <AnyPolicy Own>
std::string pseudo_code(const Own& policy) {
    return filter::pseudo_code(policy.view());
}

/// A context of libseccomp's, printed by libseccomp (seccomp_export_pfc(3)). Throws `Error`.
inline std::string pseudo_code(scmp_filter_ctx context) {
    return filter::pseudo_code_of(context);
}

}  // namespace sysguard
