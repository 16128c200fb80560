#pragma once

#include "detail/foreign_code.hpp"

#include <cstddef>

namespace sysguard::filter {

/// Writes what a filter does with a call of another ABI than the native one, whose architecture is in the accumulator:
/// the rules for calls of the 32-bit ABI, and for all others `View::foreign`. A `ForeignCode` for `compile`.
/// Thread-safe.
template <abi::Abi abi, std::size_t capacity, std::size_t rule_capacity>
constexpr detail::Label write_foreign(const policy::View& view, const policy::RulesByCall<rule_capacity>& by_call,
                                      detail::Emitter<capacity>& out) {
    detail::ForeignBlocks<abi, capacity, rule_capacity> blocks{view, by_call, out};
    out.fall_into(blocks.write());
    const detail::Label admitted = out.emit(BPF_LD | BPF_W | BPF_ABS, 0);
    return out.jump(BPF_JEQ, abi::audit_architecture(abi), admitted, out.ret(return_value(view.foreign)));
}

}  // namespace sysguard::filter
