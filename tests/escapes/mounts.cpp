#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/escapes.hpp"

/// Attempts by mounts, most of them as root of a user namespace that the worker makes for that: there it has all
/// capabilities.
namespace sg = sysguard;
using namespace support;

namespace {

/// In the host's mount namespace nothing is mounted: first a namespace is made.
constexpr int own_mounts = CLONE_NEWNS;

int bind(const std::string& from, const std::string& to) {
    return errno_of(::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr));
}

int remount(const std::string& path, unsigned long flags) {
    return errno_of(::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND | flags, nullptr));
}

std::string of_host(const Scene& scene, const char* name) {
    return "/proc/" + std::to_string(scene.host()) + "/" + name;
}

}  // namespace

SYSGUARD_ESCAPE("mount what is outside over its own", by_rules | by_files | by_root) {
    if (const int error = enter_namespaces(own_mounts); error != 0) return error;
    const int error = bind(scene.out(), scene.in());
    return error != 0 ? error : try_open(scene.in() + "/file", O_RDWR);
}

SYSGUARD_ESCAPE("write to what is for reading, mounted again to be written to", by_rules | by_files | by_root) {
    if (enter_namespaces(own_mounts) == 0) {
        remount(scene.seen(), 0);
        remount(scene.seen(), MS_NODEV | MS_NOSUID);
    }
    return try_open(scene.seen() + "/file", O_WRONLY);
}

SYSGUARD_ESCAPE("write to what is for reading, mounted elsewhere", by_rules | by_files | by_root) {
    if (const int error = enter_namespaces(own_mounts); error != 0) return error;
    if (const int error = bind(scene.seen(), scene.in()); error != 0) return error;
    remount(scene.in(), MS_NODEV | MS_NOSUID);
    return try_open(scene.in() + "/file", O_WRONLY);
}

SYSGUARD_ESCAPE("write to what is for reading, in a tree whose attributes it clears", by_rules | by_files | by_root) {
    if (const int error = enter_namespaces(own_mounts); error != 0) return error;
    constexpr unsigned cloned = 1;  // OPEN_TREE_CLONE
    const auto tree = static_cast<int>(::syscall(sg::sys::open_tree, AT_FDCWD, scene.seen().c_str(), cloned));
    if (tree < 0) return errno;
    const std::uint64_t attributes[4] = {0, 1 /* MOUNT_ATTR_RDONLY */, 0, 0};
    ::syscall(sg::sys::mount_setattr, tree, "", AT_EMPTY_PATH, attributes, sizeof attributes);
    return errno_of(::openat(tree, "file", O_WRONLY | O_CLOEXEC));
}

SYSGUARD_ESCAPE("write to what is for reading, where its mount was removed", by_rules | by_files | by_root) {
    if (enter_namespaces(own_mounts) == 0) {
        ::umount2(scene.seen().c_str(), MNT_DETACH);
        ::umount2(scene.seen().c_str(), 0);
    }
    return try_open(scene.seen() + "/file", O_WRONLY);
}

SYSGUARD_ESCAPE("see the host's processes below what covers them", by_rules | by_spaces | by_root) {
    if (enter_namespaces(own_mounts) == 0) {
        ::umount2("/proc", MNT_DETACH);
        constexpr unsigned from_descriptor = 4;
        const auto tree = static_cast<int>(::syscall(sg::sys::open_tree, AT_FDCWD, "/proc", 0));
        ::syscall(sg::sys::move_mount, tree, "", AT_FDCWD, scene.in().c_str(), from_descriptor);
    }
    return try_open(of_host(scene, "status"), O_RDONLY);
}

SYSGUARD_ESCAPE("see the host's processes in a procfs of its own", by_rules | by_spaces | by_root) {
    if (enter_namespaces(own_mounts) == 0) ::mount("proc", "/proc", "proc", 0, nullptr);
    return try_open(of_host(scene, "status"), O_RDONLY);
}

SYSGUARD_ESCAPE("leave a chroot by dots", by_rules | by_files | by_root) {
    if (const int error = enter_namespaces(0); error != 0) return error;
    const std::string below = scene.in() + "/sub";
    if (::chroot(below.c_str()) != 0) return errno;
    for (int i = 0; i < 64; ++i)
        if (::chdir("..") != 0) return errno;
    return try_open(scene.secret().substr(1), O_RDONLY);
}

SYSGUARD_ESCAPE("find the root that was before by taking its own away", by_rules | by_files | by_root) {
    if (enter_namespaces(own_mounts) == 0 && ::chdir("/") == 0) {
        ::syscall(SYS_pivot_root, ".", ".");
        ::umount2(".", MNT_DETACH);
        ::umount2("/", MNT_DETACH);
    }
    return try_open(scene.secret(), O_RDONLY);
}

SYSGUARD_ESCAPE("see the host's cgroups in a mount of its own", by_rules | by_files | by_root) {
    if (!is_root()) return not_here;
    if (::unshare(own_mounts) != 0 && enter_namespaces(own_mounts) != 0) return errno;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
    if (::mount("none", scene.in().c_str(), "cgroup2", 0, nullptr) != 0) return errno;
    return try_open(scene.in() + "/cgroup.procs", O_WRONLY);
}

SYSGUARD_ESCAPE("mount without another namespace of users", by_sandbox | by_rules | by_files | by_spaces | by_root) {
    if (!is_root()) return not_here;
    return errno_of(::unshare(own_mounts));
}

SYSGUARD_ESCAPE("take a mount away", by_sandbox | by_rules | by_files | by_spaces | by_root) {
    if (!is_root()) return not_here;
    if (::umount2(scene.in().c_str(), MNT_DETACH) == 0) return 0;
    return errno == EINVAL ? 0 : errno;  // who may is told that there is none
}

SYSGUARD_ESCAPE("enter the host's mount namespace", by_sandbox | by_rules | by_files | by_spaces | by_root) {
    if (!is_root()) return not_here;
    const int space = ::open(of_host(scene, "ns/mnt").c_str(), O_RDONLY | O_CLOEXEC);
    return space < 0 ? errno : errno_of(::setns(space, CLONE_NEWNS));
}

TEST_CASE("what a worker mounts, and what names it gives itself, do not come to the host") {
    const Scene scene;
    const auto box = box_of(by_spaces, scene);
    if (!box) SYSGUARD_SKIP("namespaces are not offered here");
    char before[256] = {};
    REQUIRE(::gethostname(before, sizeof before) == 0);
    const auto result = box->call([&] {
        if (const int error = enter_namespaces(CLONE_NEWNS | CLONE_NEWUTS); error != 0) return error;
        if (::mount("none", scene.in().c_str(), "tmpfs", 0, nullptr) != 0) return errno;
        return errno_of(::sethostname("another", 7));
    });
    CAPTURE(result.explain());
    REQUIRE(result);
    CHECK(*result == 0);
    CHECK(try_open(scene.in() + "/file", O_RDONLY) == 0);
    char after[256] = {};
    REQUIRE(::gethostname(after, sizeof after) == 0);
    CHECK(std::string{before} == after);
}
