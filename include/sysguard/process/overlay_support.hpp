#pragma once

#include "../abi/error.hpp"
#include "detail/clone.hpp"
#include "detail/raw_call.hpp"
#include "detail/reap.hpp"
#include "layer.hpp"
#include "overlay_layer.hpp"
#include "signals.hpp"

#include <cerrno>
#include <cstdint>
#include <string>

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::process {

namespace detail {

/// What a task needs that tries to mount an overlay.
struct OverlayTrial {
    enum class Step : int { start, map, mount, whiteout, none };

    const char* user_map = nullptr;
    const char* group_map = nullptr;
    const char* target = nullptr;
    const char* data = nullptr;
    const char* whiteout = nullptr;
    Step failed = Step::start;
    long error = 0;
    alignas(64) char stack[16384];
};

SYSGUARD_BARE inline long write_to(const char* path, const char* text) noexcept {
    long size = 0;
    while (text[size] != 0) ++size;
    const long file = raw_call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return file;
    const long result = raw_call(SYS_write, file, text, size);
    raw_call(SYS_close, file);
    return result;
}

/// Runs in a user and a mount namespace of its own, in the host's memory.
SYSGUARD_BARE inline void try_overlay(void* argument) noexcept {
    auto& trial = *static_cast<OverlayTrial*>(argument);
    const auto check = [&](OverlayTrial::Step step, long result) {
        trial.failed = step;
        trial.error = result;
        return result >= 0;
    };
    using Step = OverlayTrial::Step;
    write_to("/proc/self/setgroups", "deny");
    if (check(Step::map, write_to("/proc/self/uid_map", trial.user_map)) &&
        check(Step::map, write_to("/proc/self/gid_map", trial.group_map)) &&
        check(Step::mount, raw_call(SYS_mount, "overlay", trial.target, "overlay", 0, trial.data)) &&
        check(Step::whiteout, raw_call(SYS_mknodat, AT_FDCWD, trial.whiteout, S_IFCHR, 0)))
        trial.failed = Step::none;
    raw_call(SYS_exit_group, 0);
}

inline std::string why_no_overlay(OverlayTrial::Step step, int error) {
    using Step = OverlayTrial::Step;
    switch (step) {
        case Step::start:
            if (error == ENOSPC)
                return "there may be no more user namespaces: raise the sysctls user.max_user_namespaces and "
                       "user.max_mnt_namespaces";
            return "a user namespace cannot be made: where sysctl kernel.unprivileged_userns_clone is 0 or "
                   "kernel.apparmor_restrict_unprivileged_userns is 1, change that, or give the host a profile that "
                   "allows it; a container must allow clone with CLONE_NEWUSER, and a chroot(2) never does";
        case Step::map:
            return "the ids of a user namespace cannot be set: /proc is not mounted or read-only, or a security module "
                   "forbids it";
        case Step::mount:
            if (error == ENODEV) return "this kernel has no overlay file system (CONFIG_OVERLAY_FS, module overlay)";
            if (error == EPERM || error == EACCES)
                return "an overlay cannot be mounted in a user namespace: the kernel is older than Linux 5.11, or a "
                       "security module or the filter of a container forbids mount";
            return "an overlay of these directories cannot be mounted: the file system of the layer, or the lower "
                   "one, may be none that can be part of an overlay (an overlay itself as the upper one, NFS, "
                   "or one with encodings); have the layer elsewhere";
        default:
            return "what is removed in an overlay cannot be marked: a user namespace may not make whiteouts (character "
                   "devices 0:0, Linux 5.8) in the file system of the layer";
    }
}

}  // namespace detail

/// Whether an overlay of `lower` with its layer in `where` can be mounted here in a user namespace (Layer::overlay):
/// one is mounted, where nobody sees it.
inline Offer offer_overlay(const std::string& lower, const std::string& where) {
    try {
        const OverlayLayer layer{lower, where, false};
        const std::string user = "0 " + std::to_string(::geteuid()) + " 1";
        const std::string group = "0 " + std::to_string(::getegid()) + " 1";
        const std::string data = layer.mount_data();
        const std::string target = layer.upper();  // covered, for nobody but the task
        const std::string marked = layer.work() + "/marked";
        detail::OverlayTrial trial;
        trial.user_map = user.c_str();
        trial.group_map = group.c_str();
        trial.target = target.c_str();
        trial.data = data.c_str();
        trial.whiteout = marked.c_str();
        detail::CloneArguments arguments;
        arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | CLONE_NEWNS;
        arguments.stack = reinterpret_cast<std::uint64_t>(trial.stack);
        arguments.stack_size = sizeof trial.stack;
        long pid;
        {
            const SignalsBlocked blocked;
            pid = detail::start_task(arguments, detail::try_overlay, &trial);
        }
        if (pid > 0) detail::reap_quietly(pid);
        if (pid < 0) trial.error = pid;
        if (trial.failed == detail::OverlayTrial::Step::none) return {};
        const int error = trial.error < 0 ? static_cast<int>(-trial.error) : EIO;
        return {error, detail::why_no_overlay(trial.failed, error)};
    } catch (const Error& error) {
        return {error.code().value(), error.what()};
    }
}

}  // namespace sysguard::process
