#pragma once

#include "../abi/arguments.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sysguard::policy {

/// An integer as it was written, before the argument's type is known.
struct Number {
    std::uint64_t bits = 0;
    bool negative = false;
    bool highest_of_32 = false;  ///< unsigned, of 32 bits, the highest of which is set: perhaps a complement
};

/// What an argument can be compared with: an integer or an enumerator.
template <class T>
concept Comparable = (std::is_integral_v<T> && !std::is_same_v<T, bool>) || std::is_enum_v<T>;

template <Comparable T>
constexpr Number number(T value) noexcept {
    if constexpr (std::is_enum_v<T>)
        return number(static_cast<std::underlying_type_t<T>>(value));
    else
        return {static_cast<std::uint64_t>(value), value < T{},
                std::is_unsigned_v<T> && sizeof(T) == 4 && static_cast<std::uint64_t>(value) >> 31 != 0};
}

/// What of an argument a test looks at: the register itself, or something of what a pointer leads to, which only the
/// host can see.
enum class Facet : std::uint8_t {
    value,          ///< the register
    size,           ///< the register that says how many bytes the buffer has
    text,           ///< of a path: where it leads; of a string: what it says
    path,           ///< where a path leads
    family,         ///< of a socket address
    port,           ///< of a socket address
    loopback,       ///< whether a socket address is this host's loopback
    private_range,  ///< whether a socket address is of a private network
    network,        ///< the IP address of a socket address
    unix_path,      ///< of a socket address
    abstract_name,  ///< of a socket address
    bytes,          ///< the first bytes of a buffer
};

/// Whether only the host can see it.
constexpr bool is_in_memory(Facet facet) noexcept {
    return facet > Facet::size;
}

/// The width that `as<T>()` gives to an argument of type `word`.
struct Width {
    std::uint8_t bits = 0;  ///< 0: the table says
    bool is_signed = false;
};

/// One part of a condition. A tree in prefix order: a node is followed by its parts; `size` counts them all.
struct Node {
    enum class Kind : std::uint8_t {
        all,     ///< true if every part is
        any,     ///< true if one part is
        negate,  ///< true if its one part is not
        range,   ///< low <= argument <= high
        member,  ///< argument is one of the values that follow, three to a node
        values,  ///< carries values of a `member`, or 24 bytes of a text
        bits,    ///< argument & mask is not zero
        equal,   ///< the text is the one that follows
        under,   ///< the path is the one that follows, or below it
        glob,    ///< the text matches the pattern that follows (glob(7))
        prefix,  ///< the bytes begin with those that follow
        within,  ///< the address is in the network that `values` hold: two halves and the length of the prefix
    };

    Kind kind = Kind::all;
    bool masked = false;     ///< of a test: only the bits of `mask` take part
    bool low_open = false;   ///< of a range: no lower bound
    bool high_open = false;  ///< of a range: no upper bound
    Facet facet = Facet::value;
    abi::ArgName argument = abi::ArgName::none;
    std::uint16_t size = 0;
    std::uint16_t count = 0;  ///< of a member: how many values; of a text: how many bytes
    Width width{};
    Number mask{};
    Number values[3]{};  ///< of a range: low and high
};

/// The beginning of a test of an argument.
constexpr Node named(abi::ArgName argument) noexcept {
    Node node;
    node.argument = argument;
    node.size = 1;
    return node;
}

/// An argument that a condition names, whether `as<T>()` gave it a width, and what of it the condition looks at.
struct Use {
    abi::ArgName argument;
    bool has_width;
    Facet facet = Facet::value;
};

/// A condition on arguments, not yet bound to a system call. Immutable. `capacity` bounds the nodes that it has;
/// `uses` are the arguments that it names.
template <std::size_t capacity, Use... uses>
struct Condition {
    Node nodes[capacity];

    constexpr std::size_t size() const noexcept { return nodes[0].size; }
};

namespace detail {

/// Appends a tree to `target` and returns the place behind it.
template <std::size_t n, Use... uses>
constexpr Node* append(Node* target, const Condition<n, uses...>& source, std::size_t from = 0) noexcept {
    for (std::size_t i = from; i < source.size(); ++i) *target++ = source.nodes[i];
    return target;
}

/// Joins two conditions under a node of `kind`; a side of the same kind gives its parts, so that chains stay flat.
template <std::size_t n, Use... left_uses, std::size_t m, Use... right_uses>
constexpr auto join(Node::Kind kind, const Condition<n, left_uses...>& left,
                    const Condition<m, right_uses...>& right) noexcept {
    Condition<n + m + 1, left_uses..., right_uses...> joined{};
    Node* end = append(joined.nodes + 1, left, left.nodes[0].kind == kind ? 1 : 0);
    end = append(end, right, right.nodes[0].kind == kind ? 1 : 0);
    joined.nodes[0].kind = kind;
    joined.nodes[0].size = static_cast<std::uint16_t>(end - joined.nodes);
    return joined;
}

}  // namespace detail

template <std::size_t n, Use... left_uses, std::size_t m, Use... right_uses>
constexpr auto operator&&(const Condition<n, left_uses...>& left, const Condition<m, right_uses...>& right) noexcept {
    return detail::join(Node::Kind::all, left, right);
}

template <std::size_t n, Use... left_uses, std::size_t m, Use... right_uses>
constexpr auto operator||(const Condition<n, left_uses...>& left, const Condition<m, right_uses...>& right) noexcept {
    return detail::join(Node::Kind::any, left, right);
}

template <std::size_t n, Use... uses>
constexpr auto operator!(const Condition<n, uses...>& condition) noexcept {
    Condition<n + 1, uses...> negated{};
    negated.nodes[0].kind = Node::Kind::negate;
    negated.nodes[0].size = static_cast<std::uint16_t>(detail::append(negated.nodes + 1, condition) - negated.nodes);
    return negated;
}

}  // namespace sysguard::policy
