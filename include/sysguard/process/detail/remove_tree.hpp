#pragma once

#include "../descriptor.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::process::detail {

/// Changes the mode of what a descriptor made with O_PATH leads to: fchmod(2) does not, and a path could lead elsewhere
/// by now.
inline int change_mode(int path_fd, mode_t mode) noexcept {
    char link[32];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
    return ::chmod(link, mode);
}

/// Opens by a name in a directory: what lies on the same mount, through no link. Linux 5.6. -1: errno; EXDEV where
/// something is mounted there.
inline Descriptor open_beneath(int parent, const char* name, int flags) noexcept {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    long fd = -1;
    for (int tries = 0; fd < 0 && tries < 64; ++tries) {  // EAGAIN: something was renamed meanwhile (openat2(2))
        fd = ::syscall(SYS_openat2, parent, name, &how, sizeof how);
        if (fd < 0 && errno != EINTR && errno != EAGAIN) break;
    }
    return Descriptor{above_streams(static_cast<int>(fd))};
}

/// Opens a directory by its name in another, to list and change it, whatever its mode: where it keeps its owner out,
/// its mode is changed to 0700. -1: errno.
inline Descriptor open_to_empty(int parent, const char* name) noexcept {
    constexpr int flags = O_DIRECTORY | O_NOFOLLOW;
    const Descriptor place = open_beneath(parent, name, O_PATH | flags);
    struct stat info {};
    if (!place || ::fstat(place.get(), &info) != 0) return {};
    if ((info.st_mode & 0700) != 0700) change_mode(place.get(), 0700);
    return open_beneath(place.get(), ".", O_RDONLY | flags);
}

/// Removes what is in a directory: of a tree of any depth and with any names, made by who is not trusted. No symbolic
/// link is followed, no other mount entered. A directory that is not empty is moved to the top and emptied there, so
/// that this needs no more descriptors or memory however deep the tree is. Returns 0, or the errno of the first thing
/// that could not be removed; the others are.
inline int remove_beneath(int top) noexcept {
    int error = 0;
    unsigned long moved = 0;
    /// Empties one directory into the top one. Returns whether something may be left to do.
    const auto empty = [&](int directory, bool is_top) {
        const int again = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR* const list = again < 0 ? nullptr : ::fdopendir(again);
        if (list == nullptr) {
            if (error == 0) error = errno;
            if (again >= 0) ::close(again);
            return false;
        }
        bool has_moved = false;
        while (const dirent* const entry = ::readdir(list)) {
            const char* const name = entry->d_name;
            if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
            if (::unlinkat(directory, name, 0) == 0) continue;
            const int is_directory = errno == EISDIR || errno == EPERM;
            if (is_directory && ::unlinkat(directory, name, AT_REMOVEDIR) == 0) continue;
            if (is_top) continue;
            open_to_empty(directory, name);  // who moves a directory must be able to write to it
            char target[32];
            do {
                std::snprintf(target, sizeof target, "%lu", ++moved);
            } while (::faccessat(top, target, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
            if (::renameat(directory, name, top, target) == 0)
                has_moved = true;
            else if (error == 0)
                error = errno;
        }
        ::closedir(list);
        return has_moved;
    };
    constexpr unsigned long most_moved = 10'000'000;  // somebody might go on making some
    bool is_left = true;
    for (bool is_changing = true; is_changing && moved < most_moved;) {
        empty(top, true);
        is_changing = false;
        is_left = false;
        const int again = ::openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR* const list = again < 0 ? nullptr : ::fdopendir(again);
        if (list == nullptr) {
            if (again >= 0) ::close(again);
            return error != 0 ? error : errno;
        }
        while (const dirent* const entry = ::readdir(list)) {
            const char* const name = entry->d_name;
            if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
            is_left = true;
            if (const Descriptor directory = open_to_empty(top, name)) {
                is_changing = empty(directory.get(), false) || is_changing;
                if (::unlinkat(top, name, AT_REMOVEDIR) == 0) is_changing = true;
            } else if (error == 0) {
                error = errno;
            }
        }
        ::closedir(list);
    }
    return is_left ? (error != 0 ? error : ENOTEMPTY) : 0;
}

}  // namespace sysguard::process::detail
