#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "support/supervised.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call;
using sg::Rule;

namespace {

constexpr int many = 1000;

/// SIGALRM again and again, to this process.
class Storm {
public:
    explicit Storm(int flags) {
        struct sigaction action {};
        action.sa_handler = [](int) { count = count + 1; };
        action.sa_flags = flags;
        ::sigaction(SIGALRM, &action, &before_);
        set(150);
    }
    Storm(const Storm&) = delete;
    Storm& operator=(const Storm&) = delete;
    ~Storm() {
        set(0);
        ::sigaction(SIGALRM, &before_, nullptr);
    }

    static inline volatile sig_atomic_t count = 0;

private:
    static void set(long microseconds) {
        const itimerval every{{0, microseconds}, {0, microseconds}};
        ::setitimer(ITIMER_REAL, &every, nullptr);
    }
    struct sigaction before_ {};
};

bool waits_through_signals() {
    utsname name{};
    int major = 0;
    int minor = 0;
    ::uname(&name);
    return std::sscanf(name.release, "%d.%d", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 19));
}

struct Seen {
    int succeeded = 0;
    int interrupted = 0;
    int other = 0;
    int signals = 0;
};

}  // namespace

TEST_CASE("signals during handled calls: a call that is handled is handled once, and not interrupted") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    if (!waits_through_signals()) SYSGUARD_SKIP("before Linux 5.19 signals interrupt calls that wait for the host");
    for (const int flags : {SA_RESTART, 0}) {
        CAPTURE(flags);
        const support::Leftovers leftovers;
        std::atomic<int> handled{0};
        const sg::Policy policy{Rule<SYS_getpriority>{}.handle([&](const Call<SYS_getpriority>& call) {
                                    ++handled;
                                    ::usleep(300);
                                    return call.fake(7);
                                }),
                                sg::otherwise.allow()};
        const auto seen = sg::Sandbox{policy}.call([&] {
            const Storm storm{flags};
            Seen counted;
            for (int i = 0; i < many; ++i) {
                const long result = ::syscall(SYS_getpriority, 0, 0);
                ++(result == 7 ? counted.succeeded : errno == EINTR ? counted.interrupted : counted.other);
            }
            counted.signals = Storm::count;
            return counted;
        });
        CAPTURE(seen.explain());
        REQUIRE(seen);
        CHECK(seen->other == 0);
        CHECK(seen->succeeded == handled);  // interrupted are those alone that nobody has seen yet
        CHECK(seen->signals > 0);
        if (flags == SA_RESTART) CHECK(seen->succeeded == many);
    }
}

TEST_CASE("signals during performed calls: each has its effect once") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    if (!waits_through_signals()) SYSGUARD_SKIP("before Linux 5.19 signals interrupt calls that wait for the host");
    static constexpr sg::Policy policy{
        Rule<SYS_mkdirat>{}.handle([](const Call<SYS_mkdirat>& call) { return call.perform(); }),
        Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) { return call.perform(); }), sg::otherwise.allow()};
    for (const int flags : {SA_RESTART, 0}) {
        CAPTURE(flags);
        const support::Leftovers leftovers;
        const support::Workplace place;
        const auto seen = sg::Sandbox{policy}.call([&] {
            const int descriptors = ::dup(0);
            const Storm storm{flags};
            Seen counted;
            for (int i = 0; i < many; ++i) {
                const std::string path = place.path + "/" + std::to_string(i);
                const int made = ::mkdirat(AT_FDCWD, path.c_str(), 0700);
                ++(made == 0 ? counted.succeeded : errno == EINTR ? counted.interrupted : counted.other);
                const int fd = ::open(place.path.c_str(), O_RDONLY);
                counted.other += fd >= 0 && fd != descriptors + 1;  // one that came twice would take the next number
                ::close(fd);
            }
            counted.signals = Storm::count;
            return counted;
        });
        CAPTURE(seen.explain());
        REQUIRE(seen);
        CHECK(seen->other == 0);
        CHECK(seen->signals > 0);
        int made = 0;
        for (const auto& entry : std::filesystem::directory_iterator{place.path}) made += entry.is_directory();
        CHECK(made == seen->succeeded);
        if (flags == SA_RESTART) CHECK(seen->succeeded == many);
    }
}

TEST_CASE("a host that gets signals all the time loses no call, of those it serves itself and of spawned workers'") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    static constexpr sg::Policy policy{
        Rule<SYS_getpriority>{}.handle([](const Call<SYS_getpriority>& call) { return call.fake(7); }),
        Rule<SYS_mkdirat>{}.handle([](const Call<SYS_mkdirat>& call) { return call.perform(); }),
        sg::otherwise.allow()};
    const support::Workplace place;
    const sg::Sandbox box{policy};
    const Storm storm{0};
    const auto called = box.call([&] {
        int good = 0;
        for (int i = 0; i < many; ++i) good += ::syscall(SYS_getpriority, 0, 0) == 7;
        for (int i = 0; i < many; ++i)
            good += ::mkdirat(AT_FDCWD, (place.path + "/" + std::to_string(i)).c_str(), 0700) == 0;
        return good;
    });
    CAPTURE(called.explain());
    CHECK(*called == 2 * many);
    for (int i = 0; i < 20; ++i) CHECK(box.spawn({support::helper("behave"), "ask", "0"}).wait().exit_code() == 7);
    CHECK(Storm::count > 0);
}

TEST_CASE("a signal that ends the worker ends it in the middle of a call, and one that stops it does not harm") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const sg::Policy policy{Rule<SYS_getpriority>{arg::who == 0}.handle([&](const Call<SYS_getpriority>& call) {
                                ::kill(call.worker(), SIGSTOP);
                                ::kill(call.worker(), SIGCONT);
                                return call.fake(7);
                            }),
                            Rule<SYS_getpriority>{}.handle([&](const Call<SYS_getpriority>& call) {
                                ::kill(call.worker(), SIGTERM);
                                return support::eventually([&] { return !call.is_pending(); }) ? call.fake(1)
                                                                                               : call.kill();
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    CHECK(*box.call([] { return ::syscall(SYS_getpriority, 0, 0); }) == 7);
    CHECK(box.call([] { return ::syscall(SYS_getpriority, 0, 1); }).outcome().signal() == SIGTERM);
}
