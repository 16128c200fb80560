#include <sysguard/filter/diagram.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;
using sg::filter::Diagram;

namespace {

Diagram::Node call(Diagram& diagram, const sg::policy::View& view, int number) {
    return diagram.call(view, number, [&](const sg::Decision& decision) {
        return diagram.end(static_cast<std::uint32_t>(decision.action) << 16 |
                           static_cast<std::uint32_t>(decision.value));
    });
}

}  // namespace

TEST_CASE("the same function is the same node, however it is written") {
    constexpr sg::Policy policy{Rule<SYS_kill>{arg::sig.in(1, 2, 3, 4)}.allow(),
                                Rule<SYS_tgkill>{!(arg::sig < 1 || arg::sig > 4)}.allow(),
                                Rule<SYS_read>{arg::count != 7}.allow(),
                                Rule<SYS_write>{arg::count == 7}.kill(),
                                sg::allow<SYS_write>,
                                sg::otherwise.kill()};
    Diagram diagram;
    Diagram::Node in = Diagram::no;
    for (const std::uint64_t value : {3ULL, 1ULL, 4ULL, 2ULL})
        in = diagram.choose(diagram.range(2, 0xffffffff, value, value), Diagram::yes, in);
    CHECK(in == diagram.range(2, 0xffffffff, 1, 4));
    CHECK(in != diagram.range(1, 0xffffffff, 1, 4));
    CHECK(in != diagram.range(2, ~0ULL, 1, 4));
    CHECK(diagram.range(0, 0, 0, 0) == Diagram::yes);
    CHECK(diagram.range(0, 0xf0, 1, 0x0f) == Diagram::no);
    CHECK(diagram.range(0, ~0ULL, 0, ~0ULL) == Diagram::yes);
    CHECK(call(diagram, policy.view(), SYS_read) == call(diagram, policy.view(), SYS_write));
    CHECK_FALSE(diagram.difference(in, in));
    CHECK(diagram.complete());
}

TEST_CASE("registers are found for which two functions differ") {
    constexpr sg::Policy policy{Rule<SYS_read>{arg::count <= 5}.allow(), Rule<SYS_write>{arg::count <= 6}.allow(),
                                sg::otherwise.kill()};
    Diagram diagram;
    const auto data =
        diagram.difference(call(diagram, policy.view(), SYS_read), call(diagram, policy.view(), SYS_write));
    REQUIRE(data);
    CHECK(data->args[2] == 6);
    CHECK(diagram.complete());
}

TEST_CASE("what would need too much room is not said") {
    Diagram diagram;
    // Whether the first argument is the second: with one after the other, all of the first has to be kept in mind.
    Diagram::Node same = Diagram::yes;
    for (unsigned bit = 0; bit < 40 && diagram.complete(); ++bit) {
        const std::uint64_t mask = 1ULL << bit;
        const Diagram::Node a = diagram.range(0, mask, mask, mask);
        const Diagram::Node b = diagram.range(1, mask, mask, mask);
        const Diagram::Node both = diagram.choose(a, b, diagram.choose(b, Diagram::no, Diagram::yes));
        same = diagram.choose(same, both, Diagram::no);
    }
    CHECK_FALSE(diagram.complete());
}
