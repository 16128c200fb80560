#pragma once

#include "../mapping.hpp"

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <sys/types.h>

namespace sysguard {

/// One place of a stack trace.
struct StackFrame {
    /// How it was found, the surest first. A worker writes its stack as it likes: none of them is more than what a
    /// worker that does not lie would have left there.
    enum class Found : std::uint8_t {
        instruction_pointer,     ///< the kernel says that the thread is there
        call_frame_information,  ///< as the program's tables for unwinding say (.eh_frame)
        signal_frame,            ///< where a signal has interrupted the thread
        frame_pointer,           ///< by the chain of frame pointers
        scanned,                 ///< a word on the stack that looks like a return address, perhaps of a call long over
    };

    std::uint64_t address = 0;  ///< of the instruction that comes next there
    std::string module{};       ///< the file, or such as "[vdso]", that it lies in, in printable ASCII; "" for nothing
    std::uint64_t offset = 0;   ///< in the file; in nothing that has a name 0
    std::string symbol{};       ///< the function, in printable ASCII; "" where it is not known
    std::uint64_t symbol_offset = 0;
    Found found = Found::instruction_pointer;

    /// As strace -k and gdb write it: "/usr/lib/libc.so.6(write+0x10) [0xf79b7]".
    std::string text() const {
        char place[48];
        std::snprintf(place, sizeof place, "+%#llx", static_cast<unsigned long long>(symbol_offset));
        std::string line = module.empty() ? "?" : module;
        line += '(';
        if (!symbol.empty()) (line += symbol) += place;
        std::snprintf(place, sizeof place, ") [%#llx]",
                      static_cast<unsigned long long>(module.empty() ? address : offset));
        return line + place;
    }
};

/// The calls that led a thread to where it is, the innermost first, as far as they could be found. Copies of what was
/// there at one moment: the worker may have gone on, and may have written to its stack what it liked.
struct StackTrace {
    pid_t thread = 0;  ///< as the host sees it
    std::vector<StackFrame> frames{};

    /// Why there are no more frames, where that is not because the thread began there; or why there are no symbols.
    std::string shortfall{};

    /// A line for each frame: " > " before one, " ? " before one that is no more than likely.
    std::string text() const {
        std::string lines;
        for (const StackFrame& frame : frames) {
            lines += frame.found == StackFrame::Found::scanned ? " ? " : " > ";
            (lines += frame.text()) += '\n';
        }
        if (!shortfall.empty()) ((lines += " (") += shortfall) += ")\n";
        return lines;
    }
};

namespace supervise {

/// The most frames of a trace.
inline constexpr std::size_t most_frames = 128;

/// The most bytes of a function's name.
inline constexpr std::size_t most_symbol = 512;

}  // namespace supervise

}  // namespace sysguard
