#include <sysguard/policy.hpp>
#include <sysguard/supervise/call.hpp>
#include <sysguard/supervise/deferred.hpp>
#include <sysguard/supervise/service.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/listening.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::supervise::Ending;
using sg::supervise::Rulebook;
using sg::supervise::Supervisor;
using sg::supervise::Watch;
using support::Supervised;

namespace {

long priority() {
    const long result = ::syscall(SYS_getpriority, 0, 0);
    return result < 0 ? -errno : result;
}

/// One process under a policy, and a supervisor that serves it step by step, as a host's event loop would.
struct Served {
    template <class Policy, class Body>
    Served(const Policy& policy, Body&& body, Watch::Settings settings = {})
        : rules{policy.view()}, watch{start(policy, body), Watch::Clock::now(), with(settings)} {
        REQUIRE(supervisor.open() == 0);
        supervisor.add(watch);
    }

    template <class Policy, class Body>
    static sg::process::Child start(const Policy& policy, Body&& body) {
        Supervised process{policy.program(), body};
        return process.to_child();
    }

    Watch::Settings with(Watch::Settings settings) const {
        settings.rules = &rules;
        return settings;
    }

    /// Waits until there is something to do, and does it.
    void serve() {
        pollfd source{supervisor.fd(), POLLIN, 0};
        REQUIRE(::poll(&source, 1, 60000) == 1);
        supervisor.dispatch();
    }

    Ending to_its_end() {
        while (!watch.is_finished()) serve();
        return watch.take_ending();
    }

    Rulebook rules;
    Watch watch;
    Supervisor supervisor{};
};

struct Noted final : Supervisor::Errand {
    Noted(std::vector<int>& on, int number) : list{on}, own{number} {}
    void run() noexcept override { list.push_back(own); }
    std::vector<int>& list;
    int own;
};

}  // namespace

TEST_CASE("a call is answered as its rule says, in the thread that dispatches, and nothing else is done then") {
    const support::Leftovers nothing;
    std::thread::id thread{};
    const sg::Policy policy{sg::Rule<SYS_getpriority>{}.handle([&](const sg::AnyCall& call) {
                                thread = std::this_thread::get_id();
                                return call.fake(33);
                            }),
                            sg::otherwise.allow()};
    Served served{policy, [] { return static_cast<int>(priority()); }};
    const Ending ending = served.to_its_end();
    CHECK(ending.status.value == 33);
    CHECK(thread == std::this_thread::get_id());
    CHECK(support::entries("/proc/self/task") == 3);  // with . and ..
    CHECK_FALSE(served.supervisor.dispatch());
}

TEST_CASE("a handler that throws has refused, and what it threw is told") {
    const sg::Policy policy{sg::Rule<SYS_getpriority>{}.handle([](const sg::AnyCall& call) -> sg::Verdict {
                                if (call.registers()[0] == 0) throw std::runtime_error{"no idea"};
                                throw 7;
                            }),
                            sg::otherwise.allow()};
    Served served{policy, [] {
                      const bool refused = priority() == -EPERM;
                      return refused && ::syscall(SYS_getpriority, 1, 0) == -1 && errno == EPERM ? 0 : 1;
                  }};
    const Ending ending = served.to_its_end();
    CHECK(ending.status.value == 0);
    CHECK(ending.failed_handlers == 2);
    CHECK(ending.handler_message == "something that is no std::exception");
}

TEST_CASE("a call to be killed for is described and ends the process, its other calls come to nothing") {
    const sg::Policy policy{sg::Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};
    Served served{policy, [] {
                      priority();
                      return 0;
                  }};
    const Ending ending = served.to_its_end();
    REQUIRE(ending.violation);
    CHECK(ending.violation->number == SYS_getpriority);
    CHECK(ending.violation->call == "getpriority(which=0, who=0)");
    CHECK_FALSE(ending.violation->mapping.empty());
    CHECK(ending.status.value == SIGKILL);
}

TEST_CASE("a call newer than the table is told that there is none") {
    const sg::Policy policy{sg::otherwise.kill()};
    const sg::Policy allowing{sg::Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};
    const Rulebook rules{allowing.view()};
    sg::supervise::Pending call;
    call.number = sg::abi::native_limit + 1;
    call.architecture = sg::abi::audit_architecture(sg::abi::native_abi);
    CHECK(rules.decide(call).error() == ENOSYS);
    call.number = SYS_read;
    call.architecture ^= 1;
    CHECK(rules.decide(call).kind() == sg::Verdict::Kind::kill);
    CHECK(Rulebook{policy.view()}.decide(call).kind() == sg::Verdict::Kind::kill);
}

