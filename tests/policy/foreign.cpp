#include <sysguard/foreign.hpp>
#include <sysguard/supervise/call.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <asm/prctl.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace policy = sysguard::policy;
using sg::Action, sg::Decision, sg::Rule;

namespace {

constexpr Decision denied(int error) {
    return {Action::deny, error};
}

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
    const auto served = [](int number) { return policy::is_served(sg::abi::i386_layout(number)); };
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
