#include <sysguard/abi/call_class.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace abi = sysguard::abi;
using abi::CallClass;

namespace {

/// The calls of x86_64 in strace 6.1's classes, up to number 450.
struct Known {
    CallClass call_class;
    std::string_view calls;
};

constexpr int newest = 450;

constexpr Known known[] = {
    {CallClass::file,
     " access acct chdir chmod chown chroot creat execve execveat faccessat faccessat2 fanotify_mark "
     "fchmodat fchownat fsconfig fspick futimesat getcwd getxattr inotify_add_watch lchown lgetxattr link "
     "linkat listxattr llistxattr lremovexattr lsetxattr lstat mkdir mkdirat mknod mknodat mount "
     "mount_setattr move_mount name_to_handle_at newfstatat open open_tree openat openat2 pivot_root "
     "quotactl readlink readlinkat removexattr rename renameat renameat2 rmdir setxattr stat statfs statx "
     "swapoff swapon symlink symlinkat truncate umount2 unlink unlinkat uselib utime utimensat utimes "},
    {CallClass::desc,
     " bpf close copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait "
     "epoll_pwait2 epoll_wait eventfd eventfd2 execveat faccessat faccessat2 fadvise64 fallocate "
     "fanotify_init fanotify_mark fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr "
     "finit_module flistxattr flock fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstat fstatfs "
     "fsync ftruncate futimesat getdents getdents64 inotify_add_watch inotify_init inotify_init1 "
     "inotify_rm_watch io_uring_enter io_uring_register io_uring_setup ioctl kexec_file_load "
     "landlock_add_rule landlock_create_ruleset landlock_restrict_self linkat lseek memfd_create "
     "memfd_secret mkdirat mknodat mmap mount_setattr move_mount mq_getsetattr mq_open mq_timedreceive "
     "mq_timedsend name_to_handle_at newfstatat open open_by_handle_at open_tree openat openat2 "
     "perf_event_open pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 poll ppoll pread64 preadv "
     "preadv2 process_madvise process_mrelease pselect6 pwrite64 pwritev pwritev2 quotactl_fd read "
     "readahead readlinkat readv renameat renameat2 select sendfile setns signalfd signalfd4 splice statx "
     "symlinkat sync_file_range syncfs tee timerfd_create timerfd_gettime timerfd_settime unlinkat "
     "userfaultfd utimensat vmsplice write writev "},
    {CallClass::network,
     " accept accept4 bind connect getpeername getpmsg getsockname getsockopt listen putpmsg recvfrom "
     "recvmmsg recvmsg sendfile sendmmsg sendmsg sendto setsockopt shutdown socket socketpair "},
    {CallClass::process,
     " clone clone3 execve execveat exit exit_group fork kill pidfd_send_signal rt_sigqueueinfo "
     "rt_tgsigqueueinfo tgkill tkill vfork wait4 waitid "},
    {CallClass::memory,
     " brk get_mempolicy io_destroy io_setup io_uring_register madvise mbind migrate_pages mincore mlock "
     "mlock2 mlockall mmap move_pages mprotect mremap msync munlock munlockall munmap pkey_mprotect "
     "remap_file_pages set_mempolicy set_mempolicy_home_node shmat shmdt "},
    {CallClass::signal,
     " io_uring_enter kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask "
     "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd "
     "signalfd4 tgkill tkill "},
    {CallClass::ipc, " msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget "},
    {CallClass::creds,
     " capget capset getegid geteuid getgid getgroups getresgid getresuid getuid prctl setfsgid setfsuid "
     "setgid setgroups setregid setresgid setresuid setreuid setuid "},
    {CallClass::clock,
     " adjtimex clock_adjtime clock_getres clock_gettime clock_settime gettimeofday settimeofday time "},
};

}  // namespace

TEST_CASE("the classes are those that strace has") {
    for (const Known& entry : known)
        for (const abi::Syscall& call : abi::syscalls) {
            const int number = call.number(abi::Abi::x86_64);
            if (number < 0 || number > newest || call.name == "mq_notify") continue;  // strace 6.2 has it in %desc, too
            INFO(call.name, " in ", abi::call_class_names[static_cast<int>(entry.call_class)]);
            const bool is_there = entry.calls.find(" " + std::string{call.name} + " ") != entry.calls.npos;
            CHECK(abi::is_in(call, entry.call_class) == is_there);
        }
}

TEST_CASE("newer calls are in the classes that their arguments tell") {
    CHECK(abi::is_in(*abi::find("fchmodat2"), CallClass::file));
    CHECK(abi::is_in(*abi::find("setxattrat"), CallClass::desc));
    CHECK(abi::is_in(*abi::find("cachestat"), CallClass::desc));
    CHECK(abi::is_in(*abi::find("mseal"), CallClass::memory));
    CHECK_FALSE(abi::is_in(*abi::find("statmount"), CallClass::file));
}

TEST_CASE("a class is found by its name") {
    CallClass found{};
    CHECK(abi::find_call_class("network", found));
    CHECK(found == CallClass::network);
    CHECK(abi::find_call_class("clock", found));
    CHECK(found == CallClass::clock);
    CHECK_FALSE(abi::find_call_class("files", found));
    CHECK_FALSE(abi::find_call_class("", found));
}
