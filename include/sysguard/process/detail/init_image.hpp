#pragma once

#include "../../abi/error.hpp"
#include "../descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

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
    // <elf.h> is long; elf(5) has the same.
    struct Segment {
        std::uint32_t type = 0;
        std::uint32_t flags = 0;
        std::uint64_t offset = 0;
        std::uint64_t address = 0;
        std::uint64_t physical_address = 0;
        std::uint64_t file_size = 0;
        std::uint64_t memory_size = 0;
        std::uint64_t alignment = 0;
    };
    struct Image {
        unsigned char ident[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};  // 64 bits, least byte first, version 1
        std::uint16_t type = 2;                                    // ET_EXEC
#if defined(__x86_64__)
        std::uint16_t machine = 62;  // EM_X86_64
#else
        std::uint16_t machine = 183;  // EM_AARCH64
#endif
        std::uint32_t version = 1;
        std::uint64_t entry = 0;
        std::uint64_t segments_at = 64;
        std::uint64_t sections_at = 0;
        std::uint32_t flags = 0;
        std::uint16_t size = 64;
        std::uint16_t segment_size = sizeof(Segment);
        std::uint16_t segment_count = 2;
        std::uint16_t section_size = 0;
        std::uint16_t section_count = 0;
        std::uint16_t names_at = 0;
        Segment segments[2]{};
        unsigned char code[256]{};
    } image;
    static_assert(sizeof(Segment) == 56 && offsetof(Image, segments) == 64);
    const unsigned char* begin = nullptr;
    const unsigned char* end = nullptr;
    find_init_code(begin, end);
    const auto size = static_cast<std::size_t>(end - begin);
    if (size > sizeof image.code) throw Error{E2BIG, "make the first process of a pid namespace"};
    for (std::size_t i = 0; i < size; ++i) image.code[i] = begin[i];

    constexpr std::uint64_t base = 0x400000;
    image.entry = base + offsetof(Image, code);
    Segment& loaded = image.segments[0];
    loaded.type = 1;       // PT_LOAD
    loaded.flags = 4 | 1;  // PF_R, PF_X
    loaded.address = loaded.physical_address = base;
    loaded.file_size = loaded.memory_size = sizeof image;
    loaded.alignment = 0x10000;
    image.segments[1].type = 0x6474e551;  // PT_GNU_STACK
    image.segments[1].flags = 4 | 2;      // PF_R, PF_W

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
