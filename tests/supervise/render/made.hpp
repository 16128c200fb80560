#pragma once

#include <sysguard/supervise/render/rendering.hpp>
#include <sysguard/supervise/traced_call.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

/// Calls of this very process, made between the two looks that an engine takes at them.
namespace rendered {

namespace render = sysguard::supervise::render;
using sysguard::supervise::TracedCall;

struct Argument {
    std::uint64_t value;

    Argument(int number) : value{static_cast<std::uint64_t>(std::int64_t{number})} {}
    Argument(unsigned number) : value{number} {}
    Argument(long number) : value{static_cast<std::uint64_t>(number)} {}
    Argument(unsigned long number) : value{number} {}
    Argument(const void* address) : value{reinterpret_cast<std::uint64_t>(address)} {}
    Argument(std::nullptr_t) : value{0} {}
};

inline TracedCall call_of(long number, const std::vector<Argument>& arguments) {
    TracedCall call;
    call.number = static_cast<int>(number);
    call.thread = call.process = ::getpid();
    for (std::size_t i = 0; i < arguments.size(); ++i) call.arguments[i] = arguments[i].value;
    return call;
}

/// The thread's memory, but no paths of descriptors: they differ from machine to machine.
inline render::Options bare() {
    render::Options options;
    options.descriptor_paths = false;
    return options;
}

/// Makes a call, and returns what strace(1) would write of it.
inline std::string made(long number, const std::vector<Argument>& arguments, const render::Options& options = bare()) {
    TracedCall call = call_of(number, arguments);
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{options};
    text.enter(call, source);
    errno = 0;
    const std::uint64_t* const a = call.arguments;
    const long result = ::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    call.phase = TracedCall::Phase::returned;
    call.result = result == -1 && errno != 0 ? -errno : result;
    call.is_error = result == -1 && errno != 0;
    text.leave(call, source);
    return text.line(0);
}

/// What is written of a call that was made elsewhere, with this result; its memory is this process'.
inline std::string answered(long number, const std::vector<Argument>& arguments, std::int64_t result,
                            const render::Options& options = bare()) {
    TracedCall call = call_of(number, arguments);
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{options};
    text.enter(call, source);
    call.phase = TracedCall::Phase::returned;
    call.result = result;
    call.is_error = result < 0 && result >= -4095;
    text.leave(call, source);
    return text.line(0);
}

/// One that fails, as most do that hold something that cannot be.
inline std::string refused(long number, const std::vector<Argument>& arguments, int error = EINVAL) {
    return answered(number, arguments, -error);
}

/// What is known of a call before it is done, without what follows its arguments.
inline std::string entered(long number, const std::vector<Argument>& arguments) {
    const TracedCall call = call_of(number, arguments);
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{bare()};
    text.enter(call, source);
    text.abandon(call, source);
    return text.call();
}

inline std::string hex(const void* address) {
    char text[24];
    std::snprintf(text, sizeof text, "%p", address);
    return text;
}

inline const std::string einval = " = -1 EINVAL (Invalid argument)";

}  // namespace rendered
