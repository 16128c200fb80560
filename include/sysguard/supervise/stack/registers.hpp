#pragma once

#include "../../abi/architecture.hpp"
#include "../../process/descriptor.hpp"
#include "../detail/bare_text.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <elf.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

namespace sysguard::supervise {

/// Which registers a stack is walked with, by the numbers that DWARF gives them (the processor supplements of the
/// System V ABI: x86-64 and i386 "DWARF Register Number Mapping"; "DWARF for the Arm 64-bit Architecture"; "RISC-V
/// DWARF Specification").
struct StackAbi {
    int stack_pointer;
    int frame_pointer;
    int return_address;
    int count;           ///< of registers that are followed
    unsigned word_size;  ///< in bytes
};

constexpr StackAbi stack_abi(abi::Abi abi) noexcept {
    switch (abi) {
        case abi::Abi::x86_64: return {7, 6, 16, 17, 8};
        case abi::Abi::i386: return {4, 5, 8, 9, 4};
        case abi::Abi::aarch64: return {31, 29, 30, 33, 8};
        case abi::Abi::riscv64: return {2, 8, 1, 32, 8};
        case abi::Abi::arm: return {13, -1, 14, 16, 4};  // its frames have no form that all code keeps to
    }
    return {};
}

/// What is known of a thread's registers. Plain data: it is sent to another process.
struct Registers {
    static constexpr int most = 33;

    abi::Abi abi = abi::native_abi;
    std::uint64_t instruction_pointer = 0;
    std::uint64_t values[most]{};
    std::uint64_t known = 0;  ///< a bit for each of the values

    bool has(int number) const noexcept { return number >= 0 && number < most && (known >> number & 1) != 0; }
    void set(int number, std::uint64_t value) noexcept {
        values[number] = value;
        known |= std::uint64_t{1} << number;
    }
    std::uint64_t stack_pointer() const noexcept { return values[stack_abi(abi).stack_pointer]; }
    bool has_stack_pointer() const noexcept { return has(stack_abi(abi).stack_pointer); }
    std::uint64_t frame_pointer() const noexcept { return values[stack_abi(abi).frame_pointer]; }
    bool has_frame_pointer() const noexcept { return has(stack_abi(abi).frame_pointer); }
};

/// Where a thread that waits in the kernel is to go on, and its stack pointer; its other registers nobody knows who
/// does not stop it. Nothing is stopped, no signal sent, no tracer attached. Returns 0 or an errno: EAGAIN for a thread
/// that runs, ENOENT for one that is gone, EACCES or EPERM where the host may not look (proc_pid_syscall(5): the right
/// to attach as a tracer, so with Yama's ptrace_scope 1 only those that descend from the host), ENOSYS where the kernel
/// lacks the file (CONFIG_HAVE_ARCH_TRACEHOOK). Whether it is a program of 32 bits is told by where its stack lies.
inline int registers_of_waiting(pid_t thread, Registers& registers) noexcept {
    if (thread <= 0) return ENOENT;
    char text[256];
    char path[40];
    detail::append(detail::append(detail::append(path, "/proc/"), static_cast<unsigned long>(thread)), "/syscall");
    const long bytes = detail::read_text(AT_FDCWD, path, text, sizeof text);
    if (bytes < 0) return static_cast<int>(-bytes);
    if (detail::begins_with(text, "running")) return EAGAIN;
    unsigned long before_last = 0;
    unsigned long last = 0;
    int words = 0;
    for (const char* at = text; *at != 0;) {
        if (*at == ' ' || *at == '\n' || *at == '-') {
            ++at;
            continue;
        }
        const bool is_hex = detail::begins_with(at, "0x");
        at += is_hex ? 2 : 0;
        const char* const begin = at;
        before_last = last;
        last = detail::parse(at, is_hex ? 16 : 10);
        if (at == begin) return EIO;
        ++words;
    }
    if (words < 3) return words == 0 ? ESRCH : EIO;
    registers = {};
    if (before_last >> 32 == 0) registers.abi = abi::compat_abi;
    registers.instruction_pointer = last;
    registers.set(stack_abi(registers.abi).stack_pointer, before_last);
    return 0;
}

#if defined(__x86_64__)
/// struct user_regs_struct32 of the kernel (arch/x86/include/asm/user_32.h).
struct RegistersOf32Bits {
    std::uint32_t ebx, ecx, edx, esi, edi, ebp, eax, ds, es, fs, gs, orig_eax, eip, cs, eflags, esp, ss;
};
#endif

/// All registers of a thread that stands still for the calling thread, its tracer (ptrace(2)). Returns 0 or an errno:
/// ESRCH where it does not stand still; ENOTSUP for a program of 32 bits on a machine whose are not known.
inline int registers_of_stopped(pid_t thread, Registers& registers) noexcept {
    alignas(8) unsigned char area[1024];
    iovec vector{area, sizeof area};
    if (::ptrace(PTRACE_GETREGSET, thread, reinterpret_cast<void*>(std::uintptr_t{NT_PRSTATUS}), &vector) != 0)
        return errno;
    registers = {};
#if defined(__x86_64__)
    const auto set_all = [&](const auto&... values) {
        int number = 0;
        (registers.set(number++, static_cast<std::uint64_t>(values)), ...);
    };
    if (vector.iov_len == sizeof(user_regs_struct)) {
        user_regs_struct is;
        __builtin_memcpy(&is, area, sizeof is);
        set_all(is.rax, is.rdx, is.rcx, is.rbx, is.rsi, is.rdi, is.rbp, is.rsp, is.r8, is.r9, is.r10, is.r11, is.r12,
                is.r13, is.r14, is.r15, is.rip);
        registers.instruction_pointer = is.rip;
        return 0;
    }
    if (vector.iov_len == sizeof(RegistersOf32Bits)) {
        RegistersOf32Bits is;
        __builtin_memcpy(&is, area, sizeof is);
        registers.abi = abi::Abi::i386;
        set_all(is.eax, is.ecx, is.edx, is.ebx, is.esp, is.ebp, is.esi, is.edi, is.eip);
        registers.instruction_pointer = is.eip;
        return 0;
    }
#elif defined(__aarch64__)
    if (vector.iov_len == sizeof(user_regs_struct)) {
        user_regs_struct is;
        __builtin_memcpy(&is, area, sizeof is);
        for (int i = 0; i < 31; ++i) registers.set(i, is.regs[i]);
        registers.set(31, is.sp);
        registers.instruction_pointer = is.pc;
        return 0;
    }
#endif
    return ENOTSUP;
}

}  // namespace sysguard::supervise
