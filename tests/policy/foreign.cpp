#include <sysguard/foreign.hpp>
#include <sysguard/supervise/call.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#include <asm/prctl.h>
#endif

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace policy = sysguard::policy;
using sg::Action, sg::Decision, sg::Rule;

namespace {

constexpr Decision denied(int error) {
    return {Action::deny, error};
}

/// Calls that x86_64 has as well, so that what they are for arm can be tried there, too.
constexpr sg::Policy rules{
    sg::foreign.deny(EXFULL),
    Rule<SYS_lseek>{arg::offset < 0}.deny(EINVAL),
    Rule<SYS_mmap>{(arg::prot & PROT_EXEC) == 0}.allow(),
    Rule<SYS_prlimit64>{arg::resource == RLIMIT_STACK}.allow(),
    Rule<SYS_socket>{arg::domain == AF_INET || arg::domain == AF_INET6}.allow(),
    Rule<SYS_sendto>{arg::addrlen == 0}.allow(),
    Rule<SYS_newfstatat>{}.handle([](const sg::AnyCall& call) { return call.deny(EPERM); }),
    Rule<SYS_openat>{arg::dirfd == AT_FDCWD && arg::path.under("/srv") && arg::flags == O_RDONLY}.allow(),
    Rule<SYS_unlinkat>{arg::flags == AT_REMOVEDIR}.allow(),
    Rule<SYS_clone>{arg::flags == SIGCHLD}.allow(),
    Rule<SYS_dup3>{arg::flags == 0 && arg::newfd > 2}.allow(),
    Rule<SYS_ppoll>{arg::nfds == 0}.allow(),
    Rule<SYS_pselect6>{arg::nfds > 0}.deny(EINVAL),
    Rule<SYS_pread64>{arg::offset == 0x500000007}.allow(),
    Rule<SYS_ptrace>{arg::request == 0}.allow(),
    Rule<SYS_fadvise64>{arg::advice == 4}.allow(),
    Rule<SYS_setuid>{arg::uid == 33}.allow(),
    sg::otherwise.deny(EACCES),
};

struct Registers {
    std::uint64_t values[6];
};

/// By the rules of these calls, whatever their numbers are here.
constexpr Decision arm(int number, Registers registers = {}) {
    return policy::decide_foreign<sg::Abi::arm>(rules.view(), number, registers.values).decision;
}

}  // namespace

TEST_CASE("a rule for a native call holds for the call of arm that does the same") {
    static_assert(arm(19, {{0, 0xffffffff}}) == denied(EINVAL));
    static_assert(arm(19, {{0, 1}}) == denied(EACCES));
    static_assert(arm(140, {{0, 0x80000000, 0}}) == denied(EINVAL));
    static_assert(arm(140, {{0, 0, 0x80000000}}) == denied(EACCES));
    static_assert(arm(192, {{0, 0, PROT_READ}}) == Action::allow);
    static_assert(arm(192, {{0, 0, PROT_EXEC}}) == denied(EACCES));
    static_assert(arm(281, {{AF_INET}}) == Action::allow);
    static_assert(arm(281, {{AF_UNIX}}) == denied(EACCES));
    static_assert(arm(289, {{3, 0, 0, 0, 1, 1}}) == Action::allow);  // send has no address
    static_assert(arm(290, {{3, 0, 0, 0, 0, 1}}) == denied(EACCES));
    static_assert(arm(5, {{0, O_RDONLY}}) == Action::handle);
    static_assert(arm(5, {{0, O_WRONLY}}) == denied(EACCES));
    static_assert(arm(322, {{0xffffff9c, 0, O_RDONLY}}) == Action::handle);
    static_assert(arm(322, {{3, 0, O_RDONLY}}) == denied(EACCES));
    static_assert(arm(40, {{0}}) == Action::allow);     // rmdir
    static_assert(arm(10, {{0}}) == denied(EACCES));    // unlink
    static_assert(arm(2) == Action::allow);             // fork
    static_assert(arm(190) == denied(EACCES));          // vfork
    static_assert(arm(63, {{0, 3}}) == Action::allow);  // dup2
    static_assert(arm(63, {{0, 2}}) == denied(EACCES));
    static_assert(arm(168, {{0, 0, 5}}) == Action::allow);  // poll
    static_assert(arm(142, {{1}}) == denied(EINVAL));       // _newselect
    static_assert(arm(29) == Action::allow);                // pause
    static_assert(arm(180, {{0, 0, 0, 1, 7, 5}}) == Action::allow);
    static_assert(arm(180, {{0, 0, 0, 7, 5, 0}}) == denied(EACCES));
    static_assert(arm(270, {{0, 4, 1, 2, 3, 5}}) == Action::allow);
    static_assert(arm(270, {{0, 5, 1, 2, 3, 4}}) == denied(EACCES));
}

