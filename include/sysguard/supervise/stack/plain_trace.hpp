#pragma once

#include "code.hpp"
#include "module_file.hpp"
#include "snapshot.hpp"
#include "walk.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise {

/// A frame at an address: in which file it lies, and where. Of a return address, what counts is the call before it.
inline StackFrame frame_at(const Mappings& mappings, std::uint64_t address, StackFrame::Found found, bool is_return) {
    StackFrame frame;
    frame.address = address;
    frame.found = found;
    const Mappings::Range* const range = mappings.find(is_return ? address - 1 : address);
    if (range == nullptr) return frame;
    frame.module = printable(mappings.name_of(*range));
    if (!frame.module.empty()) frame.offset = address - range->low + range->offset;
    return frame;
}

/// Says of words on a stack whether they are return addresses: they lie in an executable mapping, and behind a call, or
/// where a signal's handler returns to. The code is read from the mapping's file, where that is found
/// (module_file.hpp), and otherwise from the worker's memory, where that is there.
class ReturnAddresses {
public:
    explicit ReturnAddresses(const StackSnapshot& snapshot) noexcept : snapshot_{snapshot}, memory_{snapshot.thread} {}

    /// Throws std::bad_alloc.
    bool operator()(std::uint64_t address) const {
        if (address < most_call_bytes) return false;
        const Mappings::Range* const range = snapshot_.mappings.find(address - 1);
        if (range == nullptr || looks_ == most_looks) return false;
        ++looks_;
        unsigned char code[most_call_bytes] = {};
        const std::uint64_t before = address - range->low;
        const std::size_t size = before < sizeof code ? static_cast<std::size_t>(before) : sizeof code;
        if (!read(*range, address - size, code + sizeof code - size, size)) return false;
        return call_before(snapshot_.registers.abi, code + sizeof code, address).is_one || is_signal(address);
    }

    bool is_signal(std::uint64_t address) const {
        unsigned char code[9];
        if (snapshot_.registers.abi != abi::Abi::x86_64) return false;
        const Mappings::Range* const range = snapshot_.mappings.find(address);
        return range != nullptr && range->high - address >= sizeof code && read(*range, address, code, sizeof code) &&
               is_signal_return(code);
    }

private:
    static constexpr int most_looks = 20000;
    static constexpr std::size_t most_files = 64;

    struct File {
        const Mappings::Range* range;
        process::Descriptor file;
    };

    bool read(const Mappings::Range& range, std::uint64_t address, unsigned char* to, std::size_t size) const {
        const int file = file_of(range);
        if (file < 0) return memory_.read(address, to, size);
        const auto at = static_cast<off_t>(address - range.low + range.offset);
        return ::pread(file, to, size, at) == static_cast<ssize_t>(size);
    }

    int file_of(const Mappings::Range& range) const {
        for (const File& each : files_)
            if (each.range == &range) return each.file.get();
        if (files_.size() == most_files) return -1;
        files_.push_back({&range, open_module(snapshot_.mappings, range)});
        return files_.back().file.get();
    }

    const StackSnapshot& snapshot_;
    PresentMemory memory_;
    mutable std::vector<File> files_{};
    mutable int looks_ = 0;
};

/// The caller of a function without a frame, such as those around system calls: its return address is where the stack
/// pointer leads. The frame pointer of a thread that has been stopped, which is known, is its caller's.
inline Caller caller_of_leaf(const Registers& of, const StackView& stack, const ReturnAddresses& is_return) {
    const StackAbi abi = stack_abi(of.abi);
    std::uint64_t address = 0;
    if (!of.has_frame_pointer() || !stack.word(of.stack_pointer(), abi.word_size, address) || !is_return(address))
        return {};
    Caller caller{true, of, StackFrame::Found::scanned};
    caller.registers.instruction_pointer = address;
    caller.registers.set(abi.stack_pointer, of.stack_pointer() + abi.word_size);
    return caller;
}

/// A trace without any library: by frame pointers, and where those are not known, by what looks like a return address.
/// Throws std::bad_alloc.
inline StackTrace plain_trace(const StackSnapshot& snapshot) {
    using Found = StackFrame::Found;
    StackTrace trace;
    trace.thread = snapshot.thread;
    trace.shortfall = snapshot.shortfall;
    Registers at = snapshot.registers;
    if (at.instruction_pointer == 0 && !at.has_stack_pointer()) return trace;
    trace.frames.push_back(frame_at(snapshot.mappings, at.instruction_pointer, Found::instruction_pointer, false));
    const StackView stack = snapshot.stack.view();
    const ReturnAddresses is_return{snapshot};
    for (Found last = Found::instruction_pointer; at.has_stack_pointer(); last = trace.frames.back().found) {
        if (last == Found::frame_pointer && at.has_frame_pointer() && at.frame_pointer() == 0) break;  // the outermost
        Caller caller;
        if (is_return.is_signal(at.instruction_pointer)) caller = caller_by_signal_frame(at, stack);
        if (!caller.is_found && last == Found::instruction_pointer) caller = caller_of_leaf(at, stack, is_return);
        if (!caller.is_found) caller = caller_by_frame_pointer(at, stack, is_return);
        if (!caller.is_found) caller = caller_by_scan(at, stack, is_return);
        if (!caller.is_found) break;
        if (trace.frames.size() == most_frames) {
            trace.shortfall = "there are more frames than are looked for";
            break;
        }
        at = caller.registers;
        trace.frames.push_back(
            frame_at(snapshot.mappings, at.instruction_pointer, caller.found, caller.found != Found::signal_frame));
    }
    return trace;
}

}  // namespace sysguard::supervise
