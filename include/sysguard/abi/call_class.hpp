#pragma once

#include "table.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sysguard::abi {

/// Groups of calls by what they are about, as strace(1) names them in `-e trace=%file`. A call can be in several.
enum class CallClass : std::uint8_t {
    file,     ///< takes a path
    desc,     ///< takes or makes descriptors, but for those of sockets alone
    network,  ///< of sockets
    process,  ///< begins, ends or waits for processes, or sends them signals
    memory,   ///< maps memory
    signal,   ///< sends, takes or handles signals
    ipc,      ///< System V message queues, semaphores and shared memory
    creds,    ///< user and group ids and capabilities
    clock,    ///< reads or sets a clock
};

inline constexpr std::string_view call_class_names[] = {"file",   "desc", "network", "process", "memory",
                                                        "signal", "ipc",  "creds",   "clock"};

namespace detail {

/// Names between spaces, for a class that the types of arguments do not tell.
constexpr std::string_view calls_of(CallClass call_class) noexcept {
    switch (call_class) {
        case CallClass::file: return " fsconfig getcwd quotactl ";
        case CallClass::desc: return " bpf io_uring_enter pselect6 select sendfile vmsplice ";
        case CallClass::network:
            return " accept accept4 bind connect getpeername getpmsg getsockname getsockopt listen putpmsg recvfrom "
                   "recvmmsg recvmsg sendfile sendmmsg sendmsg sendto setsockopt shutdown socket socketpair ";
        case CallClass::process:
            return " clone clone3 execve execveat exit exit_group fork kill pidfd_send_signal rt_sigqueueinfo "
                   "rt_tgsigqueueinfo tgkill tkill vfork wait4 waitid ";
        case CallClass::memory:
            return " brk get_mempolicy io_destroy io_setup io_uring_register madvise map_shadow_stack mbind "
                   "migrate_pages mincore mlock mlock2 mlockall mmap move_pages mprotect mremap mseal msync munlock "
                   "munlockall munmap pkey_mprotect remap_file_pages set_mempolicy set_mempolicy_home_node shmat "
                   "shmdt ";
        case CallClass::signal:
            return " io_uring_enter kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask "
                   "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd "
                   "signalfd4 tgkill tkill ";
        case CallClass::ipc:
            return " msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget ";
        case CallClass::creds:
            return " capget capset getegid geteuid getgid getgroups getresgid getresuid getuid prctl setfsgid "
                   "setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid ";
        case CallClass::clock:
            return " adjtimex clock_adjtime clock_getres clock_gettime clock_settime gettimeofday settimeofday time ";
    }
    return {};
}

constexpr bool is_listed(CallClass call_class, std::string_view name) noexcept {
    const std::string_view calls = calls_of(call_class);
    for (std::size_t at = calls.find(name); at != calls.npos; at = calls.find(name, at + 1))
        if (calls[at - 1] == ' ' && calls[at + name.size()] == ' ') return true;
    return false;
}

constexpr bool is_of_descriptors(Type type) noexcept {
    return type == Type::fd || type == Type::dirfd || type == Type::fd_pair || type == Type::pollfd;
}

}  // namespace detail

/// Whether a call is in a class.
constexpr bool is_in(const Syscall& call, CallClass call_class) noexcept {
    if (detail::is_listed(call_class, call.name)) return true;
    if (call_class != CallClass::file && call_class != CallClass::desc) return false;
    if (call_class == CallClass::desc) {
        if (detail::is_listed(CallClass::network, call.name) || call.name == "kcmp") return false;
        if (call.returns == Return::fd) return true;
    }
    for (const Argument& argument : call.arguments) {
        if (argument.name == ArgName::none) break;
        if (call_class == CallClass::file ? argument.type == Type::path : detail::is_of_descriptors(argument.type))
            return true;
    }
    return false;
}

/// The class of a name ("file"). Returns false where there is none.
constexpr bool find_call_class(std::string_view name, CallClass& found) noexcept {
    std::uint8_t index = 0;
    for (const std::string_view known : call_class_names) {
        if (known == name) {
            found = static_cast<CallClass>(index);
            return true;
        }
        ++index;
    }
    return false;
}

}  // namespace sysguard::abi
