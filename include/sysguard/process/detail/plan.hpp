#pragma once

#include "../step.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>

namespace sysguard::process::detail {

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
    std::int64_t most_start_time = 0;  ///< milliseconds; 0: any
    bool joins_keyring = false;        ///< a session keyring of its own
    const char* directory = nullptr;
    mode_t umask = 077;
    const ResourceLimit* limits = nullptr;
    std::size_t limit_count = 0;
    const ResourceLimit* late_limit = nullptr;  ///< holds from when the start needs no more tasks, or nullptr
    pid_t host = 0;
    pid_t* guarded_session = nullptr;  ///< where the guard looks for the session's id, or nullptr

    sock_filter* filter = nullptr;
    std::size_t filter_size = 0;
    std::size_t own_pid_at = 0;  ///< the instruction that compares with the worker's process id
    bool wants_listener = false;
    int channel = -1;  ///< the worker's end of the socket that takes the listener to the host, or -1
    int ruleset = -1;  ///< of Landlock: what the worker is held to, or -1

    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* envp = nullptr;
    std::uint64_t pass = 0;  ///< the secret that lets the first execve through the filter

    StartFailure failure{};
    int listener = -1;
};

}  // namespace sysguard::process::detail
