#pragma once

#include "../../abi/numbers.hpp"
#include "../detail/locate.hpp"
#include "credentials.hpp"
#include "job.hpp"
#include "place.hpp"

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

namespace sysguard::supervise::detail {

SYSGUARD_BARE inline long written(Job& job, int at, long result, std::size_t size) noexcept {
    if (result >= 0) job.out[at].size = size;
    return result;
}

SYSGUARD_BARE inline Last last_of(int at_flags) noexcept {
    return (at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? Last::keep : Last::follow;
}

/// What readlink says of a link on procfs depends on who asks. Returns the length of what was put into `text`.
SYSGUARD_BARE inline long read_link(const Job& job, Place& place, char* text, std::size_t capacity) noexcept {
    if (place.link == perform::Link::self || place.link == perform::Link::thread_self)
        return self_text(place.directory.get(), job.caller, place.link == perform::Link::thread_self, text);
    const long length = raw_call(SYS_readlinkat, place.object.get(), "", text, capacity);
    if (length <= 0 || place.link != perform::Link::magic || text[0] != '/') return length;

    // A magic link's text begins at the root of the task that reads it.
    char root[PATH_MAX];
    const long prefix = raw_call(SYS_readlinkat, AT_FDCWD, FdPath{job.root}.text, root, sizeof root);
    if (prefix <= 1 || prefix > length || (prefix < length && text[prefix] != '/')) return prefix < 0 ? prefix : length;
    for (long i = 0; i < prefix; ++i)
        if (root[i] != text[i]) return length;
    for (long i = prefix; i < length; ++i) text[i - prefix] = text[i];
    if (prefix == length) text[0] = '/';
    return prefix == length ? 1 : length - prefix;
}

}  // namespace sysguard::supervise::detail

namespace sysguard::supervise::perform {

/// stat, lstat, newfstatat.
SYSGUARD_BARE inline long stat_path(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int out = detail::position(job, abi::ArgName::statbuf);
    const int otherwise = job.call->number() == sys::lstat ? AT_SYMLINK_NOFOLLOW : 0;
    const int flags = detail::int_argument(job, abi::ArgName::flags, otherwise);
    void* const room = detail::room_of(job, out, sizeof(struct stat));
    const long trial = raw_call(SYS_newfstatat, detail::no_directory, detail::trial_path(job, at), room, flags);
    if (trial != -EBADF) return trial;
    Place place;
    const bool may_be_empty = (flags & AT_EMPTY_PATH) != 0;
    if (const long result = detail::locate(job, at, detail::last_of(flags), place, may_be_empty); result < 0)
        return result;
    const int kept = (flags & ~AT_SYMLINK_NOFOLLOW) | AT_EMPTY_PATH;
    return detail::written(job, out, raw_call(SYS_newfstatat, place.object.get(), "", room, kept), sizeof(struct stat));
}

SYSGUARD_BARE inline long stat_descriptor(Job& job) noexcept {
    void* const room = detail::room_of(job, 1, sizeof(struct stat));
    return detail::written(job, 1, raw_call(SYS_fstat, job.fds[0], room), sizeof(struct stat));
}

SYSGUARD_BARE inline long statx_path(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int out = detail::position(job, abi::ArgName::statxbuf);
    const int flags = detail::int_argument(job, abi::ArgName::flags);
    const auto mask = static_cast<unsigned>(detail::argument(job, abi::ArgName::mask));
    void* const room = detail::room_of(job, out, sizeof(struct statx));
    const long trial = raw_call(SYS_statx, detail::no_directory, detail::trial_path(job, at), flags, mask, room);
    if (trial != -EBADF) return trial;
    Place place;
    const bool may_be_empty = (flags & AT_EMPTY_PATH) != 0;
    if (const long result = detail::locate(job, at, detail::last_of(flags), place, may_be_empty); result < 0)
        return result;
    const int kept = (flags & ~AT_SYMLINK_NOFOLLOW) | AT_EMPTY_PATH;
    const long result = raw_call(SYS_statx, place.object.get(), "", kept, mask, room);
    return detail::written(job, out, result, sizeof(struct statx));
}

SYSGUARD_BARE inline long statfs_path(Job& job) noexcept {
    Place place;
    if (const long result = detail::locate(job, 0, Last::follow, place); result < 0) return result;
    void* const room = detail::room_of(job, 1, sizeof(struct statfs));
    return detail::written(job, 1, raw_call(SYS_fstatfs, place.object.get(), room), sizeof(struct statfs));
}

SYSGUARD_BARE inline long statfs_descriptor(Job& job) noexcept {
    void* const room = detail::room_of(job, 1, sizeof(struct statfs));
    return detail::written(job, 1, raw_call(SYS_fstatfs, job.fds[0], room), sizeof(struct statfs));
}

/// access, faccessat, faccessat2.
SYSGUARD_BARE inline long check_access(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int mode = detail::int_argument(job, abi::ArgName::mode);
    const int flags = detail::int_argument(job, abi::ArgName::flags);
    const long trial = raw_call(SYS_faccessat2, detail::no_directory, detail::trial_path(job, at), mode, flags);
    if (trial != -EBADF) return trial;
    if ((flags & AT_EACCESS) == 0)
        if (const long result = detail::take_real_ids(); result < 0) return result;
    Place place;
    const bool may_be_empty = (flags & AT_EMPTY_PATH) != 0;
    if (const long result = detail::locate(job, at, detail::last_of(flags), place, may_be_empty); result < 0)
        return result;
    return raw_call(SYS_faccessat2, place.object.get(), "", mode, (flags & ~AT_SYMLINK_NOFOLLOW) | AT_EMPTY_PATH);
}

/// readlink, readlinkat.
SYSGUARD_BARE inline long read_link(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int out = detail::position(job, abi::ArgName::buf);
    const int count = detail::int_argument(job, abi::ArgName::count);
    if (count <= 0) return -EINVAL;
    Place place;
    const long found = detail::locate(job, at, Last::keep, place, at > 0 && job.in[at].data != nullptr);
    if (found < 0) return found;
    const bool is_empty = job.in[at].data[0] == 0;
    if (!place.identity.is(S_IFLNK)) return is_empty ? -ENOENT : -EINVAL;

    char text[PATH_MAX];
    long length = detail::read_link(job, place, text, sizeof text);
    if (length < 0) return length;
    if (length > count) length = count;
    Output& output = job.out[out];
    if (output.data == nullptr || output.capacity < static_cast<std::size_t>(length)) return -EFAULT;
    for (long i = 0; i < length; ++i) output.data[i] = text[i];
    return detail::written(job, out, length, static_cast<std::size_t>(length));
}

}  // namespace sysguard::supervise::perform
