#pragma once

#include "../../abi/numbers.hpp"
#include "extended_attributes.hpp"
#include "file_attributes.hpp"
#include "file_changes.hpp"
#include "file_status.hpp"
#include "job.hpp"
#include "open_files.hpp"
#include "sockets.hpp"

namespace sysguard::supervise::perform {

/// A call, and what carries it out.
struct Performed {
    int number = -1;  ///< native; -1 where the architecture lacks the call
    Performer performer = nullptr;
};

/// Every call that can be performed on a worker's behalf.
inline constexpr Performed performed[] = {
    {sys::connect, connect},
    {sys::bind, bind},
    {sys::sendto, sendto},
    {sys::sendmsg, sendmsg},
    {sys::sendmmsg, sendmmsg},

    {sys::open, open_file},
    {sys::openat, open_file},
    {sys::creat, open_file},
    {sys::openat2, open_file_how},

    {sys::stat, stat_path},
    {sys::lstat, stat_path},
    {sys::newfstatat, stat_path},
    {sys::fstat, stat_descriptor},
    {sys::statx, statx_path},
    {sys::statfs, statfs_path},
    {sys::fstatfs, statfs_descriptor},
    {sys::access, check_access},
    {sys::faccessat, check_access},
    {sys::faccessat2, check_access},
    {sys::readlink, read_link},
    {sys::readlinkat, read_link},

    {sys::unlink, remove_file},
    {sys::rmdir, remove_file},
    {sys::unlinkat, remove_file},
    {sys::mkdir, make_directory},
    {sys::mkdirat, make_directory},
    {sys::mknod, make_node},
    {sys::mknodat, make_node},
    {sys::rename, rename_file},
    {sys::renameat, rename_file},
    {sys::renameat2, rename_file},
    {sys::link, link_file},
    {sys::linkat, link_file},
    {sys::symlink, make_link},
    {sys::symlinkat, make_link},

    {sys::chmod, change_mode},
    {sys::fchmodat, change_mode},
    {sys::fchmodat2, change_mode},
    {sys::fchmod, change_descriptor_mode},
    {sys::chown, change_owner},
    {sys::lchown, change_owner},
    {sys::fchownat, change_owner},
    {sys::fchown, change_descriptor_owner},
    {sys::truncate, truncate_file},
    {sys::ftruncate, truncate_descriptor},
    {sys::utimensat, set_times},
    {sys::utimes, set_times_in_microseconds},
    {sys::futimesat, set_times_in_microseconds},
    {sys::utime, set_times_in_seconds},

    {sys::setxattr, set_xattr},
    {sys::lsetxattr, set_xattr},
    {sys::fsetxattr, set_descriptor_xattr},
    {sys::setxattrat, set_xattr_at},
    {sys::getxattr, get_xattr},
    {sys::lgetxattr, get_xattr},
    {sys::fgetxattr, get_descriptor_xattr},
    {sys::getxattrat, get_xattr_at},
    {sys::listxattr, list_xattr},
    {sys::llistxattr, list_xattr},
    {sys::flistxattr, list_descriptor_xattr},
    {sys::listxattrat, list_xattr_at},
    {sys::removexattr, remove_xattr},
    {sys::lremovexattr, remove_xattr},
    {sys::fremovexattr, remove_descriptor_xattr},
    {sys::removexattrat, remove_xattr_at},
};

/// What performs the call of a native number, or nullptr: the call cannot be performed.
constexpr Performer performer(int number) noexcept {
    if (number < 0) return nullptr;
    for (const Performed& entry : performed)
        if (entry.number == number) return entry.performer;
    return nullptr;
}

}  // namespace sysguard::supervise::perform
