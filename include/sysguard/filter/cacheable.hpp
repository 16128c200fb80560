#pragma once

#include "../abi/architecture.hpp"
#include "detail/first_look.hpp"
#include "program.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sysguard::filter {

/// Whether the kernel may remember that it allows a call, and need not run the filter for it again: where nothing is
/// loaded on the way but the number and the architecture, only plain jumps are taken, and the end is ALLOW (Linux 5.11;
/// seccomp_is_const_allow() in kernel/seccomp.c, with CONFIG_SECCOMP_FILTER). Of a task with several filters, each must
/// allow it so. Native calls only. Thread-safe; usable in `static_assert`.
constexpr bool cacheable(const ProgramView& program, int number,
                         std::uint32_t architecture = abi::audit_architecture(abi::native_abi)) noexcept {
    const std::size_t end = detail::first_look(program, number, architecture);
    return end < program.size && program[end].code == (BPF_RET | BPF_K) && program[end].k == SECCOMP_RET_ALLOW;
}

}  // namespace sysguard::filter
