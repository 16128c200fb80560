#pragma once

#include "../abi/numbers.hpp"
#include "../abi/table.hpp"

#include <cstddef>
#include <type_traits>

namespace sysguard::family {

/// Calls that do the same thing by different doors: `Rule<family::open>` rules them all, with the arguments that all of
/// them have. A call that this architecture lacks is left out. Where a door is missing from a family on purpose, its
/// comment says so.
#define SYSGUARD_FAMILY(name, ...)                      \
    struct name##_t {                                   \
        static constexpr int numbers[] = {__VA_ARGS__}; \
    };                                                  \
    inline constexpr name##_t name {}

/// Without open_by_handle_at: it takes no path but a handle, and opens files for who has CAP_DAC_READ_SEARCH only.
SYSGUARD_FAMILY(open, sys::open, sys::openat, sys::openat2, sys::creat);
SYSGUARD_FAMILY(stat, sys::stat, sys::lstat, sys::fstat, sys::newfstatat, sys::statx);
SYSGUARD_FAMILY(access, sys::access, sys::faccessat, sys::faccessat2);
SYSGUARD_FAMILY(readlink, sys::readlink, sys::readlinkat);
SYSGUARD_FAMILY(chmod, sys::chmod, sys::fchmod, sys::fchmodat, sys::fchmodat2);
SYSGUARD_FAMILY(chown, sys::chown, sys::lchown, sys::fchown, sys::fchownat);
SYSGUARD_FAMILY(mkdir, sys::mkdir, sys::mkdirat);
SYSGUARD_FAMILY(mknod, sys::mknod, sys::mknodat);
SYSGUARD_FAMILY(unlink, sys::unlink, sys::unlinkat, sys::rmdir);
SYSGUARD_FAMILY(rename, sys::rename, sys::renameat, sys::renameat2);
SYSGUARD_FAMILY(link, sys::link, sys::linkat);
SYSGUARD_FAMILY(symlink, sys::symlink, sys::symlinkat);
SYSGUARD_FAMILY(truncate, sys::truncate, sys::ftruncate);
SYSGUARD_FAMILY(set_times, sys::utime, sys::utimes, sys::futimesat, sys::utimensat);
SYSGUARD_FAMILY(get_xattr, sys::getxattr, sys::lgetxattr, sys::fgetxattr, sys::getxattrat, sys::listxattr,
                sys::llistxattr, sys::flistxattr, sys::listxattrat);
SYSGUARD_FAMILY(set_xattr, sys::setxattr, sys::lsetxattr, sys::fsetxattr, sys::setxattrat, sys::removexattr,
                sys::lremovexattr, sys::fremovexattr, sys::removexattrat);
SYSGUARD_FAMILY(chdir, sys::chdir, sys::fchdir);
SYSGUARD_FAMILY(list_directory, sys::getdents, sys::getdents64);
SYSGUARD_FAMILY(read, sys::read, sys::pread64, sys::readv, sys::preadv, sys::preadv2);
SYSGUARD_FAMILY(write, sys::write, sys::pwrite64, sys::writev, sys::pwritev, sys::pwritev2);
SYSGUARD_FAMILY(duplicate, sys::dup, sys::dup2, sys::dup3);
SYSGUARD_FAMILY(pipe, sys::pipe, sys::pipe2);
SYSGUARD_FAMILY(wait_for_events, sys::poll, sys::ppoll, sys::select, sys::pselect6, sys::epoll_wait, sys::epoll_pwait,
                sys::epoll_pwait2);
