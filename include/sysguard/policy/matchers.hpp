#pragma once

#include "mistakes.hpp"
#include "network.hpp"
#include "operand.hpp"
#include "text.hpp"

#include <cstddef>
#include <string_view>
#include <type_traits>

namespace sysguard::policy {

/// What a text is compared with: a literal, of whose length a condition makes just the room, or a string of run time,
/// of at most `most_text` bytes. It is copied into the condition.
template <class T>
concept Text = std::is_convertible_v<const T&, std::string_view> && !std::is_null_pointer_v<T>;

namespace detail {

template <class T>
inline constexpr std::size_t nodes_of_text = text_nodes(most_text);

template <std::size_t n>
inline constexpr std::size_t nodes_of_text<char[n]> = text_nodes(n - 1);

template <Use use, class T>
constexpr auto match(Node::Kind kind, const T& text) {
    const std::string_view view{text};
    if (view.size() > most_text) mistake::text_is_longer_than_a_condition_holds(use.argument);
    return detail::text<use, nodes_of_text<T>>(kind, view);
}

/// A path to compare with is one that a resolved path can be: absolute, without `.` and `..` and double slashes.
constexpr std::string_view check_path(abi::ArgName argument, std::string_view path) {
    bool good = !path.empty() && path[0] == '/' && path.find('\0') == path.npos;
    for (std::size_t from = 0; from < path.size();) {
        std::size_t to = path.find('/', from + 1);
        if (to == path.npos) to = path.size();
        const std::string_view part = path.substr(from + 1, to - from - 1);
        good = good && part != "." && part != ".." && !(part.empty() && to < path.size());
        from = to;
    }
    if (!good) mistake::path_to_compare_with_is_not_absolute_or_not_plain(argument);
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    return path;
}

template <Use use, class T>
constexpr auto match_path(Node::Kind kind, const T& text) {
    const std::string_view path = check_path(use.argument, std::string_view{text});
    if (path.size() > most_text) mistake::text_is_longer_than_a_condition_holds(use.argument);
    return detail::text<use, nodes_of_text<T>>(kind, path);
}

constexpr void require_pattern(abi::ArgName argument, std::string_view pattern) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\' && ++i == pattern.size()) mistake::pattern_ends_in_the_middle(argument);
        if (pattern[i] != '[') continue;
        std::size_t end = i + 1;
        if (end < pattern.size() && (pattern[end] == '!' || pattern[end] == '^')) ++end;
        if (end < pattern.size() && pattern[end] == ']') ++end;
        while (end < pattern.size() && pattern[end] != ']') ++end;
        if (end >= pattern.size()) mistake::pattern_ends_in_the_middle(argument);
        i = end;
    }
}

/// One bit of an address that is a yes or a no.
template <Use use>
constexpr Condition<1, use> holds() noexcept {
    Node node;
    node.argument = use.argument;
    node.facet = use.facet;
    node.size = 1;
    return range<use>(node, false, Number{1, false}, false, Number{1, false});
}

template <Use use>
constexpr Condition<1, use> within(std::string_view text) {
    const ParsedNetwork parsed = parse_network(text);
    if (!parsed.ok) mistake::text_is_no_network(use.argument);
    Node node;
    node.kind = Node::Kind::within;
    node.argument = use.argument;
    node.facet = use.facet;
    node.size = 1;
    node.values[0].bits = parsed.network.high;
    node.values[1].bits = parsed.network.low;
    node.values[2].bits = parsed.network.prefix;
    return {{node}};
}

template <abi::ArgName name, Facet facet>
constexpr auto facet_of() noexcept {
    Node node = named(name);
    node.facet = facet;
    return Operand<Use{name, false, facet}>{node};
}

/// An IP address in a network, to one of some ports, or to any where none is given.
template <abi::ArgName name, class... Port>
constexpr auto in_network(std::string_view network, Port... ports) {
    auto address = within<Use{name, false, Facet::network}>(network);
    if constexpr (sizeof...(Port) == 0)
        return address;
    else
        return address && facet_of<name, Facet::port>().in(ports...);
}

}  // namespace detail

/// A text that an argument leads to: compared with `==` and `!=`, `.under(path)` and `.glob(pattern)`.
template <Use used>
struct TextOperand {
    /// True for the path itself and for all that lies below it.
    template <Text T>
    constexpr auto under(const T& path) const {
        return detail::match_path<used>(Node::Kind::under, path);
    }

    /// True where the whole text matches the pattern: `*` and `?` stand for no slash, `**` for anything, `[a-z]` for
    /// one of a set, a backslash takes a character as it is.
    template <Text T>
    constexpr auto glob(const T& pattern) const {
        detail::require_pattern(used.argument, std::string_view{pattern});
        return detail::match<used>(Node::Kind::glob, pattern);
    }

    template <Text T>
    friend constexpr auto operator==(const TextOperand&, const T& text) {
        if constexpr (used.facet == Facet::path || used.facet == Facet::unix_path)
            return detail::match_path<used>(Node::Kind::equal, text);
        else
            return detail::match<used>(Node::Kind::equal, text);
    }

