#include <sysguard/policy.hpp>
#include <sysguard/policy/tasks.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <linux/sched.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

namespace {

template <class... Parts>
constexpr sg::policy::Tasks tasks(const Parts&... parts) {
    return sg::policy::tasks_of(sg::Policy{parts...}.view());
}

constexpr bool none(sg::policy::Tasks tasks) {
    return !tasks.processes && !tasks.threads && !tasks.untied;
}
constexpr bool both(sg::policy::Tasks tasks) {
    return tasks.processes && tasks.threads;
}

}  // namespace

TEST_CASE("policies that let nothing be started") {
    CHECK(none(tasks(sg::otherwise.kill())));
    CHECK(none(tasks(sg::preset::cpp_runtime, sg::otherwise.deny(EPERM))));
    CHECK(none(tasks(Rule<SYS_clone3>{}.deny(ENOSYS), sg::otherwise.kill())));
}

TEST_CASE("policies that let anything be started") {
    CHECK(both(tasks(sg::otherwise.allow())));
    CHECK(both(tasks(sg::otherwise.log())));
    CHECK(both(tasks(sg::allow<SYS_clone3>, sg::otherwise.kill())));
    CHECK(both(tasks(sg::allow<SYS_clone>, sg::otherwise.kill())));
}

TEST_CASE("the flags of clone tell threads from processes") {
    const auto threads = tasks(sg::preset::threads, sg::otherwise.kill());
    CHECK(threads.threads);
    CHECK_FALSE(threads.processes);
    const auto processes = tasks(sg::preset::processes, sg::otherwise.kill());
    CHECK(processes.processes);
    CHECK_FALSE(processes.threads);
    const auto by_exclusion = tasks(Rule<SYS_clone>{(arg::flags & CLONE_THREAD) == 0}.deny(EPERM), sg::allow<SYS_clone>,
                                    sg::otherwise.kill());
    CHECK(by_exclusion.threads);
    CHECK_FALSE(by_exclusion.processes);
    const auto exact = tasks(Rule<SYS_clone>{arg::flags == 0x1200011}.allow(), sg::otherwise.kill());
    CHECK(exact.processes);
    CHECK_FALSE(exact.threads);
}

TEST_CASE("whether processes may leave the worker's group") {
    CHECK_FALSE(tasks(sg::preset::processes, sg::otherwise.kill()).groups);
    CHECK(tasks(sg::preset::processes, sg::allow<SYS_setpgid>, sg::otherwise.kill()).groups);
    CHECK(tasks(sg::allow<SYS_setsid>, sg::otherwise.kill()).groups);
    CHECK(tasks(sg::otherwise.allow()).groups);
}

TEST_CASE("whether a worker may cancel that it dies with the host") {
    CHECK(tasks(sg::allow<SYS_prctl>, sg::otherwise.kill()).untied);
    CHECK(tasks(sg::otherwise.allow()).untied);
    CHECK(tasks(Rule<SYS_prctl>{arg::option <= 1}.allow(), sg::otherwise.kill()).untied);
    CHECK(tasks(Rule<SYS_prctl>{arg::option != 15}.allow(), sg::otherwise.kill()).untied);
    CHECK_FALSE(tasks(Rule<SYS_prctl>{arg::option == 15}.allow(), sg::otherwise.kill()).untied);
    CHECK_FALSE(
        tasks(Rule<SYS_prctl>{arg::option == 1}.deny(EPERM), sg::allow<SYS_prctl>, sg::otherwise.kill()).untied);
    CHECK_FALSE(tasks(sg::preset::threads, sg::otherwise.kill()).untied);
    CHECK(tasks(sg::allow<SYS_setresuid>, sg::otherwise.kill()).untied);
    CHECK(tasks(Rule<SYS_setgid>{arg::gid == 5}.allow(), sg::otherwise.kill()).untied);
    CHECK(tasks(sg::allow<SYS_unshare>, sg::otherwise.kill()).untied);
}

TEST_CASE("fork and vfork, where there are such calls") {
#if defined(__x86_64__)
    CHECK(tasks(sg::allow<SYS_vfork>, sg::otherwise.kill()).processes);
    CHECK(tasks(sg::allow<SYS_fork>, sg::otherwise.kill()).processes);
    CHECK_FALSE(tasks(Rule<SYS_fork>{}.deny(EPERM), Rule<SYS_vfork>{}.fake(0), sg::otherwise.kill()).processes);
#endif
}
