#include <sysguard/service.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/skip.hpp"
#include "support/supervised.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using namespace sg::literals;
using sg::Descriptor;
using sg::process::Exchange;
using support::anything;
using support::has;
using support::Leftovers;
using support::static_program;
using Kind = sg::Outcome::Kind;

namespace {

constexpr sg::Policy with_channel{sg::preset::static_runtime, sg::preset::channel, sg::otherwise.kill()};

struct Point {
    double x;
    int y;
};

std::string run_plugin(const std::vector<unsigned char>& input) {
    return std::string(input.begin(), input.end()) + "!";
}

/// The exchange of the service that this worker is, whose area is the only mapping of its name.
Exchange own_exchange(std::size_t most_request, std::size_t most_reply) {
    std::FILE* const maps = std::fopen("/proc/self/maps", "re");
    char line[512];
    unsigned long begin = 0;
    unsigned long found = 0;
    while (std::fgets(line, sizeof line, maps) != nullptr)
        if (std::sscanf(line, "%lx-", &begin) == 1 && std::string{line}.find("sysguard-result") != std::string::npos)
            found = begin;
    std::fclose(maps);
    static sg::process::ResultArea* const area = [&] {
        auto* const view = new sg::process::ResultArea;
        struct Raw {
            unsigned char* area;
            std::size_t size;
        };
        static_assert(sizeof(Raw) == sizeof *view);
        const Raw raw{reinterpret_cast<unsigned char*>(found),
                      sizeof(sg::process::ResultArea::Header) + Exchange::size(most_request, most_reply)};
        __builtin_memcpy(static_cast<void*>(view), &raw, sizeof raw);
        return view;
    }();
    return Exchange{*area, most_request};
}

}  // namespace

TEST_CASE("a service answers requests of many kinds, and remembers") {
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    int count = 40;
    sg::Service counter{box, [count](int more) mutable { return count += more; }};
    CHECK(*counter.call(1) == 41);
    CHECK(*counter.call(2) == 43);
    CHECK(counter.call(0).outcome().kind() == Kind::returned);
    CHECK_FALSE(counter.has_ended());
    CHECK(counter.pid() > 0);

    sg::Service<std::string(const std::vector<unsigned char>&)> plugin{box, run_plugin};
    CHECK(*plugin.call({'a', 'b'}) == "ab!");
    CHECK(*plugin.call({}) == "!");
    sg::Service joined{box, [](std::string a, const std::vector<std::string>& b, Point p) {
                           for (const std::string& each : b) a += each;
                           return Point{static_cast<double>(a.size()) + p.x, p.y};
                       }};
    CHECK(joined.call("abc", {"d", "ef"}, {0.5, 7})->x == 6.5);
    CHECK(joined.call(std::string(1 << 20, 'x'), {}, {0, 7})->x == 1 << 20);
    sg::Service nothing{box, [] {}};
    for (int i = 0; i < 1000; ++i) CHECK(nothing.call());
}

TEST_CASE("an exception is the outcome of its request, and the worker goes on") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program, {.most_result = 1000}};
    sg::Service service{box,
                        [](int size) {
                            if (size < 0) throw std::runtime_error{"less than nothing"};
                            if (size == 0) throw std::bad_alloc{};
                            return std::string(static_cast<std::size_t>(size), 'x');
                        },
                        {.most_request = 100}};
    CHECK(service.call(-1).outcome().kind() == Kind::threw);
    CHECK(service.call(-1).outcome().message() == "less than nothing");
    CHECK(service.call(0).outcome().kind() == Kind::out_of_memory);
    CHECK(service.call(100000).outcome().kind() == Kind::garbled);
    CHECK(service.call(5)->size() == 5);
    sg::Service large{box, [](const std::string& text) { return text.size(); }, {.most_request = 100}};
    CHECK_THROWS_AS((void)large.call(std::string(200, 'x')), sg::Error);
    CHECK(*large.call("ten.......") == 10);
}

