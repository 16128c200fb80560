#pragma once

#include "../../abi/error.hpp"
#include "../descriptor.hpp"
#include "remove_tree.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/// Single steps in the directories of an overlay, whose content is not trusted. Every name is one component, looked up
/// in an open directory; no symbolic link is followed, and no other mount entered.
namespace sysguard::process::detail {

/// Opens, though its owner may not: then its mode is changed for that moment.
inline Descriptor open_readable(int parent, const char* name, int flags) noexcept {
    flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK;  // a FIFO that took a file's place must not hold the host up
    Descriptor file = open_beneath(parent, name, flags);
    if (file || errno != EACCES) return file;
    const Descriptor place = open_beneath(parent, name, O_PATH | O_NOFOLLOW | (flags & O_DIRECTORY));
    struct stat info {};
    if (!place || ::fstat(place.get(), &info) != 0) return {};
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return errno = EACCES, Descriptor{};
    if (change_mode(place.get(), (info.st_mode & 07777) | 0500) != 0) return {};
    file = open_beneath(parent, name, flags);
    const int error = errno;
    change_mode(place.get(), info.st_mode & 07777);
    errno = error;
    return file;
}

struct Attribute {
    std::string name;
    std::string value;

    bool operator==(const Attribute&) const = default;
    bool operator<(const Attribute& other) const { return name < other.name; }
};

/// The extended attributes of users, without the kernel's own of overlays. Throws `Error`.
inline std::vector<Attribute> attributes_of(int fd) {
    std::string names;
    std::vector<Attribute> found;
    for (;;) {
        const ssize_t size = ::flistxattr(fd, nullptr, 0);
        if (size < 0 && errno == EOPNOTSUPP) return found;
        if (size < 0) throw Error{errno, "list extended attributes"};
        names.resize(static_cast<std::size_t>(size));
        const ssize_t got = ::flistxattr(fd, names.data(), names.size());
        if (got < 0 && errno == ERANGE) continue;
        if (got < 0) throw Error{errno, "list extended attributes"};
        names.resize(static_cast<std::size_t>(got));
        break;
    }
    for (std::size_t at = 0; at < names.size(); at += std::strlen(names.c_str() + at) + 1) {
        Attribute attribute{names.c_str() + at, std::string(65536, '\0')};  // XATTR_SIZE_MAX
        if (attribute.name.rfind("user.", 0) != 0 || attribute.name.rfind("user.overlay.", 0) == 0) continue;
        const ssize_t size = ::fgetxattr(fd, attribute.name.c_str(), attribute.value.data(), attribute.value.size());
        if (size < 0) throw Error{errno, "read an extended attribute"};
        attribute.value.resize(static_cast<std::size_t>(size));
        found.push_back(std::move(attribute));
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// Makes them what they are to be. Throws `Error`.
inline void set_attributes(int fd, const std::vector<Attribute>& wanted) {
    const std::vector<Attribute> old = attributes_of(fd);
    for (const Attribute& attribute : wanted)
        if (std::find(old.begin(), old.end(), attribute) == old.end() &&
            ::fsetxattr(fd, attribute.name.c_str(), attribute.value.data(), attribute.value.size(), 0) != 0)
            throw Error{errno, "set an extended attribute"};
    for (const Attribute& attribute : old) {
        const bool stays = std::any_of(wanted.begin(), wanted.end(),
                                       [&](const Attribute& other) { return other.name == attribute.name; });
        if (!stays && ::fremovexattr(fd, attribute.name.c_str()) != 0)
            throw Error{errno, "remove an extended attribute"};
    }
}

/// Whether a directory hides all of the lower one.
inline bool is_opaque(int directory) noexcept {
    char value = 0;
    return ::fgetxattr(directory, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/// Whether a directory of the upper layer was one of the lower layer when the worker first changed something in it.
inline bool has_origin(int directory) noexcept {
    return ::fgetxattr(directory, "user.overlay.origin", nullptr, 0) >= 0;
}

inline bool is_whiteout(const struct stat& info) noexcept {
    return S_ISCHR(info.st_mode) && info.st_rdev == 0;
}

/// Sorted. `room`: how many more there may be. Throws `Error`.
inline std::vector<std::string> names_in(int directory, std::size_t room) {
    const int again = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const list = again < 0 ? nullptr : ::fdopendir(again);
    if (list == nullptr) {
        const int error = errno;
        if (again >= 0) ::close(again);
        throw Error{error, "list a directory"};
    }
    struct Closer {
        DIR* list;
        ~Closer() { ::closedir(list); }
    } const closer{list};
    std::vector<std::string> names;
    while (const dirent* const entry = ::readdir(list)) {
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
        if (names.size() == room) throw Error{EFBIG, "list a directory: there are more entries than may be"};
        names.emplace_back(entry->d_name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// Removes an entry, with all that is in it. Throws `Error`.
inline void remove_entry(int parent, const char* name) {
    if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
    if (errno != EISDIR && errno != EPERM) throw Error{errno, "remove"};
    const int error = errno;
    if (::unlinkat(parent, name, AT_REMOVEDIR) == 0) return;
    if (errno == ENOTDIR) throw Error{error, "remove"};
    const Descriptor directory = open_to_empty(parent, name);
    if (!directory) throw Error{errno, "open a directory that is to be removed"};
    if (const int left = remove_beneath(directory.get()); left != 0) throw Error{left, "empty a directory"};
    if (::unlinkat(parent, name, AT_REMOVEDIR) != 0) throw Error{errno, "remove a directory"};
}

/// A name that is nobody's yet, for what takes its own name when it is complete.
inline std::string temporary_name() {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) throw Error{errno, "draw a random number"};
    char name[40];
    std::snprintf(name, sizeof name, ".sysguard_%016llx", static_cast<unsigned long long>(number));
    return name;
}

/// Copies what is written in one file to another that is empty; holes stay holes. `room`: the most bytes, less what was
/// copied. Throws `Error`.
inline void copy_content(int from, int to, std::uint64_t& room) {
    struct stat info {};
    if (::fstat(from, &info) != 0) throw Error{errno, "look at a file"};
    const auto too_large = [] { return Error{EFBIG, "copy a file: it has more data than may be"}; };
    off_t at = 0;
    while (at < info.st_size) {
        const off_t data = ::lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break;  // no data behind this
        if (data >= 0) at = data;
        const off_t hole = data < 0 ? info.st_size : ::lseek(from, at, SEEK_HOLE);
        const off_t end = hole < 0 || hole > info.st_size ? info.st_size : hole;
        if (::lseek(from, at, SEEK_SET) < 0 || ::lseek(to, at, SEEK_SET) < 0) throw Error{errno, "seek in a file"};
        while (at < end) {
            std::size_t wanted = static_cast<std::size_t>(end - at);
            if (wanted > (std::size_t{1} << 24)) wanted = std::size_t{1} << 24;
            if (wanted > room) throw too_large();
            ssize_t bytes = ::copy_file_range(from, nullptr, to, nullptr, wanted, 0);
            if (bytes < 0 && errno == EINTR) continue;
            if (bytes <= 0) {  // not between these file systems, or not at all
                char buffer[65536];
                bytes = ::read(from, buffer, wanted < sizeof buffer ? wanted : sizeof buffer);
                if (bytes < 0 && errno == EINTR) continue;
                if (bytes < 0) throw Error{errno, "read a file"};
                if (bytes == 0) break;  // it is shorter by now
                for (ssize_t done = 0; done < bytes;) {
                    const ssize_t written = ::write(to, buffer + done, static_cast<std::size_t>(bytes - done));
                    if (written < 0 && errno != EINTR) throw Error{errno, "write a file"};
                    if (written > 0) done += written;
                }
            }
            at += bytes;
            room -= static_cast<std::uint64_t>(bytes);
        }
        if (at < end) break;
    }
    if (::ftruncate(to, info.st_size) != 0) throw Error{errno, "give a file its size"};
}

/// Owner, extended attributes, mode and times. Where the host may not give it the owner it had, it stays the host's;
/// set-id bits would then be the host's own, and are left out. Throws `Error`.
inline void set_status(int fd, const struct stat& wanted, const std::vector<Attribute>& attributes, mode_t bits) {
    struct stat now {};
    if (::fstat(fd, &now) != 0) throw Error{errno, "look at what was made"};
    mode_t mode = wanted.st_mode & bits;
    if ((now.st_uid != wanted.st_uid || now.st_gid != wanted.st_gid) &&
        ::fchown(fd, wanted.st_uid, wanted.st_gid) != 0) {
        if (errno != EPERM) throw Error{errno, "set the owner"};
        mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);
    }
    set_attributes(fd, attributes);
    if (::fchmod(fd, mode) != 0) throw Error{errno, "set the mode"};
    const timespec times[2] = {wanted.st_atim, wanted.st_mtim};
    if (::futimens(fd, times) != 0) throw Error{errno, "set the times"};
}

}  // namespace sysguard::process::detail
