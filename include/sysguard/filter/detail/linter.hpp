#pragma once

#include "../finding.hpp"
#include "abilities.hpp"
#include "fallbacks.hpp"
#include "powerful_calls.hpp"
#include "siblings.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/personality.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>

namespace sysguard::filter::detail {

/// Looks for one thing after the other.
class Linter : Abilities {
public:
    constexpr explicit Linter(const policy::View& view) noexcept : Abilities{view} {}

    constexpr Findings look() noexcept {
        look_at_siblings();
        look_at_sending_beside_connect();
        look_at_listening_beside_bind();
        look_at_hidden_work();
        look_at_other_memory();
        look_at_executable_memory();
        look_at_chains();
        look_at_powerful_calls();
        look_at_missing_calls();
        look_at_fallbacks();
        return found_;
    }

private:
    using Kind = Finding::Kind;

    constexpr void add(Kind kind, int call, int beside, const char* why, const char* closed, int error = 0) noexcept {
        found_.add({kind, static_cast<std::int16_t>(call), static_cast<std::int16_t>(beside),
                    static_cast<std::int16_t>(error), why, closed});
    }

    constexpr void deny(Kind kind, int call, const char* why, int error = EPERM, int beside = -1) noexcept {
        add(kind, call, beside, why, nullptr, error);
    }

    constexpr void look_at_siblings() noexcept {
        const Sibling* group = siblings;
        for (const Sibling& sibling : siblings) {
            if (sibling.number != end_of_group) continue;
            look_at_group(group, &sibling, sibling.text);
            group = &sibling + 1;
        }
    }

    constexpr void look_at_group(const Sibling* begin, const Sibling* end, const char* what) noexcept {
        bool ruled = false;
        for (const Sibling* one = begin; one != end; ++one)
            ruled = ruled || (one->role != Role::door && can_.is_ruled(one->number));
        for (const Sibling* door = begin; ruled && door != end; ++door) {
            const Fate fate = fate_beside(door->role);
            if (fate == Fate::runs) continue;
            for (const Sibling* one = begin; one != end; ++one) {
                if (one == door || one->role == Role::door) continue;
                if (found_.contains(Kind::sibling, door->number)) break;
                if (!can_.is_open_beside(one->number, known_of_ruled(*door), door->number, known_of_door(*one, *door),
                                         fate))
                    continue;
                add(Kind::sibling, door->number, one->number, what, door->text, closing_error(door->number));
                break;
            }
        }
    }

    /// connect decides where TCP connects to and UDP sends; a call that takes an address itself does not ask it.
    constexpr void look_at_sending_beside_connect() noexcept {
        if (!can_.is_ruled(sys::connect) || !can_.may(Fate::refused, sys::connect)) return;
        const bool datagrams = runs(sys::socket, policy::Known{abi::ArgName::type, 0xf, SOCK_DGRAM}) ||
                               runs(sys::socketpair, policy::Known{abi::ArgName::type, 0xf, SOCK_DGRAM});
        const policy::Known connects = has(abi::ArgName::flags, MSG_FASTOPEN);
        const policy::Known to_an_address = differs(abi::ArgName::addrlen, 0);
        constexpr const char* why =
            "sends to an address of its own: from a UDP socket to any, and with MSG_FASTOPEN it connects TCP, too";
        if (datagrams ? runs(sys::sendto, to_an_address) : runs(sys::sendto, {to_an_address, connects}))
            add(Kind::sibling, sys::sendto, sys::connect, why, "Rule<sg::sys::sendto>{arg::addrlen != 0}.deny(EPERM)");
        for (const int number : {sys::sendmsg, sys::sendmmsg})
            if (datagrams ? runs(number) : runs(number, connects))
                deny(Kind::sibling, number, why, EPERM, sys::connect);
    }

    /// listen binds a TCP socket that is not bound yet (inet_csk_listen_start, net/ipv4/inet_connection_sock.c).
    constexpr void look_at_listening_beside_bind() noexcept {
        if (!can_.is_ruled(sys::bind) || !can_.may(Fate::refused, sys::bind) || !runs(sys::listen)) return;
        for (const int domain : {AF_INET, AF_INET6}) {
            const policy::Known streams{abi::ArgName::type, 0xf, SOCK_STREAM};
            if (!runs(sys::socket, {equals(abi::ArgName::domain, static_cast<std::uint64_t>(domain)), streams}))
                continue;
            deny(Kind::sibling, sys::listen,
                 "binds a TCP socket that is not, to all addresses and a port of the kernel's", EPERM, sys::bind);
            return;
        }
    }

