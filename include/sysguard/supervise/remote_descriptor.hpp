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
/// such.
inline process::Descriptor duplicate_descriptor(const Pending& call, int fd) noexcept {
    const process::Descriptor task = open_task(call.thread);
    if (!task || !call.is_pending()) {
        errno = EBADF;
        return {};
    }
    const long own = ::syscall(SYS_pidfd_getfd, task.get(), fd, 0);
    return process::Descriptor{process::above_streams(static_cast<int>(own))};
}

}  // namespace sysguard::supervise
