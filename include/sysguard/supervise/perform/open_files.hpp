#pragma once

#include "../../abi/numbers.hpp"
#include "../detail/domain.hpp"
#include "../detail/locate.hpp"
#include "job.hpp"
#include "place.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace sysguard::supervise::detail {

/// /dev/tty is the terminal of whoever opens it: the host's. A worker, in a session of its own, has none.
SYSGUARD_BARE inline long without_terminal(long fd) noexcept {
    constexpr std::uint64_t terminal = 5 << 8;  // makedev(5, 0)
    struct stat status;
    if (fd < 0 || raw_call(SYS_fstat, fd, &status) < 0) return fd;
    if (!S_ISCHR(status.st_mode) || status.st_rdev != terminal) return fd;
    raw_call(SYS_close, fd);
    return -ENXIO;
}

/// Opens the very object of a place once more, now for use.
SYSGUARD_BARE inline long reopen(const Place& place, int flags, unsigned mode) noexcept {
    return raw_call(SYS_openat, AT_FDCWD, FdPath{place.object.get()}.text, flags & ~O_NOFOLLOW, mode);
}

SYSGUARD_BARE inline long open_existing(Job& job, int at, int flags, unsigned mode, std::uint64_t resolve) noexcept {
    Place place;
    const Last last = (flags & O_NOFOLLOW) != 0 ? Last::keep : Last::follow;
    if (const long result = locate(job, at, last, place, false, resolve); result < 0) return result;
    if (const long result = enter_domain(job); result < 0) return result;
    if ((flags & O_PATH) == 0) return reopen(place, flags, mode);
    if ((flags & O_DIRECTORY) != 0 && !place.identity.is(S_IFDIR)) return -ENOTDIR;
    return place.object.release();
}

/// Opens with O_CREAT. What the walk saw in the last place may be another thing by now: a link that has come there is
/// not followed, but walked.
SYSGUARD_BARE inline long open_creating(Job& job, int at, int flags, unsigned mode, std::uint64_t resolve) noexcept {
    constexpr int most_walks = 40;
    const Last last = (flags & (O_EXCL | O_NOFOLLOW)) != 0 ? Last::given : Last::create;
    for (int walks = 0; walks < most_walks; ++walks) {
        Place place;
        if (const long result = locate(job, at, last, place, false, resolve); result < 0) return result;
        if (const long result = enter_domain(job); result < 0) return result;
        if (place.jumped) return reopen(place, flags, mode);
        if (place.directory.get() < 0) return raw_call(SYS_openat, place.object.get(), ".", flags, mode);
        const long fd = raw_call(SYS_openat, place.directory.get(), place.given_name(), flags | O_NOFOLLOW, mode);
        if (fd != -ELOOP || last != Last::create) return fd;
    }
    return -ELOOP;
}

SYSGUARD_BARE inline long open_path(Job& job, int at, int flags, unsigned mode, std::uint64_t resolve) noexcept {
    if ((flags & O_PATH) != 0) flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
    flags |= O_CLOEXEC;
    if ((flags & O_PATH) != 0) return open_existing(job, at, flags, mode, resolve);
    flags |= O_NOCTTY;
    return without_terminal((flags & O_CREAT) != 0 ? open_creating(job, at, flags, mode, resolve)
                                                   : open_existing(job, at, flags, mode, resolve));
}

}  // namespace sysguard::supervise::detail

namespace sysguard::supervise::perform {

/// open, openat, creat. Returns a descriptor of the performer's, close-on-exec whatever the flags say. May wait, in the
/// open of a FIFO.
SYSGUARD_BARE inline long open_file(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int flags = detail::int_argument(job, abi::ArgName::flags, O_CREAT | O_WRONLY | O_TRUNC);
    const auto mode = static_cast<unsigned>(detail::argument(job, abi::ArgName::mode));
    const long trial = raw_call(SYS_openat, detail::no_directory, detail::trial_path(job, at), flags, mode);
    if (trial != -EBADF) return trial;
    if (job.has_full_table) return -EMFILE;
    return detail::open_path(job, at, flags, mode, 0);
}

/// openat2. The input `how` has as many bytes as the worker said, up to 4096.
SYSGUARD_BARE inline long open_file_how(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int position = detail::position(job, abi::ArgName::how);
    const std::uint64_t size = detail::argument(job, abi::ArgName::size);
    if (job.in[position].data != nullptr && job.in[position].size < size) return -E2BIG;
    const long trial =
        raw_call(SYS_openat2, detail::no_directory, detail::trial_path(job, at), detail::copy_of(job, position), size);
    if (trial != -EBADF) return trial;
    if (job.has_full_table) return -EMFILE;
    if (job.in[position].size < sizeof(open_how)) return -EINVAL;
    open_how how;
    __builtin_memcpy(&how, job.in[position].data, sizeof how);
    return detail::open_path(job, at, static_cast<int>(how.flags), static_cast<unsigned>(how.mode), how.resolve);
}

}  // namespace sysguard::supervise::perform
