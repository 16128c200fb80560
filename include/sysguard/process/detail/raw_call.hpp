#pragma once

namespace sysguard::process::detail {

/// Code that shares the host's memory while it is another process: no instrumentation, no canary, no errno.
#if defined(__clang__)
#define SYSGUARD_BARE __attribute__((no_sanitize("address", "thread", "undefined", "memory"), noinline))
#else
#define SYSGUARD_BARE __attribute__((no_sanitize("address", "thread", "undefined"), noinline))
#endif

#define SYSGUARD_INLINE __attribute__((always_inline))

/// A value as a register takes it. No template: there are hundreds of calls, of as many combinations of types.
class Register {
public:
    SYSGUARD_INLINE Register() noexcept : value_{0} {}
    SYSGUARD_INLINE Register(int value) noexcept : value_{value} {}
    SYSGUARD_INLINE Register(unsigned value) noexcept : value_{static_cast<long>(value)} {}
    SYSGUARD_INLINE Register(long value) noexcept : value_{value} {}
    SYSGUARD_INLINE Register(unsigned long value) noexcept : value_{static_cast<long>(value)} {}
    SYSGUARD_INLINE Register(long long value) noexcept : value_{static_cast<long>(value)} {}
    SYSGUARD_INLINE Register(unsigned long long value) noexcept : value_{static_cast<long>(value)} {}
    SYSGUARD_INLINE Register(const volatile void* value) noexcept : value_{reinterpret_cast<long>(value)} {}

    SYSGUARD_INLINE long value() const noexcept { return value_; }

private:
    long value_;
};

/// A system call without libc: returns the result or a negative errno, and touches no thread-local storage.
SYSGUARD_INLINE inline long raw_call6(long number, long a0, long a1, long a2, long a3, long a4, long a5) noexcept {
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

SYSGUARD_INLINE inline long raw_call(long number, Register a0 = {}, Register a1 = {}, Register a2 = {},
                                     Register a3 = {}, Register a4 = {}, Register a5 = {}) noexcept {
    return raw_call6(number, a0.value(), a1.value(), a2.value(), a3.value(), a4.value(), a5.value());
}

}  // namespace sysguard::process::detail
