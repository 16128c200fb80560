#pragma once

#include "../../abi/numbers.hpp"
#include "../detail/domain.hpp"
#include "../detail/locate.hpp"
#include "job.hpp"
#include "place.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <utime.h>

namespace sysguard::supervise::perform {

/// chmod, fchmodat, fchmodat2.
SYSGUARD_BARE inline long change_mode(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int flags = detail::int_argument(job, abi::ArgName::flags);
    const auto mode = static_cast<unsigned>(detail::argument(job, abi::ArgName::mode));
    if (job.call->number() == sys::fchmodat2) {
        const char* const path = detail::trial_path(job, at);
        const long trial = raw_call(sys::fchmodat2, detail::no_directory, path, mode, flags);
        if (trial != -EBADF) return trial;
    }
    Place place;
    const Last last = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? Last::keep : Last::follow;
    if (const long result = detail::locate(job, at, last, place, (flags & AT_EMPTY_PATH) != 0); result < 0)
        return result;
    return raw_call(SYS_fchmodat, AT_FDCWD, detail::FdPath{place.object.get()}.text, mode);
}

SYSGUARD_BARE inline long change_descriptor_mode(Job& job) noexcept {
    return raw_call(SYS_fchmod, job.fds[0], static_cast<unsigned>(job.arguments[1]));
}

/// chown, lchown, fchownat.
SYSGUARD_BARE inline long change_owner(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int otherwise = job.call->number() == sys::lchown ? AT_SYMLINK_NOFOLLOW : 0;
    const int flags = detail::int_argument(job, abi::ArgName::flags, otherwise);
    const auto owner = static_cast<unsigned>(detail::argument(job, abi::ArgName::owner));
    const auto group = static_cast<unsigned>(detail::argument(job, abi::ArgName::group));
    const char* const path = detail::trial_path(job, at);
    const long trial = raw_call(SYS_fchownat, detail::no_directory, path, owner, group, flags);
    if (trial != -EBADF) return trial;
    if (job.has_own_users) return -EPERM;
    Place place;
    const Last last = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? Last::keep : Last::follow;
    if (const long result = detail::locate(job, at, last, place, (flags & AT_EMPTY_PATH) != 0); result < 0)
        return result;
    return raw_call(SYS_fchownat, place.object.get(), "", owner, group, AT_EMPTY_PATH);
}

SYSGUARD_BARE inline long change_descriptor_owner(Job& job) noexcept {
    if (job.has_own_users) return -EPERM;
    return raw_call(SYS_fchown, job.fds[0], static_cast<unsigned>(job.arguments[1]),
                    static_cast<unsigned>(job.arguments[2]));
}

SYSGUARD_BARE inline long truncate_file(Job& job) noexcept {
    const auto length = static_cast<std::int64_t>(job.arguments[1]);
    if (length < 0) return -EINVAL;
    Place place;
    if (const long result = detail::locate(job, 0, Last::follow, place); result < 0) return result;
    if (const long result = detail::enter_domain(job); result < 0) return result;
    return raw_call(SYS_truncate, detail::FdPath{place.object.get()}.text, length);
}

SYSGUARD_BARE inline long truncate_descriptor(Job& job) noexcept {
    return raw_call(SYS_ftruncate, job.fds[0], static_cast<std::int64_t>(job.arguments[1]));
}

}  // namespace sysguard::supervise::perform

namespace sysguard::supervise::detail {

/// Sets the times of what a path leads to; without a path, those of the descriptor before it.
SYSGUARD_BARE inline long set_times(const Job& job, int at, const timespec* times, int flags) noexcept {
    if (at > 0 && job.arguments[at] == 0) {
        if (job.fds[at - 1] == AT_FDCWD) return -EFAULT;
        if (job.decided[at] != nullptr) {
            Place place;
            if (const long result = locate(job, at, Last::follow, place, true); result < 0) return result;
        }
        return raw_call(SYS_utimensat, job.fds[at - 1], nullptr, times, 0);
    }
    Place place;
    const Last last = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? Last::keep : Last::follow;
    if (const long result = locate(job, at, last, place, (flags & AT_EMPTY_PATH) != 0); result < 0) return result;
    return raw_call(SYS_utimensat, place.object.get(), "", times, AT_EMPTY_PATH);
}

/// Copies a structure of times. Returns 1 where there is one, 0 where the worker gave none, or a negative errno.
SYSGUARD_BARE inline long copy_times(const Job& job, int at, void* times, std::size_t size) noexcept {
    const Input& input = job.in[at];
    if (input.error != 0) return -input.error;
    if (input.data == nullptr) return 0;
    if (input.size < size) return -EFAULT;
    for (std::size_t i = 0; i < size; ++i) static_cast<char*>(times)[i] = input.data[i];
    return 1;
}

}  // namespace sysguard::supervise::detail

namespace sysguard::supervise::perform {

SYSGUARD_BARE inline long set_times(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int position = detail::position(job, abi::ArgName::times);
    const int flags = detail::int_argument(job, abi::ArgName::flags);
    timespec times[2];
    const long given = detail::copy_times(job, position, times, sizeof times);
    if (given < 0) return given;
    const timespec* const pair = given != 0 ? times : nullptr;
    // Without a path it is the descriptor's file, but AT_FDCWD is no descriptor.
    const bool has_neither = job.arguments[at] == 0 && job.fds[at - 1] == AT_FDCWD;
    const char* const path = has_neither ? detail::nowhere() : detail::trial_path(job, at);
    const long trial = raw_call(SYS_utimensat, detail::no_directory, path, pair, flags);
    if (trial != -EBADF) return trial;
    return detail::set_times(job, at, pair, flags);
}

/// utimes, futimesat.
SYSGUARD_BARE inline long set_times_in_microseconds(Job& job) noexcept {
    timeval given[2];
    timespec times[2];
    const long result = detail::copy_times(job, detail::position(job, abi::ArgName::times), given, sizeof given);
    if (result < 0) return result;
    for (int i = 0; result != 0 && i < 2; ++i) {
        if (given[i].tv_usec < 0 || given[i].tv_usec >= 1'000'000) return -EINVAL;
        times[i].tv_sec = given[i].tv_sec;
        times[i].tv_nsec = given[i].tv_usec * 1000;
    }
    return detail::set_times(job, detail::path_position(job), result != 0 ? times : nullptr, 0);
}

/// utime.
SYSGUARD_BARE inline long set_times_in_seconds(Job& job) noexcept {
    utimbuf given;
    timespec times[2];
    const long result = detail::copy_times(job, detail::position(job, abi::ArgName::times), &given, sizeof given);
    if (result < 0) return result;
    if (result != 0) {
        times[0].tv_sec = given.actime;
        times[1].tv_sec = given.modtime;
        times[0].tv_nsec = times[1].tv_nsec = 0;
    }
    return detail::set_times(job, 0, result != 0 ? times : nullptr, 0);
}

}  // namespace sysguard::supervise::perform
