#pragma once

#include "../../abi/numbers.hpp"
#include "../files.hpp"
#include "raw_call.hpp"

#include <cstdint>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/// The interface of <linux/landlock.h> (Linux 6.12), which older headers have in part. Names in parentheses are its.
namespace sysguard::process::detail::landlock {

inline constexpr unsigned ask_version = 1;  // LANDLOCK_CREATE_RULESET_VERSION

inline constexpr std::uint64_t execute = 1U << 0;
inline constexpr std::uint64_t write_file = 1U << 1;
inline constexpr std::uint64_t read_file = 1U << 2;
inline constexpr std::uint64_t read_dir = 1U << 3;
inline constexpr std::uint64_t remove_dir = 1U << 4;
inline constexpr std::uint64_t remove_file = 1U << 5;
inline constexpr std::uint64_t make_char = 1U << 6;
inline constexpr std::uint64_t make_dir = 1U << 7;
inline constexpr std::uint64_t make_reg = 1U << 8;
inline constexpr std::uint64_t make_sock = 1U << 9;
inline constexpr std::uint64_t make_fifo = 1U << 10;
inline constexpr std::uint64_t make_block = 1U << 11;
inline constexpr std::uint64_t make_sym = 1U << 12;
inline constexpr std::uint64_t refer = 1U << 13;      // version 2
inline constexpr std::uint64_t truncate = 1U << 14;   // version 3
inline constexpr std::uint64_t ioctl_dev = 1U << 15;  // version 5

inline constexpr std::uint64_t bind_tcp = 1U << 0;  // version 4
inline constexpr std::uint64_t connect_tcp = 1U << 1;

inline constexpr std::uint64_t scope_abstract_sockets = 1U << 0;  // version 6
inline constexpr std::uint64_t scope_signals = 1U << 1;

inline constexpr int path_rule = 1;  // LANDLOCK_RULE_PATH_BENEATH
inline constexpr int port_rule = 2;  // LANDLOCK_RULE_NET_PORT

/// struct landlock_ruleset_attr. Kernels that know less of it take the rest if it is zero.
struct Ruleset {
    std::uint64_t files = 0;
    std::uint64_t net = 0;
    std::uint64_t scopes = 0;
};

/// struct landlock_path_beneath_attr
struct __attribute__((packed)) PathRule {
    std::uint64_t access;
    std::int32_t directory;
};

/// struct landlock_net_port_attr
struct PortRule {
    std::uint64_t access;
    std::uint64_t port;
};

/// All rights on files that a version knows, of those named here. Version 3 at least.
constexpr std::uint64_t all_files(int version) noexcept {
    return version < 5 ? ioctl_dev - 1 : (ioctl_dev << 1) - 1;
}

/// The rights that mean something for what is no directory; others are refused with EINVAL (landlock_add_rule(2)).
inline constexpr std::uint64_t of_a_file = execute | write_file | read_file | truncate | ioctl_dev;

constexpr std::uint64_t rights(unsigned given) noexcept {
    constexpr std::uint64_t change = write_file | truncate | remove_dir | remove_file | make_dir | make_reg |
                                     make_sock | make_fifo | make_sym | refer;
    std::uint64_t access = 0;
    if ((given & FileAccess::read) != 0) access |= read_file;
    if ((given & FileAccess::list) != 0) access |= read_dir;
    if ((given & FileAccess::write) != 0) access |= change;
    if ((given & FileAccess::run) != 0) access |= execute;
    if ((given & FileAccess::make_devices) != 0) access |= make_char | make_block;
    if ((given & FileAccess::control_devices) != 0) access |= ioctl_dev;
    return access;
}

/// Adds a rule to a ruleset, for what a path leads to where this runs. Returns 0 or a negative errno. Bare code: a
/// worker with a root of its own can call it when it has entered that.
SYSGUARD_BARE inline long allow_path(int ruleset, const char* path, std::uint64_t rights) noexcept {
    const long fd = raw_call(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
    if (fd < 0) return fd;
    struct stat status;
    long result = raw_call(SYS_fstat, fd, &status);
    if (result >= 0) {
        const std::uint64_t meant = S_ISDIR(status.st_mode) ? rights : rights & of_a_file;
        const PathRule rule{meant, static_cast<std::int32_t>(fd)};
        result = raw_call(sys::landlock_add_rule, ruleset, path_rule, &rule, 0);
    }
    raw_call(SYS_close, fd);
    return result;
}

/// Has the running task, and all that it starts, held to a ruleset, for ever. Returns 0 or a negative errno.
SYSGUARD_BARE inline long enter(int ruleset) noexcept {
    return raw_call(sys::landlock_restrict_self, ruleset, 0);
}

}  // namespace sysguard::process::detail::landlock