    constexpr void look_at_hidden_work() noexcept {
        for (const int number : {sys::io_uring_setup, sys::io_uring_enter, sys::io_uring_register}) {
            if (!runs(number)) continue;
            add(Kind::io_uring, number, -1,
                "what is submitted through a ring opens, reads, writes, connects and sends, and no filter sees it",
                "Rule<sg::family::io_uring>{}.deny(ENOSYS)");
            break;
        }
        if (runs(sys::clone3))
            deny(Kind::clone3, sys::clone3,
                 "its flags lie in memory, where no filter sees them: new namespaces among them; where it answers "
                 "ENOSYS, libcs take clone",
                 ENOSYS);
        if (runs(sys::ioctl, equals(abi::ArgName::request, TIOCSTI)) ||
            runs(sys::ioctl, equals(abi::ArgName::request, TIOCLINUX)))
            add(Kind::terminal_input, sys::ioctl, -1,
                "TIOCSTI and TIOCLINUX type into the terminal that the worker was given, where the host's shell "
                "reads it",
                "Rule<sg::sys::ioctl>{arg::request.in(TIOCSTI, TIOCLINUX)}.deny(EPERM)");
        const Decision foreign = can_.view().foreign;
        if (foreign == Action::allow || foreign == Action::log || foreign == Action::handle)
            add(Kind::foreign_abi, -1, -1,
                "they come with other numbers and other layouts of memory, which no rule here is for",
                "sg::foreign.kill()");
    }

    constexpr void look_at_other_memory() noexcept {
        if (runs(sys::ptrace, differs(abi::ArgName::request, 0 /* PTRACE_TRACEME */)))
            deny(Kind::other_memory, sys::ptrace, "reads and writes the memory and registers of other processes");
        if (runs(sys::process_vm_writev))
            deny(Kind::other_memory, sys::process_vm_writev, "writes the memory of other processes");
        if (runs(sys::process_vm_readv))
            deny(Kind::other_memory, sys::process_vm_readv, "reads the memory of other processes");
        if (runs(sys::pidfd_getfd)) deny(Kind::other_memory, sys::pidfd_getfd, "takes open files from other processes");
        constexpr const char* why =
            "opens any file for writing, /proc/<pid>/mem among them: the memory of each process of the same user, "
            "unless the worker is kept from it by its isolation";
        if (opens_to_write(sys::openat))
            add(Kind::other_memory, sys::openat, -1, why,
                "Rule<sg::sys::openat>{(arg::flags & O_ACCMODE) != O_RDONLY && "
                "arg::path.under(\"/proc\")}.deny(EACCES)");
        if (opens_to_write(sys::open))
            add(Kind::other_memory, sys::open, -1, why,
                "Rule<sg::sys::open>{(arg::flags & O_ACCMODE) != O_RDONLY && arg::path.under(\"/proc\")}.deny(EACCES)");
        if (runs(sys::creat))
            add(Kind::other_memory, sys::creat, -1, why,
                "Rule<sg::sys::creat>{arg::path.under(\"/proc\")}.deny(EACCES)");
        if (runs(sys::openat2))
            add(Kind::other_memory, sys::openat2, -1, why,
                "Rule<sg::sys::openat2>{arg::path.under(\"/proc\")}.deny(EACCES)");
    }

    constexpr void look_at_executable_memory() noexcept {
        constexpr std::uint64_t read_implies_exec = READ_IMPLIES_EXEC;
        if (runs(sys::mmap, has(abi::ArgName::prot, PROT_WRITE | PROT_EXEC)))
            add(Kind::executable_memory, sys::mmap, -1, "maps memory that can be written and executed at once",
                "Rule<sg::sys::mmap>{(arg::prot & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC)}.deny(EACCES)");
        if (runs(sys::mprotect, has(abi::ArgName::prot, PROT_EXEC)))
            add(Kind::executable_memory, sys::mprotect, -1, "makes memory executable that has been written",
                "Rule<sg::sys::mprotect>{arg::prot & PROT_EXEC}.deny(EACCES)");
        if (runs(sys::pkey_mprotect, has(abi::ArgName::prot, PROT_EXEC)))
            add(Kind::executable_memory, sys::pkey_mprotect, -1, "makes memory executable that has been written",
                "Rule<sg::sys::pkey_mprotect>{arg::prot & PROT_EXEC}.deny(EACCES)");
        if (runs(sys::shmat, has(abi::ArgName::shmflg, SHM_EXEC)))
            add(Kind::executable_memory, sys::shmat, -1,
                "with SHM_EXEC it maps memory that can be written and executed at once",
                "Rule<sg::sys::shmat>{arg::shmflg & SHM_EXEC}.deny(EACCES)");
        if (runs(sys::personality, {has(abi::ArgName::persona, read_implies_exec),
                                    differs(abi::ArgName::persona, int_bits /* only asks */)}))
            add(Kind::executable_memory, sys::personality, -1,
                "with READ_IMPLIES_EXEC all memory that can be read can be executed",
                "Rule<sg::sys::personality>{(arg::persona & 0x400000) && arg::persona != 0xffffffff}.deny(EPERM)");
        if (runs(sys::memfd_create) && runs(sys::mmap, has(abi::ArgName::prot, PROT_EXEC)))
            deny(Kind::executable_memory, sys::memfd_create,
                 "what it makes can be mapped twice: once to write it, once to execute it", ENOSYS, sys::mmap);
    }

