#pragma once

#include "../process/descriptor.hpp"
#include "detail/bare_text.hpp"
#include "pending.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise {

/// The process of a thread; -1 where it is gone. What it says holds as long as the thread lives.
inline pid_t process_of(pid_t thread) noexcept {
    if (thread <= 0) return -1;
    char path[40];
    char text[512];
    detail::append(detail::append(detail::append(path, "/proc/"), static_cast<unsigned long>(thread)), "/status");
    if (detail::read_text(AT_FDCWD, path, text, sizeof text) <= 0) return -1;
    const char* line = detail::find_line(text, "Tgid:\t");
    return line != nullptr ? static_cast<pid_t>(detail::parse(line)) : -1;
}

/// A handle on a thread's process, or on the thread itself where the kernel has such (PIDFD_THREAD; Linux 6.9): threads
/// may have tables of descriptors of their own.
inline process::Descriptor open_task(pid_t thread) noexcept {
    constexpr unsigned of_thread = O_EXCL;
    process::Descriptor task{static_cast<int>(::syscall(SYS_pidfd_open, thread, of_thread))};
    if (!task && errno == EINVAL) task.reset(static_cast<int>(::syscall(SYS_pidfd_open, process_of(thread), 0)));
    return task;
}

/// A duplicate of a descriptor of the thread that waits (pidfd_getfd(2); Linux 5.6), or none: EBADF where it has no
/// such, EPERM where the host may not have it. A default container refuses that call to a host without CAP_SYS_PTRACE.
inline process::Descriptor duplicate_descriptor(const Pending& call, int fd) noexcept {
    const process::Descriptor task = open_task(call.thread);
    if (!task || !call.is_pending()) {
        errno = EBADF;
        return {};
    }
    const long own = ::syscall(SYS_pidfd_getfd, task.get(), fd, 0);
    if (own < 0 && errno == ENOSYS) errno = EPERM;
    return process::Descriptor{process::above_streams(static_cast<int>(own))};
}

/// The directory (O_PATH) that a descriptor of the thread that waits stands for, or none: EBADF where it has no such,
/// ENOTDIR where it is something else. As good a place to start from as a duplicate, and had without pidfd_getfd(2).
inline process::Descriptor open_directory(const Pending& call, int fd) noexcept {
    if (fd < 0) {
        errno = EBADF;
        return {};
    }
    char path[64];
    char* const end = detail::append(detail::append(path, "/proc/"), static_cast<unsigned long>(call.thread));
    detail::append(detail::append(end, "/fd/"), static_cast<unsigned long>(fd));
    process::Descriptor directory{::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const int error = errno == ENOENT ? EBADF : errno;
    if (directory && call.is_pending()) return process::Descriptor{process::above_streams(directory.release())};
    errno = directory ? EBADF : error;
    return {};
}

/// The same as `duplicate_descriptor`, and where that is refused, what serves for a directory to start from.
inline process::Descriptor duplicate_place(const Pending& call, int fd) noexcept {
    process::Descriptor copy = duplicate_descriptor(call, fd);
    if (copy || errno != EPERM) return copy;
    copy = open_directory(call, fd);
    if (!copy && errno != EBADF) errno = EPERM;
    return copy;
}

}  // namespace sysguard::supervise
