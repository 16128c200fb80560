#pragma once

#include "rule.hpp"

#include <cerrno>

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace sysguard::preset {

namespace detail {

using policy::Rule;

/// Has a condition depend on the parameter of the lambda it is in, so that the compiler makes it only of a preset that
/// is used.
template <class Argument, class... Nothing>
constexpr const Argument& when_used(const Argument& argument, const Nothing&...) noexcept {
    return argument;
}

/// Allows those of the calls that this architecture has.
template <int... numbers>
constexpr Rules<sizeof...(numbers), 0> allow_present() noexcept {
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

/// Of madvise not MADV_HWPOISON and MADV_SOFT_OFFLINE, by which root takes pages from the machine.
inline constexpr auto plain_memory = policy::on_demand([](auto... nothing) {
    return Rules{
        Rule<sys::madvise>{when_used(arg::advice, nothing...).between(0, 99)}.allow(),
        Rule<sys::mmap>{(when_used(arg::prot, nothing...) & PROT_EXEC) == 0}.allow(),
        Rule<sys::mprotect>{(when_used(arg::prot, nothing...) & PROT_EXEC) == 0}.allow(),
        nothing...,
    };
});

inline constexpr auto open_files_to_read = policy::on_demand([](auto... nothing) {
    return Rules{
        allow_if_present<sys::open>((when_used(arg::flags, nothing...) & ~open_to_read) == 0),
        Rule<sys::openat>{(when_used(arg::flags, nothing...) & ~open_to_read) == 0}.allow(),
        nothing...,
    };
});

inline constexpr auto descriptors = policy::on_demand([](auto... nothing) {
    return Rules{
        Rule<sys::fcntl>{when_used(arg::cmd, nothing...).in(F_GETFD, F_SETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC)}
            .allow(),
        nothing...,
    };
});

inline constexpr auto terminal_queries = policy::on_demand([](auto... nothing) {
    return Rules{Rule<sys::ioctl>{when_used(arg::request, nothing...).in(TCGETS, TIOCGWINSZ)}.allow(), nothing...};
});

}  // namespace detail

using detail::when_used;

/// Memory, time, threads' locks and an end: what code needs that computes and returns. It opens, reads and writes
/// nothing, and makes no memory executable.
inline constexpr auto compute = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::brk, sys::munmap, sys::mremap, sys::futex, sys::sched_yield, sys::clock_gettime,
                              sys::clock_getres, sys::gettimeofday, sys::time, sys::getcpu, sys::getrandom,
                              sys::rt_sigreturn, sys::rt_sigprocmask, sys::rt_sigaction, sys::sigaltstack,
                              sys::restart_syscall, sys::exit, sys::exit_group, sys::getpid, sys::gettid>(),
        detail::plain_memory,
        nothing...,
    };
});

/// Reading and writing what is already open. newfstatat with AT_EMPTY_PATH, by which libcs ask for a descriptor's
/// metadata, can ask for a path's too: which, a filter cannot see.
inline constexpr auto stdio = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::read, sys::readv, sys::write, sys::writev, sys::lseek, sys::close, sys::fstat>(),
        policy::Rule<sys::newfstatat>{when_used(arg::flags, nothing...) & detail::at_empty_path}.allow(),
        detail::terminal_queries,
        nothing...,
    };
});

/// `compute` and `stdio`, and what a statically linked program does to start. Of its limits it may ask for and set
/// those of stack and open files; a worker with CAP_SYS_RESOURCE could raise these two.
inline constexpr auto static_runtime = policy::on_demand([](auto... nothing) {
    return Rules{
        compute,
        stdio,
        detail::allow_present<sys::set_tid_address, sys::set_robust_list, sys::rseq, sys::readlink, sys::readlinkat,
                              sys::getuid, sys::geteuid, sys::getgid, sys::getegid, sys::getppid, sys::uname,
                              sys::sysinfo, sys::sched_getaffinity>(),
        policy::Rule<sys::prlimit64>{when_used(arg::pid, nothing...) == 0 &&
                                     when_used(arg::resource, nothing...).in(RLIMIT_STACK, RLIMIT_NOFILE)}
            .allow(),
        policy::Rule<sys::prlimit64>{when_used(arg::pid, nothing...) == 0}.deny(EPERM),
        detail::allow_if_present<sys::arch_prctl>(
            when_used(arg::option, nothing...).in(0x1001, 0x1002, 0x1003, 0x1004, 0x3001)),
        nothing...,
    };
});

