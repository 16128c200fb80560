#pragma once

#include <cstddef>
#include <cstdint>

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>

namespace sysguard::process {

/// The steps of a start, in their order.
enum class Step : std::uint8_t {
    none,
    create,
    descriptors,
    session,
    parent,
    directory,
    limits,
    signals,
    no_new_privs,
    filter,
    hand_over,
    execute,
};

constexpr const char* name(Step step) noexcept {
    switch (step) {
        case Step::none: return "start";
        case Step::create: return "create the process";
        case Step::descriptors: return "set up its descriptors";
        case Step::session: return "start a session";
        case Step::parent: return "tie it to the host";
        case Step::directory: return "enter its working directory";
        case Step::limits: return "set its limits";
        case Step::signals: return "reset its signals";
        case Step::no_new_privs: return "set no_new_privs";
        case Step::filter: return "install the seccomp filter";
        case Step::hand_over: return "hand the listener over to the host";
        case Step::execute: return "execute the program";
    }
    return "?";
}

/// Where a start stopped, and why.
struct StartFailure {
    Step step = Step::none;
    int error = 0;  ///< errno
};

namespace detail {

/// One descriptor of the worker: `from` of the host's becomes `to`. `from` below 0: `to` is closed.
struct DescriptorMove {
    int from = -1;
    int to = -1;
};

struct ResourceLimit {
    int resource = 0;
    rlimit value{};
};

/// Everything that a starting worker needs, prepared by the host, so that the child makes only system calls. It lives
/// in the host, which keeps it until the child has executed or ended.
struct Plan {
    DescriptorMove* moves = nullptr;  ///< sorted by `to`
    std::size_t move_count = 0;
    const char* directory = nullptr;
    mode_t umask = 077;
    const ResourceLimit* limits = nullptr;
    std::size_t limit_count = 0;
    pid_t host = 0;
    pid_t* guarded_session = nullptr;  ///< where the guard looks for the session's id, or nullptr

    sock_filter* filter = nullptr;
    std::size_t filter_size = 0;
    std::size_t own_pid_at = 0;  ///< the instruction that compares with the worker's process id
    bool wants_listener = false;
    int channel = -1;  ///< the worker's end of the socket that takes the listener to the host, or -1

    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* envp = nullptr;
    std::uint64_t pass = 0;  ///< the secret that lets the first execve through the filter

    StartFailure failure{};
    int listener = -1;
};

}  // namespace detail
}  // namespace sysguard::process
