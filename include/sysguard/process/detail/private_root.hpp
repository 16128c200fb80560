#pragma once

#include "../../abi/numbers.hpp"
#include "raw_call.hpp"
#include "world.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/// Building a worker's root, in its own mount namespace, with the mount interface of Linux 5.2 and 5.12 (fsopen(2),
/// open_tree(2), move_mount(2), mount_setattr(2)). Bare code. The constants are those of <linux/mount.h>, which does
/// not go together with <sys/mount.h> in every libc.
namespace sysguard::process::detail::root {

inline constexpr unsigned clone_tree = 1;            // OPEN_TREE_CLONE
inline constexpr unsigned whole_tree = 0x8000;       // AT_RECURSIVE
inline constexpr unsigned from_descriptor = 0x04;    // MOVE_MOUNT_F_EMPTY_PATH
inline constexpr unsigned to_descriptor = 0x40;      // MOVE_MOUNT_T_EMPTY_PATH
inline constexpr unsigned set_flag = 0;              // FSCONFIG_SET_FLAG
inline constexpr unsigned set_string = 1;            // FSCONFIG_SET_STRING
inline constexpr unsigned create = 6;                // FSCONFIG_CMD_CREATE
inline constexpr std::uint64_t read_only = 0x01;     // MOUNT_ATTR_RDONLY
inline constexpr std::uint64_t no_set_id = 0x02;     // MOUNT_ATTR_NOSUID
inline constexpr std::uint64_t no_devices = 0x04;    // MOUNT_ATTR_NODEV
inline constexpr std::uint64_t no_execution = 0x08;  // MOUNT_ATTR_NOEXEC

/// struct mount_attr
struct Attributes {
    std::uint64_t set = 0;
    std::uint64_t clear = 0;
    std::uint64_t propagation = 0;
    std::uint64_t user_namespace = 0;
};

/// A descriptor, closed at the end of its scope.
class Handle {
public:
    SYSGUARD_BARE explicit Handle(long fd) noexcept : fd_{fd} {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    SYSGUARD_BARE ~Handle() {
        if (fd_ >= 0) raw_call(SYS_close, fd_);
    }

    SYSGUARD_BARE long get() const noexcept { return fd_; }
    SYSGUARD_BARE void reset(long fd) noexcept {
        if (fd_ >= 0) raw_call(SYS_close, fd_);
        fd_ = fd;
    }

private:
    long fd_;
};

SYSGUARD_BARE inline long set(long context, const char* key, const char* value) noexcept {
    return value == nullptr ? 0 : raw_call(sys::fsconfig, context, set_string, key, value, 0);
}

/// Makes a file system that is mounted nowhere yet. Returns its root, or a negative errno.
SYSGUARD_BARE inline long make_file_system(const char* type, const MountStep& step) noexcept {
    const Handle context{raw_call(sys::fsopen, type, 1 /* FSOPEN_CLOEXEC */)};
    if (context.get() < 0) return context.get();
    long result = 0;
    if (step.kind == Mount::Kind::overlay) {
        // The layer alone holds all changes then, in a form that a user namespace may write.
        const char* const options[][2] = {
            {"lowerdir", step.source}, {"upperdir", step.upper}, {"workdir", step.work}, {"redirect_dir", "nofollow"},
            {"metacopy", "off"},       {"index", "off"},         {"xino", "off"}};
        for (const auto& option : options)
            if (result >= 0) result = set(context.get(), option[0], option[1]);
        if (result >= 0) result = raw_call(sys::fsconfig, context.get(), set_flag, "userxattr", nullptr, 0);
    } else if (step.kind != Mount::Kind::procfs) {
        result = set(context.get(), "size", step.size);
        char mode[] = "0000";
        for (int digit = 0; digit < 4; ++digit)
            mode[digit] = static_cast<char>('0' + (step.mode >> (3 * (3 - digit)) & 7));
        if (result >= 0) result = set(context.get(), "mode", mode);
    }
    if (result >= 0) result = raw_call(sys::fsconfig, context.get(), create, nullptr, nullptr, 0);
    if (result < 0) return result;
    return raw_call(sys::fsmount, context.get(), 1 /* FSMOUNT_CLOEXEC */, step.attributes);
}

/// Opens a place beneath a directory, whose missing parts are made: as a directory, or as an empty file. Links are not
/// followed. Returns an O_PATH descriptor or a negative errno.
SYSGUARD_BARE inline long open_place(long directory, const char* path, bool is_directory, unsigned mode) noexcept {
    char name[256];
    Handle current{raw_call(SYS_openat, directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    while (current.get() >= 0 && *path != 0) {
        std::size_t length = 0;
        for (; *path != 0 && *path != '/'; ++path) {
            if (length + 1 == sizeof name) return -ENAMETOOLONG;
            name[length++] = *path;
        }
        while (*path == '/') ++path;
        if (length == 0) continue;
        name[length] = 0;
        const bool is_last = *path == 0;
        const bool enters = !is_last || is_directory;
        const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC | (enters ? O_DIRECTORY : 0);
        long fd = raw_call(SYS_openat, current.get(), name, flags);
        if (fd == -ENOENT) {
            const long made = enters ? raw_call(SYS_mkdirat, current.get(), name, is_last ? mode : 0755U)
                                     : raw_call(SYS_mknodat, current.get(), name, S_IFREG | 0444, 0);
            if (made < 0 && made != -EEXIST) return made;
            fd = raw_call(SYS_openat, current.get(), name, flags);
        }
        current.reset(fd);
    }
    const long fd = current.get();
    return fd < 0 ? fd : raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
}

/// Mounts what is mounted nowhere yet.
SYSGUARD_BARE inline long attach(long mount, long directory, const char* target, bool is_directory) noexcept {
    const Handle place{open_place(directory, target, is_directory, 0755)};
    if (place.get() < 0) return place.get();
    return raw_call(sys::move_mount, mount, "", place.get(), "", from_descriptor | to_descriptor);
}

/// Has something of the host's, with all that is mounted in it, at a place of the root's.
SYSGUARD_BARE inline long bind(const char* source, long directory, const char* target,
                               std::uint64_t attributes) noexcept {
    const Handle tree{raw_call(sys::open_tree, AT_FDCWD, source, clone_tree | whole_tree | O_CLOEXEC)};
    if (tree.get() < 0) return tree.get();
    struct stat status;
    long result = raw_call(SYS_fstat, tree.get(), &status);
    if (result < 0) return result;
    const Attributes change{attributes, 0, 0, 0};
    result = raw_call(sys::mount_setattr, tree.get(), "", AT_EMPTY_PATH | whole_tree, &change, sizeof change);
    if (result < 0) return result;
    return attach(tree.get(), directory, target, S_ISDIR(status.st_mode));
}

/// Makes a link whose directories are there or can be made.
SYSGUARD_BARE inline long link(const char* to, long directory, const char* path) noexcept {
    const char* name = path;
    for (const char* at = path; *at != 0; ++at)
        if (*at == '/' && at[1] != 0) name = at + 1;
    char above[4096];
    std::size_t length = 0;
    for (const char* at = path; at != name; ++at) {
        if (length + 1 == sizeof above) return -ENAMETOOLONG;
        above[length++] = *at;
    }
    above[length] = 0;
    const Handle parent{open_place(directory, above, true, 0755)};
    if (parent.get() < 0) return parent.get();
    return raw_call(SYS_symlinkat, to, parent.get(), name);
}

SYSGUARD_BARE inline long make_devices(const MountStep& step, long directory) noexcept {
    MountStep file_system = step;
    file_system.attributes = no_set_id | no_execution;
    const Handle mount{make_file_system("tmpfs", file_system)};
    if (mount.get() < 0) return mount.get();
    long result = attach(mount.get(), directory, step.target, true);
    const char* const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
    for (const char* const name : names)
        if (result >= 0) result = bind(name, mount.get(), name + 5, read_only | no_set_id | no_execution);
    const char* const links[][2] = {{"/proc/self/fd", "fd"},
                                    {"/proc/self/fd/0", "stdin"},
                                    {"/proc/self/fd/1", "stdout"},
                                    {"/proc/self/fd/2", "stderr"}};
    for (const auto& each : links)
        if (result >= 0) result = raw_call(SYS_symlinkat, each[0], mount.get(), each[1]);
    const Attributes change{read_only, 0, 0, 0};
    if (result < 0) return result;
    return raw_call(sys::mount_setattr, mount.get(), "", AT_EMPTY_PATH, &change, sizeof change);
}

SYSGUARD_BARE inline long add(const MountStep& step, long directory) noexcept {
    const char* type = "tmpfs";
    switch (step.kind) {
        case Mount::Kind::bind: return bind(step.source, directory, step.target, step.attributes);
        case Mount::Kind::link: return link(step.source, directory, step.target);
        case Mount::Kind::directory: {
            const Handle made{open_place(directory, step.target, true, step.mode)};
            return made.get() < 0 ? made.get() : 0;
        }
        case Mount::Kind::devices: return make_devices(step, directory);
        case Mount::Kind::procfs: type = "proc"; break;
        case Mount::Kind::overlay: type = "overlay"; break;
        case Mount::Kind::tmpfs: break;
    }
    const Handle mount{make_file_system(type, step)};
    if (mount.get() < 0) return mount.get();
    return attach(mount.get(), directory, step.target, true);
}

/// Mounts of the host's and of this namespace do not pass from one to the other any more.
SYSGUARD_BARE inline long make_private() noexcept {
    return raw_call(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

/// Leaves the host's root for one that has the steps' parts and nothing else. `failed` is the step that could not be
/// taken, or how many there are where the root itself could not be made.
SYSGUARD_BARE inline long enter(const World& world, std::uint32_t& failed) noexcept {
    MountStep own;
    own.kind = Mount::Kind::tmpfs;
    own.size = "1m";  // of directories and links
    own.attributes = no_set_id | no_devices;
    failed = static_cast<std::uint32_t>(world.mount_count);
    const Handle root{make_file_system("tmpfs", own)};
    if (root.get() < 0) return root.get();
    long result = raw_call(sys::move_mount, root.get(), "", AT_FDCWD, "/", from_descriptor);
    if (result < 0) return result;
    for (failed = 0; result >= 0 && failed < world.mount_count; ++failed) {
        result = add(world.mounts[failed], root.get());
        if (result < 0) return result;
    }
    const Attributes change{read_only, 0, 0, 0};
    result = raw_call(sys::mount_setattr, root.get(), "", AT_EMPTY_PATH, &change, sizeof change);
    if (result >= 0) result = raw_call(SYS_fchdir, root.get());
    if (result >= 0) result = raw_call(SYS_pivot_root, ".", ".");
    if (result >= 0) result = raw_call(SYS_umount2, ".", MNT_DETACH);
    return result < 0 ? result : raw_call(SYS_chdir, "/");
}

}  // namespace sysguard::process::detail::root
