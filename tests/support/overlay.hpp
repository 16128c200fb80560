#pragma once

#include <sysguard/process/overlay_layer.hpp>

#include <cstdio>
#include <string>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/scratch.hpp"
#include "support/skip.hpp"

namespace support {

constexpr int no_overlay = 99;

/// Mounts an overlay where nobody else sees it, in a user namespace of its own, over the scratch directory, and calls
/// `act` there with its path. Returns what that does, or `no_overlay`.
template <class Act>
int in_overlay(const sysguard::process::OverlayLayer& layer, Act&& act) {
    const auto write = [](const char* path, const std::string& text) {
        const int file = ::open(path, O_WRONLY | O_CLOEXEC);
        const bool is_written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::close(file);
        return is_written;
    };
    const std::string user = "0 " + std::to_string(::geteuid()) + " 1";
    const std::string group = "0 " + std::to_string(::getegid()) + " 1";
    const std::string data = layer.mount_data();
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        const bool is_mounted = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write("/proc/self/setgroups", "deny") &&
                                write("/proc/self/uid_map", user) && write("/proc/self/gid_map", group) &&
                                ::mount("overlay", layer.scratch().c_str(), "overlay", 0, data.c_str()) == 0;
        ::umask(0);
        ::_exit(is_mounted ? act(layer.scratch()) : no_overlay);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

/// Whether files of tests can have extended attributes of users, which layers of overlays need.
inline bool has_attributes() {
    const Scratch scratch;
    return ::setxattr(scratch.path().c_str(), "user.test", "x", 1, 0) == 0;
}

}  // namespace support

#define SYSGUARD_NEED_ATTRIBUTES() \
    if (!support::has_attributes()) SYSGUARD_SKIP("not offered here: extended attributes of users, in /tmp")
