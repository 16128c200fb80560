#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include <sys/syscall.h>
#include <unistd.h>

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::Call;
using sg::Rule;
using sg::Verdict;

namespace {

/// Enough calls in a row for the host to wait for nothing else.
constexpr long many = 1000;

std::atomic<long> handled{0};
std::atomic<long> slow_one{0};  ///< each so many calls one takes long

constexpr sg::Policy policy{Rule<SYS_getpgid>{}.handle([](const Call<SYS_getpgid>& call) -> Verdict {
                                const long every = slow_one;
                                if (++handled; every != 0 && handled % every == 0) std::this_thread::sleep_for(25ms);
                                return call.proceed();
                            }),
                            Rule<SYS_setsid>{}.deny(EPERM), Rule<SYS_setpgid>{}.deny(EPERM), sg::otherwise.allow()};

void make_calls(long count) {
    for (long i = 0; i < count; ++i) ::syscall(SYS_getpgid, 0);
}

[[noreturn]] void make_calls_for_ever() {
    for (;;) make_calls(1);
}

}  // namespace

TEST_CASE("every call is answered, whatever comes between") {
    const sg::Sandbox box{policy};
    handled = 0;
    const auto result = box.call({.output = sg::Stdio::capture()}, [] {
        for (int i = 0; i < 10; ++i) {
            make_calls(many);
            if (::write(1, "x", 1) != 1) return 1;
        }
        return 0;
    });
    REQUIRE(result);
    CHECK(*result == 0);
    CHECK(result.outcome().output().size() == 10);
    CHECK(handled == 10 * many);
}

TEST_CASE("a worker that ends while its calls are waited for") {
    const sg::Sandbox box{policy};
    CHECK(box.call([] { make_calls(many); }));
    const auto killed = box.call([] {
        make_calls(many);
        ::raise(SIGKILL);
    });
    CHECK(killed.outcome().signal() == SIGKILL);
}

TEST_CASE("what a worker leaves behind is killed, whether it makes calls or not") {
    const sg::Sandbox box{policy};
    CHECK(box.call([] {
        make_calls(many);
        if (::fork() == 0) make_calls_for_ever();
    }));
    CHECK(box.call([] {
        make_calls(many);
        if (::fork() == 0)
            for (;;) ::pause();
    }));
}

TEST_CASE("the time is kept while calls are made, and after") {
    sg::Options options;
    options.limits.wall = 100ms;
    const sg::Sandbox box{policy, options};
    CHECK(box.call(make_calls_for_ever).outcome().kind() == sg::Outcome::Kind::timed_out);
    const auto idle = box.call([] {
        make_calls(many);
        for (;;) ::pause();
    });
    CHECK(idle.outcome().kind() == sg::Outcome::Kind::timed_out);
}

TEST_CASE("a handler that takes long holds up nobody else") {
    const sg::Sandbox box{policy};
    slow_one = many - 1;
    const auto result = box.call([] {
        std::thread threads[3];
        for (std::thread& thread : threads) thread = std::thread{[] { make_calls(2 * many); }};
        for (std::thread& thread : threads) thread.join();
    });
    slow_one = 0;
    CHECK(result);
}

TEST_CASE("after a pause it goes on") {
    const sg::Sandbox box{policy};
    CHECK(box.call([] {
        for (int i = 0; i < 3; ++i) {
            make_calls(many);
            ::usleep(30'000);
        }
    }));
}
