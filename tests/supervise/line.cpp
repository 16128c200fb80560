#include <sysguard/supervise/line.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using sysguard::process::Descriptor;
using sysguard::supervise::Desk;
using sysguard::supervise::Line;
using sysguard::supervise::LineShare;
using sysguard::supervise::Locked;
using namespace std::chrono_literals;

namespace {

/// A line with a descriptor in the place of its listener, to see when it goes.
LineShare open_line(int& fd) {
    fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    LineShare share{new Line};
    REQUIRE(share->listener.open(Descriptor{fd}) == 0);
    return share;
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("a line lives as long as somebody has a share in it") {
    int fd = -1;
    LineShare first = open_line(fd);
    {
        const LineShare second = first;
        CHECK(second == first);
        first = {};
        CHECK_FALSE(first);
        CHECK(is_open(fd));
        CHECK(second->listener.fd() == fd);
    }
    CHECK_FALSE(is_open(fd));
}

TEST_CASE("a share that is moved or given to itself is one share") {
    int fd = -1;
    LineShare first = open_line(fd);
    LineShare second = std::move(first);
    CHECK_FALSE(first);
    CHECK(second->users == 1);
    const LineShare& same = second;
    second = same;
    CHECK(second->users == 1);
    CHECK(is_open(fd));
    second = {};
    CHECK_FALSE(is_open(fd));
}

TEST_CASE("two lines are not one") {
    int fds[2];
    const LineShare first = open_line(fds[0]);
    const LineShare second = open_line(fds[1]);
    CHECK_FALSE(first == second);
    CHECK_FALSE(first == LineShare{});
}

TEST_CASE("shares come and go in several threads, and the last one closes") {
    int fd = -1;
    LineShare share = open_line(fd);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([share] {
            for (int i = 0; i < 10000; ++i) {
                LineShare copy = share;
                const LineShare moved = std::move(copy);
            }
        });
    share = {};
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    CHECK_FALSE(is_open(fd));
}

TEST_CASE("a mutex is held for as long as the lock lives") {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    {
        const Locked locked{mutex};
        CHECK(::pthread_mutex_trylock(&mutex) != 0);
    }
    CHECK(::pthread_mutex_trylock(&mutex) == 0);
    ::pthread_mutex_unlock(&mutex);
}

TEST_CASE("a time from now on does not come round to the past, however long it is") {
    const Desk::Clock::time_point now = Desk::Clock::now();
    CHECK(Desk::after(1h) >= now + 1h);
    CHECK(Desk::after(1h) < Desk::Clock::now() + 61min);
    const Desk::Clock::time_point at_once = Desk::after(std::chrono::milliseconds::min());
    CHECK(at_once >= now);
    CHECK(at_once <= Desk::Clock::now());
    CHECK(Desk::after(std::chrono::milliseconds::max()) > now + std::chrono::hours{24 * 365 * 99});
}
