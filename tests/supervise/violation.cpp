#include <sysguard/supervise/violation.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>

#include <sys/syscall.h>

namespace abi = sysguard::abi;
using sysguard::Violation;

namespace {

Violation call(int number, abi::Abi architecture = abi::native_abi) {
    Violation violation;
    violation.number = number;
    violation.architecture = abi::audit_architecture(architecture);
    return violation;
}

}  // namespace

TEST_CASE("arguments are shown by their names and types") {
    Violation socket = call(SYS_socket);
    socket.arguments[0] = 1ULL << 32 | 16;
    socket.arguments[1] = 3;
    CHECK(socket.text() == "socket(domain=16, type=3, protocol=0)");
    Violation kill = call(SYS_kill);
    kill.arguments[0] = 0xffffffff;
    kill.arguments[1] = 9;
    CHECK(kill.text() == "kill(pid=-1, sig=9)");
    Violation chmod = call(SYS_fchmod);
    chmod.arguments[0] = 3;
    chmod.arguments[1] = 0106755;
    CHECK(chmod.text() == "fchmod(fd=3, mode=06755)");
    Violation seek = call(SYS_lseek);
    seek.arguments[1] = static_cast<std::uint64_t>(-5);
    CHECK(seek.text() == "lseek(fd=0, offset=-5, whence=0)");
    Violation open = call(SYS_openat);
    open.arguments[0] = static_cast<std::uint64_t>(-100);
    open.arguments[1] = 0x7fff1234;
    open.arguments[2] = 0x80000;
    CHECK(open.text() == "openat(dirfd=-100, path=0x7fff1234, flags=0x80000, mode=0)");
    CHECK(call(SYS_getpid).text() == "getpid()");
}

TEST_CASE("foreign calls are shown with their ABI, by that ABI's numbers") {
#if defined(__x86_64__)
    CHECK(call(102, abi::Abi::i386).text() == "32-bit (i386) system call 102 (socketcall)");
    CHECK(call(322, abi::Abi::arm).text() == "32-bit (arm) system call 322 (openat)");
    CHECK(call(0x0f0005, abi::Abi::arm).text() == "32-bit (arm) system call 983045 (set_tls)");
    CHECK(call(0x40000000 | SYS_getpid).text() == "x32 system call 39 (getpid)");
    CHECK_FALSE(call(0x40000000 | SYS_getpid).is_native());
#endif
    CHECK(call(100000).text() == "system call 100000 of " + std::string{abi::name(abi::native_abi)});
    Violation strange = call(5);
    strange.architecture = 77;
    CHECK(strange.text() == "system call 5 of an unknown ABI");
    CHECK_FALSE(strange.is_native());
    CHECK(call(SYS_read).is_native());
}

TEST_CASE("every call, with whatever arguments, has a text") {
    std::mt19937_64 random{20261120};
    for (int number = -5; number < abi::native_limit + 5; ++number) {
        Violation violation = call(number);
        for (std::uint64_t& argument : violation.arguments) argument = random() >> random() % 64;
        CHECK_FALSE(violation.text().empty());
    }
}
