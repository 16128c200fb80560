#include <sysguard/supervise/turn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "support/helpers.hpp"

using sysguard::supervise::Turn;

TEST_CASE("a leader that comes back in time keeps its turn") {
    Turn turn;
    const std::uint32_t own = turn.number();
    for (int i = 0; i < 1000; ++i) {
        turn.begin();
        CHECK(turn.end(own));
    }
    CHECK(turn.number() == own);
}

TEST_CASE("a leader that is held up loses its turn to a stand-by, and only then") {
    Turn turn;
    const std::uint32_t own = turn.number();
    std::atomic<std::uint32_t> taken{0};
    std::thread stand_by{[&] { taken = turn.stand_by(-1).number; }};
    for (int i = 0; i < 1000; ++i) {
        turn.begin();
        if (!turn.end(own)) break;  // this machine is very slow
    }
    turn.begin();
    CHECK(support::eventually([&] { return taken != 0; }));
    CHECK(taken == own + 1);
    CHECK_FALSE(turn.end(own));
    turn.begin();  // of the new leader
    CHECK(turn.end(taken));
    stand_by.join();
}

TEST_CASE("a stand-by that slept is woken, and one that waits can be stopped") {
    Turn turn;
    const std::uint32_t own = turn.number();
    std::atomic<std::uint32_t> taken{0};
    std::thread stand_by{[&] { taken = turn.stand_by(-1).number; }};
    std::this_thread::sleep_for(std::chrono::milliseconds{100});  // asleep by now, most likely
    turn.begin();
    CHECK(support::eventually([&] { return taken == own + 1; }));
    stand_by.join();
    std::thread other{[&] { taken = turn.stand_by(-1).number; }};
    turn.stop();
    other.join();
    CHECK(taken == 0);
    CHECK(turn.is_stopped());
}

TEST_CASE("of several that stand by one takes the turn") {
    Turn turn;
    std::atomic<int> leaders{0};
    std::atomic<int> stopped{0};
    std::thread threads[4];
    for (std::thread& thread : threads)
        thread = std::thread{[&] { turn.stand_by(-1).number != 0 ? ++leaders : ++stopped; }};
    turn.begin();
    CHECK(support::eventually([&] { return leaders == 1; }));
    turn.stop();
    for (std::thread& thread : threads) thread.join();
    CHECK(leaders == 1);
    CHECK(stopped == 3);
}

TEST_CASE("leader after leader is held up: each time a stand-by takes the turn, and in the end all can be stopped") {
    constexpr std::uint32_t many = 3;
    for (int round = 0; round < 10; ++round) {
        Turn turn;
        const std::uint32_t first = turn.number();
        std::atomic<bool> over{false};
        std::atomic<int> ended{0};
        std::thread threads[many + 2];
        for (std::thread& thread : threads)
            thread = std::thread{[&] {
                if (const std::uint32_t own = turn.stand_by(-1).number; own != 0 && own - first <= many) {
                    std::this_thread::sleep_for(std::chrono::microseconds{10'000 + 13 * round});  // others fall asleep
                    turn.begin();
                    if (turn.end(own)) turn.begin();
                    while (!over) std::this_thread::sleep_for(std::chrono::microseconds{200});
                }
                ++ended;
            }};
        std::this_thread::sleep_for(std::chrono::microseconds{9'900 + 37 * round});
        turn.begin();
        CHECK(support::eventually([&] { return turn.number() == first + many + 1; }));
        over = true;
        turn.stop();
        CHECK(support::eventually([&] { return ended == many + 2; }));
        turn.stop();
        for (std::thread& thread : threads) thread.join();
    }
}
