#pragma once

#include "../policy/action.hpp"
#include "traced_call.hpp"

#include <cstdint>
#include <ctime>

#include <sys/types.h>
#include <csignal>

namespace sysguard {

/// Something that a traced thread did, or that was done to it: the same for both engines. Plain data; it is the
/// engine's, and good for as long as the callback runs that gets it.
struct Event {
    enum class Kind : std::uint8_t {
        attached,   ///< a thread that ran before is traced from now on
        started,    ///< a new thread or process: `parent`, `origin`
        entered,    ///< a call: `call`, `done`, `decision`
        returned,   ///< the same, with its result; after the thread's `entered`
        signalled,  ///< a signal is being delivered: `signal`, `info`
        stopped,    ///< by job control (signal(7)): `signal`
        continued,  ///< after that
        executed,   ///< another program: `former` is the id that the thread had before
        ending,     ///< a thread is about to end, and its memory is still there: `status`, as wait(2) tells it
        exited,     ///< a thread has ended; the process, where thread and process have one id: `status`, an exit code
        killed,     ///< the same, by a signal: `signal`
        detached,   ///< a thread goes on, and is not traced any more
        lost,       ///< a thread that should be traced and is not: it has got away
    };

    /// How a thread or process came to be.
    enum class Origin : std::uint8_t {
        unknown,  ///< its parent died before it could be asked
        program,  ///< the tracer has started it
        fork,     ///< fork, or a clone that is one
        vfork,    ///< its parent waits for it to execute or end
        clone,    ///< a process that shares something else with its parent
        thread,   ///< in the process of its parent
    };

    /// What was done to a call, in bits.
    enum Done : std::uint16_t {
        nothing = 0,
        refused = 1U << 0,            ///< it does not run and fails: `result` is what it is said to return
        faked = 1U << 1,              ///< it does not run and is said to return `result`
        arguments_changed = 1U << 2,  ///< it runs with `arguments` in place of those that `call` has
        result_changed = 1U << 3,     ///< it has run and is said to have returned `result`
        signal_added = 1U << 4,       ///< the thread gets `signal`
        delayed = 1U << 5,            ///< for a while
        was_killed = 1U << 6,         ///< the process is killed for it, and it does not run
        logged = 1U << 7,             ///< a rule says to log it
    };

    Kind kind = Kind::entered;
    Origin origin = Origin::unknown;
    std::uint16_t done = nothing;
    pid_t thread = 0;   ///< as the host sees it
    pid_t process = 0;  ///< the thread's process
    pid_t parent = 0;   ///< of `started`: the thread that started it
    pid_t former = 0;   ///< of `executed`
    int signal = 0;
    int status = 0;
    timespec time{};  ///< CLOCK_REALTIME, when the engine saw it

    supervise::TracedCall call{};
    Decision decision{Action::allow};  ///< what the policy says of the call, where there is one
    std::int64_t result = 0;           ///< see `done`
    std::uint64_t arguments[abi::max_arguments]{};
    siginfo_t info{};  ///< of `signalled`
};

constexpr const char* name(Event::Kind kind) noexcept {
    switch (kind) {
        case Event::Kind::attached: return "attached";
        case Event::Kind::started: return "started";
        case Event::Kind::entered: return "entered";
        case Event::Kind::returned: return "returned";
        case Event::Kind::signalled: return "signalled";
        case Event::Kind::stopped: return "stopped";
        case Event::Kind::continued: return "continued";
        case Event::Kind::executed: return "executed";
        case Event::Kind::ending: return "ending";
        case Event::Kind::exited: return "exited";
        case Event::Kind::killed: return "killed";
        case Event::Kind::detached: return "detached";
        case Event::Kind::lost: return "lost";
    }
    return "?";
}

constexpr const char* name(Event::Origin origin) noexcept {
    switch (origin) {
        case Event::Origin::unknown: return "unknown";
        case Event::Origin::program: return "program";
        case Event::Origin::fork: return "fork";
        case Event::Origin::vfork: return "vfork";
        case Event::Origin::clone: return "clone";
        case Event::Origin::thread: return "thread";
    }
    return "?";
}

}  // namespace sysguard