TEST_CASE("calls are performed so many at a time, and all of them in the end") {
    constexpr int many = 100;
    const support::Leftovers nothing;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const sg::Policy policy{
        sg::Rule<SYS_openat>{}.handle([](const sg::Call<SYS_openat>& call) { return call.perform(); }),
        sg::otherwise.allow()};
    const support::Performers performers;
    Served served{policy, [&] {
                      std::atomic<int> opened{0};
                      std::vector<std::thread> threads;
                      for (int i = 0; i < many; ++i)
                          threads.emplace_back([&] { opened += ::open(fifo.c_str(), O_RDONLY) >= 0; });
                      for (std::thread& thread : threads) thread.join();
                      return opened.load();
                  }};
    const auto end = std::chrono::steady_clock::now() + 60s;
    int waiting = 0;
    int most = 0;
    while (waiting < 64 && std::chrono::steady_clock::now() < end) {
        pollfd source{served.supervisor.fd(), POLLIN, 0};
        if (::poll(&source, 1, 10) == 1) served.supervisor.dispatch();
        waiting = performers.waiting() - 1;  // the process itself
        most = std::max(most, waiting);
    }
    CHECK(most == 64);
    const sg::process::Descriptor writer{::open(fifo.c_str(), O_RDWR | O_CLOEXEC)};
    CHECK(served.to_its_end().status.value == many);
}

TEST_CASE("a deferred call fails when its time is over, unless somebody has answered it before") {
    std::vector<sg::Deferred> kept;
    const sg::Policy policy{sg::Rule<SYS_getpriority>{}.handle([&](const sg::AnyCall& call) {
                                sg::Deferred later = call.defer();
                                later.expire_after(call.registers()[0] == 0 ? 10ms : 1h, ETIMEDOUT);
                                sg::Verdict verdict = later.pending();
                                if (call.registers()[0] == 0)
                                    kept.push_back(std::move(later));
                                else
                                    later.answer(later.call().fake(8));
                                return verdict;
                            }),
                            sg::otherwise.allow()};
    Served served{policy, [] {
                      const bool expired = priority() == -ETIMEDOUT;
                      return expired && ::syscall(SYS_getpriority, 1, 0) == 8 ? 0 : 1;
                  }};
    CHECK(served.to_its_end().status.value == 0);
    REQUIRE(kept.size() == 1);
    CHECK_FALSE(kept[0].answer(kept[0].call().fake(1)));
}

TEST_CASE("errands are run in their order, by who serves, and those that nobody served when it ends") {
    std::vector<int> list;
    Noted first{list, 1};
    Noted second{list, 2};
    Noted third{list, 3};
    {
        Supervisor supervisor;
        REQUIRE(supervisor.open() == 0);
        std::thread other{[&] {
            supervisor.post(first);
            supervisor.post(second);
        }};
        other.join();
        CHECK(list.empty());
        while (list.size() < 2) supervisor.dispatch();
        supervisor.post(third);
    }
    CHECK(list == std::vector<int>{1, 2, 3});
}

TEST_CASE("a supervisor serves several processes, and the end of one is not the end of another") {
    const sg::Policy policy{sg::Rule<SYS_getpriority>{}.handle([](const sg::AnyCall& call) {
                                return call.fake(static_cast<std::int64_t>(call.registers()[1]));
                            }),
                            sg::otherwise.allow()};
    const auto body = [](int number) {
        return [number] { return static_cast<int>(::syscall(SYS_getpriority, 0, number)); };
    };
    Served served{policy, body(5)};
    Watch second{Served::start(policy, body(6)), Watch::Clock::now(), served.with({})};
    Watch third{Served::start(policy, [] { return ::pause(); }), Watch::Clock::now(), served.with({})};
    served.supervisor.add(second);
    served.supervisor.add(third);
    while (!served.watch.is_finished() || !second.is_finished()) served.serve();
    CHECK_FALSE(third.is_finished());
    served.supervisor.stop(third);
    while (!third.is_finished()) served.serve();
    CHECK(served.watch.take_ending().status.value == 5);
    CHECK(second.take_ending().status.value == 6);
    CHECK(third.take_ending().stopped);
}