/// What ld.so does: finds libraries, opens them for reading and maps them. A filter cannot tell a library from another
/// file, so this opens any file for reading that the worker's credentials and isolation let it: /proc/<pid>/mem of
/// other processes of the same user among them, the host's too. No mapping is writable and executable at once.
inline constexpr auto dynamic_loader = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::access, sys::faccessat, sys::faccessat2, sys::stat, sys::newfstatat, sys::fstat,
                              sys::read, sys::pread64, sys::close, sys::munmap, sys::getcwd>(),
        detail::open_files_to_read,
        policy::Rule<sys::mmap>{!(when_used(arg::prot, nothing...) & PROT_WRITE) ||
                                !(when_used(arg::prot, nothing...) & PROT_EXEC)}
            .allow(),
        policy::Rule<sys::mprotect>{(when_used(arg::prot, nothing...) & PROT_EXEC) == 0}.allow(),
        nothing...,
    };
});

/// `static_runtime` and `dynamic_loader`: starts, allocates, prints, exits.
inline constexpr auto cpp_runtime = policy::on_demand([](auto... nothing) {
    return Rules{static_runtime, dynamic_loader, nothing...};
});

/// Starting threads, not processes. clone3 hides its flags in memory and answers ENOSYS, so that libcs take clone.
inline constexpr auto threads = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::futex, sys::futex_wait, sys::futex_wake, sys::futex_waitv, sys::futex_requeue,
                              sys::set_robust_list, sys::get_robust_list, sys::rseq, sys::set_tid_address, sys::gettid,
                              sys::sched_yield, sys::sched_getaffinity, sys::membarrier, sys::munmap, sys::exit>(),
        policy::Rule<sys::clone>{
            (when_used(arg::flags, nothing...) & detail::thread_flags) == detail::thread_flags &&
            (when_used(arg::flags, nothing...) & ~(detail::thread_flags | detail::thread_options)) == 0}
            .allow(),
        policy::Rule<sys::clone3>{}.deny(ENOSYS),
        detail::plain_memory,
        policy::Rule<sys::prctl>{when_used(arg::option, nothing...).in(PR_SET_NAME, PR_GET_NAME)}.allow(),
        nothing...,
    };
});

/// Opening files and directories for reading; looking at them. No openat2, whose flags lie in memory.
inline constexpr auto read_files = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::read, sys::pread64, sys::readv, sys::preadv, sys::preadv2, sys::lseek, sys::close,
                              sys::stat, sys::lstat, sys::fstat, sys::newfstatat, sys::statx, sys::access,
                              sys::faccessat, sys::faccessat2, sys::readlink, sys::readlinkat, sys::getdents,
                              sys::getdents64, sys::getcwd, sys::statfs, sys::fstatfs, sys::fadvise64,
                              sys::readahead>(),
        detail::open_files_to_read,
        detail::descriptors,
        detail::terminal_queries,
        nothing...,
    };
});

/// Opening files for writing, without set-id and sticky bits; making, renaming and removing them. Any file that the
/// worker's credentials and isolation let it: /proc/<pid>/mem of the host too, where they have the same user.
inline constexpr auto write_files = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::write, sys::pwrite64, sys::writev, sys::pwritev, sys::pwritev2, sys::lseek,
                              sys::close, sys::fsync, sys::fdatasync, sys::ftruncate, sys::fallocate, sys::mkdir,
                              sys::mkdirat, sys::unlink, sys::unlinkat, sys::rmdir, sys::rename, sys::renameat,
                              sys::renameat2, sys::umask>(),
        detail::allow_if_present<sys::open>((when_used(arg::flags, nothing...) & ~detail::open_to_write) == 0 &&
                                            (when_used(arg::mode, nothing...) & 07000) == 0),
        policy::Rule<sys::openat>{(when_used(arg::flags, nothing...) & ~detail::open_to_write) == 0 &&
                                  (when_used(arg::mode, nothing...) & 07000) == 0}
            .allow(),
        nothing...,
    };
});

