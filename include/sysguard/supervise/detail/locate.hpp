#pragma once

#include "../../abi/arguments.hpp"
#include "../../abi/types.hpp"
#include "../perform/job.hpp"
#include "../perform/place.hpp"
#include "../perform/walk.hpp"
#include "bare_text.hpp"

#include <cerrno>
#include <climits>
#include <cstdint>

#include <fcntl.h>

/// What the performers of file calls share. Bare code.
namespace sysguard::supervise::detail {

using abi::ArgName;
using perform::Input;
using perform::Job;
using perform::Last;
using perform::Output;
using perform::Place;

SYSGUARD_BARE inline int position(const Job& job, ArgName name) noexcept {
    for (int i = 0; i < abi::max_arguments; ++i)
        if (job.call->arguments[i].name == name) return i;
    return -1;
}

/// The first path from a position on.
SYSGUARD_BARE inline int path_position(const Job& job, int from = 0) noexcept {
    while (from < abi::max_arguments && job.call->arguments[from].type != abi::Type::path) ++from;
    return from;
}

/// An argument's value; of one that the call lacks, `otherwise`.
SYSGUARD_BARE inline std::uint64_t argument(const Job& job, ArgName name, std::uint64_t otherwise = 0) noexcept {
    const int at = position(job, name);
    return at < 0 ? otherwise : job.arguments[at];
}

SYSGUARD_BARE inline int int_argument(const Job& job, ArgName name, int otherwise = 0) noexcept {
    return static_cast<int>(argument(job, name, static_cast<std::uint64_t>(otherwise)));
}

/// An address where nothing is: what the kernel says to it, it says to the worker's.
SYSGUARD_BARE inline const char* nowhere() noexcept {
    return reinterpret_cast<const char*>(1);
}

/// A copied structure or string; for one that could not be read an address that the kernel cannot read either.
SYSGUARD_BARE inline const char* copy_of(const Job& job, int at) noexcept {
    if (job.in[at].data != nullptr) return job.in[at].data;
    return job.in[at].error != 0 ? nowhere() : nullptr;
}

/// What stands for a path in a trial: a call with a directory that does not exist answers EBADF if nothing else is
/// wrong with its arguments, and otherwise what the kernel at hand says to them, in its own order.
SYSGUARD_BARE inline const char* trial_path(const Job& job, int at) noexcept {
    const Input& path = job.in[at];
    if (path.data != nullptr) return path.data[0] != 0 ? "x" : "";
    if (path.error == ENAMETOOLONG) return "x";
    return job.arguments[at] == 0 ? nullptr : nowhere();
}

inline constexpr int no_directory = -1;

/// The descriptor that a path argument is relative to.
SYSGUARD_BARE inline int directory_of(const Job& job, int at) noexcept {
    const bool has_own = at > 0 && job.call->arguments[at - 1].type == abi::Type::dirfd;
    const int fd = has_own ? job.fds[at - 1] : AT_FDCWD;
    return fd == AT_FDCWD ? job.cwd : fd;
}

/// Walks a path argument, and compares where it led with what was decided.
SYSGUARD_BARE inline long locate(const Job& job, int at, Last last, Place& place, bool may_be_empty = false,
                                 std::uint64_t resolve = 0) noexcept {
    const char* path = job.in[at].data;
    if (path == nullptr && job.in[at].error != 0) return -job.in[at].error;
    if (path == nullptr) {
        if (!may_be_empty) return -EFAULT;
        path = "";
    }
    const perform::Start start{job.root, directory_of(job, at), job.caller, resolve, may_be_empty};
    const long result = perform::walk(start, path, last, place);
    if (result < 0 || job.decided[at] == nullptr) return result;
    char text[PATH_MAX + 16];
    const long length = perform::text_of(place, job.root, text, sizeof text);
    if (length < 0) return length;
    return equal(text, job.decided[at]) ? 0 : -EACCES;
}

/// Room for a structure of the kernel's; where the worker gave none, an address that the kernel cannot write to.
SYSGUARD_BARE inline void* room_of(const Job& job, int at, std::size_t size) noexcept {
    return job.out[at].data != nullptr && job.out[at].capacity >= size ? job.out[at].data : nullptr;
}

}  // namespace sysguard::supervise::detail
