#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <utility>
#include <vector>

#include <sys/syscall.h>

namespace sg = sysguard;
using sg::Rule;
using sg::policy::SharedContext;

namespace {

struct Counted {
    explicit Counted(int& of) : living{&of} { ++*living; }
    Counted(const Counted& other) : living{other.living} { ++*living; }
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --*living; }
    int* living;
};

int priority() {
    return static_cast<int>(::syscall(SYS_getpriority, 0, 0));
}

}  // namespace

TEST_CASE("a context lives as long as one share of it") {
    int living = 0;
    {
        std::optional<SharedContext> first{SharedContext::make(Counted{living})};
        CHECK(living == 1);
        SharedContext second{*first};
        first.reset();
        CHECK(living == 1);
        CHECK(second.get<Counted>()->living == &living);
        const SharedContext third{std::move(second)};
        CHECK(living == 1);
    }
    CHECK(living == 0);
}

TEST_CASE("what a handler captured lives as long as a policy or a sandbox made of it") {
    int living = 0;
    std::vector<sg::Sandbox> box;
    {
        const Counted counted{living};
        const auto group =
            sg::Rules{sg::allow<SYS_getpid>, Rule<SYS_getpriority>{}.handle([counted](const sg::AnyCall& call) {
                          return call.fake(40 + *counted.living);
                      })};
        const sg::Policy policy{group, sg::otherwise.allow()};
        box.emplace_back(policy);
    }
    CHECK(living == 1);
    CHECK(*box[0].call(priority) == 41);
    box.clear();
    CHECK(living == 0);
}

TEST_CASE("a handler without captures is a part of a constant policy") {
    static constexpr sg::Policy policy{Rule<SYS_getpriority>{}.handle([](const sg::Call<SYS_getpriority>& call) {
                                           return call.fake(call[sg::arg::which] + 5);
                                       }),
                                       sg::otherwise.allow()};
    static_assert(policy.decide<SYS_getpriority>(0, 0) == sg::Action::handle);
    CHECK(*sg::Sandbox{policy}.call(priority) == 5);
}

TEST_CASE("rules of the same call with different handlers are different rules") {
    CHECK_THROWS_AS((sg::Policy{Rule<SYS_getpriority>{}.handle([](const sg::AnyCall& call) { return call.fake(1); }),
                                Rule<SYS_getpriority>{}.handle([](const sg::AnyCall& call) { return call.fake(2); }),
                                sg::otherwise.allow()}),
                    sg::Error);
}