/// Waiting for descriptors and time: poll, select, epoll, eventfd, timerfd, pipes, sleeping. Descriptors may be made
/// non-blocking, which holds for whoever shares the open file: do not let such a worker inherit the host's streams.
inline constexpr auto event_loop = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::poll, sys::ppoll, sys::select, sys::pselect6, sys::epoll_create, sys::epoll_create1,
                              sys::epoll_ctl, sys::epoll_wait, sys::epoll_pwait, sys::epoll_pwait2, sys::eventfd,
                              sys::eventfd2, sys::timerfd_create, sys::timerfd_settime, sys::timerfd_gettime, sys::pipe,
                              sys::pipe2, sys::nanosleep, sys::clock_nanosleep, sys::read, sys::write, sys::close>(),
        policy::Rule<sys::ioctl>{when_used(arg::request, nothing...).in(FIONREAD, FIONBIO)}.allow(),
        policy::Rule<sys::fcntl>{when_used(arg::cmd, nothing...) == F_SETFL}.allow(),
        detail::descriptors,
        nothing...,
    };
});

/// TCP and UDP sockets, sending and receiving, without what gives a socket its address or its peer. Sending by address
/// is part of it, as a UDP server answers so: to which addresses a UDP socket sends is not decided here, nor by a rule
/// for connect. Not part of it is MSG_FASTOPEN, by which TCP connects while it sends.
inline constexpr auto connected_sockets = policy::on_demand([](auto... nothing) {
    return Rules{
        policy::Rule<family::send>{(when_used(arg::flags, nothing...) & MSG_FASTOPEN) == 0}.allow(),
        detail::allow_present<sys::recvfrom, sys::recvmsg, sys::recvmmsg, sys::shutdown, sys::getsockname,
                              sys::getpeername, sys::getsockopt>(),
        policy::Rule<sys::socket>{when_used(arg::domain, nothing...).in(AF_INET, AF_INET6) &&
                                  when_used(arg::type, nothing...).in(SOCK_STREAM, SOCK_DGRAM) &&
                                  when_used(arg::protocol, nothing...).in(0, 6 /* TCP */, 17 /* UDP */)}
            .allow(),
        policy::Rule<sys::setsockopt>{
            when_used(arg::level, nothing...).in(SOL_SOCKET, 0 /* IP */, 6 /* TCP */, 17 /* UDP */, 41 /* IPv6 */)}
            .allow(),
        nothing...,
    };
});

/// TCP and UDP sockets that connect, and `event_loop`. To which addresses is not decided here. AF_UNIX and AF_NETLINK,
/// which name resolution tries, fail with EAFNOSUPPORT.
inline constexpr auto network_client = policy::on_demand([](auto... nothing) {
    return Rules{
        event_loop,
        connected_sockets,
        detail::allow_present<sys::connect>(),
        policy::Rule<sys::socket>{when_used(arg::domain, nothing...).in(AF_UNIX, AF_NETLINK)}.deny(EAFNOSUPPORT),
        nothing...,
    };
});

/// TCP and UDP sockets that listen, and `event_loop`. TCP does not connect out; UDP sends to any address, which is how
/// it answers: `connected_sockets`.
inline constexpr auto network_server = policy::on_demand([](auto... nothing) {
    return Rules{
        event_loop,
        connected_sockets,
        detail::allow_present<sys::bind, sys::listen, sys::accept, sys::accept4>(),
        nothing...,
    };
});

/// Descriptors that go to and from a function which serves requests (`sg::Service`): messages over descriptor 3, its
/// channel, and closing what came. Where the policy also lets a worker give other sockets that number (dup2, close and
/// socket), these are messages over those, too.
inline constexpr auto channel = policy::on_demand([](auto... nothing) {
    return Rules{
        policy::Rule<sys::recvmsg>{arg::fd == 3}.allow(),
        policy::Rule<sys::sendmsg>{arg::fd == 3}.allow(),
        detail::allow_present<sys::close>(),
        nothing...,
    };
});

/// Starting programs, waiting for them and connecting them by pipes. No new namespaces.
inline constexpr auto processes = policy::on_demand([](auto... nothing) {
    return Rules{
        detail::allow_present<sys::fork, sys::vfork, sys::execve, sys::wait4, sys::waitid, sys::pipe, sys::pipe2,
                              sys::dup, sys::dup2, sys::dup3, sys::getppid, sys::getpgrp, sys::getpgid,
                              sys::close_range>(),
        policy::Rule<sys::clone>{
            (when_used(arg::flags, nothing...) & ~(CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID |
                                                   CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CSIGNAL)) == 0}
            .allow(),
        policy::Rule<sys::clone3>{}.deny(ENOSYS),
        nothing...,
    };
});

}  // namespace sysguard::preset
