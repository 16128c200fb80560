#include <sysguard/filter/program.hpp>

#include <doctest/doctest.h>

#include <cerrno>

namespace filter = sysguard::filter;
using sysguard::Action;

TEST_CASE("what a filter returns for each decision") {
    CHECK(filter::return_value({Action::allow}) == SECCOMP_RET_ALLOW);
    CHECK(filter::return_value({Action::log}) == SECCOMP_RET_LOG);
    CHECK(filter::return_value({Action::deny, EPERM}) == (SECCOMP_RET_ERRNO | 1));
    CHECK(filter::return_value({Action::deny, 4095}) == (SECCOMP_RET_ERRNO | 4095));
    CHECK(filter::return_value({Action::fake, 0}) == SECCOMP_RET_ERRNO);
    CHECK(filter::return_value({Action::fake, 5}) == SECCOMP_RET_USER_NOTIF);
    CHECK(filter::return_value({Action::fake, -1}) == SECCOMP_RET_USER_NOTIF);
    CHECK(filter::return_value({Action::kill}) == SECCOMP_RET_USER_NOTIF);
    CHECK(filter::return_value({Action::kill_now}) == SECCOMP_RET_KILL_PROCESS);
    CHECK(filter::return_value({Action::kill_thread}) == SECCOMP_RET_KILL_THREAD);
    CHECK(filter::return_value({Action::trap, 9}) == (SECCOMP_RET_TRAP | 9));
    CHECK(filter::return_value({Action::trace, 0x1ffff}) == (SECCOMP_RET_TRACE | 0xffff));
}

TEST_CASE("what is no decision kills") {
    CHECK(filter::return_value({static_cast<Action>(99)}) == SECCOMP_RET_KILL_PROCESS);
}

TEST_CASE("a view shows a program") {
    static constexpr filter::Program<3> program{{{BPF_RET | BPF_K, 0, 0, 7}}, 1};
    constexpr filter::ProgramView view = program;
    static_assert(view.size == 1 && view[0].k == 7);
    CHECK(view.end() - view.begin() == 1);
}
