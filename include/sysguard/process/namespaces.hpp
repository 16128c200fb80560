#pragma once

#include "block.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace sysguard {

/// Ids in a row, of users or of groups (user_namespaces(7)).
struct IdRange {
    std::uint32_t inside = 0;   ///< the first one, as the worker sees it
    std::uint32_t outside = 0;  ///< the same one, as the host sees it
    std::uint32_t count = 1;
};

/// Which ids there are in a user namespace. Empty: the worker's own alone, under the same number inside. Whoever lacks
/// CAP_SETUID (for groups: CAP_SETGID) can map nothing but its own id, to any number inside.
class IdMap {
public:
    IdMap() noexcept = default;
    IdMap(std::initializer_list<IdRange> ranges) : ranges_{ranges.begin(), ranges.size()} {}

    std::size_t size() const noexcept { return ranges_.size(); }
    const IdRange* begin() const noexcept { return ranges_.begin(); }
    const IdRange* end() const noexcept { return ranges_.end(); }

private:
    process::Block<IdRange> ranges_{};
};

/// Which of the kernel's namespaces a worker has of its own (namespaces(7)); a network is `Options::network`. Where the
/// host lacks CAP_SYS_ADMIN, any of them needs a user namespace, which is made then whether it is asked for or not.
struct Namespaces {
    /// Users and groups. Of an unprivileged host's worker, setgroups(2) fails in it.
    bool user = false;

    /// Processes: the worker sees no others. Its first process is a small one of sysguard's, which reaps orphans; what
    /// it starts, wherever that may go, ends with it, and with the host. With a mount namespace /proc shows these
    /// processes. A function of the host's is forked twice then.
    bool pid = false;

    /// Mounts. What is mounted later in the host does not come into it. See `Options::root`, which brings one.
    bool mount = false;

    bool ipc = false;     ///< System V IPC and POSIX message queues
    bool uts = false;     ///< host name and domain name
    bool cgroup = false;  ///< the worker's cgroup is its root (/proc/<pid>/cgroup)

    /// CLOCK_MONOTONIC and CLOCK_BOOTTIME, which show what the host's do unless there are offsets (Linux 6.3 for
    /// programs).
    bool time = false;
    std::int64_t monotonic_offset = 0;  ///< seconds that CLOCK_MONOTONIC is ahead of the host's
    std::int64_t boot_offset = 0;       ///< seconds that CLOCK_BOOTTIME, and the uptime, are ahead of the host's

    /// The host name in it, which brings a namespace for it; empty: the host's.
    std::string host_name{};

    IdMap users{};
    IdMap groups{};

    /// Every one, and "sandbox" for a host name.
    static Namespaces all() {
        Namespaces every;
        every.user = every.pid = every.mount = every.ipc = every.uts = every.cgroup = every.time = true;
        every.host_name = "sandbox";
        return every;
    }
};

}  // namespace sysguard
