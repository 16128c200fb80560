#pragma once

#include "architecture.hpp"

namespace sysguard::sys {

/// The native number of every call of the table, whatever the age of the kernel headers: `Rule<sys::mseal>`.
/// -1 where this architecture lacks the call (`sys::open` on aarch64); such a rule does not compile.
#define SYSGUARD_SYSCALL(name, x86_64_number, i386_number, aarch64_number, ...) \
    inline constexpr int name = abi::native_abi == abi::Abi::x86_64 ? x86_64_number : aarch64_number;
#include "syscalls.def"
#undef SYSGUARD_SYSCALL

}  // namespace sysguard::sys