SYSGUARD_FAMILY(epoll_create, sys::epoll_create, sys::epoll_create1);
SYSGUARD_FAMILY(eventfd, sys::eventfd, sys::eventfd2);
SYSGUARD_FAMILY(signalfd, sys::signalfd, sys::signalfd4);
SYSGUARD_FAMILY(inotify_init, sys::inotify_init, sys::inotify_init1);
SYSGUARD_FAMILY(send, sys::sendto, sys::sendmsg, sys::sendmmsg);
SYSGUARD_FAMILY(receive, sys::recvfrom, sys::recvmsg, sys::recvmmsg);
SYSGUARD_FAMILY(accept, sys::accept, sys::accept4);
/// clone also starts threads; clone3 hides its flags in memory.
SYSGUARD_FAMILY(fork, sys::fork, sys::vfork, sys::clone, sys::clone3);
SYSGUARD_FAMILY(exec, sys::execve, sys::execveat);
SYSGUARD_FAMILY(exit, sys::exit, sys::exit_group);
SYSGUARD_FAMILY(wait, sys::wait4, sys::waitid);
SYSGUARD_FAMILY(send_signal, sys::kill, sys::tkill, sys::tgkill, sys::rt_sigqueueinfo, sys::rt_tgsigqueueinfo,
                sys::pidfd_send_signal);
SYSGUARD_FAMILY(sleep, sys::nanosleep, sys::clock_nanosleep);
SYSGUARD_FAMILY(set_uid, sys::setuid, sys::setreuid, sys::setresuid, sys::setfsuid);
SYSGUARD_FAMILY(set_gid, sys::setgid, sys::setregid, sys::setresgid, sys::setfsgid, sys::setgroups);
SYSGUARD_FAMILY(set_limit, sys::setrlimit, sys::prlimit64);
SYSGUARD_FAMILY(protect_memory, sys::mprotect, sys::pkey_mprotect);
SYSGUARD_FAMILY(other_memory, sys::process_vm_readv, sys::process_vm_writev, sys::ptrace, sys::process_madvise);
SYSGUARD_FAMILY(io_uring, sys::io_uring_setup, sys::io_uring_enter, sys::io_uring_register);
SYSGUARD_FAMILY(aio, sys::io_setup, sys::io_destroy, sys::io_submit, sys::io_cancel, sys::io_getevents,
                sys::io_pgetevents);
SYSGUARD_FAMILY(module, sys::init_module, sys::finit_module, sys::delete_module);
SYSGUARD_FAMILY(kexec, sys::kexec_load, sys::kexec_file_load);
SYSGUARD_FAMILY(mount, sys::mount, sys::umount2, sys::pivot_root, sys::open_tree, sys::open_tree_attr, sys::move_mount,
                sys::fsopen, sys::fsconfig, sys::fsmount, sys::fspick, sys::mount_setattr);
SYSGUARD_FAMILY(keys, sys::add_key, sys::request_key, sys::keyctl);

#undef SYSGUARD_FAMILY

}  // namespace sysguard::family

namespace sysguard::policy {

template <class T>
concept Family = requires {
    T::numbers[0];
};

template <std::size_t count>
struct CallNumbers {
    int list[count];
};

/// The native numbers that a rule's target stands for: one call, or those of a family that this architecture has.
template <auto target>
struct Calls {
    static_assert(Family<decltype(target)>,
                  "a rule is for a system call (SYS_openat, sys::openat2) or for a family (family::open)");

    static constexpr std::size_t count() noexcept {
        std::size_t present = 0;
        for (int number : target.numbers) present += number >= 0;
        return present;
    }

    static constexpr CallNumbers<count()> numbers = [] {
        CallNumbers<count()> present{};
        std::size_t i = 0;
        for (int number : target.numbers)
            if (number >= 0) present.list[i++] = number;
        return present;
    }();
};

template <auto number>
    requires std::is_integral_v<decltype(number)>
struct Calls<number> {
    static_assert(number != -1, "this architecture has no such system call; rule on its *at form or on its family");
    static_assert(number == -1 || abi::is_known(static_cast<int>(number)),
                  "no system call of sysguard's table has this number");

    static constexpr std::size_t count() noexcept { return 1; }

    static constexpr CallNumbers<1> numbers{{static_cast<int>(number)}};
};

}  // namespace sysguard::policy
