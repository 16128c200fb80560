#pragma once

#include "../../abi/numbers.hpp"
#include "../../policy/possibilities.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::filter::detail {

/// What an argument amounts to that a call does not have and others of its group do: open is openat with AT_FDCWD.
struct Fixed {
    abi::ArgName argument{};
    std::uint64_t value = 0;
    bool must = false;  ///< only with this value do others do the same: unlinkat is rmdir with AT_REMOVEDIR
};

enum class Role : std::uint8_t {
    any,
    door,             ///< does what the others do, and more, or hides from filters how: refused for reasons of its own
    on_an_open_file,  ///< does it to what is open, where files can be opened without the host
    changes_an_open_file,  ///< as on_an_open_file; and where the host opens them, if the others are denied without it
};

/// One of the calls that do the same by different doors.
struct Sibling {
    int number = 0;
    Role role{};
    Fixed fixed[3]{};
    const char* text =
        nullptr;  ///< the rule that closes it, where it does not only deny the call; of an end: see there
};

using N = abi::ArgName;

inline constexpr Fixed at_cwd{N::dirfd, 0xffffff9c};
inline constexpr Fixed old_at_cwd{N::olddirfd, 0xffffff9c};
inline constexpr Fixed new_at_cwd{N::newdirfd, 0xffffff9c};
inline constexpr Fixed no_flags{N::flags, 0};

consteval Fixed flags(std::uint64_t value) noexcept {
    return {N::flags, value};
}
consteval Fixed only_flags(std::uint64_t value) noexcept {
    return {N::flags, value, true};
}

inline constexpr std::uint64_t at_symlink_nofollow = 0x100;
inline constexpr std::uint64_t at_removedir = 0x200;
inline constexpr std::uint64_t at_empty_path = 0x1000;
inline constexpr std::uint64_t open_of_creat = 01101;    // O_CREAT | O_WRONLY | O_TRUNC, creat(2)
inline constexpr std::uint64_t clone_of_fork = 17;       // SIGCHLD
inline constexpr std::uint64_t clone_of_vfork = 0x4111;  // CLONE_VM | CLONE_VFORK | SIGCHLD

inline constexpr const char* to_duplicate = "Rule<sg::sys::fcntl>{arg::cmd.in(F_DUPFD, F_DUPFD_CLOEXEC)}.deny(EPERM)";

/// The end of a group has this number, and says what each of its calls does.
inline constexpr int end_of_group = -2;

consteval Sibling they(const char* text) noexcept {
    return {end_of_group, {}, {}, text};
}