    template <Text T>
    friend constexpr auto operator!=(const TextOperand& operand, const T& text) {
        return !(operand == text);
    }
};

/// Matchers for what an argument leads to. The host evaluates them on a copy; a call that such a rule allows, the host
/// performs on that copy (policy/performable.hpp), as the worker could change the memory after the check.
/// Those of names that lead nowhere are Matchers<ArgName::none>: no rule takes what they return.
template <abi::ArgName name>
struct Matchers {
    /// Of a path, as the kernel would resolve it for the worker at this moment: `arg::path == "/etc/passwd"` is true
    /// for every way to write it, through `..` and symbolic links too.
    template <Text T>
    constexpr auto under(const T& path) const {
        return TextOperand<Use{name, false, Facet::path}>{}.under(path);
    }
    template <Text T>
    constexpr auto glob(const T& pattern) const {
        return TextOperand<Use{name, false, Facet::text}>{}.glob(pattern);
    }

    /// Of a buffer that the call reads.
    template <Text T>
    constexpr auto starts_with(const T& bytes) const {
        return detail::match<Use{name, false, Facet::bytes}>(Node::Kind::prefix, bytes);
    }

    /// How long the caller says that a buffer is, in bytes. A register: the kernel decides.
    constexpr auto size() const noexcept { return detail::facet_of<name, Facet::size>(); }

    /// Of a socket address: AF_*.
    constexpr auto family() const noexcept { return detail::facet_of<name, Facet::family>(); }

    /// Of an IPv4 or IPv6 address, in the host's byte order; of others 0.
    constexpr auto port() const noexcept { return detail::facet_of<name, Facet::port>(); }

    /// True where an IP address leads to this very machine (SocketAddress::is_loopback).
    constexpr auto is_loopback() const noexcept { return detail::holds<Use{name, false, Facet::loopback}>(); }

    /// True where an IP address is of a private network (SocketAddress::is_private).
    constexpr auto is_private() const noexcept { return detail::holds<Use{name, false, Facet::private_range}>(); }

    /// Of an AF_UNIX address: the path, as the kernel resolves it.
    constexpr auto unix_path() const noexcept { return TextOperand<Use{name, false, Facet::unix_path}>{}; }

    /// Of an AF_UNIX address: the name in the abstract namespace, without its leading zero byte.
    constexpr auto abstract_name() const noexcept { return TextOperand<Use{name, false, Facet::abstract_name}>{}; }
};

/// An argument by its name: the objects in namespace `sysguard::arg`.
/// `lead`: the name again, where the argument leads to something in a call.
template <abi::ArgName name, abi::ArgName lead = abi::ArgName::none>
struct Argument : Matchers<lead> {
    static constexpr Use use{name, false};
    static constexpr bool compares_texts = true;

    /// True where the argument is one of the values: `arg::domain.in(AF_INET, AF_INET6)`. Of a socket address: in a
    /// network, and to one of the ports: `arg::addr.in("10.0.0.0/8", 443)`.
    template <class First, class... More>
    constexpr auto in(const First& first, const More&... more) const {
        if constexpr (Text<First>)
            return detail::in_network<name>(std::string_view{first}, more...);
        else
            return plain().in(first, more...);
    }

    /// True where low <= argument <= high.
    template <class L, class H>
    constexpr auto between(L low, H high) const noexcept {
        return plain().between(low, high);
    }

    /// Gives a width and a sign to an argument whose type another argument decides (`arg` of fcntl, `arg2` of prctl):
    /// `arg::arg2.as<int>() == SIGKILL`. Take the type that the kernel reads there.
    template <class T>
    constexpr auto as() const noexcept {
        static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>, "as<T>() takes an integer type");
        Node wide = node();
        wide.width = Width{sizeof(T) * 8, std::is_signed_v<T>};
        return Operand<Use{name, true}>{wide};
    }

    constexpr Node node() const noexcept { return named(name); }

private:
    constexpr auto plain() const noexcept { return Operand<Use{name, false}>{node()}; }
};

template <abi::ArgName name, abi::ArgName lead, Text T>
constexpr auto operator==(const Argument<name, lead>&, const T& text) {
    return TextOperand<Use{name, false, Facet::text}>{} == text;
}

template <abi::ArgName name, abi::ArgName lead, Text T>
constexpr auto operator!=(const Argument<name, lead>& argument, const T& text) {
    return !(argument == text);
}

}  // namespace sysguard::policy

namespace sysguard::arg {

/// The arguments of all system calls, by the names that abi/syscalls.def gives them: `arg::domain == AF_INET`.
/// A rule takes only the arguments that its call has; any other name does not compile.
#define SYSGUARD_ARGUMENT(name) inline constexpr policy::Argument<abi::ArgName::name> name{};
#define SYSGUARD_LEADING_ARGUMENT(name) \
    inline constexpr policy::Argument<abi::ArgName::name, abi::ArgName::name> name{};
#include "../abi/arguments.def"
#undef SYSGUARD_ARGUMENT

}  // namespace sysguard::arg
