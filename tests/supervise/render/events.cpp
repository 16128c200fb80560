#include "made.hpp"

#include <doctest/doctest.h>

#include <string>

#include <poll.h>
#include <sys/epoll.h>
#include <csignal>
#include <ctime>

// Signals, times and waiting. Expected texts are what strace 6.1 writes of the same calls.

using rendered::answered;
using rendered::einval;
using rendered::hex;
using rendered::refused;

namespace {

const void* const nowhere = reinterpret_cast<const void*>(8);

}  // namespace

TEST_CASE("sets of signals") {
    const auto set = [](unsigned long mask) {
        const std::string text = refused(SYS_rt_sigprocmask, {0, &mask, nullptr, 8});
        const std::string end = ", NULL, 8)" + einval;
        return text.substr(26, text.size() - 26 - end.size());
    };
    CHECK(set(0) == "[]");
    CHECK(set(0x4200) == "[USR1 TERM]");
    CHECK(set(~0UL) == "~[]");
    CHECK(set(0xfffffffefffffeff) == "~[KILL RT_1]");
    CHECK(set(1UL << 31 | 1UL << 63) == "[RTMIN RT_32]");
    CHECK(refused(SYS_rt_sigprocmask, {7, nowhere, nowhere, 8}, EFAULT) ==
          "rt_sigprocmask(0x7 /* SIG_??? */, 0x8, 0x8, 8) = -1 EFAULT (Bad address)");
    const unsigned long mask = 1;
    CHECK(refused(SYS_rt_sigprocmask, {1, &mask, nullptr, 4}) ==
          "rt_sigprocmask(SIG_UNBLOCK, " + hex(&mask) + ", NULL, 4)" + einval);
}

TEST_CASE("what is done on signals, and told of them") {
    const unsigned long action[] = {1, 0x10000000, 0, 0x4000};
    CHECK(answered(SYS_rt_sigaction, {10, action, nullptr, 8}, 0) ==
          "rt_sigaction(SIGUSR1, {sa_handler=SIG_IGN, sa_mask=[TERM], sa_flags=SA_RESTART}, NULL, 8) = 0");
    const unsigned long restored[] = {0x5000, 0x4000004, 0x6000, 0};
    CHECK(answered(SYS_rt_sigaction, {33, restored, nullptr, 8}, 0) ==
          "rt_sigaction(SIGRT_1, {sa_handler=0x5000, sa_mask=[], sa_flags=SA_RESTORER|SA_SIGINFO, sa_restorer=0x6000}, "
          "NULL, 8) = 0");
    CHECK(refused(SYS_rt_sigaction, {65, nullptr, nowhere, 8}) == "rt_sigaction(65, NULL, 0x8, 8)" + einval);
    siginfo_t info{};
    info.si_signo = SIGCHLD;
    info.si_code = CLD_EXITED;
    info.si_pid = 55;
    info.si_uid = 66;
    info.si_status = 9;
    info.si_utime = 3;
    CHECK(refused(SYS_rt_sigqueueinfo, {5, 10, &info}, EPERM) ==
          "rt_sigqueueinfo(5, SIGUSR1, {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=55, si_uid=66, si_status=9, "
          "si_utime=3 /* 0.03 s */, si_stime=0}) = -1 EPERM (Operation not permitted)");
    info = {};
    info.si_signo = SIGSEGV;
    info.si_code = SEGV_MAPERR;
    info.si_addr = reinterpret_cast<void*>(0x1234);
    CHECK(refused(SYS_rt_sigqueueinfo, {5, 10, &info}, EPERM) ==
          "rt_sigqueueinfo(5, SIGUSR1, {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x1234}) = -1 EPERM (Operation "
          "not "
          "permitted)");
    stack_t stack{reinterpret_cast<void*>(0x1000), 7, 8192};
    CHECK(refused(SYS_sigaltstack, {&stack, nullptr}) ==
          "sigaltstack({ss_sp=0x1000, ss_flags=SS_ONSTACK|SS_DISABLE|0x4, ss_size=8192}, NULL)" + einval);
    CHECK(refused(SYS_kill, {5, 64}) == "kill(5, SIGRT_32)" + einval);
}

TEST_CASE("clocks and sleeping") {
    const timespec time{1, 2};
    CHECK(answered(SYS_clock_gettime, {4, &time}, 0) ==
          "clock_gettime(CLOCK_MONOTONIC_RAW, {tv_sec=1, tv_nsec=2}) = 0");
    CHECK(refused(SYS_clock_gettime, {99, &time}) ==
          "clock_gettime(0x63 /* CLOCK_??? */, " + hex(&time) + ")" + einval);
    CHECK(answered(SYS_nanosleep, {&time, &time}, 0) == "nanosleep({tv_sec=1, tv_nsec=2}, " + hex(&time) + ") = 0");
    CHECK(answered(SYS_nanosleep, {&time, &time}, -516) ==
          "nanosleep({tv_sec=1, tv_nsec=2}, {tv_sec=1, tv_nsec=2}) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)");
    const long timer[] = {0, 0, 1, 5};
    CHECK(answered(SYS_timerfd_settime, {3, 9, timer, nullptr}, 0) ==
          "timerfd_settime(3, TFD_TIMER_ABSTIME|0x8, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=1, "
          "tv_nsec=5}}, "
          "NULL) = 0");
    const long event[8] = {5, 10, 0, 0, 0, 0, 0, 0};
    const int id = 3;
    CHECK(answered(SYS_timer_create, {0, event, &id}, 0) ==
          "timer_create(CLOCK_REALTIME, {sigev_value={sival_int=5, sival_ptr=0x5}, sigev_signo=SIGUSR1, "
          "sigev_notify=SIGEV_SIGNAL}, [3]) = 0");
}

TEST_CASE("waiting for descriptors, and what comes of it") {
    pollfd polled[] = {{0, POLLIN, POLLIN}, {99, POLLIN | POLLOUT, 0}, {-1, POLLIN, 0}};
    const timespec none{0, 0};
    CHECK(answered(SYS_ppoll, {polled, 3, &none, nullptr, 8}, 1) ==
          "ppoll([{fd=0, events=POLLIN}, {fd=99, events=POLLIN|POLLOUT}, {fd=-1}], 3, {tv_sec=0, tv_nsec=0}, NULL, 8) "
          "= 1 "
          "([{fd=0, revents=POLLIN}], left {tv_sec=0, tv_nsec=0})");
    CHECK(answered(SYS_ppoll, {polled, 1, nullptr, nullptr, 8}, 0) ==
          "ppoll([{fd=0, events=POLLIN}], 1, NULL, NULL, 8) = 0 (Timeout)");
    const unsigned long set[16] = {0x19};
    CHECK(answered(SYS_pselect6, {5, set, nullptr, nullptr, &none, nullptr}, 3) ==
          "pselect6(5, [0 3 4], NULL, NULL, {tv_sec=0, tv_nsec=0}, NULL) = 3 (in [0 3 4], left {tv_sec=0, tv_nsec=0})");
    CHECK(refused(SYS_pselect6, {-5, set, nowhere, nowhere, nowhere, nowhere}) ==
          "pselect6(-5, " + hex(set) + ", 0x8, 0x8, 0x8, 0x8)" + einval);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = 4;
    CHECK(answered(SYS_epoll_ctl, {3, 1, 4, &event}, 0) ==
          "epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0");
    CHECK(answered(SYS_epoll_pwait, {3, &event, 10, -1, nullptr, 8}, 1) ==
          "epoll_pwait(3, [{events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}], 10, -1, NULL, 8) = 1");
}
