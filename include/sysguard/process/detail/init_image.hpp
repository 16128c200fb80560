#pragma once

#include "../../abi/error.hpp"
#include "../descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sysguard::process::detail {

/// The machine code of a pid namespace's first process: it reaps whatever becomes its child. When that is process 2,
/// the worker's program, it writes how that ended, four bytes of wait(2), to its descriptor 0, and ends: with it, the
/// kernel kills all that is left in the namespace (pid_namespaces(7)). All signals are blocked; while it has no
/// children, it waits for a SIGCHLD.
inline void find_init_code(const unsigned char*& begin, const unsigned char*& end) noexcept {
#if defined(__x86_64__)
    __asm__ volatile(
        "jmp 9f\n"
        "7:\n\t"
        "sub $16, %%rsp\n"
        "1:\n\t"
        "mov $61, %%eax\n\t"  // wait4
        "mov $-1, %%rdi\n\t"
        "mov %%rsp, %%rsi\n\t"
        "mov $0x40000000, %%edx\n\t"  // __WALL
        "xor %%r10d, %%r10d\n\t"
        "syscall\n\t"
        "cmp $2, %%eax\n\t"
        "je 2f\n\t"
        "cmp $-10, %%eax\n\t"  // ECHILD
        "jne 1b\n\t"
        "movq $0x10000, 8(%%rsp)\n\t"  // SIGCHLD
        "mov $128, %%eax\n\t"          // rt_sigtimedwait
        "lea 8(%%rsp), %%rdi\n\t"
        "xor %%esi, %%esi\n\t"
        "xor %%edx, %%edx\n\t"
        "mov $8, %%r10d\n\t"
        "syscall\n\t"
        "jmp 1b\n"
        "2:\n\t"
        "mov $1, %%eax\n\t"  // write
        "xor %%edi, %%edi\n\t"
        "mov %%rsp, %%rsi\n\t"
        "mov $4, %%edx\n\t"
        "syscall\n\t"
        "mov $231, %%eax\n\t"  // exit_group
        "xor %%edi, %%edi\n\t"
        "syscall\n\t"
        "hlt\n"
        "8:\n"
        "9:\n\t"
        "lea 7b(%%rip), %0\n\t"
        "lea 8b(%%rip), %1"
        : "=r"(begin), "=r"(end));
#else
    __asm__ volatile(
        "b 9f\n"
        "7:\n\t"
        "sub sp, sp, #16\n"
        "1:\n\t"
        "mov x8, #260\n\t"  // wait4
        "mov x0, #-1\n\t"
        "mov x1, sp\n\t"
        "mov x2, #0x40000000\n\t"  // __WALL
        "mov x3, #0\n\t"
        "svc #0\n\t"
        "cmp x0, #2\n\t"
        "b.eq 2f\n\t"
        "cmn x0, #10\n\t"  // ECHILD
        "b.ne 1b\n\t"
        "mov x4, #0x10000\n\t"  // SIGCHLD
        "str x4, [sp, #8]\n\t"
        "mov x8, #137\n\t"  // rt_sigtimedwait
        "add x0, sp, #8\n\t"
        "mov x1, #0\n\t"
        "mov x2, #0\n\t"
        "mov x3, #8\n\t"
        "svc #0\n\t"
        "b 1b\n"
        "2:\n\t"
        "mov x8, #64\n\t"  // write
        "mov x0, #0\n\t"
        "mov x1, sp\n\t"
        "mov x2, #4\n\t"
        "svc #0\n\t"
        "mov x8, #94\n\t"  // exit_group
        "mov x0, #0\n\t"
        "svc #0\n\t"
        "brk #1\n"
        "8:\n"
        "9:\n\t"
        "adr %0, 7b\n\t"
        "adr %1, 8b"
        : "=r"(begin), "=r"(end));
#endif
}

/// The same as a program, in memory, close-on-exec. Nobody can read it, and so nobody trace who runs it (would_dump in
/// fs/exec.c), nor change it. Throws `Error`: where memory must not be executed (vm.memfd_noexec), EACCES.
inline Descriptor make_init() {
    struct Image {
        Elf64_Ehdr header{};
        Elf64_Phdr segments[2]{};
        unsigned char code[256]{};
    } image;
    const unsigned char* begin = nullptr;
    const unsigned char* end = nullptr;
    find_init_code(begin, end);
    const auto size = static_cast<std::size_t>(end - begin);
    if (size > sizeof image.code) throw Error{E2BIG, "make the first process of a pid namespace"};
    for (std::size_t i = 0; i < size; ++i) image.code[i] = begin[i];

    constexpr std::uint64_t base = 0x400000;
    Elf64_Ehdr& header = image.header;
    const unsigned char magic[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    for (std::size_t i = 0; i < sizeof magic; ++i) header.e_ident[i] = magic[i];
    header.e_type = ET_EXEC;
#if defined(__x86_64__)
    header.e_machine = EM_X86_64;
#else
    header.e_machine = EM_AARCH64;
#endif
    header.e_version = EV_CURRENT;
    header.e_entry = base + offsetof(Image, code);
    header.e_phoff = offsetof(Image, segments);
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    Elf64_Phdr& loaded = image.segments[0];
    loaded.p_type = PT_LOAD;
    loaded.p_flags = PF_R | PF_X;
    loaded.p_vaddr = loaded.p_paddr = base;
    loaded.p_filesz = loaded.p_memsz = sizeof image;
    loaded.p_align = 0x10000;
    image.segments[1].p_type = PT_GNU_STACK;
    image.segments[1].p_flags = PF_R | PF_W;

    constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    constexpr unsigned executable = 0x10;  // MFD_EXEC, Linux 6.3
    constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    const char* const name = "sysguard-init";
    Descriptor memory{above_streams(::memfd_create(name, flags | executable))};
    if (!memory && errno == EINVAL) memory.reset(above_streams(::memfd_create(name, flags)));
    if (!memory || ::write(memory.get(), &image, sizeof image) != static_cast<ssize_t>(sizeof image) ||
        ::fchmod(memory.get(), S_IXUSR | S_IXGRP | S_IXOTH) != 0 || ::fcntl(memory.get(), F_ADD_SEALS, all_seals) != 0)
        throw Error{errno, "make the first process of a pid namespace"};
    return memory;
}

}  // namespace sysguard::process::detail
