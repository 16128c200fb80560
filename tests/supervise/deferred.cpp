#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/helpers.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using namespace std::chrono_literals;
using sg::Call, sg::Deferred, sg::Rule;

namespace {

/// Calls that wait until somebody answers them.
class Waiting {
public:
    Waiting() = default;
    ~Waiting() { join(); }

    /// `clerk` runs in a thread that begins with the next call: the worker is forked from a host without it.
    void from_the_next_call(std::function<void()> clerk) { clerk_ = std::move(clerk); }

    void add(Deferred call) {
        const std::scoped_lock lock{mutex_};
        calls_.push_back(std::move(call));
        if (clerk_) thread_ = std::thread{std::exchange(clerk_, nullptr)};
    }

    Deferred take() {
        CHECK(support::eventually([&] { return count() > 0; }));
        const std::scoped_lock lock{mutex_};
        Deferred call = std::move(calls_.at(calls_.size() - 1));
        calls_.pop_back();
        return call;
    }

    /// Until the clerk has done its work.
    void join() {
        if (thread_.joinable()) thread_.join();
    }

    std::size_t count() {
        const std::scoped_lock lock{mutex_};
        return calls_.size();
    }

private:
    std::mutex mutex_{};
    std::vector<Deferred> calls_{};
    std::function<void()> clerk_{};
    std::thread thread_{};
};

template <auto target>
sg::Sandbox deferring(Waiting& waiting, std::optional<std::chrono::milliseconds> time = std::nullopt,
                      const sg::Options& options = {}) {
    return sg::Sandbox{sg::Policy{Rule<target>{}.handle([&waiting, time](const sg::AnyCall& call) {
                                      Deferred later = call.defer();
                                      if (time) later.expire_after(*time, ETIMEDOUT);
                                      sg::Verdict verdict = later.pending();
                                      waiting.add(std::move(later));
                                      return verdict;
                                  }),
                                  sg::otherwise.allow()},
                       options};
}

int priority() {
    const long result = ::syscall(SYS_getpriority, 0, 0);
    return result < 0 ? -errno : static_cast<int>(result);
}

}  // namespace

TEST_CASE("another thread answers later, in every way") {
    Waiting waiting;
    const sg::Sandbox box = deferring<SYS_getpriority>(waiting);
    const auto answered = [&](auto answer) {
        waiting.from_the_next_call([&waiting, answer] {
            Deferred call = waiting.take();
            CHECK(call.answer(answer(call)));
            CHECK(call.is_answered());
        });
        const auto result = box.call(priority);
        waiting.join();
        return result;
    };
    CHECK(*answered([](Deferred& call) { return call.call().fake(7); }) == 7);
    CHECK(*answered([](Deferred& call) { return call.call().deny(EXFULL); }) == -EXFULL);
    CHECK(*answered([](Deferred& call) { return call.as<SYS_getpriority>().proceed(); }) == 20);
    const auto killed = answered([](Deferred& call) { return call.call().kill(); });
    CHECK(killed.outcome().kind() == sg::Outcome::Kind::violation);
    CHECK(killed.outcome().violation()->call == "getpriority(which=0, who=0)");
}

TEST_CASE("dropped without an answer, it refuses") {
    Waiting waiting;
    const sg::Sandbox box = deferring<SYS_getpriority>(waiting);
    waiting.from_the_next_call([&] { (void)waiting.take(); });
    CHECK(*box.call(priority) == -EPERM);
}

TEST_CASE("a call is performed later on what was read before") {
    Waiting waiting;
    const sg::Sandbox box = deferring<SYS_openat>(waiting);
    waiting.from_the_next_call([&] {
        Deferred open = waiting.take();
        const Call<SYS_openat> call = open.as<SYS_openat>();
        CHECK(call[arg::path] == "/etc/passwd");
        CHECK(open.answer(call.perform()));
    });
    CHECK(*box.call([] {
        char first[5] = {};
        const int fd = ::open("/etc/passwd", O_RDONLY);
        return ::read(fd, first, 4) == 4 ? std::string{first} : std::string{};
    }) == "root");
}

TEST_CASE("only one answer counts") {
    Waiting waiting;
    const sg::Policy policy{Rule<SYS_getpriority>{}.handle([&](const sg::AnyCall& call) {
                                waiting.add(call.defer());
                                return call.fake(1);  // and so it is not answered later
                            }),
                            sg::otherwise.allow()};
    CHECK(*sg::Sandbox{policy}.call(priority) == 1);
    Deferred late = waiting.take();
    CHECK_FALSE(late.answer(late.call().fake(2)));
    CHECK_FALSE(late.answer(sg::Verdict{late.pending()}));
}

TEST_CASE("a handler that says later and keeps nothing has refused") {
    const sg::Policy policy{
        Rule<SYS_getpriority>{}.handle([](const sg::AnyCall& call) { return call.defer().pending(); }),
        sg::otherwise.allow()};
    CHECK(*sg::Sandbox{policy}.call(priority) == -EPERM);
}

TEST_CASE("when the time is over the call fails, and an answer afterwards does not count") {
    Waiting waiting;
    CHECK(*deferring<SYS_getpriority>(waiting, 20ms).call(priority) == -ETIMEDOUT);
    Deferred late = waiting.take();
    CHECK_FALSE(late.answer(late.call().fake(2)));
}

