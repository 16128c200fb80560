#include <sysguard/pool.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include "support/skip.hpp"
#include "support/supervised.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using support::eventually;
using support::Leftovers;
using support::static_program;
using Kind = sg::Outcome::Kind;

TEST_CASE("a pool serves many threads, and its workers remember") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    sg::Pool pool{box, [](int x) { return x + 1; }, {.workers = 3}};
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) good += *pool.call(i) == i + 1;
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 400);
    CHECK(pool.idle() == 3);
    sg::Pool counting{box, [count = 0]() mutable { return ++count; }, {.workers = 1}};
    CHECK(*counting.call() == 1);
    CHECK(*counting.call() == 2);
}

TEST_CASE("each request has a worker of its own, where that is asked for") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    sg::Pool pool{box,
                  [count = 0]() mutable {
                      return std::pair{++count, ::getpid()};
                  },
                  {.workers = 2, .most_requests = 1}};
    std::set<pid_t> processes;
    for (int i = 0; i < 30; ++i) {
        const auto result = pool.call();
        REQUIRE(result);
        CHECK(result->first == 1);
        processes.insert(result->second);
    }
    CHECK(processes.size() == 30);
    sg::Pool thrice{box, [count = 0]() mutable { return ++count; }, {.workers = 1, .most_requests = 3}};
    for (int i = 0; i < 9; ++i) CHECK(*thrice.call() == i % 3 + 1);
}

TEST_CASE("a worker that ends is replaced, and costs its own request only") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    sg::Pool pool{box,
                  [](int what) {
                      if (what == 1) support::crash();
                      if (what == 2) ::syscall(SYS_socket, 1, 1, 0);
                      if (what == 3) throw std::runtime_error{"three"};
                      for (volatile bool go = what == 4; go;) {
                      }
                      return what;
                  },
                  {.workers = 2}};
    for (int i = 0; i < 5; ++i) {
        CHECK(pool.call(1).outcome().kind() == Kind::signalled);
        CHECK(pool.call(2).outcome().kind() == Kind::violation);
        CHECK(pool.call(3).outcome().kind() == Kind::threw);
        CHECK(*pool.call(0) == 0);
    }
    CHECK(pool.call(100ms, 4).outcome().kind() == Kind::timed_out);
    CHECK(*pool.call(20s, 0) == 0);
    CHECK(eventually([&] { return pool.idle() == 2; }));
}

TEST_CASE("workers that were killed while they were idle are replaced") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    sg::Pool pool{box, [] { return ::getpid(); }, {.workers = 2}};
    const pid_t first = *pool.call();
    ::kill(first, SIGKILL);
    CHECK(eventually([&] { return pool.idle() == 1; }));
    for (int i = 0; i < 10; ++i) CHECK(*pool.call() != first);
}

TEST_CASE("workers that cannot start say so to each request, and a pool of none is an error") {
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    sg::Pool pool{box, [] { return 1; }, {.workers = 2, .service = {.launch = {.directory = "/nowhere"}}}};
    for (int i = 0; i < 5; ++i) CHECK(pool.call().outcome().kind() == Kind::could_not_start);
    CHECK_THROWS_AS((sg::Pool{box, [] { return 1; }, {.workers = 0}}), sg::Error);
    constexpr sg::Policy nothing{sg::otherwise.kill()};
    CHECK_THROWS_AS((sg::Pool{sg::Sandbox{nothing}, [] { return 1; }}), sg::Error);
}
