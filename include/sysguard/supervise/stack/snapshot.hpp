#pragma once

#include "../../abi/errno_names.hpp"
#include "../call.hpp"
#include "mappings.hpp"
#include "registers.hpp"
#include "stack_copy.hpp"
#include "stack_trace.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <dirent.h>
#include <sys/types.h>

namespace sysguard::supervise {

/// What a trace is made of, copied at one moment: nothing is asked of the thread any more.
struct StackSnapshot {
    pid_t thread = 0;
    Registers registers{};
    Mappings mappings{};
    StackCopy stack{};
    std::string shortfall{};  ///< why something is missing

    /// The most bytes of a stack that are copied.
    static constexpr std::size_t most_bytes = 256 << 10;

    /// Of a thread that stays where it is. Throws std::bad_alloc.
    static StackSnapshot take(pid_t thread, const Registers& registers) {
        StackSnapshot snapshot;
        snapshot.thread = thread;
        snapshot.registers = registers;
        snapshot.mappings = Mappings{thread, registers.has_stack_pointer() ? registers.stack_pointer() : 0};
        if (snapshot.mappings.ranges().empty()) {
            snapshot.shortfall = "/proc/<pid>/maps cannot be read, or the thread has gone";
            return snapshot;
        }
        if (!registers.has_stack_pointer()) return snapshot;
        const PresentMemory memory{thread};
        const Mappings::Range& stack = snapshot.mappings.stack();
        if (!memory)
            snapshot.shortfall = "/proc/<pid>/pagemap cannot be read";
        else if (stack.high == 0)
            snapshot.shortfall = "the stack pointer leads nowhere";
        else
            snapshot.stack = StackCopy::take(thread, memory, registers.stack_pointer(), stack.high, most_bytes);
        if (!snapshot.stack.is_there.empty() && snapshot.stack.is_there[0] == 0)
            snapshot.shortfall = "where the stack pointer leads, nothing is there";
        if (snapshot.mappings.is_cut()) snapshot.shortfall = "it has more mappings than are looked at";
        return snapshot;
    }

    /// Of the thread whose call is pending: it cannot go on before it is answered, though its memory may be changed by
    /// others. Throws std::bad_alloc.
    static StackSnapshot take(const AnyCall& call) {
        Registers registers;
        const int error = registers_of_waiting(call.thread(), registers);
        registers.instruction_pointer = call.instruction_pointer();
        StackSnapshot snapshot = take(call.thread(), registers);
        if (error != 0) snapshot.shortfall = without_stack_pointer(error);
        if (call.is_pending()) return snapshot;
        snapshot = {};  // the number may be another thread's by now
        snapshot.thread = call.thread();
        snapshot.registers.instruction_pointer = call.instruction_pointer();
        snapshot.shortfall = "its call has gone away: it was killed or interrupted";
        return snapshot;
    }

    /// Of a thread that nobody holds. It is not stopped: where it was running, or has gone on while it was looked at,
    /// the snapshot says so, and has no stack. Throws std::bad_alloc.
    static StackSnapshot take_of_unheld(pid_t thread) {
        constexpr int most_tries = 3;
        StackSnapshot snapshot;
        for (int i = 0; i < most_tries; ++i) {
            Registers before;
            if (const int error = registers_of_waiting(thread, before); error != 0) {
                snapshot = {};
                snapshot.thread = thread;
                snapshot.shortfall = without_stack_pointer(error);
                continue;
            }
            snapshot = take(thread, before);
            Registers after;
            if (registers_of_waiting(thread, after) == 0 && after.stack_pointer() == before.stack_pointer() &&
                after.instruction_pointer == before.instruction_pointer)
                return snapshot;
            snapshot.stack = {};
            snapshot.shortfall = "it went on while it was looked at";
        }
        return snapshot;
    }

private:
    static std::string without_stack_pointer(int error) {
        if (error == EAGAIN) return "it runs: only a thread that waits in the kernel can be looked at";
        std::string text = "/proc/<pid>/syscall cannot be read (";
        return (text += abi::errno_name(error)) += ')';
    }
};

/// The threads of a process, no more than `most`; none where it has gone. Throws std::bad_alloc.
inline std::vector<pid_t> threads_of(pid_t process, std::size_t most = 4096) {
    std::vector<pid_t> threads;
    if (process <= 0) return threads;
    char path[40];
    detail::append(detail::append(detail::append(path, "/proc/"), static_cast<unsigned long>(process)), "/task");
    DIR* const directory = ::opendir(path);
    if (directory == nullptr) return threads;
    try {
        while (const dirent* const entry = threads.size() < most ? ::readdir(directory) : nullptr) {
            const char* at = entry->d_name;
            if (detail::is_number(at)) threads.push_back(static_cast<pid_t>(detail::parse(at)));
        }
    } catch (...) {
        ::closedir(directory);
        throw;
    }
    ::closedir(directory);
    return threads;
}

}  // namespace sysguard::supervise
