#include <sysguard/policy.hpp>
#include <sysguard/process/order.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "support/skip.hpp"

namespace sg = sysguard;
using namespace sg::literals;
using namespace std::chrono_literals;
using sg::process::Child;
using sg::process::Confinement;
using sg::process::Order;

namespace {

constexpr sg::Policy asking{sg::otherwise.kill()};
constexpr sg::Policy silent{sg::foreign.kill_now(), sg::otherwise.kill_now()};

const rlimit* limit(const sg::process::detail::Plan& plan, int resource) {
    for (std::size_t i = 0; i < plan.limit_count; ++i)
        if (plan.limits[i].resource == resource) return &plan.limits[i].value;
    return nullptr;
}

}  // namespace

TEST_CASE("a plan for a program") {
    const Confinement confinement{asking.view(), asking.program(), {.limits = {.memory = 64_MiB, .cpu = 100ms}}};
    Child child;
    Order order = Order::program(confinement, {"/bin/true", "x"}, {.environment = {"A=b"}, .directory = "/tmp"}, child);
    const auto& plan = order.plan();
    CHECK(std::strcmp(plan.path, "/bin/true") == 0);
    CHECK(std::strcmp(plan.argv[1], "x") == 0);
    CHECK(plan.argv[2] == nullptr);
    CHECK(std::strcmp(plan.envp[0], "A=b") == 0);
    CHECK(plan.envp[1] == nullptr);
    CHECK(std::strcmp(plan.directory, "/tmp") == 0);
    CHECK(plan.wants_listener);
    CHECK(plan.channel > 2);
    CHECK(plan.pass != 0);
    REQUIRE(limit(plan, RLIMIT_AS) != nullptr);
    CHECK(limit(plan, RLIMIT_AS)->rlim_cur == 64_MiB);
    CHECK(limit(plan, RLIMIT_CPU)->rlim_cur == 1);
    rlimit own{};
    ::getrlimit(RLIMIT_CORE, &own);
    const rlim_t no_core_dump = own.rlim_max == 0 ? 0 : 1;  // at 0 a core_pattern with a pipe gets them
    CHECK(limit(plan, RLIMIT_CORE)->rlim_cur == no_core_dump);
    CHECK(limit(plan, RLIMIT_CORE)->rlim_max == no_core_dump);
    CHECK(limit(plan, RLIMIT_NPROC) == nullptr);
}

TEST_CASE("each start has a pass of its own") {
    const Confinement confinement{silent.view(), silent.program(), {}};
    Child first;
    Child second;
    Order one = Order::program(confinement, {"/bin/true"}, {}, first);
    Order two = Order::program(confinement, {"/bin/true"}, {}, second);
    CHECK(one.plan().pass != two.plan().pass);
    CHECK_FALSE(one.plan().wants_listener);
    CHECK(one.plan().channel == -1);
}

TEST_CASE("the pass is forgotten when the program has started") {
    const Confinement confinement{silent.view(), silent.program(), {}};
    sg::process::Child child;
    Order order = Order::program(confinement, {"/bin/true"}, {}, child);
    const std::uint64_t pass = order.plan().pass;
    REQUIRE(pass != 0);
    const auto holds = [&] {
        const sg::process::detail::Plan& plan = order.plan();
        for (std::size_t i = 0; i < plan.filter_size; ++i)
            if (plan.filter[i].k == static_cast<std::uint32_t>(pass)) return true;
        return plan.pass != 0;
    };
    CHECK(holds());
    order.finish_start();
    CHECK_FALSE(holds());
}

TEST_CASE("a function's memory comes on top of what it shares with the host") {
    const Confinement confinement{silent.view(), silent.program(), {.limits = {.memory = 64_MiB}}};
    Child child;
    Order order = Order::function(confinement, {}, child);
    CHECK(limit(order.plan(), RLIMIT_AS)->rlim_cur > 65_MiB);
    CHECK(order.plan().path == nullptr);
}

TEST_CASE("descriptors are sorted, and the channel is none of them") {
    const Confinement confinement{asking.view(), asking.program(), {}};
    Child child;
    Order order =
        Order::function(confinement, {.output = sg::Stdio::capture(), .descriptors = {{0, 50}, {0, 7}}}, child);
    const auto& plan = order.plan();
    REQUIRE(plan.move_count == 5);
    for (std::size_t i = 1; i < plan.move_count; ++i) CHECK(plan.moves[i - 1].to < plan.moves[i].to);
    for (std::size_t i = 0; i < plan.move_count; ++i) CHECK(plan.channel != plan.moves[i].to);
    CHECK(child.output);
    CHECK(child.channel);
    const int channel = plan.channel;
    order.finish_start();
    CHECK(::fcntl(channel, F_GETFD) == -1);
}

TEST_CASE("a worker is to enter the sandbox's Landlock ruleset") {
    const Confinement plain{silent.view(), silent.program(), {}};
    Child child;
    CHECK(Order::function(plain, {}, child).plan().ruleset == -1);
    if (!sg::process::LandlockSupport{}.offer(sg::Layer::file_access)) SYSGUARD_SKIP("this kernel has no Landlock");
    const Confinement held{silent.view(), silent.program(), {.files = sg::Files::none()}};
    Child other;
    CHECK(Order::function(held, {}, other).plan().ruleset == held.landlock().ruleset());
    CHECK(held.landlock().ruleset() > 2);
}
