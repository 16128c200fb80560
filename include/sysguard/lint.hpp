#pragma once

#include "filter/lint.hpp"

namespace sysguard {

/// What a person should know about a policy that each rule by itself does not show: calls left open beside refused
/// ones, work that no filter sees, risks, and what breaks libcs; each finding with its reason and the rule that closes
/// it.
///
///     static_assert(sg::lint(policy).empty());
///     static_assert(sg::lint(policy).without(sg::Finding::Kind::exfiltration).empty());
///     std::cerr << sg::lint(policy).explain();
///
/// `policy`: anything with a `view()`. Judged by what its rules come to, not by names: a call that some earlier rule
/// denies is denied, one that the host decides is held. Isolation (Options) is not looked at. Thread-safe.
template <class AnyPolicy>
constexpr Findings lint(const AnyPolicy& policy) {
    return filter::lint(policy.view());
}

}  // namespace sysguard
