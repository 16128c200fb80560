#pragma once

#include "../../abi/numbers.hpp"
#include "../detail/locate.hpp"
#include "job.hpp"
#include "place.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/syscall.h>

namespace sysguard::supervise::detail {

enum class XattrCall : std::uint8_t { set, get, list, remove };

/// What a call on extended attributes is about, wherever its file comes from.
struct Xattr {
    XattrCall call;
    const char* name = nullptr;
    const char* value = nullptr;  ///< to be set
    Output* room = nullptr;       ///< for what is read
    std::uint64_t size = 0;
    int flags = 0;
    bool may_name_ids = false;  ///< of another user namespace: an access control list, for one
};

/// On what: a path, whose last component is followed if it is a link, or a descriptor.
SYSGUARD_BARE inline long call_xattr(const Xattr& xattr, const char* path, int fd) noexcept {
    static constexpr int by_path[] = {SYS_setxattr, SYS_getxattr, SYS_listxattr, SYS_removexattr};
    static constexpr int by_fd[] = {SYS_fsetxattr, SYS_fgetxattr, SYS_flistxattr, SYS_fremovexattr};
    const auto index = static_cast<int>(xattr.call);
    const long number = path != nullptr ? by_path[index] : by_fd[index];
    const long file = path != nullptr ? reinterpret_cast<long>(path) : fd;
    char* const room = xattr.room != nullptr ? xattr.room->data : nullptr;
    std::uint64_t size = xattr.size;
    if (room != nullptr && size > xattr.room->capacity) size = xattr.room->capacity;
    long result = 0;
    switch (xattr.call) {
        case XattrCall::set:
            if (xattr.may_name_ids) return -EPERM;
            return raw_call(number, file, xattr.name, xattr.value, size, xattr.flags);
        case XattrCall::get: result = raw_call(number, file, xattr.name, room, size); break;
        case XattrCall::list: result = raw_call(number, file, room, size); break;
        case XattrCall::remove: return raw_call(number, file, xattr.name);
    }
    if (result > 0 && size > 0 && xattr.room != nullptr) xattr.room->size = static_cast<std::size_t>(result);
    return result;
}

SYSGUARD_BARE inline Xattr xattr_of(Job& job, XattrCall call) noexcept {
    Xattr xattr{call};
    const int name = position(job, ArgName::name);
    if (name >= 0) xattr.name = copy_of(job, name);
    const int value = position(job, call == XattrCall::list ? ArgName::list : ArgName::value);
    if (value >= 0 && call == XattrCall::set) xattr.value = copy_of(job, value);
    if (value >= 0 && call != XattrCall::set) xattr.room = &job.out[value];
    xattr.size = argument(job, ArgName::size);
    xattr.may_name_ids =
        job.has_own_users && name >= 0 && job.in[name].data != nullptr && !begins_with(job.in[name].data, "user.");
    return xattr;
}

/// struct xattr_args of <linux/xattr.h>, Linux 6.13.
struct XattrArgs {
    std::uint64_t value = 0;
    std::uint32_t size = 0;
    std::uint32_t flags = 0;
};

/// Replaces the worker's address of a value by that of the copy, in a structure of `size` bytes.
SYSGUARD_BARE inline void take_args(Job& job, int at, Xattr& xattr, char* structure, std::size_t size) noexcept {
    for (std::size_t i = 0; i < size; ++i) structure[i] = job.in[at].data[i];
    XattrArgs args;
    __builtin_memcpy(&args, structure, sizeof args);
    const bool sets = xattr.call == XattrCall::set;
    if (args.value == 0 || job.extra == nullptr) {
        xattr.value = args.value == 0 ? nullptr : nowhere();
    } else if (sets) {
        const Input& value = *static_cast<const Input*>(job.extra);
        xattr.value = value.data != nullptr ? value.data : nowhere();
    } else {
        xattr.room = static_cast<Output*>(job.extra);
    }
    const void* const address = sets                    ? static_cast<const void*>(xattr.value)
                                : xattr.room != nullptr ? xattr.room->data
                                                        : nullptr;
    args.value = reinterpret_cast<std::uintptr_t>(address);
    xattr.size = args.size;
    xattr.flags = static_cast<int>(args.flags);
    __builtin_memcpy(structure, &args, sizeof args);
}

SYSGUARD_BARE inline long xattr_path(Job& job, XattrCall call) noexcept {
    Xattr xattr = xattr_of(job, call);
    if (call == XattrCall::set) xattr.flags = int_argument(job, ArgName::flags);
    const int name = position(job, ArgName::name);
    if (name >= 0 && job.in[name].error == ENAMETOOLONG) return -ERANGE;
    if (call != XattrCall::list) {
        const long trial = call_xattr(xattr, "", -1);  // ENOENT, if nothing else is wrong
        if (trial != -ENOENT) return trial;
    }
    const int number = job.call->number();
    const bool keeps = number == sys::lsetxattr || number == sys::lgetxattr || number == sys::llistxattr ||
                       number == sys::lremovexattr;
    Place place;
    if (const long result = locate(job, 0, keeps ? Last::keep : Last::follow, place); result < 0) return result;
    return call_xattr(xattr, FdPath{place.object.get()}.text, -1);
}

SYSGUARD_BARE inline long xattr_descriptor(Job& job, XattrCall call) noexcept {
    Xattr xattr = xattr_of(job, call);
    if (call == XattrCall::set) xattr.flags = int_argument(job, ArgName::flags);
    const int name = position(job, ArgName::name);
    if (name >= 0 && job.in[name].error == ENAMETOOLONG) return job.fds[0] < 0 ? -EBADF : -ERANGE;
    return call_xattr(xattr, nullptr, job.fds[0]);
}

SYSGUARD_BARE inline long xattr_at(Job& job, XattrCall call) noexcept {
    constexpr int numbers[] = {sys::setxattrat, sys::getxattrat, sys::listxattrat, sys::removexattrat};
    const int number = numbers[static_cast<int>(call)];
    const int at = path_position(job);
    const int flags = int_argument(job, ArgName::flags);
    const std::uint64_t size = argument(job, ArgName::size);
    const char* const path = trial_path(job, at);
    const int name = position(job, ArgName::name);
    if (name >= 0 && job.in[name].error == ENAMETOOLONG) return -ERANGE;
    Xattr xattr = xattr_of(job, call);
    long trial = 0;
    if (call == XattrCall::set || call == XattrCall::get) {
        alignas(8) char structure[4096];
        const int args = position(job, ArgName::args);
        const bool is_there = job.in[args].data != nullptr && size >= sizeof(XattrArgs) && size <= sizeof structure;
        if (size > sizeof structure) return -E2BIG;
        if (is_there && job.in[args].size < size) return -EFAULT;
        const bool has_value = call == XattrCall::set && job.extra != nullptr;
        if (is_there && has_value && static_cast<const Input*>(job.extra)->error == E2BIG) return -E2BIG;
        if (is_there) take_args(job, args, xattr, structure, size);
        trial =
            raw_call(number, no_directory, path, flags, xattr.name, is_there ? structure : copy_of(job, args), size);
    } else if (call == XattrCall::list) {
        trial = raw_call(number, no_directory, path, flags, xattr.room->data, xattr.size);
    } else {
        trial = raw_call(number, no_directory, path, flags, xattr.name);
    }
    if (trial != -EBADF) return trial;

    const bool may_be_empty = (flags & AT_EMPTY_PATH) != 0;
    const bool is_empty = job.in[at].data == nullptr || job.in[at].data[0] == 0;
    Place place;
    const Last last = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? Last::keep : Last::follow;
    if (const long result = locate(job, at, last, place, may_be_empty); result < 0) return result;
    const bool takes_working_directory =
        job.fds[at - 1] == AT_FDCWD && (call == XattrCall::set || call == XattrCall::get);
    if (is_empty && !takes_working_directory) return call_xattr(xattr, nullptr, directory_of(job, at));
    return call_xattr(xattr, FdPath{place.object.get()}.text, -1);
}

}  // namespace sysguard::supervise::detail