TEST_CASE("arm: a worker may always end itself, and do what needs no call natively") {
    static_assert(arm(1) == Action::allow);
    static_assert(arm(248) == Action::allow);
    static_assert(arm(0x0f0002) == Action::allow);
    static_assert(arm(0x0f0005, {{0x1000}}) == Action::allow);
    constexpr Registers none{};
    static_assert(policy::translate_foreign<sg::Abi::arm>(rules.view(), 0x0f0005, none.values).number == -1);
}

TEST_CASE("arm: what is none of its calls, and none that there is natively") {
    for (const int number : {7, 86, 102, 117, 166, 3000, 0x0f0000, 0x0f0001, 0x0f0003, 0x0f0004, 0x0f0006, 0x0f0007,
                             0x0f0800, 0x7fffffff, -2})
        CHECK(arm(number, {{1}}) == denied(ENOSYS));
    static_assert(arm(-1) == Action::allow);  // a tracer's
}

TEST_CASE("arm: what cannot be decided is refused") {
    static_assert(arm(195) == denied(EXFULL));        // stat64, whose rule is a handler
    static_assert(arm(26, {{0}}) == denied(EXFULL));  // ptrace
    static_assert(arm(26, {{13}}) == denied(EXFULL));
    static_assert(arm(23, {{33}}) == denied(EXFULL));  // setuid: 16 bits
    static_assert(arm(213, {{33}}) == Action::allow);
    static_assert(arm(213, {{0x10021}}) == denied(EACCES));
}

TEST_CASE("arm: what 64-bit programs do by another call") {
    static_assert(arm(191, {{RLIMIT_STACK}}) == Action::allow);
    static_assert(arm(191, {{RLIMIT_CORE}}) == denied(EACCES));
}

TEST_CASE("what the host may serve of arm's calls") {
    const auto served = [](int number) { return policy::is_served(sg::abi::foreign_layout<sg::Abi::arm>(number)); };
    for (const int number :
         {5 /* open */, 322 /* openat */, 39 /* mkdir */, 40 /* rmdir */, 10 /* unlink */, 283 /* connect */,
          3 /* read */, 180 /* pread64 */, 63 /* dup2 */, 2 /* fork */, 85 /* readlink */, 38 /* rename */,
          198 /* lchown32 */, 289 /* send */, 437 /* openat2 */, 397 /* statx */})
        CHECK(served(number));
    for (const int number :
         {11 /* execve */, 192 /* mmap2 */, 195 /* stat64 */, 54 /* ioctl */, 296 /* sendmsg */, 162 /* nanosleep */,
          145 /* readv */, 16 /* lchown */, 221 /* fcntl64 */, 165 /* getresuid */, 168 /* poll */, 102 /* none */,
          174 /* rt_sigaction */, 26 /* ptrace */, 141 /* getdents */, 269 /* utimes */, 0x0f0005 - 0x0f0001 + 472})
        CHECK_FALSE(served(number));
}

