#pragma once

#include <cstdint>

namespace sysguard::abi {

/// The system call ABIs whose numbers the table knows. x86_64 and aarch64 can be native, each beside its 32-bit ABI,
/// which a policy can admit (sysguard/foreign.hpp); riscv64 serves names.
enum class Abi : std::uint8_t { x86_64, i386, aarch64, arm, riscv64 };

inline constexpr Abi all_abis[] = {Abi::x86_64, Abi::i386, Abi::aarch64, Abi::arm, Abi::riscv64};
inline constexpr int abi_count = 5;

/// The ABI that this translation unit is compiled for.
#if defined(__x86_64__) && defined(__LP64__)
inline constexpr Abi native_abi = Abi::x86_64;
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
inline constexpr Abi native_abi = Abi::aarch64;
#else
#error "sysguard runs on x86_64 and little-endian aarch64 Linux"
#endif

/// The 64-bit ABI of the kernels that run programs of a 32-bit one beside their own; any other is its own.
constexpr Abi host_of(Abi abi) noexcept {
    return abi == Abi::i386 ? Abi::x86_64 : abi == Abi::arm ? Abi::aarch64 : abi;
}

/// The ABI of the 32-bit programs that a kernel of the native ABI can run.
inline constexpr Abi compat_abi = native_abi == Abi::x86_64 ? Abi::i386 : Abi::arm;

/// The value of `seccomp_data.arch` for an ABI: AUDIT_ARCH_* of <linux/audit.h>.
constexpr std::uint32_t audit_architecture(Abi abi) noexcept {
    switch (abi) {
        case Abi::x86_64: return 0xC000003E;
        case Abi::i386: return 0x40000003;
        case Abi::aarch64: return 0xC00000B7;
        case Abi::arm: return 0x40000028;
        case Abi::riscv64: return 0xC00000F3;
    }
    return 0;
}

constexpr const char* name(Abi abi) noexcept {
    switch (abi) {
        case Abi::x86_64: return "x86_64";
        case Abi::i386: return "i386";
        case Abi::aarch64: return "aarch64";
        case Abi::arm: return "arm";
        case Abi::riscv64: return "riscv64";
    }
    return "?";
}

/// Numbers from here on belong to the x32 ABI of x86_64, which shares `AUDIT_ARCH_X86_64`
/// (__X32_SYSCALL_BIT, arch/x86/include/uapi/asm/unistd.h).
inline constexpr std::uint32_t x32_bit = 0x40000000;

}  // namespace sysguard::abi
