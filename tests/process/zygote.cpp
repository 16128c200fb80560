#include <sysguard/policy.hpp>
#include <sysguard/process/zygote.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/skip.hpp"

namespace sg = sysguard;
using sg::process::Child;
using sg::process::Confinement;
using sg::process::Descriptor;
using sg::process::Order;
using sg::process::ResultArea;
using sg::process::Zygote;

namespace {

constexpr sg::Policy silent{sg::otherwise.allow()};

void say(const void* data, void* area) {
    auto& own = *static_cast<ResultArea*>(area);
    own.header().size = *static_cast<const std::uint64_t*>(data);
    own.header().state = ResultArea::State::returned;
}

/// What a worker of the same user finds of the zygote, whose id is the data.
void attack(const void* data, void* area) {
    auto& own = *static_cast<ResultArea*>(area);
    const auto zygote = *static_cast<const std::uint64_t*>(data);
    const std::string memory = "/proc/" + std::to_string(zygote) + "/mem";
    own.header().size = ::open(memory.c_str(), O_RDWR) >= 0 ? 1 : static_cast<std::uint64_t>(errno) + 1000;
    own.header().state = ResultArea::State::returned;
}

ResultArea::Header run(Zygote& zygote, Zygote::Entry entry, std::uint64_t number, const sg::Launch& launch = {}) {
    const Confinement confinement{silent.view(), silent.program(), {}};
    Descriptor memory;
    ResultArea area{1024, &memory};
    Child child;
    Order order = Order::function(confinement, launch, child, zygote.address_space());
    zygote.start(order, area, memory, child, entry, &number, sizeof number);
    order.finish_start();
    CHECK(child.started());
    CHECK(child.wait().exited);
    return area.read_header();
}

}  // namespace

TEST_CASE("an entry runs with its data in a child of the host, which reaps it") {
    SYSGUARD_SKIP_SANITIZED();
    Zygote zygote;
    for (std::uint64_t i = 0; i < 20; ++i) {
        const ResultArea::Header header = run(zygote, say, i);
        CHECK(header.state == ResultArea::State::returned);
        CHECK(header.size == i);
    }
    const ResultArea::Header failed = run(zygote, say, 1, {.directory = "/nowhere"});
    CHECK(failed.state == ResultArea::State::failed_to_start);
    CHECK(failed.error == ENOENT);
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == 0);  // the zygote, which lives
}

TEST_CASE("a worker of an ordinary user does not get at the zygote") {
    SYSGUARD_SKIP_SANITIZED();
    if (::geteuid() == 0) SYSGUARD_SKIP("root may look into any process");
    Zygote zygote;
    CHECK(run(zygote, attack, static_cast<std::uint64_t>(zygote.pid())).size == 1000 + EACCES);
    CHECK(run(zygote, attack, static_cast<std::uint64_t>(::getpid())).size != 0);
}

TEST_CASE("code that the zygote does not have is known") {
    SYSGUARD_SKIP_SANITIZED();
    const Zygote zygote;
    CHECK_NOTHROW(zygote.require(reinterpret_cast<const void*>(say)));
    CHECK_NOTHROW(zygote.require(reinterpret_cast<const void*>(::getpid)));
    int local = 0;
    CHECK_THROWS_AS(zygote.require(&local), sg::Error);
    CHECK_THROWS_AS(zygote.require(nullptr), sg::Error);
}

TEST_CASE("a plan that holds too much is refused") {
    const Confinement confinement{silent.view(), silent.program(), {}};
    Child child;
    Order order = Order::function(confinement, {}, child);
    alignas(64) static unsigned char small[1024];
    sg::process::detail::PlanImage image{small, sizeof small};
    CHECK(image.fill(order.plan()) == E2BIG);
    alignas(64) static unsigned char large[131072];
    sg::process::detail::PlanImage other{large, sizeof large};
    CHECK(other.fill(order.plan()) == 0);
    CHECK(other.descriptor_count() == 4);  // input, output, error, and the channel for the listener
    sg::process::detail::Plan in_host = order.plan();
    in_host.status = 1;
    CHECK(other.fill(in_host) == ENOTSUP);
}
