#include <sysguard/policy/text.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace policy = sysguard::policy;

TEST_CASE("a text takes a node for itself and one for each 24 bytes") {
    static_assert(policy::text_nodes(0) == 1 && policy::text_nodes(1) == 2 && policy::text_nodes(24) == 2);
    static_assert(policy::text_nodes(25) == 3);
    CHECK(policy::text_nodes(policy::most_text) == 31);
}

TEST_CASE("every byte comes out as it went in") {
    std::string text;
    for (int i = 0; i < 256; ++i) text += static_cast<char>(i);
    constexpr policy::Use use{sysguard::abi::ArgName::path, false, policy::Facet::text};
    const auto condition = policy::detail::text<use, 32>(policy::Node::Kind::equal, text);
    CHECK(condition.nodes[0].count == 256);
    CHECK(condition.size() == policy::text_nodes(256));
    std::string back;
    for (std::size_t i = 0; i < text.size(); ++i)
        back += policy::byte_of(condition.nodes[1 + i / 24].values[i % 24 / 8].bits, i);
    CHECK(back == text);
}
