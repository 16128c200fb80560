#pragma once

#include "layer.hpp"
#include "limits.hpp"

#include <string>
#include <utility>

namespace sysguard {

namespace process {
class CgroupSubtree;
}  // namespace process

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
///
/// Those that make one are in <sysguard/cgroup.hpp>.
class Cgroup {
public:
    /// None.
    Cgroup() noexcept = default;

    /// In the directory of a cgroup, such as /sys/fs/cgroup/app.
    static inline Cgroup in(std::string directory);

    /// In the host's own cgroup: enough to end workers and to hold them to processor time. Controllers for memory and
    /// processes cannot be enabled there while the host is in it.
    static inline Cgroup own();

    /// In the parent of the host's own cgroup, beside it: where a service manager gives the host a subgroup of what it
    /// delegates (systemd's DelegateSubgroup=).
    static inline Cgroup beside_own();

    enum class Place : unsigned char { none, directory, own, beside_own };

    Place place() const noexcept { return place_; }
    const std::string& directory() const noexcept { return directory_; }

    /// Opens it, where there is one. Says what is missing, and what to do.
    process::Offer open(process::CgroupSubtree& subtree, const Limits& limits) const {
        return open_ != nullptr ? open_(subtree, *this, limits) : process::Offer{};
    }

private:
    using Open = process::Offer (*)(process::CgroupSubtree&, const Cgroup&, const Limits&);

    Cgroup(Place place, std::string directory, Open how) noexcept
        : place_{place}, directory_{std::move(directory)}, open_{how} {}

    Place place_ = Place::none;
    std::string directory_{};
    Open open_ = nullptr;
};

}  // namespace sysguard