namespace sysguard::supervise::perform {

/// setxattr, lsetxattr; the others likewise.
SYSGUARD_BARE inline long set_xattr(Job& job) noexcept {
    return detail::xattr_path(job, detail::XattrCall::set);
}
SYSGUARD_BARE inline long get_xattr(Job& job) noexcept {
    return detail::xattr_path(job, detail::XattrCall::get);
}
SYSGUARD_BARE inline long list_xattr(Job& job) noexcept {
    return detail::xattr_path(job, detail::XattrCall::list);
}
SYSGUARD_BARE inline long remove_xattr(Job& job) noexcept {
    return detail::xattr_path(job, detail::XattrCall::remove);
}

/// fsetxattr and so on.
SYSGUARD_BARE inline long set_descriptor_xattr(Job& job) noexcept {
    return detail::xattr_descriptor(job, detail::XattrCall::set);
}
SYSGUARD_BARE inline long get_descriptor_xattr(Job& job) noexcept {
    return detail::xattr_descriptor(job, detail::XattrCall::get);
}
SYSGUARD_BARE inline long list_descriptor_xattr(Job& job) noexcept {
    return detail::xattr_descriptor(job, detail::XattrCall::list);
}
SYSGUARD_BARE inline long remove_descriptor_xattr(Job& job) noexcept {
    return detail::xattr_descriptor(job, detail::XattrCall::remove);
}

/// setxattrat (Linux 6.13). Its `args` are a struct xattr_args, of as many bytes as the worker said, up to 4096.
/// `extra` is a `const Input*` with the bytes that `args.value` points to, `args.size` of them; not read where
/// `args.value` is a null pointer. Its error is E2BIG where they are more than the host reads.
SYSGUARD_BARE inline long set_xattr_at(Job& job) noexcept {
    return detail::xattr_at(job, detail::XattrCall::set);
}

/// getxattrat. `args` as for setxattrat. `extra` is an `Output*` with room for `args.size` bytes, or for those that the
/// host reads at most, to be copied to where `args.value` points.
SYSGUARD_BARE inline long get_xattr_at(Job& job) noexcept {
    return detail::xattr_at(job, detail::XattrCall::get);
}
SYSGUARD_BARE inline long list_xattr_at(Job& job) noexcept {
    return detail::xattr_at(job, detail::XattrCall::list);
}
SYSGUARD_BARE inline long remove_xattr_at(Job& job) noexcept {
    return detail::xattr_at(job, detail::XattrCall::remove);
}

}  // namespace sysguard::supervise::perform