inline constexpr Sibling siblings[] = {
    {sys::openat},
    {sys::open, Role::any, {at_cwd}},
    {sys::creat, Role::any, {at_cwd, only_flags(open_of_creat)}},
    {sys::openat2, Role::door},
    {sys::open_by_handle_at, Role::door},
    they("opens files"),
    {sys::newfstatat},
    {sys::statx},
    {sys::stat, Role::any, {at_cwd, no_flags}},
    {sys::lstat, Role::any, {at_cwd, flags(at_symlink_nofollow)}},
    {sys::fstat, Role::on_an_open_file, {only_flags(at_empty_path)}},
    they("tells about files"),
    {sys::faccessat, Role::any, {no_flags}},
    {sys::faccessat2},
    {sys::access, Role::any, {at_cwd, no_flags}},
    they("asks what may be done with files"),
    {sys::readlinkat},
    {sys::readlink, Role::any, {at_cwd}},
    they("reads where symbolic links lead"),
    {sys::fchmodat, Role::any, {no_flags}},
    {sys::fchmodat2},
    {sys::chmod, Role::any, {at_cwd, no_flags}},
    {sys::fchmod, Role::changes_an_open_file, {flags(at_empty_path)}},
    they("changes the mode of files"),
    {sys::fchownat},
    {sys::chown, Role::any, {at_cwd, no_flags}},
    {sys::lchown, Role::any, {at_cwd, flags(at_symlink_nofollow)}},
    {sys::fchown, Role::changes_an_open_file, {flags(at_empty_path)}},
    they("changes the owner of files"),
    {sys::mkdirat},
    {sys::mkdir, Role::any, {at_cwd}},
    they("makes directories"),
    {sys::mknodat},
    {sys::mknod, Role::any, {at_cwd}},
    they("makes device files, FIFOs and sockets"),
    {sys::unlinkat},
    {sys::unlink, Role::any, {at_cwd, only_flags(0)}},
    {sys::rmdir, Role::any, {at_cwd, only_flags(at_removedir)}},
    they("removes files and directories"),
    {sys::renameat2},
    {sys::renameat, Role::any, {no_flags}},
    {sys::rename, Role::any, {old_at_cwd, new_at_cwd, no_flags}},
    they("renames files"),
    {sys::linkat},
    {sys::link, Role::any, {old_at_cwd, new_at_cwd, no_flags}},
    they("makes links"),
    {sys::symlinkat},
    {sys::symlink, Role::any, {new_at_cwd}},
    they("makes symbolic links"),
    {sys::truncate},
    {sys::ftruncate, Role::changes_an_open_file},
    they("changes the size of files"),
    {sys::utimensat},
    {sys::futimesat, Role::any, {no_flags}},
    {sys::utimes, Role::any, {at_cwd, no_flags}},
    {sys::utime, Role::any, {at_cwd, no_flags}},
    they("sets the times of files"),
    {sys::setxattrat},
    {sys::setxattr, Role::any, {at_cwd}},
    {sys::lsetxattr, Role::any, {at_cwd}},
    {sys::fsetxattr, Role::changes_an_open_file},
    they("sets attributes of files"),
    {sys::removexattrat},
    {sys::removexattr, Role::any, {at_cwd}},
    {sys::lremovexattr, Role::any, {at_cwd}},
    {sys::fremovexattr, Role::changes_an_open_file},
    they("removes attributes of files"),
    {sys::getxattrat},
    {sys::getxattr, Role::any, {at_cwd}},
    {sys::lgetxattr, Role::any, {at_cwd}},
    {sys::fgetxattr, Role::on_an_open_file},
    they("reads attributes of files"),
    {sys::listxattrat},
    {sys::listxattr, Role::any, {at_cwd}},
    {sys::llistxattr, Role::any, {at_cwd}},
    {sys::flistxattr, Role::on_an_open_file},
    they("lists attributes of files"),
    {sys::statfs},
    {sys::fstatfs, Role::on_an_open_file},
    they("tells about file systems"),
    {sys::chdir},
    {sys::fchdir, Role::on_an_open_file},
    they("changes the working directory"),
    {sys::getdents64},
    {sys::getdents},
    they("lists directories"),
    {sys::read, Role::any, {no_flags}},
    {sys::pread64, Role::any, {no_flags}},
    {sys::readv, Role::any, {no_flags}},
    {sys::preadv, Role::any, {no_flags}},
    {sys::preadv2},
    {sys::io_submit, Role::door},
    they("reads"),
    {sys::write, Role::any, {no_flags}},
    {sys::pwrite64, Role::any, {no_flags}},
    {sys::writev, Role::any, {no_flags}},
    {sys::pwritev, Role::any, {no_flags}},
    {sys::pwritev2},
    {sys::sendfile, Role::door},
    {sys::splice, Role::door},
    {sys::copy_file_range, Role::door},
    {sys::io_submit, Role::door},
    they("writes"),
    {sys::dup3},
    {sys::dup2, Role::any, {no_flags}},
    {sys::dup, Role::any, {no_flags}},
    {sys::fcntl, Role::door, {{N::cmd, 0 /* F_DUPFD */}}, to_duplicate},
    {sys::fcntl, Role::door, {{N::cmd, 1030 /* F_DUPFD_CLOEXEC */}}, to_duplicate},
    they("duplicates descriptors"),
    {sys::pipe2},
    {sys::pipe, Role::any, {no_flags}},
    they("makes pipes"),
    {sys::eventfd2},
    {sys::eventfd, Role::any, {no_flags}},
    they("makes event counters"),
    {sys::signalfd4},
    {sys::signalfd, Role::any, {no_flags}},
    they("takes signals by a descriptor"),
    {sys::inotify_init1},
    {sys::inotify_init, Role::any, {no_flags}},
    they("watches files"),
    {sys::epoll_create1},
    {sys::epoll_create, Role::any, {no_flags}},
    they("makes epoll instances"),
    {sys::epoll_pwait},
    {sys::epoll_pwait2},
    {sys::epoll_wait},
    they("waits for events"),
    {sys::ppoll},
    {sys::poll},
    {sys::pselect6},
    {sys::select},
    they("waits for descriptors"),
    {sys::accept4},
    {sys::accept, Role::any, {no_flags}},
    they("accepts connections"),
    {sys::recvfrom},
    {sys::recvmsg},
    {sys::recvmmsg},
    they("receives"),
    {sys::sendto},
    {sys::sendmsg},
    {sys::sendmmsg},
    they("sends"),
    {sys::socket},
    {sys::socketpair,
     Role::door,
     {{N::domain, 1 /* AF_UNIX */}, {N::type, 2 /* SOCK_DGRAM */}},
     "Rule<sg::sys::socketpair>{arg::type == SOCK_DGRAM}.deny(EPERM)"},
    they("makes a socket, and one for datagrams sends to any address of its family"),
    {sys::execve, Role::any, {at_cwd, no_flags}},
    {sys::execveat},
    they("executes programs"),
    {sys::clone, Role::any, {}, "Rule<sg::sys::clone>{(arg::flags & CLONE_THREAD) == 0}.deny(EPERM)"},
    {sys::fork, Role::any, {only_flags(clone_of_fork)}},
    {sys::vfork, Role::any, {only_flags(clone_of_vfork)}},
    {sys::clone3, Role::door},
    they("starts processes"),
    {sys::kill},
    {sys::tkill},
    {sys::tgkill},
    {sys::rt_sigqueueinfo},
    {sys::rt_tgsigqueueinfo},
    {sys::pidfd_send_signal},
    they("sends signals"),
    {sys::setuid},
    {sys::setreuid},
    {sys::setresuid},
    {sys::setfsuid},
    they("changes the user"),
    {sys::setgid},
    {sys::setregid},
    {sys::setresgid},
    {sys::setfsgid},
    they("changes the group"),
    {sys::prlimit64},
    {sys::setrlimit, Role::any, {{N::pid, 0}}},
    they("changes limits"),
    {sys::pkey_mprotect},
    {sys::mprotect, Role::any, {{N::pkey, 0xffffffff}}},
    they("changes what memory may be used for"),
    {sys::mlock2},
    {sys::mlock, Role::any, {no_flags}},
    {sys::mlockall},
    they("locks memory"),
    {sys::semtimedop},
    {sys::semop},
    they("operates semaphores"),
    {sys::sched_setattr},
    {sys::sched_setscheduler},
    {sys::sched_setparam},
    they("changes how processes are scheduled"),
    {sys::clock_settime},
    {sys::settimeofday},
    {sys::clock_adjtime},
    {sys::adjtimex},
    they("sets the clock"),
    {sys::mount},
    {sys::move_mount},
    {sys::fsmount},
    {sys::open_tree},
    {sys::open_tree_attr},
    {sys::mount_setattr},
    they("changes what is mounted where"),
    {sys::quotactl},
    {sys::quotactl_fd},
    they("changes quotas"),
    {sys::init_module},
    {sys::finit_module},
    they("loads modules"),
    {sys::kexec_load},
    {sys::kexec_file_load},
    they("loads another kernel"),
};

/// What is known of a call's arguments where it is to do what `door` does.
constexpr policy::Knowledge known_of_ruled(const Sibling& door) noexcept {
    policy::Knowledge knowledge;
    for (const Fixed& fixed : door.fixed)
        if (fixed.argument != N::none) knowledge.add({fixed.argument, 0xffffffff, fixed.value});
    return knowledge;
}

/// What is known of the arguments of `door` where it is to do what `ruled` does.
constexpr policy::Knowledge known_of_door(const Sibling& ruled, const Sibling& door) noexcept {
    policy::Knowledge knowledge = known_of_ruled(door);
    for (const Fixed& fixed : ruled.fixed)
        if (fixed.must) knowledge.add({fixed.argument, 0xffffffff, fixed.value});
    return knowledge;
}

}  // namespace sysguard::filter::detail
