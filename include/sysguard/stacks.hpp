#pragma once

#include "supervise/stack/plain_trace.hpp"

#include <vector>

#include <sys/types.h>

/// Where in a worker's code a call comes from: return addresses, with the files that they lie in. Nothing is stopped
/// and nothing of the worker's is believed: its stack and its mappings are copied, within bounds, and a worker that
/// lies gets a trace of its lies. With functions' names, and by the programs' tables for unwinding:
/// <sysguard/symbols.hpp>.
namespace sysguard {

/// The stack of the thread whose call is pending: for handlers, witnesses (supervise/witness.hpp), and who answers
/// later. Its registers but stack and instruction pointer are not known (it is not stopped), so the first caller is one
/// that looks like it ("scanned"), and with it the chain of frame pointers, where the code keeps one. Takes tens of
/// microseconds, and as long as reading a worker's memory takes (supervise/memory.hpp). Throws std::bad_alloc.
inline StackTrace stack_of(const AnyCall& call) {
    return supervise::plain_trace(supervise::StackSnapshot::take(call));
}

/// The stack of a thread that stands still for its tracer, whose registers are known
/// (supervise::registers_of_stopped). Throws std::bad_alloc.
inline StackTrace stack_of(pid_t thread, const supervise::Registers& registers) {
    return supervise::plain_trace(supervise::StackSnapshot::take(thread, registers));
}

/// The stacks of all threads of a process that nobody holds, such as a worker's at a violation (`call.pid()`). None of
/// them is stopped: one that runs, or goes on meanwhile, is there without its stack, and its `shortfall` says so. The
/// process must be the host's to look at, and still be that process. Throws std::bad_alloc.
inline std::vector<StackTrace> stacks_now(pid_t process) {
    std::vector<StackTrace> stacks;
    for (const pid_t thread : supervise::threads_of(process))
        stacks.push_back(supervise::plain_trace(supervise::StackSnapshot::take_of_unheld(thread)));
    return stacks;
}

}  // namespace sysguard
