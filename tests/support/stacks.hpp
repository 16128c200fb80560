#pragma once

#include <sysguard/sandbox.hpp>
#include <sysguard/supervise/stack/present_memory.hpp>
#include <sysguard/supervise/stack/registers.hpp>
#include <sysguard/supervise/stack/stack_trace.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/supervised.hpp"

namespace support {

/// Whether the host may see where threads that wait are.
inline bool sees_stacks() {
    sysguard::supervise::Registers registers;
    const pid_t waiting = ::fork();
    if (waiting == 0)
        for (;;) ::pause();
    int error = EAGAIN;
    eventually([&] { return (error = sysguard::supervise::registers_of_waiting(waiting, registers)) != EAGAIN; });
    ::kill(waiting, SIGKILL);
    ::waitpid(waiting, nullptr, 0);
    return error == 0 && sysguard::supervise::PresentMemory{::getpid()};
}

/// What `look` says of the thread whose getsid(2) is pending, in a program of tests/helpers.
inline void look_at(const char* program, const char* how, const std::function<void(const sysguard::AnyCall&)>& look) {
    int looks = 0;
    const sysguard::Policy policy{sysguard::Rule<SYS_getsid>{}.handle([&](const sysguard::Call<SYS_getsid>& call) {
                                      ++looks;
                                      look(call);
                                      return call.deny(EXDEV);
                                  }),
                                  sysguard::otherwise.allow()};
    const sysguard::Sandbox box{policy, {.limits = {.wall = std::chrono::seconds{60}}}};
    const sysguard::Outcome outcome = box.run({helper(program), how});
    CAPTURE(outcome.explain());
    CHECK(outcome.exit_code() == 0);  // it has gone on unharmed
    CHECK(outcome.failed_handlers() == 0);
    CHECK(looks == 1);
}

/// The functions of a trace, with "?" before those that are no more than likely, and "-" for those that are not known.
inline std::vector<std::string> functions(const sysguard::StackTrace& trace) {
    std::vector<std::string> names;
    for (const sysguard::StackFrame& frame : trace.frames) {
        const bool is_scanned = frame.found == sysguard::StackFrame::Found::scanned;
        names.push_back((is_scanned ? "?" : "") + (frame.symbol.empty() ? "-" : frame.symbol));
    }
    return names;
}

/// Whether these names come one behind the other, wherever.
inline bool in_a_row(const std::vector<std::string>& names, const std::vector<std::string>& wanted) {
    for (std::size_t i = 0; i + wanted.size() <= names.size(); ++i) {
        std::size_t same = 0;
        while (same < wanted.size() && names[i + same] == wanted[same]) ++same;
        if (same == wanted.size()) return true;
    }
    return false;
}

}  // namespace support