TEST_CASE("the 32-bit ABI here is admitted, and no other") {
    constexpr sg::Policy admits{sg::foreign.deny(EXFULL), sg::admit<sg::abi::compat_abi>, sg::allow<SYS_getppid>,
                                sg::otherwise.deny(EACCES)};
    static_assert(admits.decide(sg::abi::compat_abi, 64 /* getppid in both */, {}) == Action::allow);
    static_assert(admits.decide(sg::abi::compat_abi, 20 /* getpid in both */, {}) == denied(EACCES));
    for (const sg::Abi abi : sg::abi::all_abis)
        if (abi != sg::abi::compat_abi && abi != sg::abi::native_abi)
            CHECK(admits.decide(abi, 64, {}) == denied(EXFULL));
    static_assert(admits.decide(sg::abi::native_abi, SYS_getppid, {}) == Action::allow);
    static_assert(sg::Policy{sg::otherwise.allow()}.decide(sg::abi::compat_abi, 64, {}) == Action::kill);
}

#if defined(__x86_64__)

namespace {

constexpr sg::Policy admits{
    sg::foreign.deny(EXFULL),
    sg::admit<sg::Abi::i386>,
    Rule<SYS_lseek>{arg::offset < 0}.deny(EINVAL),
    Rule<SYS_ioctl>{arg::request == TIOCSTI}.deny(EPERM),
    Rule<SYS_mmap>{(arg::prot & PROT_EXEC) == 0}.allow(),
    Rule<SYS_arch_prctl>{arg::option == ARCH_SET_FS}.allow(),
    Rule<SYS_prlimit64>{arg::resource == RLIMIT_STACK}.allow(),
    Rule<SYS_socket>{arg::domain == AF_INET || arg::domain == AF_INET6}.allow(),
    Rule<SYS_sendto>{arg::addrlen == 0}.allow(),
    Rule<SYS_stat>{}.handle([](const sg::AnyCall& call) { return call.deny(EPERM); }),
    Rule<SYS_openat>{arg::path.under("/srv") && arg::flags == O_RDONLY}.allow(),
    sg::otherwise.deny(EACCES),
};

}  // namespace

TEST_CASE("a rule for a native call holds for the call of i386 that does the same") {
    static_assert(admits.decide(sg::Abi::i386, 19, {0, 0xffffffff}) == denied(EINVAL));
    static_assert(admits.decide(sg::Abi::i386, 19, {0, 1}) == denied(EACCES));
    static_assert(admits.decide(sg::Abi::i386, 140, {0, 0x80000000, 0}) == denied(EINVAL));
    static_assert(admits.decide(sg::Abi::i386, 140, {0, 0, 0x80000000}) == denied(EACCES));
    static_assert(admits.decide(sg::Abi::i386, 192, {0, 0, PROT_READ}) == Action::allow);
    static_assert(admits.decide(sg::Abi::i386, 192, {0, 0, PROT_EXEC}) == denied(EACCES));
    static_assert(admits.decide(sg::Abi::i386, 359, {1ULL << 32 | AF_INET}) == Action::allow);
    static_assert(admits.decide(sg::Abi::i386, 359, {AF_UNIX}) == denied(EACCES));
    static_assert(admits.decide(sg::Abi::i386, 1, {}) == Action::allow);
    static_assert(admits.decide(sg::Abi::i386, 252, {}) == Action::allow);
    static_assert(admits.decide(sg::Abi::i386, 166, {}) == denied(ENOSYS));
    static_assert(admits.decide(sg::Abi::i386, 3000, {}) == denied(ENOSYS));
    static_assert(admits.decide(sg::Abi::i386, -1, {}) == Action::allow);
    static_assert(admits.decide(sg::Abi::aarch64, 1, {}) == denied(EXFULL));
    static_assert(admits.decide(sg::Abi::x86_64, SYS_socket, {AF_INET}) == Action::allow);
    static_assert(sg::Policy{sg::otherwise.allow()}.decide(sg::Abi::i386, 1, {}) == Action::kill);
}

