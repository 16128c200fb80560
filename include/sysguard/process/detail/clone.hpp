#pragma once

#include "raw_call.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <linux/sched.h>
#include <sys/syscall.h>

namespace sysguard::process::detail {

/// The arguments of clone3 (clone(2); Linux 5.3). glibc's headers and the kernel's each define the struct; this is
/// ours.
struct CloneArguments {
    std::uint64_t flags = 0;
    std::uint64_t pidfd = 0;
    std::uint64_t child_tid = 0;
    std::uint64_t parent_tid = 0;
    std::uint64_t exit_signal = 0;
    std::uint64_t stack = 0;
    std::uint64_t stack_size = 0;
    std::uint64_t tls = 0;
    std::uint64_t set_tid = 0;
    std::uint64_t set_tid_size = 0;
    std::uint64_t cgroup = 0;
};

using Entry = void (*)(void*);

/// Starts a task in the caller's memory (the flags say so) on its own stack, where it runs `entry(argument)` and ends.
/// Returns its id to the caller, or a negative errno.
__attribute__((always_inline)) inline long clone3_on_stack(CloneArguments& arguments, Entry entry,
                                                           void* argument) noexcept {
#if defined(__x86_64__)
    long result;
    register Entry r12 __asm__("r12") = entry;
    register void* r13 __asm__("r13") = argument;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r13, %%rdi\n\t"
        "call *%%r12\n\t"
        "mov %[exit], %%eax\n\t"
        "xor %%edi, %%edi\n\t"
        "syscall\n\t"
        "hlt\n"
        "1:"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(&arguments), "S"(sizeof arguments), "r"(r12), "r"(r13), [exit] "i"(SYS_exit)
        : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = reinterpret_cast<long>(&arguments);
    register long x1 __asm__("x1") = sizeof arguments;
    register Entry x19 __asm__("x19") = entry;
    register void* x20 __asm__("x20") = argument;
    __asm__ volatile(
        "svc #0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x30, xzr\n\t"
        "mov x0, x20\n\t"
        "blr x19\n\t"
        "mov x8, %[exit]\n\t"
        "mov x0, xzr\n\t"
        "svc #0\n\t"
        "brk #1\n"
        "1:"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(x19), "r"(x20), [exit] "i"(SYS_exit)
        : "memory");
    return x0;
#endif
}

/// The same by clone(2), for kernels and container filters without clone3. A pidfd takes the place of the parent's id.
__attribute__((always_inline)) inline long clone_on_stack(const CloneArguments& arguments, Entry entry,
                                                          void* argument) noexcept {
    const bool has_pidfd = (arguments.flags & CLONE_PIDFD) != 0;
    const std::uint64_t dropped = has_pidfd ? CLONE_PARENT_SETTID : 0;
    const long flags = static_cast<long>((arguments.flags & 0xffffffff & ~dropped) | arguments.exit_signal);
    const long top = static_cast<long>(arguments.stack + arguments.stack_size);
    const long parent = static_cast<long>(has_pidfd ? arguments.pidfd : arguments.parent_tid);
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = static_cast<long>(arguments.child_tid);
    register Entry r12 __asm__("r12") = entry;
    register void* r13 __asm__("r13") = argument;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r13, %%rdi\n\t"
        "call *%%r12\n\t"
        "mov %[exit], %%eax\n\t"
        "xor %%edi, %%edi\n\t"
        "syscall\n\t"
        "hlt\n"
        "1:"
        : "=a"(result)
        : "a"(SYS_clone), "D"(flags), "S"(top), "d"(parent), "r"(r10), "r"(r12), "r"(r13), [exit] "i"(SYS_exit)
        : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = SYS_clone;
    register long x0 __asm__("x0") = flags;
    register long x1 __asm__("x1") = top;
    register long x2 __asm__("x2") = parent;
    register long x3 __asm__("x3") = 0;
    register long x4 __asm__("x4") = static_cast<long>(arguments.child_tid);
    register Entry x19 __asm__("x19") = entry;
    register void* x20 __asm__("x20") = argument;
    __asm__ volatile(
        "svc #0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x30, xzr\n\t"
        "mov x0, x20\n\t"
        "blr x19\n\t"
        "mov x8, %[exit]\n\t"
        "mov x0, xzr\n\t"
        "svc #0\n\t"
        "brk #1\n"
        "1:"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20), [exit] "i"(SYS_exit)
        : "memory");
    return x0;
#endif
}

/// clone3 where there is one, else clone. `arguments` must outlive the child's start.
__attribute__((always_inline)) inline long start_task(CloneArguments& arguments, Entry entry, void* argument) noexcept {
    long id = clone3_on_stack(arguments, entry, argument);
    if (id == -ENOSYS || id == -EPERM) id = clone_on_stack(arguments, entry, argument);
    return id;
}

/// The same, in a cgroup (a descriptor of its directory, or -1: in the caller's). `is_inside` tells the task whether
/// it is there: not where there is no clone3, or none that takes a cgroup (Linux 5.7); then it has to enter it itself.
__attribute__((always_inline)) inline long start_task_in(int cgroup, bool& is_inside, CloneArguments& arguments,
                                                         Entry entry, void* argument) noexcept {
    constexpr std::uint64_t into_cgroup = 0x200000000;  // CLONE_INTO_CGROUP
    is_inside = cgroup >= 0;
    if (is_inside) {
        arguments.flags |= into_cgroup;
        arguments.cgroup = static_cast<std::uint64_t>(cgroup);
        const long id = clone3_on_stack(arguments, entry, argument);
        if (id != -ENOSYS && id != -EPERM && id != -E2BIG && id != -EINVAL) return id;
        arguments.flags &= ~into_cgroup;
        arguments.cgroup = 0;
        is_inside = false;
    }
    return start_task(arguments, entry, argument);
}

}  // namespace sysguard::process::detail
