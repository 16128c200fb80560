#pragma once

#include <sysguard/supervise/ptrace/detail/requests.hpp>
#include <sysguard/tracer.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/helpers.hpp"
#include "support/skip.hpp"

namespace support {

namespace sg = sysguard;
using Kind = sg::Event::Kind;
using Origin = sg::Event::Origin;

/// Whether this machine lets a process trace another one.
inline bool can_trace() {
    static const bool can = [] {
        const pid_t child = ::fork();
        if (child == 0)
            for (;;) ::pause();
        const bool seized = sg::supervise::ptracing::seize(child, 0) == 0;
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, __WALL);
        return seized;
    }();
    return can;
}

#define SYSGUARD_SKIP_UNTRACEABLE() \
    if (!support::can_trace()) SYSGUARD_SKIP("this machine lets nobody trace: ptrace(2) is refused")

/// All events of a run.
struct Seen {
    std::vector<sg::Event> events{};

    void operator()(const sg::Event& event) { events.push_back(event); }

    /// Those of a kind.
    std::vector<sg::Event> of(Kind kind) const {
        std::vector<sg::Event> found;
        for (const sg::Event& event : events)
            if (event.kind == kind) found.push_back(event);
        return found;
    }

    /// The entries, or returns, of one native call.
    std::vector<sg::Event> calls(long number, Kind kind = Kind::entered) const {
        std::vector<sg::Event> found;
        for (const sg::Event& event : events)
            if (event.kind == kind && event.call.abi == sg::abi::native_abi && event.call.number == number)
                found.push_back(event);
        return found;
    }

    /// How a process ended: its code, or 100 and the signal; -1: it is not known.
    int end_of(pid_t process) const {
        for (const sg::Event& event : events) {
            if (event.thread != process) continue;
            if (event.kind == Kind::exited) return event.status;
            if (event.kind == Kind::killed) return 100 + event.signal;
        }
        return -1;
    }
    pid_t first = -1;  ///< the program that was started
    int end() const { return end_of(first); }
};

inline sg::Launch silent() {
    sg::Launch launch;
    launch.output = launch.error = sg::Stdio::null();
    return launch;
}

/// Runs a program to its end under a tracer.
inline Seen trace(sg::Tracer& tracer, std::vector<std::string> command, const sg::Launch& launch = silent()) {
    Seen seen;
    seen.first = tracer.start(std::move(command), launch).pid;
    tracer.run(seen);
    return seen;
}

inline std::vector<std::string> traced(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), helper("traced"));
    return arguments;
}

inline Seen trace(sg::TraceOptions options, std::vector<std::string> arguments) {
    sg::Tracer tracer{std::move(options)};
    return trace(tracer, traced(std::move(arguments)));
}

/// The ways to trace the same: by a filter that stops chosen calls, and stopping at all calls.
inline std::vector<sg::TraceOptions> both_ways(sg::CallSet calls) {
    sg::TraceOptions filtered;
    filtered.calls = calls;
    sg::TraceOptions unfiltered = filtered;
    unfiltered.detachable = true;
    return {filtered, unfiltered};
}

/// What a program prints under a tracer.
inline std::string printed(sg::Tracer& tracer, std::vector<std::string> arguments, Seen* seen = nullptr) {
    sg::Launch launch = silent();
    launch.output = sg::Stdio::pipe();
    sg::TracedProgram program = tracer.start(traced(std::move(arguments)), launch);
    Seen all;
    all.first = program.pid;
    tracer.run(all);
    char text[4096];
    const ssize_t bytes = ::read(program.output.get(), text, sizeof text);
    if (seen != nullptr) *seen = std::move(all);
    return std::string(text, bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
}

/// A program that runs beside the test.
class Beside {
public:
    explicit Beside(std::vector<std::string> arguments) {
        std::vector<std::string> command = traced(std::move(arguments));
        std::vector<char*> argv;
        for (std::string& word : command) argv.push_back(word.data());
        argv.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
    }
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;
    ~Beside() {
        if (pid_ > 0) end();
    }
    pid_t pid() const noexcept { return pid_; }
    /// Kills it. Returns how it ended, as wait(2) says.
    int end() {
        ::kill(pid_, SIGKILL);
        int status = -1;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return status;
    }

private:
    pid_t pid_ = -1;
};

/// A line of /proc/<pid>/status.
inline std::string status_of(pid_t pid, std::string_view name) {
    std::FILE* const file = std::fopen(("/proc/" + std::to_string(pid) + "/status").c_str(), "re");
    std::string found;
    char line[512];
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr)
        if (const std::string_view text{line}; text.substr(0, name.size() + 1) == std::string{name} + ":") {
            found = std::string{text.substr(name.size() + 2)};
            found.pop_back();
        }
    if (file != nullptr) std::fclose(file);
    return found;
}

}  // namespace support
