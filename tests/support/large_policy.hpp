#pragma once

#include <sysguard/abi/table.hpp>
#include <sysguard/policy/rule.hpp>

#include <cstddef>
#include <string_view>

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace support {

using LargePolicy = sysguard::Rules<512, 20 * 32>;

/// What a container runtime might allow: on x86_64 350 calls, 20 of them by a rule on their arguments.
inline LargePolicy large_policy() {
    namespace arg = sysguard::arg;
    namespace sys = sysguard::sys;
    using sysguard::Rule;
    LargePolicy rules;
    rules.append(sysguard::Rules{
        Rule<sys::socket>{arg::domain.in(AF_UNIX, AF_INET, AF_INET6)}.allow(),
        Rule<sys::socketpair>{arg::domain == AF_UNIX}.allow(),
        Rule<sys::clone>{(arg::flags & 0x7e020000) == 0}.allow(),
        Rule<sys::personality>{arg::persona.in(0, 8, 0x20000, 0x20008, 0xffffffff)}.allow(),
        Rule<sys::ioctl>{arg::request != TIOCSTI}.allow(),
        Rule<sys::prctl>{arg::option.in(PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG)}.allow(),
        Rule<sys::fcntl>{arg::cmd.in(F_GETFL, F_SETFL, F_GETFD, F_SETFD)}.allow(),
        Rule<sys::mmap>{(arg::prot & (PROT_WRITE | PROT_EXEC)) != (PROT_WRITE | PROT_EXEC)}.allow(),
        Rule<sys::mprotect>{(arg::prot & PROT_EXEC) == 0}.allow(),
        Rule<sys::kill>{arg::sig == 0}.allow(),
        Rule<sys::tgkill>{arg::sig == 6}.allow(),
        Rule<sys::prlimit64>{arg::pid == 0}.allow(),
        Rule<sys::setsockopt>{arg::level == SOL_SOCKET}.allow(),
        Rule<sys::getsockopt>{arg::level == SOL_SOCKET}.allow(),
        Rule<sys::openat>{(arg::flags & O_ACCMODE) == O_RDONLY}.allow(),
        Rule<sys::madvise>{arg::advice <= 4}.allow(),
        Rule<sys::sendto>{arg::addrlen == 0}.allow(),
        Rule<sys::fchmodat>{(arg::mode & 06000) == 0}.allow(),
        Rule<sys::fchmod>{(arg::mode & 06000) == 0}.allow(),
        Rule<sys::sched_setscheduler>{arg::policy == 0}.allow(),
    });
    const std::size_t with_arguments = rules.size();
    constexpr std::string_view refused[] = {
        "acct",
        "add_key",
        "bpf",
        "chroot",
        "clock_settime",
        "delete_module",
        "finit_module",
        "init_module",
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
        "ioperm",
        "iopl",
        "kexec_file_load",
        "kexec_load",
        "keyctl",
        "mount",
        "open_by_handle_at",
        "perf_event_open",
        "pivot_root",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "quotactl",
        "reboot",
        "request_key",
        "setns",
        "settimeofday",
        "swapoff",
        "swapon",
        "syslog",
        "umount2",
        "unshare",
        "userfaultfd",
        "vhangup",
    };
    for (const sysguard::abi::Syscall& call : sysguard::abi::syscalls) {
        bool listed = call.number() < 0;
        for (const std::string_view name : refused) listed = listed || call.name == name;
        for (std::size_t i = 0; i < with_arguments; ++i) listed = listed || rules.begin()[i].number == call.number();
        if (!listed) rules.add(call.number(), nullptr, 0, false, {sysguard::Action::allow});
    }
    return rules;
}

}  // namespace support