TEST_CASE("what ends the worker is the outcome of that request and of all later ones") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    const auto serve = [](int what) {
        if (what == 1) support::crash();
        if (what == 2) ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
        if (what == 3) ::_exit(3);
        for (volatile bool go = what == 4; go;) {
        }
        return what;
    };
    const Kind expected[] = {Kind::returned, Kind::signalled, Kind::violation, Kind::ended_early, Kind::timed_out};
    for (int what = 1; what < 5; ++what) {
        sg::Service service{box, serve};
        CHECK(*service.call(0) == 0);
        const auto result = service.call(what == 4 ? 100ms : 20s, what);
        CAPTURE(result.explain());
        CHECK(result.outcome().kind() == expected[what]);
        CHECK(service.call(0).outcome().kind() == expected[what]);
        CHECK(service.has_ended());
        CHECK(service.stop().kind() == expected[what]);
    }
    sg::Service idle{box, serve};
    CHECK(idle.stop().kind() == Kind::stopped);
    CHECK(idle.call(0).outcome().kind() == Kind::stopped);
    sg::Service nowhere{box, serve, {.launch = {.directory = "/nowhere"}}};
    CHECK(nowhere.call(0).outcome().kind() == Kind::could_not_start);
}

TEST_CASE("a worker that is stopped while a thread waits for its reply") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    sg::Service service{box, [](int) {
                            for (volatile bool go = true; go;) {
                            }
                        }};
    std::thread other{[&] { CHECK(service.call(1).outcome().kind() == Kind::stopped); }};
    ::usleep(20000);
    CHECK(service.stop().kind() == Kind::stopped);
    other.join();
    sg::Service killed{box, [](int) {
                           for (volatile bool go = true; go;) {
                           }
                       }};
    std::thread killer{[&] {
        ::usleep(20000);
        ::kill(killed.pid(), SIGKILL);
    }};
    CHECK(killed.call(1).outcome().kind() == Kind::signalled);
    killer.join();
}

TEST_CASE("descriptors go both ways") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{with_channel};
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const Descriptor reading{ends[0]};
    const Descriptor writing{ends[1]};
    {
        sg::Service<std::pair<int, Descriptor>(std::string, Descriptor)> service{
            box, [](const std::string& text, Descriptor to) {
                const auto written = static_cast<int>(::write(to.get(), text.data(), text.size()));
                return std::pair<int, Descriptor>{written, std::move(to)};
            }};
        for (int i = 0; i < 100; ++i) {
            auto back = service.call("hello", writing);
            CAPTURE(back.explain());
            REQUIRE(back);
            CHECK(back->first == 5);
            CHECK(back->second.get() > 2);
            CHECK(back->second.get() != writing.get());
            CHECK((::fcntl(back->second.get(), F_GETFD) & FD_CLOEXEC) != 0);
            char text[8] = {};
            CHECK(::read(reading.get(), text, sizeof text) == 5);
        }
    }
    sg::Service<std::size_t(std::vector<Descriptor>)> many{
        box, [](const std::vector<Descriptor>& all) { return all.size(); }};
    std::vector<Descriptor> all;
    CHECK(*many.call(all) == 0);
    for (int i = 0; i < 16; ++i) all.emplace_back(::fcntl(writing.get(), F_DUPFD_CLOEXEC, 3));
    CHECK(*many.call(all) == 16);
    all.emplace_back(::fcntl(writing.get(), F_DUPFD_CLOEXEC, 3));
    CHECK_THROWS_AS((void)many.call(all), sg::Error);
    CHECK(*many.call({}) == 0);
}

TEST_CASE("a policy without what a service takes is an error that says what to add") {
    const Leftovers leftovers;
    constexpr sg::Policy nothing{sg::otherwise.kill()};
    try {
        sg::Service service{sg::Sandbox{nothing}, [](int x) { return x; }};
        FAIL("no error");
    } catch (const sg::Error& error) {
        CHECK(has(error.what(), "preset::compute"));
    }
    try {
        sg::Service<int(Descriptor)> service{sg::Sandbox{static_program}, [](const Descriptor&) { return 1; }};
        FAIL("no error");
    } catch (const sg::Error& error) {
        CHECK(has(error.what(), "preset::channel"));
    }
    const sg::Sandbox embedded{static_program};
    (void)embedded.event_fd();
    CHECK_THROWS_AS((sg::Service{embedded, [](int x) { return x; }}), sg::Error);
}

