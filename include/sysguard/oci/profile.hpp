#pragma once

#include "../dynamic_policy.hpp"
#include "conditions.hpp"
#include "detail/field.hpp"
#include "detail/loader.hpp"
#include "detail/read_file.hpp"

#include <cerrno>
#include <cstddef>
#include <istream>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sysguard {

/// A seccomp profile of the OCI runtime specification, or of Docker's and Podman's richer form, as it stands for this
/// architecture and some conditions. docs/profiles.md says what its rules come to. A value; const functions are
/// thread-safe.
class OciProfile {
public:
    explicit OciProfile(oci::detail::Loaded loaded) noexcept : loaded_{std::move(loaded)} {}

    /// The profile's rules: of those that match a call, the first is the strictest.
    const RuleList& rules() const noexcept { return loaded_.rules; }

    /// What becomes of a call that no rule matches.
    Decision otherwise() const noexcept { return loaded_.otherwise; }

    /// What becomes of a call through another ABI.
    Decision foreign() const noexcept { return loaded_.foreign; }

    /// Names that are no system call's that sysguard knows. Rules for them have no effect.
    const std::vector<std::string>& unknown_names() const noexcept { return loaded_.unknown_names; }

    /// Names of calls that only other architectures have. Rules for them have no effect.
    const std::vector<std::string>& foreign_names() const noexcept { return loaded_.foreign_names; }

    /// What is not taken over as it is written, or hardly means what it says: a sentence each, with the place in the
    /// profile.
    const std::vector<std::string>& notes() const noexcept { return loaded_.notes; }

    /// Whether there are calls that a handler has to be given for (SCMP_ACT_NOTIFY).
    bool notifies() const noexcept { return loaded_.notifies; }

    /// What decides the calls that the profile notifies of: `Verdict(const AnyCall&)`, as in `Rule::handle`. Replaces
    /// the one given before.
    template <class F>
    OciProfile& handle_notified(F handler) {
        static_assert(std::is_invocable_v<const F&, const AnyCall&>,
                      "a handler takes a const AnyCall&, can be called while it is const, and returns a Verdict: "
                      "return call.deny(EPERM)");
        context_ = policy::SharedContext::make(std::move(handler));
        handler_ = {[](const void* held, const AnyCall& call) -> policy::VerdictOf<F> {
                        return (*static_cast<const F*>(held))(call);
                    },
                    context_.get<F>()};
        return *this;
    }

    /// The policy. `own`: rules, groups and presets of the host's, with handlers if it likes, as in a `Policy`; the
    /// first match decides, so they come before the profile's, and what of the profile they leave nothing of is left
    /// out. `sg::weights` among them makes the filter quicker for frequent calls; `sg::admit<sg::Abi::i386>` (on
    /// aarch64 `arm`) admits the calls of 32-bit programs, where the profile is for those, too. Throws `Error`: EINVAL
    /// where the profile notifies and no handler was given, or for mistakes in `own` (see `DynamicPolicy`); E2BIG where
    /// the filter would exceed the kernel's 4096 instructions. Uses 256 KiB of stack.
    template <class... Own>
    DynamicPolicy policy(const Own&... own) const {
        RuleList all;
        Beside beside;
        (take(own, all, beside), ...);
        append_to(all);
        return DynamicPolicy{std::move(all), beside.weights, beside.admitted, Ending<false>{loaded_.otherwise},
                             Ending<true>{loaded_.foreign}};
    }

private:
    /// What is no rule of the host's.
    struct Beside {
        policy::WeightList weights{};
        DynamicPolicy::Admitted admitted{};
    };

    template <class Rules>
    static void take(const Rules& rules, RuleList& all, Beside&) {
        all.append(rules);
    }

    template <std::size_t count>
    static void take(const policy::Weights<count>& given, RuleList&, Beside& beside) {
        given.give_to(beside.weights);
    }

    template <abi::Abi abi>
    static void take(const Admission<abi>& admission, RuleList&, Beside& beside) {
        beside.admitted = DynamicPolicy::Admitted::by(admission, beside.admitted.abi);
    }

    void append_to(RuleList& own) const {
        if (loaded_.notifies && !handler_)
            throw Error{EINVAL,
                        "make a policy of the profile: it says SCMP_ACT_NOTIFY; say by handle_notified() what decides "
                        "those calls"};
        const auto first = static_cast<std::ptrdiff_t>(own.size());
        for (const policy::RuleRecord& rule : loaded_.rules)
            own.add(rule.number, loaded_.rules.nodes() + rule.first_node, rule.node_count, false, rule.decision,
                    rule.decision == Action::handle ? handler_ : policy::Handler{});
        if (loaded_.notifies) own.keep(context_);
        const policy::View whole{own.begin(), own.size(), own.nodes(), loaded_.otherwise, loaded_.foreign};
        const policy::RulesByCall<RuleList::max_rules> by_call{whole};
        own.erase_if([&](const policy::RuleRecord& rule) {
            const std::ptrdiff_t place = &rule - whole.rules;
            return place >= first && !policy::is_reachable(whole, by_call, static_cast<int>(place));
        });
    }

    oci::detail::Loaded loaded_;
    policy::Handler handler_{};
    policy::SharedContext context_{};
};

/// Makes a profile of JSON text. `source` is what messages call it. Throws `Error`: EINVAL, with the place, for what is
/// no profile or no JSON, for members, actions, operators, architectures and flags that the formats do not have, for
/// members that are missing, have another type or come twice, and where this architecture is not among the profile's;
/// E2BIG for what is too large. Names of system calls that are not known are no error, because profiles are written for
/// many kernels: see `unknown_names`. Thread-safe.
inline OciProfile parse_oci_profile(std::string_view text, const OciConditions& conditions = {},
                                    const std::string& source = "the profile") {
    const oci::detail::Json document = oci::detail::parse(text, source);
    oci::detail::Loaded loaded;
    oci::detail::Loader{{document, source}, conditions, loaded}.load();
    return OciProfile{std::move(loaded)};
}

/// The same from a stream, to its end.
inline OciProfile load_oci_profile(std::istream& stream, const OciConditions& conditions = {}) {
    return parse_oci_profile(oci::detail::read(stream, "the profile"), conditions);
}

/// The same from a file. Throws `Error` also where it cannot be read.
inline OciProfile load_oci_profile(const std::string& path, const OciConditions& conditions = {}) {
    return parse_oci_profile(oci::detail::read(path), conditions, "'" + path + "'");
}

}  // namespace sysguard
