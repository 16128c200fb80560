#include <sysguard/policy.hpp>
#include <sysguard/supervise/perform/performers.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace policy = sysguard::policy;
using sg::Rule;

TEST_CASE("what is said to be performable has a performer, and nothing else has") {
    int count = 0;
    for (int number = 0; number < sg::abi::native_limit; ++number) {
        CAPTURE(number);
        CHECK(policy::is_performable(number) == (sg::supervise::perform::performer(number) != nullptr));
        count += policy::is_performable(number);
    }
    CHECK(count >=
          (sg::abi::native_abi == sg::abi::Abi::x86_64 ? 50 : 40));  // aarch64 has no older ones beside the newer
    CHECK_FALSE(policy::is_performable(-1));
}

TEST_CASE("calls whose arguments are all in registers") {
    static_assert(policy::is_all_registers(SYS_socket) && policy::is_all_registers(SYS_getpid));
    static_assert(!policy::is_all_registers(SYS_connect) && !policy::is_all_registers(SYS_openat));
    CHECK_FALSE(policy::is_all_registers(SYS_prctl));  // its words may be pointers
}

TEST_CASE("what is never answered") {
    for (const int number : {SYS_rt_sigreturn, SYS_exit, SYS_exit_group, SYS_restart_syscall, SYS_futex, SYS_close})
        CHECK_FALSE(policy::is_answerable(number));
    CHECK(policy::is_answerable(SYS_connect));
}

TEST_CASE("a call that would be allowed after a look at memory must be performable") {
    const auto fails = [](const auto& make) {
        try {
            (void)make();
        } catch (const sg::Error&) {
            return true;
        }
        return false;
    };
    CHECK(fails([] { return sg::Policy{Rule<SYS_execve>{arg::path.under("/usr")}.allow(), sg::otherwise.kill()}; }));
    CHECK(fails([] {
        return sg::Policy{Rule<SYS_execve>{arg::path.under("/usr")}.deny(EPERM), Rule<SYS_execve>{}.allow(),
                          sg::otherwise.kill()};
    }));
    CHECK(fails([] { return sg::Policy{Rule<SYS_execve>{arg::path.under("/usr")}.deny(EPERM), sg::otherwise.log()}; }));
    CHECK_FALSE(fails([] {
        return sg::Policy{Rule<SYS_execve>{arg::path.under("/usr")}.deny(EPERM), Rule<SYS_execve>{}.deny(EACCES),
                          sg::otherwise.allow()};
    }));
    CHECK_FALSE(fails([] {
        return sg::Policy{Rule<SYS_openat>{arg::path.under("/usr")}.allow(), sg::otherwise.allow()};
    }));
}
