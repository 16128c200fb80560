#pragma once

#include "../../traced_call.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

/// What ptrace(2) is asked, and what it says. Each request is for a thread that has stopped, but for the first two, and
/// returns 0 or an errno: ESRCH where the thread has been killed meanwhile, which can be at any time. The constants are
/// here under other names, as <sys/ptrace.h> and <linux/ptrace.h> define the same as different things.
namespace sysguard::supervise::ptracing {

/// PTRACE_O_*.
enum Option : std::uint32_t {
    marks_calls = 1,  ///< TRACESYSGOOD
    with_fork = 1U << 1,
    with_vfork = 1U << 2,
    with_clone = 1U << 3,
    with_exec = 1U << 4,
    with_exit = 1U << 6,
    with_seccomp = 1U << 7,
    kills_at_end = 1U << 20,  ///< EXITKILL
};

/// PTRACE_EVENT_*.
enum class Stop : std::uint32_t {
    none = 0,
    fork = 1,
    vfork = 2,
    clone = 3,
    exec = 4,
    exit = 6,
    seccomp = 7,
    trap = 128
};

/// How a stopped thread goes on.
enum class Resume : long { freely = 7, to_next_call = 24, listening = 0x4208 };  // CONT, SYSCALL, LISTEN

inline long request(long what, pid_t thread, std::uint64_t address, std::uint64_t data) noexcept {
    return ::syscall(SYS_ptrace, what, thread, address, data);
}

inline int result_of(long answer) noexcept {
    return answer < 0 ? errno : 0;
}

/// Linux 3.4.
inline int seize(pid_t thread, std::uint32_t options) noexcept {
    return result_of(request(0x4206, thread, 0, options));
}

inline int interrupt(pid_t thread) noexcept {
    return result_of(request(0x4207, thread, 0, 0));
}

inline int resume(pid_t thread, Resume how, int signal = 0) noexcept {
    return result_of(request(static_cast<long>(how), thread, 0, static_cast<std::uint64_t>(signal)));
}

inline int detach(pid_t thread, int signal = 0) noexcept {
    return result_of(request(17, thread, 0, static_cast<std::uint64_t>(signal)));
}

/// What a stop tells besides: an id, an exit status, what a filter returned.
inline int message(pid_t thread, std::uint64_t& value) noexcept {
    unsigned long word = 0;
    const int error = result_of(request(0x4201, thread, 0, reinterpret_cast<std::uint64_t>(&word)));
    value = word;
    return error;
}

/// Whether this thread traces one, also one that has ended and has not been waited for.
inline bool is_tracee(pid_t thread) noexcept {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(thread), &info,
                    WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD) == 0;
}

inline int signal_info(pid_t thread, siginfo_t& info) noexcept {
    return result_of(request(0x4202, thread, 0, reinterpret_cast<std::uint64_t>(&info)));
}

/// struct ptrace_syscall_info (include/uapi/linux/ptrace.h).
struct CallInfo {
    enum class Op : std::uint8_t { none, entry, exit, seccomp };
    struct Entry {
        std::uint64_t number;
        std::uint64_t arguments[6];
        std::uint32_t filter_data;  ///< of `seccomp`
        std::uint32_t unused;
    };
    struct Exit {
        std::int64_t result;
        std::uint8_t is_error;
    };

    Op op;
    std::uint8_t unused;
    std::uint16_t flags;
    std::uint32_t architecture;
    std::uint64_t instruction_pointer;
    std::uint64_t stack_pointer;
    union {
        Entry entry;
        Exit exit;
    };
};

/// PTRACE_GET_SYSCALL_INFO, Linux 5.3.
inline int call_info(pid_t thread, CallInfo& info) noexcept {
    return result_of(request(0x420e, thread, sizeof info, reinterpret_cast<std::uint64_t>(&info)));
}

/// PTRACE_SET_SYSCALL_INFO, Linux 6.16; EIO before.
inline int set_call_info(pid_t thread, const CallInfo& info) noexcept {
    return result_of(request(0x4212, thread, sizeof info, reinterpret_cast<std::uint64_t>(&info)));
}

/// Takes over what a thread says at the entry of a call. A call through an ABI that the table does not know gets the
/// number -1.
inline void take_entry(TracedCall& call, const CallInfo& info) noexcept {
    call.phase = TracedCall::Phase::entered;
    call.is_error = false;
    call.result = 0;
    call.abi = abi::native_abi;
    call.is_x32 = false;
    call.number = static_cast<int>(static_cast<std::uint32_t>(info.entry.number));
    if (info.architecture != abi::audit_architecture(abi::native_abi)) {
        if (info.architecture == abi::audit_architecture(abi::compat_abi))
            call.abi = abi::compat_abi;
        else
            call.number = -1;
    } else if (abi::native_abi == abi::Abi::x86_64 && call.number > 0 &&
               (static_cast<std::uint32_t>(call.number) & abi::x32_bit) != 0) {
        call.is_x32 = true;
        call.number = static_cast<int>(static_cast<std::uint32_t>(call.number) & ~abi::x32_bit);
    }
    for (int i = 0; i < abi::max_arguments; ++i) call.arguments[i] = info.entry.arguments[i];
    call.instruction_pointer = info.instruction_pointer;
    call.stack_pointer = info.stack_pointer;
}

inline void take_return(TracedCall& call, const CallInfo& info) noexcept {
    call.phase = TracedCall::Phase::returned;
    call.result = info.exit.result;
    call.is_error = info.exit.is_error != 0;
}

/// What wait4(2) tells of a thread that has stopped.
struct StopStatus {
    Stop stop = Stop::none;
    int signal = 0;  ///< that is being delivered, or that stopped the process (`Stop::trap`)
    bool is_call = false;

    static StopStatus of(int status) noexcept {
        StopStatus read;
        read.stop = static_cast<Stop>(static_cast<std::uint32_t>(status) >> 16);
        const int signal = WSTOPSIG(status);
        read.is_call = read.stop == Stop::none && signal == (SIGTRAP | 0x80);
        read.signal = read.is_call ? 0 : signal;
        return read;
    }
};

}  // namespace sysguard::supervise::ptracing
