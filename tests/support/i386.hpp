#pragma once

#include <cerrno>
#include <cstdint>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/probe.hpp"

#if defined(__x86_64__)

namespace support {

/// Makes a call of i386 from code of 64 bits, which brings all bits of its registers. Pointers are to lie below 4 GiB.
inline long i386_call(int number, const std::uint64_t (&arguments)[6]) {
    long result = number;
    __asm__ volatile(
        "mov %[all], %%r14\n\t"
        "mov %%rbx, %%r12\n\t"
        "mov %%rbp, %%r13\n\t"
        "mov 0(%%r14), %%rbx\n\t"
        "mov 8(%%r14), %%rcx\n\t"
        "mov 16(%%r14), %%rdx\n\t"
        "mov 24(%%r14), %%rsi\n\t"
        "mov 32(%%r14), %%rdi\n\t"
        "mov 40(%%r14), %%rbp\n\t"
        "int $0x80\n\t"
        "mov %%r12, %%rbx\n\t"
        "mov %%r13, %%rbp"
        : "+a"(result)
        : [all] "rm"(&arguments[0])
        : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory", "cc");
    return static_cast<std::int32_t>(result);
}

/// Whether the kernel takes calls of i386. One that does not ends the process by SIGSEGV.
inline bool has_i386() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(i386_call(20 /* getpid */, {}) == ::getpid() ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// `make_calls` through the other door.
inline std::vector<Answer> make_i386_calls(const sysguard::filter::ProgramView& program,
                                           const std::vector<Probe>& probes) {
    const std::size_t size = probes.size() * sizeof(Answer);
    auto* const shared =
        static_cast<Answer*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t child = ::fork();
    if (child == 0) {
        sysguard::filter::install(program);
        for (std::size_t i = 0; i < probes.size(); ++i) {
            shared[i].result = i386_call(probes[i].number, probes[i].arguments);
            shared[i].made = true;
        }
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    std::vector<Answer> answers(shared, shared + probes.size());
    ::munmap(shared, size);
    return answers;
}

}  // namespace support

#endif