TEST_CASE("a worker that writes garbage into what it shares with the host is ended, and the host goes on") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{anything, {.most_result = 4096}};
    for (int trick = 0; trick < 6; ++trick) {
        sg::Service<std::string(int)> service{
            box,
            [](int what) -> std::string {
                const Exchange own = own_exchange(4096, 4096);
                Exchange::Header& header = own.header();
                const std::uint32_t number = header.request;
                const auto say = [&](std::uint64_t size, std::uint32_t state, std::uint32_t descriptors) {
                    header.reply_size = size;
                    header.reply_state = state;
                    header.reply_descriptors = descriptors;
                    __atomic_store_n(&header.reply, number, __ATOMIC_SEQ_CST);
                    ::syscall(SYS_futex, &header.reply, FUTEX_WAKE, 1, nullptr, nullptr, 0);
                };
                constexpr auto returned = static_cast<std::uint32_t>(sg::process::ResultArea::State::returned);
                if (what == 0) say(~0ULL, returned, 0);
                if (what == 1) say(4, 12345, 0);
                if (what == 2) say(4, returned, 3);
                if (what == 3) __atomic_store_n(&header.reply, 0xdeadbeef, __ATOMIC_SEQ_CST);
                if (what == 4) __builtin_memset(static_cast<void*>(&header), 0xff, sizeof header + 8000);
                for (;;) ::syscall(SYS_futex, &header.reply, FUTEX_WAKE, 1, nullptr, nullptr, 0);
            },
            {.most_request = 4096}};
        const auto result = service.call(60s, trick);
        CAPTURE(trick);
        CAPTURE(result.explain());
        CHECK(result.outcome().kind() == Kind::garbled);
        CHECK(service.has_ended());
    }
}

TEST_CASE("a worker that ends and claims to have returned has not") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{anything, {.most_result = 4096}};
    using State = sg::process::ResultArea::State;
    for (const State claim : {State::returned, State::failed_to_start}) {
        sg::Service<void()> service{box,
                                    [claim] {
                                        const Exchange own = own_exchange(4096, 4096);
                                        auto at = reinterpret_cast<std::uintptr_t>(&own.header());
                                        at -= at % 4096;
                                        reinterpret_cast<sg::process::ResultArea::Header*>(at)->state = claim;
                                        ::_exit(0);
                                    },
                                    {.most_request = 4096}};
        const auto result = service.call();
        CAPTURE(result.explain());
        CHECK(!result);
        CHECK(!service.call());
        CHECK(result.outcome().kind() == (claim == State::returned ? Kind::ended_early : Kind::garbled));
    }
}

TEST_CASE("a worker that floods the host with descriptors is ended, and none is left") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    const sg::Sandbox box{anything};
    sg::Service<Descriptor(int)> service{box, [](int count) {
                                             sg::process::Transfer sent;
                                             for (int i = 0; i < count; ++i) sent.add(1);
                                             while (sg::process::send_transfer(3, sent) == 0) {
                                             }
                                             return Descriptor{::fcntl(1, F_DUPFD_CLOEXEC, 4)};
                                         }};
    const auto result = service.call(20s, 16);
    CAPTURE(result.explain());
    CHECK(!result);
    // Where none can be given, none can be sent.
    sg::Service<int(Descriptor)> closed{box, [](const Descriptor& fd) {
                                            sg::process::Transfer sent;
                                            sent.add(fd.get());
                                            return sg::process::send_transfer(3, sent);
                                        }};
    CHECK(*closed.call(Descriptor{::fcntl(1, F_DUPFD_CLOEXEC, 4)}) == EPIPE);
}

TEST_CASE("calls that the host decides are served meanwhile") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    constexpr sg::Policy asking{
        sg::preset::static_runtime,
        sg::Rule<SYS_getpriority>{}.handle([](const sg::Call<SYS_getpriority>& call) { return call.fake(7); }),
        sg::otherwise.kill()};
    const sg::Sandbox box{asking};
    sg::Service service{box, [] { return static_cast<int>(::syscall(SYS_getpriority, 0, 0)); }};
    for (int i = 0; i < 50; ++i) CHECK(*service.call() == 7);
}

TEST_CASE("many threads call one worker, and many workers") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const Leftovers leftovers;
    const sg::Sandbox box{static_program};
    sg::Service shared{box, [](int x) { return x + 1; }};
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            sg::Service own{box, [](int x) { return x + 2; }};
            for (int i = 0; i < 50; ++i) {
                good += *shared.call(i) == i + 1;
                good += *own.call(i) == i + 2;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 800);
}

TEST_CASE("a worker dies with the host") {
    const auto text = support::in_fork([] {
        int ends[2];
        if (::pipe(ends) != 0) return std::string{"no pipe"};
        const pid_t host = ::fork();
        if (host == 0) {
            const sg::Sandbox box{anything};
            sg::Service service{box, [] { return 1; }, {.launch = {.descriptors = {{ends[1], 5}}}}};
            (void)service.call();
            ::kill(::getpid(), SIGKILL);
        }
        ::close(ends[1]);
        char byte = 0;
        return std::string{::read(ends[0], &byte, 1) == 0 ? "gone" : "?"};  // when nobody has the other end any more
    });
    CHECK(text == "gone");
}
