#pragma once

#include "map_ids.hpp"
#include "plan.hpp"
#include "private_root.hpp"
#include "raw_call.hpp"
#include "world.hpp"

#include <cstddef>

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/// What a worker does first in namespaces of its own. Bare code.
namespace sysguard::process::detail {

SYSGUARD_BARE inline long bring_up_loopback() noexcept {
    const long fd = raw_call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    struct {  // struct ifreq, whose header is a long one
        char name[16] = "lo";
        short flags = 1;  // IFF_UP
        char rest[22] = {};
    } request;
    const long result = raw_call(SYS_ioctl, fd, SIOCSIFFLAGS, &request);
    raw_call(SYS_close, fd);
    return result;
}

/// The clocks of a time namespace that the next one to fork or execute is in (time_namespaces(7)).
SYSGUARD_BARE inline long set_clocks(const World& world) noexcept {
    const long result = raw_call(SYS_unshare, time_namespace);
    return result < 0 ? result : write_own_file("/proc/self/timens_offsets", world.time_offsets);
}

/// What a namespace is to be like, but for the mounts. The clocks come first: to who has changed its ids, its own files
/// in /proc are closed.
SYSGUARD_BARE inline bool furnish(Plan& plan) noexcept {
    const World& world = *plan.world;
    if (world.has_time && !check(plan, Step::clocks, set_clocks(world))) return false;
    if ((world.flags & CLONE_NEWUSER) != 0 && !check(plan, Step::id_maps, map_ids(plan))) return false;
    if (world.host_name.size != 0 &&
        !check(plan, Step::host_name, raw_call(SYS_sethostname, world.host_name.text, world.host_name.size)))
        return false;
    return !world.brings_up_loopback || check(plan, Step::network, bring_up_loopback());
}

/// In the worker's pid namespace, where it has one, whose processes a procfs is to show.
SYSGUARD_BARE inline bool furnish_mounts(Plan& plan) noexcept {
    const World& world = *plan.world;
    if ((world.flags & CLONE_NEWNS) == 0) return true;
    raw_call(SYS_umask, 0);
    if (!check(plan, Step::mounts, root::make_private())) return false;
    if (world.has_private_root) return check(plan, Step::root, root::enter(world, plan.failure.part));
    if (!world.shows_own_processes) return true;
    MountStep processes;
    processes.kind = Mount::Kind::procfs;
    processes.attributes = root::no_set_id | root::no_devices | root::no_execution;
    const root::Handle mount{root::make_file_system("proc", processes)};
    if (!check(plan, Step::mounts, mount.get())) return false;
    return check(plan, Step::mounts,
                 raw_call(sys::move_mount, mount.get(), "", AT_FDCWD, "/proc", root::from_descriptor));
}

}  // namespace sysguard::process::detail
