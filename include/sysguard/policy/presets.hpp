#pragma once

#include "rule.hpp"

#include <cerrno>

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace sysguard::preset {

namespace detail {

using policy::Rule;

/// Allows those of the calls that this architecture has.
template <int... numbers>
constexpr auto allow_present() noexcept {
    Rules<sizeof...(numbers), 0> rules;
    const int list[] = {numbers...};
    for (int number : list)
        if (number >= 0) rules.add(number, nullptr, 0, false, {Action::allow});
    return rules;
}

/// Rules that exist only where the call does.
template <int number>
constexpr auto allow_if_present(const auto& condition) {
    if constexpr (number >= 0)
        return Rule<number>{condition}.allow();
    else
        return Rules<0, 0>{};
}

/// O_LARGEFILE as the kernel knows it: libcs for 64 bits define it as 0, and some pass it all the same.
#if defined(__x86_64__)
inline constexpr int large_file = 0100000;
#else
inline constexpr int large_file = 0400000;
#endif

inline constexpr int at_empty_path = 0x1000;
inline constexpr int open_to_read =
    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_DIRECTORY | O_NOFOLLOW | large_file;
inline constexpr int open_to_write = open_to_read | O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_TRUNC | O_APPEND;

inline constexpr unsigned thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
inline constexpr unsigned thread_options =
    CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED;

inline constexpr Rules compute{
    allow_present<sys::brk, sys::munmap, sys::mremap, sys::madvise, sys::futex, sys::sched_yield, sys::clock_gettime,
                  sys::clock_getres, sys::gettimeofday, sys::time, sys::getcpu, sys::getrandom, sys::rt_sigreturn,
                  sys::rt_sigprocmask, sys::rt_sigaction, sys::sigaltstack, sys::restart_syscall, sys::exit,
                  sys::exit_group, sys::getpid, sys::gettid>(),
    Rule<sys::mmap>{(arg::prot & PROT_EXEC) == 0}.allow(),
    Rule<sys::mprotect>{(arg::prot & PROT_EXEC) == 0}.allow(),
};

inline constexpr Rules stdio{
    allow_present<sys::read, sys::readv, sys::write, sys::writev, sys::lseek, sys::close, sys::fstat>(),
    Rule<sys::newfstatat>{arg::flags & at_empty_path}.allow(),
    Rule<sys::ioctl>{arg::request.in(TCGETS, TIOCGWINSZ)}.allow(),
};

inline constexpr Rules static_runtime{
    compute,
    stdio,
    allow_present<sys::set_tid_address, sys::set_robust_list, sys::rseq, sys::readlink, sys::readlinkat, sys::getuid,
                  sys::geteuid, sys::getgid, sys::getegid, sys::getppid, sys::uname, sys::sysinfo,
                  sys::sched_getaffinity>(),
    Rule<sys::prlimit64>{arg::pid == 0}.allow(),
    allow_if_present<sys::arch_prctl>(arg::option.in(0x1001, 0x1002, 0x1003, 0x1004, 0x3001)),
};

inline constexpr Rules dynamic_loader{
    allow_present<sys::access, sys::faccessat, sys::faccessat2, sys::stat, sys::newfstatat, sys::fstat, sys::read,
                  sys::pread64, sys::close, sys::munmap, sys::getcwd>(),
    allow_if_present<sys::open>((arg::flags & ~open_to_read) == 0),
    Rule<sys::openat>{(arg::flags & ~open_to_read) == 0}.allow(),
    Rule<sys::mmap>{!(arg::prot & PROT_WRITE) || !(arg::prot & PROT_EXEC)}.allow(),
    Rule<sys::mprotect>{(arg::prot & PROT_EXEC) == 0}.allow(),
};

inline constexpr Rules cpp_runtime{static_runtime, dynamic_loader};

inline constexpr Rules threads{
    allow_present<sys::futex, sys::futex_wait, sys::futex_wake, sys::futex_waitv, sys::futex_requeue,
                  sys::set_robust_list, sys::get_robust_list, sys::rseq, sys::set_tid_address, sys::gettid,
                  sys::sched_yield, sys::sched_getaffinity, sys::membarrier, sys::madvise, sys::munmap, sys::exit>(),
    Rule<sys::clone>{(arg::flags & thread_flags) == thread_flags &&
                     (arg::flags & ~(thread_flags | thread_options)) == 0}
        .allow(),
    Rule<sys::clone3>{}.deny(ENOSYS),
    Rule<sys::mmap>{(arg::prot & PROT_EXEC) == 0}.allow(),
    Rule<sys::mprotect>{(arg::prot & PROT_EXEC) == 0}.allow(),
    Rule<sys::prctl>{arg::option.in(PR_SET_NAME, PR_GET_NAME)}.allow(),
};

inline constexpr Rules read_files{
    allow_present<sys::read, sys::pread64, sys::readv, sys::preadv, sys::preadv2, sys::lseek, sys::close, sys::stat,
                  sys::lstat, sys::fstat, sys::newfstatat, sys::statx, sys::access, sys::faccessat, sys::faccessat2,
                  sys::readlink, sys::readlinkat, sys::getdents, sys::getdents64, sys::getcwd, sys::statfs,
                  sys::fstatfs, sys::fadvise64, sys::readahead>(),
    allow_if_present<sys::open>((arg::flags & ~open_to_read) == 0),
    Rule<sys::openat>{(arg::flags & ~open_to_read) == 0}.allow(),
    Rule<sys::fcntl>{arg::cmd.in(F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC)}.allow(),
    Rule<sys::ioctl>{arg::request.in(TCGETS, TIOCGWINSZ)}.allow(),
};

inline constexpr Rules write_files{
    allow_present<sys::write, sys::pwrite64, sys::writev, sys::pwritev, sys::pwritev2, sys::lseek, sys::close,
                  sys::fsync, sys::fdatasync, sys::ftruncate, sys::fallocate, sys::mkdir, sys::mkdirat, sys::unlink,
                  sys::unlinkat, sys::rmdir, sys::rename, sys::renameat, sys::renameat2, sys::umask>(),
    allow_if_present<sys::open>((arg::flags & ~open_to_write) == 0 && (arg::mode & 07000) == 0),
    Rule<sys::openat>{(arg::flags & ~open_to_write) == 0 && (arg::mode & 07000) == 0}.allow(),
};

inline constexpr Rules event_loop{
    allow_present<sys::poll, sys::ppoll, sys::select, sys::pselect6, sys::epoll_create, sys::epoll_create1,
                  sys::epoll_ctl, sys::epoll_wait, sys::epoll_pwait, sys::epoll_pwait2, sys::eventfd, sys::eventfd2,
                  sys::timerfd_create, sys::timerfd_settime, sys::timerfd_gettime, sys::pipe, sys::pipe2,
                  sys::nanosleep, sys::clock_nanosleep, sys::read, sys::write, sys::close>(),
    Rule<sys::ioctl>{arg::request.in(FIONREAD, FIONBIO)}.allow(),
    Rule<sys::fcntl>{arg::cmd.in(F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC)}.allow(),
};

inline constexpr Rules connected_sockets{
    allow_present<sys::sendto, sys::sendmsg, sys::sendmmsg, sys::recvfrom, sys::recvmsg, sys::recvmmsg, sys::shutdown,
                  sys::getsockname, sys::getpeername, sys::getsockopt>(),
    Rule<sys::socket>{arg::domain.in(AF_INET, AF_INET6) && arg::type.in(SOCK_STREAM, SOCK_DGRAM)}.allow(),
    Rule<sys::setsockopt>{arg::level.in(SOL_SOCKET, 0 /* IP */, 6 /* TCP */, 17 /* UDP */, 41 /* IPv6 */)}.allow(),
};

inline constexpr Rules network_client{
    event_loop,
    connected_sockets,
    allow_present<sys::connect>(),
    Rule<sys::socket>{arg::domain.in(AF_UNIX, AF_NETLINK)}.deny(EAFNOSUPPORT),
};

inline constexpr Rules network_server{
    event_loop,
    connected_sockets,
    allow_present<sys::bind, sys::listen, sys::accept, sys::accept4>(),
};

inline constexpr Rules processes{
    allow_present<sys::fork, sys::vfork, sys::execve, sys::wait4, sys::waitid, sys::pipe, sys::pipe2, sys::dup,
                  sys::dup2, sys::dup3, sys::getppid, sys::getpgrp, sys::getpgid, sys::close_range>(),
    Rule<sys::clone>{(arg::flags & ~(CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
                                     CLONE_CHILD_CLEARTID | CSIGNAL)) == 0}
        .allow(),
    Rule<sys::clone3>{}.deny(ENOSYS),
};

}  // namespace detail

/// Memory, time, threads' locks and an end: what code needs that computes and returns. It opens, reads and writes
/// nothing, and makes no memory executable.
inline constexpr auto compute = compact<detail::compute>;

/// Reading and writing what is already open.
inline constexpr auto stdio = compact<detail::stdio>;

/// `compute` and `stdio`, and what a statically linked program does to start.
inline constexpr auto static_runtime = compact<detail::static_runtime>;

/// What ld.so does: finds libraries, opens them for reading and maps them. A filter cannot tell a library from another
/// file, so this opens any file for reading that the worker's credentials and isolation let it; memory may be
/// executable where it is not writable.
inline constexpr auto dynamic_loader = compact<detail::dynamic_loader>;

/// `static_runtime` and `dynamic_loader`: starts, allocates, prints, exits.
inline constexpr auto cpp_runtime = compact<detail::cpp_runtime>;

/// Starting threads, not processes. clone3 hides its flags in memory and answers ENOSYS, so that libcs take clone.
inline constexpr auto threads = compact<detail::threads>;

/// Opening files and directories for reading; looking at them. No openat2, whose flags lie in memory.
inline constexpr auto read_files = compact<detail::read_files>;

/// Opening files for writing, without set-id and sticky bits; making, renaming and removing them.
inline constexpr auto write_files = compact<detail::write_files>;

/// Waiting for descriptors and time: poll, select, epoll, eventfd, timerfd, pipes, sleeping.
inline constexpr auto event_loop = compact<detail::event_loop>;

/// TCP and UDP sockets that connect, and `event_loop`. To which addresses is not decided here. AF_UNIX and AF_NETLINK,
/// which name resolution tries, fail with EAFNOSUPPORT.
inline constexpr auto network_client = compact<detail::network_client>;

/// TCP and UDP sockets that listen, and `event_loop`.
inline constexpr auto network_server = compact<detail::network_server>;

/// Starting programs, waiting for them and connecting them by pipes. No new namespaces.
inline constexpr auto processes = compact<detail::processes>;

}  // namespace sysguard::preset
