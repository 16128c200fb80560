#pragma once

#include "requests.hpp"

#include <cstddef>
#include <cstdint>

#include <elf.h>
#include <sys/uio.h>

/// Changes to what a thread has asked, and to what it is told, at the entry of a call and at its return.
namespace sysguard::supervise::ptracing {

#if defined(__x86_64__)

/// Places in struct user_regs_struct (arch/x86/include/asm/user_64.h).
inline constexpr std::uint64_t register_rax = 80;
inline constexpr std::uint64_t register_orig_rax = 120;

inline int poke_register(pid_t thread, std::uint64_t place, std::uint64_t value) noexcept {
    return result_of(request(6, thread, place, value));
}

/// At the entry: the call does not run, and returns a value. Both are set here, as each alone lets it run or lets it
/// fail with ENOSYS: the kernel leaves the result alone where the number is -1 (do_syscall_64).
inline int skip_call(pid_t thread, std::int64_t value) noexcept {
    if (const int error = poke_register(thread, register_orig_rax, ~std::uint64_t{0}); error != 0) return error;
    return poke_register(thread, register_rax, static_cast<std::uint64_t>(value));
}

inline int set_result(pid_t thread, std::int64_t value) noexcept {
    return poke_register(thread, register_rax, static_cast<std::uint64_t>(value));
}

/// Of one argument, at the entry or at the return.
inline int set_argument(pid_t thread, abi::Abi of, int position, std::uint64_t value) noexcept {
    constexpr std::uint64_t native[] = {112, 104, 96, 56, 72, 64};  // rdi rsi rdx r10 r8 r9
    constexpr std::uint64_t i386[] = {40, 88, 96, 104, 112, 32};    // rbx rcx rdx rsi rdi rbp
    return poke_register(thread, of == abi::Abi::i386 ? i386[position] : native[position], value);
}

/// Whether a call's result takes the place of one of its arguments.
inline constexpr bool result_replaces_argument(int) noexcept {
    return false;
}

#else

/// struct user_pt_regs (arch/arm64/include/uapi/asm/ptrace.h).
struct Registers {
    std::uint64_t x[31];
    std::uint64_t sp;
    std::uint64_t pc;
    std::uint64_t pstate;
};

/// What there is of a 32-bit program instead (compat_elf_gregset_t in arch/arm64/include/asm/elf.h): r0 to r15, CPSR,
/// and r0 as it was at the entry.
struct ArmRegisters {
    std::uint32_t r[18];
};

template <class T>
inline int set_registers(pid_t thread, std::uint64_t set, T& value) noexcept {
    iovec place{&value, sizeof value};
    return result_of(request(0x4205, thread, set, reinterpret_cast<std::uint64_t>(&place)));
}

/// Of either kind of program: the size of what the kernel has to tell says which.
inline int set_register(pid_t thread, int position, std::uint64_t value) noexcept {
    Registers registers;
    iovec place{&registers, sizeof registers};
    if (const int error = result_of(request(0x4204, thread, NT_PRSTATUS, reinterpret_cast<std::uint64_t>(&place)));
        error != 0)
        return error;
    if (place.iov_len == sizeof registers) {
        registers.x[position] = value;
        return set_registers(thread, NT_PRSTATUS, registers);
    }
    ArmRegisters narrow;
    if (place.iov_len != sizeof narrow) return EIO;
    __builtin_memcpy(&narrow, &registers, sizeof narrow);
    narrow.r[position] = static_cast<std::uint32_t>(value);
    return set_registers(thread, NT_PRSTATUS, narrow);
}

inline int set_argument(pid_t thread, abi::Abi, int position, std::uint64_t value) noexcept {
    return set_register(thread, position, value);
}

inline int set_result(pid_t thread, std::int64_t value) noexcept {
    return set_register(thread, 0, static_cast<std::uint64_t>(value));
}

/// At the entry: the call does not run, and returns a value, which the kernel leaves alone where the number is -1
/// (el0_svc_common).
inline int skip_call(pid_t thread, std::int64_t value) noexcept {
    constexpr std::uint64_t number_of_call = 0x404;  // NT_ARM_SYSTEM_CALL, Linux 3.19
    int number = -1;
    if (const int error = set_registers(thread, number_of_call, number); error != 0) return error;
    return set_result(thread, value);
}

inline constexpr bool result_replaces_argument(int position) noexcept {
    return position == 0;
}

#endif

}  // namespace sysguard::supervise::ptracing
