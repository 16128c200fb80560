#pragma once

#include "pending.hpp"
#include "perform/place.hpp"
#include "perform/walk.hpp"
#include "remote_descriptor.hpp"

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <linux/openat2.h>

/// Where a path of a pending call leads, for who decides on it.
namespace sysguard::supervise {

namespace detail {

inline bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) noexcept {
    for (const std::string_view each : names)
        if (each == name) return true;
    return false;
}

/// What openat2 is asked for; what the worker left out is zero.
inline open_how how_of(Pending& call) {
    open_how how{};
    const std::string& bytes = call.copy(call.call->position(abi::ArgName::how)).bytes;
    __builtin_memcpy(&how, bytes.data(), bytes.size() < sizeof how ? bytes.size() : sizeof how);
    return how;
}

inline perform::Last last_of_open(std::uint64_t flags) noexcept {
    using perform::Last;
    if ((flags & O_CREAT) == 0 || (flags & O_PATH) != 0) return (flags & O_NOFOLLOW) != 0 ? Last::keep : Last::follow;
    return (flags & (O_EXCL | O_NOFOLLOW)) != 0 ? Last::given : Last::create;
}

/// What a call does with the last component of the path at `position`: what its performer does, too.
inline perform::Last last_of(Pending& call, int position) {
    using perform::Last;
    const std::string_view name = call.call->name;
    const std::uint64_t flags = call.value(abi::ArgName::flags);
    if (is_one_of(name, {"open", "openat"})) return last_of_open(flags);
    if (name == "openat2") return last_of_open(how_of(call).flags);
    if (name == "creat") return Last::create;
    if (is_one_of(name, {"unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat",
                         "renameat2", "symlink", "symlinkat"}))
        return Last::given;
    if (is_one_of(name, {"link", "linkat"})) {
        if (call.call->arguments[position].name == abi::ArgName::newpath) return Last::given;
        return (flags & AT_SYMLINK_FOLLOW) != 0 ? Last::follow : Last::keep;
    }
    if (is_one_of(name, {"lstat", "lchown", "lsetxattr", "lgetxattr", "llistxattr", "lremovexattr", "readlink",
                         "readlinkat"}))
        return Last::keep;
    const int at = call.call->position(abi::ArgName::flags);
    const bool has_at_flags = at >= 0 && call.call->arguments[at].type == abi::Type::at_flags;
    return has_at_flags && (flags & AT_SYMLINK_NOFOLLOW) != 0 ? Last::keep : Last::follow;
}

inline process::Descriptor open_of(pid_t thread, const char* what) noexcept {
    char path[48];
    std::snprintf(path, sizeof path, "/proc/%d/%s", thread, what);
    return process::Descriptor{::open(path, O_PATH | O_CLOEXEC)};
}

/// What is asked of a path.
struct Asked {
    const char* path;
    perform::Last last;
    int directory = AT_FDCWD;
    bool may_be_empty = false;
    std::uint64_t resolve = 0;
};

/// Walks a path from a directory of the thread that waits. Empty where it leads nowhere.
inline std::string walk_for(const Pending& call, const Asked& asked) {
    const process::Descriptor root = open_of(call.thread, "root");
    char name[24] = "cwd";
    if (asked.directory != AT_FDCWD) std::snprintf(name, sizeof name, "fd/%d", asked.directory);
    const process::Descriptor start = open_of(call.thread, name);
    if (!root || !call.is_pending()) return {};
    const perform::Caller caller{call.thread, process_of(call.thread), call.line->session};
    const int from = start ? start.get() : -EBADF;
    perform::Place place;
    char text[PATH_MAX + 16];
    if (perform::walk({root.get(), from, caller, asked.resolve, asked.may_be_empty}, asked.path, asked.last, place) < 0)
        return {};
    const long length = perform::text_of(place, root.get(), text, sizeof text);
    return length > 0 ? std::string(text, static_cast<std::size_t>(length)) : std::string{};
}

}  // namespace detail

/// Whether a call opens a place only (O_PATH). Throws std::bad_alloc.
inline bool opens_place(Pending& call) {
    if (detail::is_one_of(call.call->name, {"open", "openat"})) return (call.value(abi::ArgName::flags) & O_PATH) != 0;
    return call.call->name == "openat2" && (detail::how_of(call).flags & O_PATH) != 0;
}

/// Where the path at `position` leads, as text from the worker's root; empty where it leads nowhere. Found out once:
/// who performs the call fails where it leads elsewhere by then. Throws std::bad_alloc.
inline const std::string& place_of(Pending& call, int position) {
    const Copied& copied = call.copy(position);
    Copied& own = call.copies[position];
    if (own.is_decided) return own.place;
    own.is_decided = true;
    call.memory_decided = true;
    if (copied.error != 0) return own.place;
    detail::Asked asked{copied.bytes.c_str(), detail::last_of(call, position)};
    if (position > 0 && call.call->arguments[position - 1].type == abi::Type::dirfd)
        asked.directory = static_cast<int>(call.arguments[position - 1]);
    asked.may_be_empty = call.may_be_empty(position) || call.stands_for_descriptor(position);
    if (call.call->name == "openat2") asked.resolve = detail::how_of(call).resolve;
    own.place = detail::walk_for(call, asked);
    return own.place;
}

/// The same for the path of an AF_UNIX address.
inline const std::string& unix_place_of(Pending& call, int position) {
    Copied& own = call.copies[position];
    if (own.is_decided) return own.place;
    own.is_decided = true;
    const std::string path{call.socket_address(position).unix_path()};
    const bool binds = call.call->name == "bind";
    own.place = detail::walk_for(call, {path.c_str(), binds ? perform::Last::given : perform::Last::follow});
    return own.place;
}

}  // namespace sysguard::supervise