    constexpr void look_at_chains() noexcept {
        if (reads() && reaches_the_network()) {
            constexpr const char* why =
                "opens any file for reading, and what the worker has read it can send out of the machine, unless "
                "its isolation keeps it from either";
            if (opens_to_read(sys::openat))
                add(Kind::exfiltration, sys::openat, -1, why,
                    "Rule<sg::sys::openat>{!arg::path.under(\"/usr\")}.deny(EACCES)");
            if (opens_to_read(sys::open))
                add(Kind::exfiltration, sys::open, -1, why,
                    "Rule<sg::sys::open>{!arg::path.under(\"/usr\")}.deny(EACCES)");
            if (runs(sys::openat2))
                add(Kind::exfiltration, sys::openat2, -1, why,
                    "Rule<sg::sys::openat2>{!arg::path.under(\"/usr\")}.deny(EACCES)");
        }
        const int executes = runs(sys::execve) ? sys::execve : runs(sys::execveat) ? sys::execveat : -1;
        if (executes < 0) return;
        if (opens_to_write(sys::openat) || opens_to_write(sys::open) || runs(sys::openat2) || runs(sys::creat))
            add(Kind::write_and_execute, executes, -1,
                "executes files that the worker has written, unless they lie where nothing is executed",
                "Rule<sg::family::exec>{}.deny(EACCES)");
        if (runs(sys::memfd_create))
            deny(Kind::write_and_execute, sys::memfd_create,
                 "what it makes can be executed, and is a file nowhere (memfd_create(2))", ENOSYS, executes);
    }

    constexpr void look_at_powerful_calls() noexcept {
        for (const PowerfulCall& call : powerful_calls)
            if (can_.always(Fate::runs, call.number)) deny(Kind::powerful_call, call.number, call.why);
        if (runs(sys::clone, has(abi::ArgName::flags, CLONE_NEWUSER)))
            add(Kind::powerful_call, sys::clone, -1,
                "with CLONE_NEWUSER it makes a user namespace, in which a process has all capabilities",
                "Rule<sg::sys::clone>{arg::flags & CLONE_NEWUSER}.deny(EPERM)");
    }

    constexpr void look_at_missing_calls() noexcept {
        for (const int number : {sys::exit, sys::exit_group})
            if (can_.is_ruled(number) && !can_.always(Fate::runs, number))
                add(Kind::missing_call, number, -1,
                    "a worker may always end itself: a sandbox is not made of a policy with a rule that refuses it",
                    number == sys::exit ? "sg::allow<sg::sys::exit>" : "sg::allow<sg::sys::exit_group>");
        if (runs(sys::rt_sigaction) && !can_.always(Fate::runs, sys::rt_sigreturn))
            add(Kind::missing_call, sys::rt_sigreturn, sys::rt_sigaction,
                "signal handlers may be set, and return by it: without it they cannot (sigreturn(2))",
                "sg::allow<sg::sys::rt_sigreturn>");
        for (const int number : {sys::nanosleep, sys::clock_nanosleep, sys::poll, sys::futex}) {
            if (!runs(number) || can_.always(Fate::runs, sys::restart_syscall)) continue;
            add(Kind::missing_call, sys::restart_syscall, number,
                "the kernel has a process make it that was stopped while it waited and goes on (restart_syscall(2))",
                "sg::allow<sg::sys::restart_syscall>");
            break;
        }
    }

    constexpr void look_at_fallbacks() noexcept {
        for (const Fallback& fallback : fallbacks) {
            if (fallback.number < 0 || !runs(fallback.older)) continue;
            bool fails = false;
            bool is_killed = false;
            bool may_work = false;
            can_.each_decision(fallback.number, [&](const Decision& decision) {
                const bool is_answer = decision == Action::deny || decision == Action::fake;
                const bool kills = decision == Action::kill || decision == Action::kill_now ||
                                   decision == Action::kill_thread || decision == Action::trap;
                fails = fails || (is_answer && !(decision == Decision{Action::deny, ENOSYS}));
                is_killed = is_killed || kills;
                may_work = may_work || !(is_answer || kills);
            });
            if (may_work) continue;
            const bool breaks = (fails && fallback.when != Fallback::When::only_if_killed) ||
                                (is_killed && fallback.when != Fallback::When::asked);
            if (breaks) deny(Kind::needs_enosys, fallback.number, fallback.why, ENOSYS, fallback.older);
        }
    }

    Findings found_{};
};

}  // namespace sysguard::filter::detail
