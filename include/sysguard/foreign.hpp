#pragma once

#include "filter/foreign.hpp"
#include "policy.hpp"
#include "policy/foreign.hpp"

#include <cstddef>

namespace sysguard {

using abi::Abi;

namespace policy::mistake {

constexpr void a_policy_admits_one_foreign_abi_once(bool is_admitted) {
    detail::refuse(is_admitted ? -1 : -2, abi::ArgName::none, "sg::admit<...> is written once");
}

}  // namespace policy::mistake

template <Abi abi>
class Admission {
    static_assert(abi == abi::compat_abi,
                  "a policy can admit the calls of 32-bit programs: sg::admit<sg::Abi::i386> on x86_64, "
                  "sg::admit<sg::Abi::arm> on aarch64");

public:
    static constexpr std::size_t max_rules = 0;
    static constexpr std::size_t max_nodes = filter::max_instructions / 16;  ///< room for the filter

    static constexpr const policy::AdmittedAbi* admit(const policy::AdmittedAbi* before) {
        policy::mistake::a_policy_admits_one_foreign_abi_once(before != nullptr);
        return &policy::admitted_abi<abi>;
    }

    template <std::size_t capacity, std::size_t rule_capacity>
    static constexpr filter::ForeignCode<capacity, rule_capacity> code() noexcept {
        return {filter::write_foreign<abi, capacity, rule_capacity>, true};
    }
};

/// Part of a policy, by which it admits the calls of 32-bit programs: `admit<Abi::i386>` on x86_64, `admit<Abi::arm>`
/// on aarch64. They are decided by the rules of the native calls that do the same, whatever number or name they have in
/// that ABI: see docs/policies.md. Other foreign ABIs get `sg::foreign`, x32 always. Needs a kernel with
/// CONFIG_IA32_EMULATION or, on aarch64, CONFIG_COMPAT and a processor that runs AArch32 programs.
template <Abi abi>
inline constexpr Admission<abi> admit;

}  // namespace sysguard
