#pragma once

#include "code.hpp"
#include "registers.hpp"
#include "stack_copy.hpp"
#include "stack_trace.hpp"

#include <cstddef>
#include <cstdint>

/// Finding a caller without tables for unwinding. Total: whatever the stack holds, each step ends, and leads upwards.
namespace sysguard::supervise {

/// What a step up the stack has found: the caller's registers, as far as they are known.
struct Caller {
    bool is_found = false;
    Registers registers{};
    StackFrame::Found found = StackFrame::Found::scanned;
};

/// By the frame pointer: it leads to the caller's, and behind that is the return address, on each of these
/// architectures but riscv64, where both lie before it. `is_return(address)` says whether a call could return there.
template <class IsReturn>
Caller caller_by_frame_pointer(const Registers& of, const StackView& stack, const IsReturn& is_return) {
    if (!of.has_frame_pointer()) return {};
    const StackAbi abi = stack_abi(of.abi);
    const std::uint64_t at = of.frame_pointer();
    const bool is_before = of.abi == abi::Abi::riscv64;
    const std::uint64_t record = is_before ? at - 2 * abi.word_size : at;
    if (at % abi.word_size != 0 || record < of.stack_pointer()) return {};
    std::uint64_t frame = 0;
    std::uint64_t address = 0;
    if (!stack.word(record, abi.word_size, frame) || !stack.word(record + abi.word_size, abi.word_size, address))
        return {};
    if (!is_return(address)) return {};
    Caller caller{true, {}, StackFrame::Found::frame_pointer};
    caller.registers.abi = of.abi;
    caller.registers.instruction_pointer = address;
    caller.registers.set(abi.stack_pointer, record + 2 * abi.word_size);
    if (frame > record || frame == 0) caller.registers.set(abi.frame_pointer, frame);
    return caller;
}

/// How far a stack is searched for one return address.
inline constexpr std::size_t most_scanned = 64 << 10;

/// By looking for a word above the stack pointer that `is_it` takes for the return address. Where a frame pointer lies
/// before it that leads to another frame, as `is_return` says, that is taken over.
template <class IsIt, class IsReturn>
Caller caller_by_scan(const Registers& of, const StackView& stack, const IsIt& is_it, const IsReturn& is_return) {
    const StackAbi abi = stack_abi(of.abi);
    const std::uint64_t begin = of.stack_pointer() - of.stack_pointer() % abi.word_size;
    for (std::size_t done = 0; done < most_scanned; done += abi.word_size) {
        const std::uint64_t at = begin + done;
        if (at < begin || at >= stack.high()) return {};
        std::uint64_t address = 0;
        if (!stack.word(at, abi.word_size, address) || !is_it(address)) continue;
        Caller caller{true, {}, StackFrame::Found::scanned};
        caller.registers.abi = of.abi;
        caller.registers.instruction_pointer = address;
        caller.registers.set(abi.stack_pointer, at + abi.word_size);
        std::uint64_t frame = 0;
        if (stack.word(at - abi.word_size, abi.word_size, frame) && frame > at) {
            Registers with = caller.registers;
            with.set(abi.frame_pointer, frame);
            if (caller_by_frame_pointer(with, stack, is_return).is_found) caller.registers = with;
        }
        return caller;
    }
    return {};
}

template <class IsReturn>
Caller caller_by_scan(const Registers& of, const StackView& stack, const IsReturn& is_return) {
    return caller_by_scan(of, stack, is_return, is_return);
}

/// `mov $15, %rax; syscall`, to which the kernel's signal frames on x86_64 return (glibc and musl alike).
inline bool is_signal_return(const unsigned char (&code)[9]) noexcept {
    constexpr unsigned char wanted[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    return __builtin_memcmp(code, wanted, sizeof wanted) == 0;
}

/// Of a thread that is to return from a signal's handler (its instruction pointer is where `is_signal_return` says so):
/// what the kernel has saved of where it was interrupted. x86_64 only: struct rt_sigframe of
/// arch/x86/include/asm/sigframe.h, whose first word has been popped by then; gregs as in <sys/ucontext.h>.
inline Caller caller_by_signal_frame(const Registers& of, const StackView& stack) {
    if (of.abi != abi::Abi::x86_64) return {};
    constexpr std::uint64_t registers_at = 40;  // in ucontext_t
    constexpr int dwarf_numbers[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
    Caller caller{true, {}, StackFrame::Found::signal_frame};
    std::uint64_t at = of.stack_pointer() + registers_at;
    for (const int number : dwarf_numbers) {
        std::uint64_t value = 0;
        if (!stack.word(at, 8, value)) return {};
        caller.registers.set(number, value);
        at += 8;
    }
    caller.registers.abi = of.abi;
    caller.registers.instruction_pointer = caller.registers.values[16];
    if (caller.registers.stack_pointer() < at) return {};  // the frame lies below what it has interrupted
    return caller;
}

}  // namespace sysguard::supervise
