#pragma once

#include <cstdint>
#include <type_traits>

namespace sysguard::process::detail {

/// Code that shares the host's memory while it is another process: no instrumentation, no canary, no errno.
#if defined(__clang__)
#define SYSGUARD_BARE __attribute__((no_sanitize("address", "thread", "undefined", "memory"), noinline))
#else
#define SYSGUARD_BARE __attribute__((no_sanitize("address", "thread", "undefined"), noinline))
#endif

template <class T>
__attribute__((always_inline)) inline long register_of([[maybe_unused]] T value) noexcept {
    if constexpr (std::is_null_pointer_v<T>)
        return 0;
    else if constexpr (std::is_pointer_v<T>)
        return reinterpret_cast<long>(value);
    else
        return static_cast<long>(value);
}

/// A system call without libc: returns the result or a negative errno, and touches no thread-local storage.
__attribute__((always_inline)) inline long raw_call6(long number, long a0, long a1, long a2, long a3, long a4,
                                                     long a5) noexcept {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = a3;
    register long r8 __asm__("r8") = a4;
    register long r9 __asm__("r9") = a5;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a0;
    register long x1 __asm__("x1") = a1;
    register long x2 __asm__("x2") = a2;
    register long x3 __asm__("x3") = a3;
    register long x4 __asm__("x4") = a4;
    register long x5 __asm__("x5") = a5;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#endif
}

template <class A0 = long, class A1 = long, class A2 = long, class A3 = long, class A4 = long, class A5 = long>
__attribute__((always_inline)) inline long raw_call(long number, A0 a0 = 0, A1 a1 = 0, A2 a2 = 0, A3 a3 = 0, A4 a4 = 0,
                                                    A5 a5 = 0) noexcept {
    return raw_call6(number, register_of(a0), register_of(a1), register_of(a2), register_of(a3), register_of(a4),
                     register_of(a5));
}

}  // namespace sysguard::process::detail
