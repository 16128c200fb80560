#pragma once

#include "../../abi/numbers.hpp"

#include <cerrno>

namespace sysguard::filter::detail {

/// A call that libcs, or programs, try before an older one, which they take where the newer answers ENOSYS.
struct Fallback {
    enum class When : unsigned char {
        asked,           ///< a program asked for the newer call, or for what only that does well
        unasked,         ///< a program that asked for the older one gets the newer: it does not survive a kill either
        only_if_killed,  ///< any error will do
    };

    int number = 0;
    int older = 0;
    When when{};
    const char* why = nullptr;
};

/// As the sources of glibc (2.36 and newer) and musl (1.2.5) have it, and as others found out.
inline constexpr Fallback fallbacks[] = {
    {sys::clone3, sys::clone, Fallback::When::unasked,
     "glibc starts threads and programs by it, and takes clone only where it answers ENOSYS (moby issue 42680)"},
    {sys::faccessat2, sys::faccessat, Fallback::When::unasked,
     "glibc's faccessat() takes faccessat only where it answers ENOSYS"},
    {sys::getrandom, sys::openat, Fallback::When::unasked,
     "glibc's arc4random() takes /dev/urandom only where it answers ENOSYS, and ends the program otherwise"},
    {sys::prlimit64, sys::getrlimit, Fallback::When::unasked,
     "musl's getrlimit() takes getrlimit only where it answers ENOSYS"},
    {sys::epoll_pwait, sys::epoll_wait, Fallback::When::unasked,
     "musl's epoll_wait() takes epoll_wait only where it answers ENOSYS"},
    {sys::epoll_create1, sys::epoll_create, Fallback::When::unasked,
     "musl's epoll_create() takes epoll_create only where it answers ENOSYS"},
    {sys::eventfd2, sys::eventfd, Fallback::When::unasked,
     "musl's eventfd() takes eventfd only where it answers ENOSYS"},
    {sys::signalfd4, sys::signalfd, Fallback::When::unasked,
     "musl's signalfd() takes signalfd only where it answers ENOSYS"},
    {sys::inotify_init1, sys::inotify_init, Fallback::When::unasked,
     "musl's inotify_init() takes inotify_init only where it answers ENOSYS"},
    {sys::rseq, sys::set_tid_address, Fallback::When::only_if_killed,
     "glibc makes it when a program starts, and goes on without where it fails"},
    {sys::set_robust_list, sys::set_tid_address, Fallback::When::only_if_killed,
     "glibc makes it when a program starts, and goes on without where it fails"},
    {sys::statx, sys::newfstatat, Fallback::When::asked,
     "glibc's statx() asks newfstatat only where it answers ENOSYS"},
    {sys::fchmodat2, sys::fchmodat, Fallback::When::asked,
     "glibc's and musl's fchmodat() with flags do without only where it answers ENOSYS (systemd issue 30250)"},
    {sys::preadv2, sys::preadv, Fallback::When::asked, "glibc's preadv2() takes preadv only where it answers ENOSYS"},
    {sys::pwritev2, sys::pwritev, Fallback::When::asked,
     "glibc's pwritev2() takes pwritev only where it answers ENOSYS"},
    {sys::execveat, sys::execve, Fallback::When::asked,
     "glibc's and musl's fexecve() take execve of /proc/self/fd only where it answers ENOSYS"},
    {sys::openat2, sys::openat, Fallback::When::asked,
     "programs that try it take openat only where it answers ENOSYS, as before Linux 5.6 (crun issue 545)"},
    {sys::epoll_pwait2, sys::epoll_pwait, Fallback::When::asked,
     "programs that try it take epoll_pwait only where it answers ENOSYS, as before Linux 5.11 (ivykis issue 33)"},
    {sys::pipe2, sys::pipe, Fallback::When::asked, "musl's pipe2() takes pipe only where it answers ENOSYS"},
    {sys::dup3, sys::dup2, Fallback::When::asked, "musl's dup3() takes dup2 only where it answers ENOSYS"},
    {sys::accept4, sys::accept, Fallback::When::asked, "musl's accept4() takes accept only where it answers ENOSYS"},
};

/// What a call that is not to run is best answered.
constexpr int closing_error(int number) noexcept {
    for (const Fallback& fallback : fallbacks)
        if (fallback.number == number && fallback.when != Fallback::When::only_if_killed) return ENOSYS;
    return EPERM;
}

}  // namespace sysguard::filter::detail
