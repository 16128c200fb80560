#include <sysguard/supervise/witness.hpp>

#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include "support/supervised.hpp"

namespace sg = sysguard;
using sg::Rule;
using Kind = sg::Outcome::Kind;

namespace {

/// What it has seen; then it does as the test says.
struct Noted final : sg::Witness {
    explicit Noted(void (*act)(const sg::AnyCall&) = nullptr) : then{act} {}
    void see(const sg::AnyCall& call) override {
        calls.emplace_back(call.name());
        was_pending = call.is_pending();
        if (then != nullptr) then(call);
    }
    std::vector<std::string> calls{};
    bool was_pending = false;
    void (*then)(const sg::AnyCall&);
};

constexpr sg::Policy policy{Rule<SYS_getsid>{}.kill(),
                            Rule<SYS_getpgid>{}.handle([](const sg::Call<SYS_getpgid>& call) { return call.kill(); }),
                            Rule<SYS_getpriority>{}.deny(EPERM), sg::otherwise.allow()};

sg::Outcome violate(sg::Witness& witness, long number = SYS_getsid) {
    sg::Options options;
    options.witness = &witness;
    const sg::Sandbox box{policy, options};
    const auto called = box.call([number] { ::syscall(static_cast<int>(number), 0); });
    return called.outcome();
}

}  // namespace

TEST_CASE("a witness sees the call that a worker is killed for, while it waits, whoever decided it") {
    Noted witness;
    const sg::Outcome by_rule = violate(witness);
    CHECK(by_rule.kind() == Kind::violation);
    CHECK(witness.was_pending);
    CHECK(violate(witness, SYS_getpgid).kind() == Kind::violation);
    REQUIRE(witness.calls.size() == 2);
    CHECK(witness.calls[0] == "getsid");
    CHECK(witness.calls[1] == "getpgid");
    CHECK(by_rule.violation()->text() == "getsid(pid=0)");
    CHECK(by_rule.failed_handlers() == 0);
}

TEST_CASE("it sees nothing of a worker that is refused something, or has no violation") {
    Noted witness;
    CHECK(violate(witness, SYS_getpriority).kind() == Kind::returned);
    CHECK(witness.calls.empty());
}

TEST_CASE("whatever it throws, the worker is killed, and its outcome tells") {
    Noted thrower{[](const sg::AnyCall&) { throw std::runtime_error{"cannot look"}; }};
    const sg::Outcome outcome = violate(thrower);
    CHECK(outcome.kind() == Kind::violation);
    CHECK(outcome.failed_handlers() == 1);
    CHECK(outcome.handler_message() == "cannot look");
    Noted other{[](const sg::AnyCall&) { throw 5; }};
    CHECK(violate(other).handler_message() == "something that is no std::exception");
}

TEST_CASE("a call that a worker is killed for cannot be answered later") {
    Noted witness{[](const sg::AnyCall& call) { sg::Deferred later = call.defer(); }};
    const sg::Outcome outcome = violate(witness);
    CHECK(outcome.kind() == Kind::violation);
    CHECK(outcome.failed_handlers() == 1);
}

TEST_CASE("it sees what is killed by who answers later, in that thread") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    Noted witness;
    std::thread answering;
    const sg::Policy later_policy{Rule<SYS_getsid>{}.handle([&](const sg::Call<SYS_getsid>& call) {
                                      sg::Deferred later = call.defer();
                                      sg::Verdict verdict = later.pending();
                                      answering = std::thread{[later = std::move(later)]() mutable {
                                          later.answer(later.as<SYS_getsid>().kill());
                                      }};
                                      return verdict;
                                  }),
                                  sg::otherwise.allow()};
    sg::Options options;
    options.witness = &witness;
    const sg::Sandbox box{later_policy, options};
    const auto called = box.call([] { ::syscall(SYS_getsid, 0); });
    answering.join();
    CHECK(called.outcome().kind() == Kind::violation);
    CHECK(witness.calls.size() == 1);
}

TEST_CASE("a witness that takes long holds up no other worker") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    static std::atomic<int> seen{0};
    static std::atomic<bool> released{false};
    Noted witness{[](const sg::AnyCall&) {
        ++seen;
        while (!released) ::usleep(1000);
    }};
    constexpr static sg::Policy asking{
        Rule<SYS_getpriority>{sg::arg::who == 1}.kill(),
        Rule<SYS_getpriority>{}.handle([](const sg::Call<SYS_getpriority>& call) { return call.fake(7); }),
        sg::otherwise.allow()};
    sg::Options options;
    options.witness = &witness;
    const sg::Sandbox box{asking, options};
    sg::Worker held = box.spawn({support::helper("behave"), "ask", "1"});
    CHECK(support::eventually([] { return seen == 1; }));
    sg::Worker other = box.spawn({support::helper("behave"), "ask", "2"});
    CHECK(other.wait().exit_code() == 7);
    released = true;
    CHECK(held.wait().kind() == Kind::violation);
    CHECK(seen == 1);
}
