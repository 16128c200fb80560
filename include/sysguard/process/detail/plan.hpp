#pragma once

#include "../step.hpp"
#include "world.hpp"

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

/// Who the worker becomes. All ones as an id: as the host.
struct CredentialPlan {
    static constexpr unsigned as_host = ~0U;

    unsigned user = as_host;
    unsigned group = as_host;
    const unsigned* groups = nullptr;
    std::size_t group_count = 0;
    bool groups_are_kept = false;
    bool groups_are_exact = false;
    std::uint64_t capabilities = 0;      ///< those that are kept; must be had, unless `capabilities_are_kept`
    bool capabilities_are_kept = false;  ///< all that there are
    bool exposes_nothing = false;        ///< the host can do no more than others of its ids: they may trace it anyway
    bool owns_root_files = false;        ///< the host is root, whom the files of /proc are open to all the same
    bool begins_with_capabilities = false;  ///< whatever the host has, as in a new user namespace
    int dumpable = 0;                       ///< of a function's memory: 0, 1, or -1: as it was
    bool is_of_function = false;
    bool denies_write_execute = false;
};

/// How the worker is served.
struct SchedulingPlan {
    bool has_nice = false;
    int nice = 0;
    char nice_text[8] = {};
    int policy = -1;  ///< SCHED_*, or -1: as the host
    int io_priority = -1;
    const unsigned long* cpus = nullptr;
    std::size_t cpu_bytes = 0;
    char oom_score_adj[8] = {};  ///< its digits, or nothing
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
    SchedulingPlan scheduling{};
    CredentialPlan credentials{};
    pid_t host = 0;
    pid_t* guarded_session = nullptr;  ///< where the guard looks for the session's id, or nullptr

    const World* world = nullptr;  ///< the worker's namespaces, or nullptr
    int host_fd = -1;              ///< a pidfd of the host, where the worker has a pid namespace
    int status = -1;               ///< where that namespace's first process writes how the program ended, or -1
    int init = -1;                 ///< the program of that process, or -1: there is no such namespace
    pid_t outer_pid = 0;           ///< of the worker, or the first one of its pid namespace, as seen from outside
    int mapping = 0;               ///< futex: see map_ids.hpp
    long mapping_result = 0;
    int init_alive = 0;     ///< futex, cleared by the kernel when the first process has executed or ended
    int program_alive = 0;  ///< the same of the worker's program

    sock_filter* filter = nullptr;
    std::size_t filter_size = 0;
    std::size_t own_pid_at = 0;  ///< the instruction that compares with the worker's process id
    bool wants_listener = false;
    int channel = -1;           ///< the worker's end of the socket that takes the listener to the host, or -1
    int cgroup = -1;            ///< the directory of the worker's cgroup, or -1: none
    bool keeps_cgroup = false;  ///< while the descriptors are placed: who starts the worker has them in place
    int ruleset = -1;           ///< of Landlock: what the worker is held to, or -1

    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* envp = nullptr;
    std::uint64_t pass = 0;  ///< the secret that lets the first execve through the filter

    StartFailure failure{};
    int listener = -1;
};

}  // namespace sysguard::process::detail
