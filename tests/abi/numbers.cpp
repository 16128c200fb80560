#include <sysguard/abi/numbers.hpp>
#include <sysguard/abi/table.hpp>

#include <doctest/doctest.h>

#include <sys/syscall.h>

namespace sys = sysguard::sys;

TEST_CASE("numbers are the native ones") {
    CHECK(sys::read == SYS_read);
    CHECK(sys::connect == SYS_connect);
    CHECK(sys::clone3 == SYS_clone3);
    for (const sysguard::abi::Syscall& call : sysguard::abi::syscalls) {
#define SYSGUARD_SYSCALL(syscall_name, ...) \
    if (call.name == #syscall_name) CHECK(call.number() == sys::syscall_name);
#define SYSGUARD_FOREIGN_SYSCALL(...)
#include <sysguard/abi/syscalls.def>
#undef SYSGUARD_SYSCALL
#undef SYSGUARD_FOREIGN_SYSCALL
    }
}

TEST_CASE("a call newer than the kernel headers has its number too") {
    CHECK(sys::mseal == 462);
    CHECK(sys::listns == 470);
}

TEST_CASE("a call that the architecture lacks is -1") {
#if defined(__x86_64__)
    CHECK(sys::open == 2);
#else
    CHECK(sys::open == -1);
#endif
}
