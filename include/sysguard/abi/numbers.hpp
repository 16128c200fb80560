#pragma once

#include "architecture.hpp"

namespace sysguard::sys {

/// The native number of every call of the table, whatever the age of the kernel headers: `Rule<sys::mseal>`.
/// -1 where this architecture lacks the call (`sys::open` on aarch64); such a rule does not compile.
#if defined(__x86_64__)
#define SYSGUARD_SYSCALL(name, native_number, ...) inline constexpr int name = native_number;
#else
#define SYSGUARD_SYSCALL(name, x86_64_number, i386_number, native_number, ...) \
    inline constexpr int name = native_number;
#endif
#include "syscalls.def"
#undef SYSGUARD_SYSCALL

}  // namespace sysguard::sys
