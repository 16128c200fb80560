#pragma once

#include <string>
#include <utility>

namespace sysguard {

/// Where each worker gets a cgroup of its own (cgroups(7), version 2): a subtree of the hierarchy that the host may
/// write to ("delegated"). With one, nothing that a worker starts escapes its end, limits on memory and processes hold
/// for the worker as a whole, root's too, and so do the figures of what it used.
///
/// The cgroups are the host's: made before a worker starts, removed when it has ended. Those of hosts that were killed
/// are emptied and removed by the next sandbox in the same subtree. They are named sysguard-*; nothing else in the
/// subtree is touched, but for cgroup.subtree_control where a limit needs a controller. Linux 5.14.
///
/// The kernel lets a host move its workers only where it may write the cgroup.procs of the closest cgroup that is above
/// both: a host that is not root must itself be in the subtree. And it enables a controller for the cgroups of workers
/// only where their parent has no process in it (but for the root): the host must then be beside them, not above.
class Cgroup {
public:
    /// None.
    Cgroup() noexcept = default;

    /// In the directory of a cgroup, such as /sys/fs/cgroup/app.
    static Cgroup in(std::string directory) { return Cgroup{Place::directory, std::move(directory)}; }

    /// In the host's own cgroup: enough to end workers and to hold them to processor time. Controllers for memory and
    /// processes cannot be enabled there while the host is in it.
    static Cgroup own() { return Cgroup{Place::own, {}}; }

    /// In the parent of the host's own cgroup, beside it: where a service manager gives the host a subgroup of what it
    /// delegates (systemd's DelegateSubgroup=).
    static Cgroup beside_own() { return Cgroup{Place::beside_own, {}}; }

    enum class Place : unsigned char { none, directory, own, beside_own };

    Place place() const noexcept { return place_; }
    const std::string& directory() const noexcept { return directory_; }

private:
    Cgroup(Place place, std::string directory) noexcept : place_{place}, directory_{std::move(directory)} {}

    Place place_ = Place::none;
    std::string directory_{};
};

}  // namespace sysguard