TEST_CASE("what cannot be decided is refused") {
    static_assert(admits.decide(sg::Abi::i386, 90, {}) == denied(EXFULL));     // mmap of old
    static_assert(admits.decide(sg::Abi::i386, 102, {1}) == denied(EXFULL));   // socket
    static_assert(admits.decide(sg::Abi::i386, 102, {9}) == Action::allow);    // send: no address
    static_assert(admits.decide(sg::Abi::i386, 102, {11}) == denied(EXFULL));  // sendto
    static_assert(admits.decide(sg::Abi::i386, 102, {13}) == denied(EACCES));  // shutdown has no rules
    static_assert(admits.decide(sg::Abi::i386, 195, {}) == denied(EXFULL));    // stat64, whose rule is a handler
    static_assert(admits.decide(sg::Abi::i386, 295, {0, 0, O_RDONLY}) == Action::handle);
    static_assert(admits.decide(sg::Abi::i386, 295, {0, 0, O_WRONLY}) == denied(EACCES));
}

TEST_CASE("a rule for ioctl that names no structure's size is the same for both") {
    static_assert(admits.decide(sg::Abi::i386, 54, {0, TIOCSTI}) == denied(EPERM));
    static_assert(admits.decide(sg::Abi::i386, 54, {0, 0xff00000000 | TIOCSTI}) == denied(EPERM));
    static_assert(admits.decide(sg::Abi::i386, 54, {0, FIONREAD}) == denied(EACCES));
    constexpr sg::Policy sized{sg::foreign.deny(EXFULL), sg::admit<sg::Abi::i386>,
                               Rule<SYS_ioctl>{arg::request == _IOW('x', 1, long)}.deny(EPERM), sg::otherwise.allow()};
    static_assert(sized.decide(sg::Abi::x86_64, SYS_ioctl, {0, _IOW('x', 1, int)}) == Action::allow);
    static_assert(sized.decide(sg::Abi::i386, 54, {0, _IOW('x', 1, int)}) == denied(EXFULL));
}

TEST_CASE("what 64-bit programs do by another call") {
    static_assert(admits.decide(sg::Abi::i386, 243, {}) == Action::allow);
    static_assert(admits.decide(sg::Abi::i386, 244, {}) == denied(EACCES));
    static_assert(admits.decide(sg::Abi::i386, 191, {RLIMIT_STACK}) == Action::allow);
    static_assert(admits.decide(sg::Abi::i386, 191, {RLIMIT_CORE}) == denied(EACCES));
    static_assert(admits.decide(sg::Abi::i386, 76, {RLIMIT_STACK}) == denied(EACCES));
    // Rules for the call of the same name go first.
    constexpr sg::Policy own{sg::admit<sg::Abi::i386>, Rule<sg::sys::set_thread_area>{}.deny(EPERM),
                             sg::allow<SYS_arch_prctl>, Rule<SYS_getrlimit>{arg::resource == RLIMIT_CORE}.allow(),
                             sg::otherwise.deny(EACCES)};
    static_assert(own.decide(sg::Abi::i386, 243, {}) == denied(EPERM));
    static_assert(own.decide(sg::Abi::i386, 191, {RLIMIT_CORE}) == Action::allow);
    static_assert(own.decide(sg::Abi::i386, 191, {RLIMIT_STACK}) == denied(EACCES));
}

TEST_CASE("what the host may serve: all arguments told by registers, and alike in memory") {
    const auto served = [](int number) { return policy::is_served(sg::abi::foreign_layout<sg::Abi::i386>(number)); };
    for (const int number : {5 /* open */, 295 /* openat */, 39 /* mkdir */, 362 /* connect */, 3 /* read */,
                             180 /* pread64 */, 120 /* clone */, 93 + 344 /* openat2 */, 383 /* statx */})
        CHECK(served(number));
    for (const int number :
         {11 /* execve */, 90 /* mmap */, 192 /* mmap2 */, 195 /* stat64 */, 54 /* ioctl */, 370 /* sendmsg */,
          162 /* nanosleep */, 145 /* readv */, 16 /* lchown */, 221 /* fcntl64 */, 165 /* getresuid */, 168 /* poll */,
          102 /* none */, 174 /* rt_sigaction */})
        CHECK_FALSE(served(number));
}

#endif
