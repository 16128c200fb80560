#pragma once

#include "../policy/view.hpp"
#include "detail/linter.hpp"
#include "finding.hpp"

namespace sysguard::filter {

/// What a person should know about a policy that each rule by itself does not show: gaps, risks and what breaks. Judged
/// by what the rules come to in their order, conditions included; a call that the host decides counts as held.
/// Isolation (Options) is not looked at. Thread-safe; in constant expressions too.
constexpr Findings lint(const policy::View& view) noexcept {
    return detail::Linter{view}.look();
}

}  // namespace sysguard::filter
