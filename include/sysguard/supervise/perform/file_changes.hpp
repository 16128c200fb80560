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
#include <sys/syscall.h>

/// Calls that change a directory. None of them follows a link in the last place of the path that it changes, so it is
/// left to the kernel, with the slash that follows it.
namespace sysguard::supervise::perform {

/// unlink, rmdir, unlinkat.
SYSGUARD_BARE inline long remove_file(Job& job) noexcept {
    const int at = detail::path_position(job);
    const int otherwise = job.call->number() == sys::rmdir ? AT_REMOVEDIR : 0;
    const int flags = detail::int_argument(job, abi::ArgName::flags, otherwise);
    const long trial = raw_call(SYS_unlinkat, detail::no_directory, detail::trial_path(job, at), flags);
    if (trial != -EBADF) return trial;
    Place place;
    if (const long result = detail::locate(job, at, Last::given, place); result < 0) return result;
    if (place.is_root && (flags & AT_REMOVEDIR) != 0) return -EBUSY;
    if (const long result = detail::enter_domain(job); result < 0) return result;
    return raw_call(SYS_unlinkat, place.directory.get(), place.given_name(), flags);
}

/// mkdir, mkdirat.
SYSGUARD_BARE inline long make_directory(Job& job) noexcept {
    const int at = detail::path_position(job);
    Place place;
    if (const long result = detail::locate(job, at, Last::given, place); result < 0) return result;
    if (const long result = detail::enter_domain(job); result < 0) return result;
    const auto mode = static_cast<unsigned>(detail::argument(job, abi::ArgName::mode));
    return raw_call(SYS_mkdirat, place.directory.get(), place.given_name(), mode);
}

/// mknod, mknodat.
SYSGUARD_BARE inline long make_node(Job& job) noexcept {
    const int at = detail::path_position(job);
    const auto mode = static_cast<unsigned>(detail::argument(job, abi::ArgName::mode));
    const auto device = static_cast<unsigned>(detail::argument(job, abi::ArgName::dev));
    const long trial = raw_call(SYS_mknodat, detail::no_directory, detail::trial_path(job, at), mode, device);
    if (trial != -EBADF) return trial;
    Place place;
    if (const long result = detail::locate(job, at, Last::given, place); result < 0) return result;
    if (const long result = detail::enter_domain(job); result < 0) return result;
    return raw_call(SYS_mknodat, place.directory.get(), place.given_name(), mode, device);
}

/// rename, renameat, renameat2.
SYSGUARD_BARE inline long rename_file(Job& job) noexcept {
    const int from = detail::path_position(job);
    const int to = detail::path_position(job, from + 1);
    const auto flags = static_cast<unsigned>(detail::argument(job, abi::ArgName::flags));
    const long trial =
        raw_call(SYS_renameat2, detail::no_directory, detail::trial_path(job, from), detail::no_directory, "x", flags);
    if (trial != -EBADF) return trial;
    Place old_place, new_place;
    if (const long result = detail::locate(job, from, Last::given, old_place); result < 0) return result;
    if (const long result = detail::locate(job, to, Last::given, new_place); result < 0) return result;
    if (const long result = detail::enter_domain(job); result < 0) return result;
    return raw_call(SYS_renameat2, old_place.directory.get(), old_place.given_name(), new_place.directory.get(),
                    new_place.given_name(), flags);
}

/// link, linkat.
SYSGUARD_BARE inline long link_file(Job& job) noexcept {
    const int from = detail::path_position(job);
    const int to = detail::path_position(job, from + 1);
    const int flags = detail::int_argument(job, abi::ArgName::flags);
    const long trial =
        raw_call(SYS_linkat, detail::no_directory, detail::trial_path(job, from), detail::no_directory, "x", flags);
    if (trial != -EBADF) return trial;
    Place old_place, new_place;
    const Last last = (flags & AT_SYMLINK_FOLLOW) != 0 ? Last::follow : Last::keep;
    const bool may_be_empty = (flags & AT_EMPTY_PATH) != 0;
    if (const long result = detail::locate(job, from, last, old_place, may_be_empty); result < 0) return result;
    if (const long result = detail::locate(job, to, Last::given, new_place); result < 0) return result;
    if (const long result = detail::enter_domain(job); result < 0) return result;
    return raw_call(SYS_linkat, AT_FDCWD, detail::FdPath{old_place.object.get()}.text, new_place.directory.get(),
                    new_place.given_name(), AT_SYMLINK_FOLLOW);
}

/// symlink, symlinkat.
SYSGUARD_BARE inline long make_link(Job& job) noexcept {
    const int target = detail::position(job, abi::ArgName::target);
    const int at = detail::path_position(job, target + 1);
    if (job.in[target].error != 0) return -job.in[target].error;
    const char* const text = job.in[target].data;
    const long trial = raw_call(SYS_symlinkat, text, detail::no_directory, detail::trial_path(job, at));
    if (trial != -EBADF) return trial;
    Place place;
    if (const long result = detail::locate(job, at, Last::given, place); result < 0) return result;
    if (const long result = detail::enter_domain(job); result < 0) return result;
    return raw_call(SYS_symlinkat, text, place.directory.get(), place.given_name());
}

}  // namespace sysguard::supervise::perform
