#pragma once

#include <sysguard/abi/numbers.hpp>
#include <sysguard/filter/install.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <linux/seccomp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/loose_policy.hpp"
#include "support/shared.hpp"

// A system call made at one known address: a filter can tell it from all others by the instruction pointer.
#if defined(__x86_64__)
__asm__(R"(
    .text
    .type sysguard_test_call, %function
sysguard_test_call:
    mov %rdi, %r11
    mov (%r11), %rax
    mov 8(%r11), %rdi
    mov 16(%r11), %rsi
    mov 24(%r11), %rdx
    mov 32(%r11), %r10
    mov 40(%r11), %r8
    mov 48(%r11), %r9
    syscall
sysguard_test_called:
    ret
    .size sysguard_test_call, . - sysguard_test_call
)");
#elif defined(__aarch64__)
__asm__(R"(
    .text
    .type sysguard_test_call, %function
sysguard_test_call:
    mov x9, x0
    ldr x8, [x9]
    ldp x0, x1, [x9, #8]
    ldp x2, x3, [x9, #24]
    ldp x4, x5, [x9, #40]
    svc #0
sysguard_test_called:
    ret
    .size sysguard_test_call, . - sysguard_test_call
)");
#endif

/// Makes the call of a number and six arguments. Returns a negative errno where it fails.
extern "C" long sysguard_test_call(const std::uint64_t* registers) noexcept;
extern "C" const char sysguard_test_called[];

namespace support {

/// What the live kernel makes of filters. Calls of any number and any arguments are put to it, and none of them is run:
/// each return of the filter is replaced by an errno that stands for it. All else that the process does passes.
class KernelJudge {
public:
    static constexpr std::size_t most_inputs = 4096;

    /// Whether filters decide a call: not those of another architecture, whose door is another, and not the two by
    /// which the kernel's own probes come back from a program, which pass every filter (Linux 6.14,
    /// seccomp_uprobe_exception() in kernel/seccomp.c) and fail where no probe is.
    static bool decides(const seccomp_data& input) {
        if (input.arch != abi::audit_architecture(abi::native_abi)) return false;
        return input.nr == -1 || (input.nr != sysguard::sys::uretprobe && input.nr != sysguard::sys::uprobe);
    }

    /// What the filter returns for each call that it decides of the native architecture; `instruction_pointer` is not
    /// the caller's to choose. Throws where the kernel does not take the filter, and where an answer is none of the
    /// filter's.
    std::vector<std::uint32_t> judge(const Code& code, const std::vector<seccomp_data>& inputs) const {
        std::vector<std::uint32_t> values;
        Code marked = only_here(code);
        for (std::size_t i = prologue; i < marked.size(); ++i) {
            if (marked[i].code != (BPF_RET | BPF_K)) continue;
            const auto known = std::find(values.begin(), values.end(), marked[i].k);
            const auto index = static_cast<std::uint32_t>(known - values.begin());
            if (known == values.end()) values.push_back(marked[i].k);
            marked[i].k = SECCOMP_RET_ERRNO | (1 + index);
        }
        std::vector<std::uint32_t> verdicts;
        for (const long answer : answers(marked, inputs)) {
            if (answer > -1 || -answer > static_cast<long>(values.size()))
                throw std::runtime_error{"the kernel answered " + std::to_string(answer)};
            verdicts.push_back(values[static_cast<std::size_t>(-answer - 1)]);
        }
        return verdicts;
    }

    /// What each call comes to under a program that returns nothing but errors, and is made by `only_here`.
    std::vector<long> answers(const Code& marked, const std::vector<seccomp_data>& inputs) const {
        if (inputs.size() > most_inputs) throw std::runtime_error{"too many calls at a time"};
        const pid_t child = ::fork();
        if (child == 0) {
            sysguard::filter::install(view(marked));
            for (std::size_t i = 0; i < inputs.size(); ++i) answers_->list[i] = make(inputs[i]);
            ::_exit(0);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        if (status != 0) throw std::runtime_error{"the process ended with status " + std::to_string(status)};
        return {answers_->list, answers_->list + inputs.size()};
    }

    /// The signal that ends a process at a call under such a program, 0 where none does.
    int signal_of(const Code& marked, const seccomp_data& input) const {
        const pid_t child = ::fork();
        if (child == 0) {
            const rlimit none{};
            ::setrlimit(RLIMIT_CORE, &none);
            sysguard::filter::install(view(marked));
            make(input);
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }

    static constexpr std::size_t prologue = 3;

    /// A program that decides the calls of `make` only.
    static Code only_here(const Code& code) {
        const auto here = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(sysguard_test_called));
        Code whole{{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, instruction_pointer)},
                   {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, here},
                   {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
        whole.insert(whole.end(), code.begin(), code.end());
        return whole;
    }

    static long make(const seccomp_data& input) noexcept {
        std::uint64_t registers[7] = {static_cast<std::uint32_t>(input.nr)};
        for (int i = 0; i < 6; ++i) registers[1 + i] = input.args[i];
        return sysguard_test_call(registers);
    }

private:
    struct Answers {
        long list[most_inputs];
    };

    Shared<Answers> answers_{};
};

}  // namespace support
