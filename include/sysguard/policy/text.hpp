#pragma once

#include "condition.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sysguard::policy {

/// How many bytes of a text one node carries.
inline constexpr std::size_t node_text = 24;

/// The longest text of a condition whose length is not known to the compiler.
inline constexpr std::size_t most_text = 30 * node_text;

/// The nodes that a text takes, with the test that it belongs to.
constexpr std::size_t text_nodes(std::size_t length) noexcept {
    return 1 + (length + node_text - 1) / node_text;
}

/// The `index`-th byte of a text that is packed into words of eight bytes.
constexpr char byte_of(std::uint64_t word, std::size_t index) noexcept {
    return static_cast<char>(word >> (8 * (index % 8)) & 0xff);
}

namespace detail {

template <Use use, std::size_t capacity>
constexpr Condition<capacity, use> text(Node::Kind kind, std::string_view text) noexcept {
    Condition<capacity, use> condition{};
    Node& test = condition.nodes[0];
    test.kind = kind;
    test.facet = use.facet;
    test.argument = use.argument;
    test.count = static_cast<std::uint16_t>(text.size());
    test.size = static_cast<std::uint16_t>(text_nodes(text.size()));
    for (std::size_t i = 1; i < test.size; ++i) condition.nodes[i].kind = Node::Kind::values;
    for (std::size_t i = 0; i < text.size(); ++i)
        condition.nodes[1 + i / node_text].values[i % node_text / 8].bits |=
            static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * (i % 8));
    return condition;
}

}  // namespace detail

}  // namespace sysguard::policy