TEST_CASE("an answer before the time is over takes the time back") {
    Waiting waiting;
    const sg::Sandbox box = deferring<SYS_getpriority>(waiting, 60s);
    waiting.from_the_next_call([&] {
        Deferred call = waiting.take();
        CHECK(call.answer(call.call().fake(3)));
    });
    CHECK(*box.call(priority) == 3);
}

TEST_CASE("it may outlive the worker and the sandbox, and a copy of its line is all that it keeps") {
    Waiting waiting;
    {
        const sg::Sandbox box = deferring<SYS_getpriority>(waiting, std::nullopt, {.limits = {.wall = 50ms}});
        CHECK(box.call(priority).outcome().kind() == sg::Outcome::Kind::timed_out);
    }
    Deferred orphan = waiting.take();
    CHECK_FALSE(orphan.call().is_pending());
    CHECK_FALSE(orphan.answer(orphan.call().kill()));
}

TEST_CASE("answers come in any order, from several threads") {
    constexpr int count = 200;
    Waiting waiting;
    const sg::Sandbox box = deferring<SYS_getpriority>(waiting);
    waiting.from_the_next_call([&] {
        CHECK(support::eventually([&] { return waiting.count() == count; }));
        std::vector<std::thread> clerks;
        for (int t = 0; t < 4; ++t)
            clerks.emplace_back([&] {
                for (int i = 0; i < count / 4; ++i) {
                    Deferred call = waiting.take();
                    const auto who = static_cast<std::int64_t>(call.call().registers()[1]);
                    call.answer(call.call().fake(who * 2));
                }
            });
        for (std::thread& clerk : clerks) clerk.join();
    });
    const auto right = box.call([] {
        std::atomic<int> good{0};
        std::vector<std::thread> threads;
        for (long i = 0; i < count; ++i)
            threads.emplace_back([&good, i] { good += ::syscall(SYS_getpriority, 0, i) == i * 2; });
        for (std::thread& thread : threads) thread.join();
        return good.load();
    });
    CAPTURE(right.explain());
    CHECK(*right == count);
}

TEST_CASE("a handler that has deferred its call does not find an empty path in its place") {
    Waiting waiting;
    const auto deferred_and_asked = [&](auto ask) {
        const sg::Sandbox box{sg::Policy{Rule<SYS_openat>{}.handle([&](const Call<SYS_openat>& call) {
                                             Deferred later = call.defer();
                                             ask(call, later);
                                             return later.pending();
                                         }),
                                         sg::otherwise.allow()}};
        return box.call([] { return ::open("/etc/passwd", O_RDONLY) < 0 ? errno : 0; });
    };
    const auto refused = deferred_and_asked([](const Call<SYS_openat>& call, Deferred& later) {
        if (!call[arg::path].under("/etc")) later.answer(later.as<SYS_openat>().perform());
    });
    CHECK(refused.outcome().failed_handlers() == 1);
    CHECK(refused.outcome().handler_message().find("Deferred::call()") != std::string::npos);
    REQUIRE(refused);
    CHECK(*refused == EPERM);

    const auto opened = deferred_and_asked([](const Call<SYS_openat>&, Deferred& later) {
        if (later.as<SYS_openat>()[arg::path].under("/etc")) later.answer(later.as<SYS_openat>().perform());
    });
    REQUIRE(opened);
    CHECK(*opened == 0);
}

TEST_CASE("a handler that ends the call that it has deferred is told, or has its way") {
    const auto ended = [](auto end) {
        const sg::Sandbox box{sg::Policy{Rule<SYS_openat>{}.handle([end](const Call<SYS_openat>& call) -> sg::Verdict {
                                             const Deferred later = call.defer();
                                             return end(call);
                                         }),
                                         sg::otherwise.allow()}};
        return box.call([] { return ::open("/etc/passwd", O_RDONLY) < 0 ? errno : 0; });
    };
    const auto performed = ended([](const Call<SYS_openat>& call) { return call.perform(); });
    REQUIRE(performed);
    CHECK(*performed == EPERM);
    CHECK(ended([](const Call<SYS_openat>& call) { return call.kill(); }).outcome().kind() ==
          sg::Outcome::Kind::violation);
}

TEST_CASE("what a handler says comes before the refusal by an answer that it has dropped") {
    struct Delay {
        ~Delay() { std::this_thread::sleep_for(std::chrono::milliseconds{60}); }
    };
    const auto ended = [](auto end) {
        const sg::Sandbox box{sg::Policy{Rule<SYS_openat>{}.handle([end](const Call<SYS_openat>& call) -> sg::Verdict {
                                             const Delay delay;  // the worker has time to use a refusal
                                             Deferred later = call.defer();
                                             later.expire_after(std::chrono::hours{1}, EIO);
                                             return end(call, later);
                                         }),
                                         sg::otherwise.allow()}};
        return box.call([] { return ::open("/etc/passwd", O_RDONLY) < 0 ? errno : 0; });
    };
    CHECK(ended([](const Call<SYS_openat>& call, Deferred&) { return call.kill(); }).outcome().kind() ==
          sg::Outcome::Kind::violation);
    CHECK(*ended([](const Call<SYS_openat>& call, Deferred&) { return call.deny(EXFULL); }) == EXFULL);
    CHECK(*ended([](const Call<SYS_openat>&, Deferred& later) { return later.pending(); }) == EPERM);
}
