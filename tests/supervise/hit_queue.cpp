#include <sysguard/supervise/hit_queue.hpp>

#include <doctest/doctest.h>

#include <thread>

#include <sys/syscall.h>

namespace sg = sysguard;
using sg::Hit;
using sg::supervise::HitQueue;

namespace {

Hit numbered(int number) {
    Hit hit;
    hit.process = number;
    return hit;
}

}  // namespace

TEST_CASE("hits come out in their order, and after the end what was there, and then nothing") {
    HitQueue queue;
    queue.push(numbered(1));
    queue.push(numbered(2));
    queue.close();
    Hit hit;
    CHECK(queue.pop(hit));
    CHECK(hit.process == 1);
    CHECK(queue.pop(hit));
    CHECK(hit.process == 2);
    CHECK_FALSE(queue.pop(hit));
    CHECK(queue.dropped() == 0);
}

TEST_CASE("what there is no room for is dropped and counted") {
    HitQueue queue;
    for (std::size_t i = 0; i < HitQueue::capacity + 3; ++i) queue.push(numbered(static_cast<int>(i)));
    CHECK(queue.dropped() == 3);
    queue.count_dropped();
    CHECK(queue.dropped() == 4);
    Hit hit;
    CHECK(queue.pop(hit));
    CHECK(hit.process == 0);
    queue.push(numbered(7));
    CHECK(queue.dropped() == 4);
}

TEST_CASE("who waits is woken by a hit, and by the end") {
    HitQueue queue;
    int sum = 0;
    std::thread reader{[&] {
        Hit hit;
        while (queue.pop(hit)) sum += hit.process;
    }};
    for (int i = 1; i <= 100; ++i) queue.push(numbered(i));
    queue.close();
    reader.join();
    CHECK(sum == 5050);
}

TEST_CASE("a hit in words: the process, the call, and its six arguments") {
    Hit hit;
    hit.process = 12;
    hit.number = SYS_close;
    hit.arguments[0] = ~0ULL;
    CHECK(hit.text() == "12: close(0xffffffffffffffff, 0, 0, 0, 0, 0)");
}
