#pragma once

#include "../../process/descriptor.hpp"
#include "../detail/bare_text.hpp"
#include "mappings.hpp"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::supervise {

namespace detail {

/// The id of the mount that a descriptor's file lies in, as /proc/self/fdinfo says it; -1 where it does not.
inline long mount_of(int fd) noexcept {
    char path[48];
    char text[1024];
    append(append(path, "/proc/self/fdinfo/"), static_cast<unsigned long>(fd));
    if (read_text(AT_FDCWD, path, text, sizeof text) < 0) return -1;
    const char* at = find_line(text, "mnt_id:");
    if (at == nullptr) return -1;
    while (*at == '\t' || *at == ' ') ++at;
    return static_cast<long>(parse(at));
}

/// A mount, as a line of /proc/self/mountinfo says it (proc_pid_mountinfo(5)).
struct Mount {
    long id = -1;
    std::uint64_t device_major = 0;
    std::uint64_t device_minor = 0;
    char type[32] = {};
};

inline bool parse_mount(const char* line, Mount& mount) noexcept {
    unsigned long long id = 0;
    unsigned major = 0;
    unsigned minor = 0;
    if (std::sscanf(line, "%llu %*s %u:%u ", &id, &major, &minor) != 3) return false;
    mount.device_major = major;
    mount.device_minor = minor;
    const char* const type = std::strstr(line, " - ");
    mount.id = static_cast<long>(id);
    return type != nullptr && std::sscanf(type + 3, "%31s", mount.type) == 1;
}

/// The mount of that id in the host's own namespace.
inline bool find_mount(long id, Mount& mount) noexcept {
    std::FILE* const mounts = std::fopen("/proc/self/mountinfo", "re");
    if (mounts == nullptr) return false;
    bool is_found = false;
    char line[16384];
    while (!is_found && std::fgets(line, sizeof line, mounts) != nullptr)
        is_found = parse_mount(line, mount) && mount.id == id;
    std::fclose(mounts);
    return is_found;
}

/// File systems whose files come from this machine's own disks and memory. Another's, such as FUSE's, come from
/// somebody who may let the host wait for ever.
inline bool is_local(std::string_view type) noexcept {
    for (const std::string_view local : {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "overlay",
                                         "tmpfs", "ramfs", "rootfs", "squashfs", "erofs", "iso9660", "vfat"})
        if (type == local) return true;
    return false;
}

/// The name of a mapping as a path: the kernel writes a line feed as \012 there. Empty where it is none, or its file
/// has been removed.
inline std::string path_of(const std::string& name) {
    std::string path;
    if (name.empty() || name[0] != '/') return path;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const bool is_escape = name.compare(i, 4, "\\012") == 0;
        path += is_escape ? '\n' : name[i];
        i += is_escape ? 3 : 0;
    }
    return path;
}

}  // namespace detail

/// The file that an executable mapping of a worker's is of, opened for reading; none where it is not found at the same
/// path from the host's root, or the file there is another one, or none that is sure to be read without waiting. Only
/// what the kernel's cache of names holds is looked up, as it holds every mapped file (RESOLVE_CACHED, Linux 5.12;
/// before, no file is found). Throws std::bad_alloc.
inline process::Descriptor open_module(const Mappings& mappings, const Mappings::Range& range) {
    const std::string path = detail::path_of(mappings.name_of(range));
    if (path.empty()) return {};
    constexpr std::uint64_t resolve_cached = 0x20;
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
    how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve_cached;
    const process::Descriptor place{static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how))};
    detail::Mount mount;
    if (!place || !detail::find_mount(detail::mount_of(place.get()), mount) || !detail::is_local(mount.type)) return {};
    const bool is_same_device = mount.device_major == range.device_major && mount.device_minor == range.device_minor;
    // Of an overlay's file, some kernels' maps name the device of the layer below.
    if (!is_same_device && std::strcmp(mount.type, "overlay") != 0) return {};
    struct stat status {};
    if (::fstat(place.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_ino != range.inode) return {};
    const detail::FdPath reopened{place.get()};
    return process::Descriptor{::open(reopened.text, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
}

}  // namespace sysguard::supervise
