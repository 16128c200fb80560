#include <sysguard/policy/knowledge.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>

namespace sg = sysguard;
using sg::policy::Knowledge;
using sg::policy::Known;

namespace {

constexpr std::size_t size(const Knowledge& knowledge) noexcept {
    return static_cast<std::size_t>(knowledge.end() - knowledge.begin());
}

}  // namespace

TEST_CASE("nothing is known at first, and then what was added, in that order") {
    static_assert(size(Knowledge{}) == 0);
    constexpr Known read_only{sg::abi::ArgName::flags, 3, 0, false};
    constexpr Known not_hidden{sg::abi::ArgName::mode, 0777, 0, true};
    static_assert(size(Knowledge{read_only}) == 1);
    Knowledge knowledge{read_only, not_hidden};
    for (int i = 2; i < 6; ++i) knowledge.add({sg::abi::ArgName::fd, 1, static_cast<std::uint64_t>(i), false});
    REQUIRE(size(knowledge) == 6);
    const Known* const list = knowledge.begin();
    CHECK(list[0].argument == sg::abi::ArgName::flags);
    CHECK(list[0].mask == 3);
    CHECK_FALSE(list[0].differs);
    CHECK(list[1].argument == sg::abi::ArgName::mode);
    CHECK(list[1].differs);
    CHECK(list[5].value == 5);
}
