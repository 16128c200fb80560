#pragma once

#include <sysguard/abi/table.hpp>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/probe.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"

namespace support {

/// The 32-bit ABI here.
inline constexpr sysguard::abi::Abi compat = sysguard::abi::compat_abi;

/// The number of a call by the name that it has in an ABI, or -1.
constexpr int number_in(sysguard::abi::Abi abi, std::string_view name) {
    if (const sysguard::abi::Syscall* const call = sysguard::abi::find(name)) return call->number(abi);
    for (const sysguard::abi::ForeignSyscall& call : sysguard::abi::foreign_syscalls)
        if (call.name == name) return call.number(abi);
    return -1;
}
constexpr int compat_number(std::string_view name) {
    return number_in(compat, name);
}

/// Why no program of 32 bits can be tried here, or nullptr.
inline const char* why_no_compat_programs() {
    const std::string program = helper("compat");
    if (::access(program.c_str(), X_OK) != 0) return "no compiler here makes programs of 32 bits";
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl(program.c_str(), program.c_str(), nullptr);
        ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? nullptr : "this kernel runs no programs of 32 bits";
}

#define SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS()                                                             \
    do {                                                                                                    \
        if (const char* const why_not = support::why_no_compat_programs(); why_not) SYSGUARD_SKIP(why_not); \
    } while (false)

/// As in helpers/compat.cpp.
struct CompatProbes {
    static constexpr std::size_t most = 512;

    std::uint32_t count = 0;
    std::uint32_t instructions = 0;
    struct {
        std::int32_t number = 0;
        std::uint32_t arguments[6]{};
        std::int32_t made = 0;
        std::int32_t result = 0;
    } probes[most]{};
    sock_filter filter[4096]{};
};

/// `make_calls` from a program of 32 bits, of whose arguments the low halves can be there. At most 512.
inline std::vector<Answer> make_calls_in_32_bits(const sysguard::filter::ProgramView& program,
                                                 const std::vector<Probe>& probes) {
    const Scratch scratch;
    const std::string path = scratch / "probes";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    std::vector<Answer> answers(probes.size());
    if (::ftruncate(file, sizeof(CompatProbes)) != 0 || probes.size() > CompatProbes::most) return answers;
    void* const place = ::mmap(nullptr, sizeof(CompatProbes), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    auto& shared = *static_cast<CompatProbes*>(place);
    shared.count = static_cast<std::uint32_t>(probes.size());
    shared.instructions = static_cast<std::uint32_t>(program.size);
    for (std::size_t i = 0; i < program.size; ++i) shared.filter[i] = program[i];
    for (std::size_t i = 0; i < probes.size(); ++i) {
        shared.probes[i].number = probes[i].number;
        for (int n = 0; n < 6; ++n) shared.probes[i].arguments[n] = static_cast<std::uint32_t>(probes[i].arguments[n]);
    }
    const std::string name = helper("compat");
    const std::string word = "probes:" + path;
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl(name.c_str(), name.c_str(), word.c_str(), nullptr);
        ::_exit(1);
    }
    ::waitpid(child, nullptr, 0);
    for (std::size_t i = 0; i < probes.size(); ++i) answers[i] = {shared.probes[i].made != 0, shared.probes[i].result};
    ::munmap(place, sizeof(CompatProbes));
    ::close(file);
    return answers;
}

#if defined(__x86_64__)

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

#endif

}  // namespace support
