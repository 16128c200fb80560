#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sysguard::policy {

/// An IP address: sixteen bytes in network order as two words, the first byte topmost. An IPv4 address is written as
/// IPv4-mapped, ::ffff:a.b.c.d (RFC 4291, 2.5.5.2): Linux takes the two for the same destination.
struct IpAddress {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
};

constexpr bool is_ipv4(std::uint64_t high, std::uint64_t low) noexcept {
    return high == 0 && low >> 32 == 0xffff;
}

/// The IPv4 address whose four bytes in network order are `bytes`, the first one topmost.
constexpr IpAddress ipv4(std::uint32_t bytes) noexcept {
    return {0, std::uint64_t{0xffff} << 32 | bytes};
}

/// The addresses that begin with the same bits. `prefix` counts the bits of the form with 128: of an IPv4 network, 96
/// more than people write.
struct Network {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    unsigned prefix = 0;

    /// An IPv6 network holds no IPv4 address, also where it encloses ::ffff:0:0/96: `::/0` is all of IPv6, and who
    /// means IPv4 too says `0.0.0.0/0`.
    constexpr bool contains(std::uint64_t address_high, std::uint64_t address_low) const noexcept {
        if (prefix < 96 && is_ipv4(address_high, address_low)) return false;
        return (address_high & mask(prefix)) == high && (address_low & mask(prefix < 64 ? 0 : prefix - 64)) == low;
    }

    /// The topmost `bits` bits of a word.
    static constexpr std::uint64_t mask(unsigned bits) noexcept {
        if (bits == 0) return 0;
        return bits >= 64 ? ~std::uint64_t{0} : ~std::uint64_t{0} << (64 - bits);
    }
};

namespace detail {

/// A decimal number as people write it in addresses: a leading zero would be octal to some readers.
constexpr bool parse_decimal(std::string_view text, unsigned most, unsigned& value) noexcept {
    if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return false;
    value = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9') return false;
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    return value <= most;
}

constexpr bool parse_group(std::string_view text, std::uint64_t& value) noexcept {
    if (text.empty() || text.size() > 4) return false;
    value = 0;
    for (const char digit : text) {
        unsigned number = 16;
        if (digit >= '0' && digit <= '9') number = static_cast<unsigned>(digit - '0');
        if (digit >= 'a' && digit <= 'f') number = static_cast<unsigned>(digit - 'a') + 10;
        if (digit >= 'A' && digit <= 'F') number = static_cast<unsigned>(digit - 'A') + 10;
        if (number == 16) return false;
        value = value * 16 + number;
    }
    return true;
}

constexpr bool parse_ipv4(std::string_view text, std::uint32_t& bytes) noexcept {
    bytes = 0;
    for (int i = 0; i < 4; ++i) {
        const std::size_t dot = text.find('.');
        if ((dot == std::string_view::npos) != (i == 3)) return false;
        unsigned byte = 0;
        if (!parse_decimal(text.substr(0, dot), 255, byte)) return false;
        bytes = bytes << 8 | byte;
        if (i < 3) text.remove_prefix(dot + 1);
    }
    return true;
}

/// RFC 4291, 2.2: all three forms.
constexpr bool parse_ipv6(std::string_view text, IpAddress& address) noexcept {
    std::uint64_t groups[8]{};
    unsigned count = 0;
    constexpr unsigned nowhere = 9;
    unsigned gap = nowhere;  // how many groups stand before "::"
    if (text.substr(0, 2) == "::") {
        gap = 0;
        text.remove_prefix(2);
    }
    while (!text.empty()) {
        const std::size_t colon = text.find(':');
        const std::string_view group = text.substr(0, colon);
        if (colon == std::string_view::npos && group.find('.') != std::string_view::npos) {
            std::uint32_t bytes = 0;
            if (count > 6 || !parse_ipv4(group, bytes)) return false;
            groups[count++] = bytes >> 16;
            groups[count++] = bytes & 0xffff;
            break;
        }
        if (count == 8 || !parse_group(group, groups[count])) return false;
        ++count;
        if (colon == std::string_view::npos) break;
        text.remove_prefix(colon + 1);
        if (text.empty()) return false;
        if (text[0] != ':') continue;
        if (gap != nowhere) return false;
        gap = count;
        text.remove_prefix(1);
    }
    if ((gap == nowhere) != (count == 8)) return false;
    std::uint64_t words[2]{};
    for (unsigned i = 0; i < 8; ++i) {
        const unsigned left_out = 8 - count;
        const std::uint64_t group = i < gap ? groups[i] : i < gap + left_out ? 0 : groups[i - left_out];
        words[i / 4] = words[i / 4] << 16 | group;
    }
    address = {words[0], words[1]};
    return true;
}

}  // namespace detail

struct ParsedNetwork {
    Network network{};
    bool ok = false;
};

/// A network from its text: "10.0.0.0/8", "fc00::/7", and an address by itself, which is a network of one. Not `ok`
/// where the text is anything else: a name, a zone ("fe80::1%eth0"), a number with a leading zero, or an address that
/// has bits set behind its prefix ("10.1.2.3/8"), of which nobody knows which half was meant.
constexpr ParsedNetwork parse_network(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    const std::string_view address_text = text.substr(0, slash);
    const bool short_form = address_text.find(':') == std::string_view::npos;
    IpAddress address;
    if (short_form) {
        std::uint32_t bytes = 0;
        if (!detail::parse_ipv4(address_text, bytes)) return {};
        address = ipv4(bytes);
    } else if (!detail::parse_ipv6(address_text, address)) {
        return {};
    }
    const unsigned most = short_form ? 32 : 128;
    unsigned prefix = most;
    if (slash != std::string_view::npos && !detail::parse_decimal(text.substr(slash + 1), most, prefix)) return {};
    if (short_form) prefix += 96;
    const Network network{address.high & Network::mask(prefix),
                          address.low & Network::mask(prefix < 64 ? 0 : prefix - 64), prefix};
    return {network, network.high == address.high && network.low == address.low};
}

/// 0.0.0.0 and :: (and ::ffff:0.0.0.0).
constexpr bool is_unspecified(std::uint64_t high, std::uint64_t low) noexcept {
    return high == 0 && (low == 0 || low == ipv4(0).low);
}

/// Whether a destination is this host by its own name for itself: 127.0.0.0/8 (RFC 1122, 3.2.1.3), ::1 (RFC 4291), and
/// the unspecified addresses. Those are no destination by the standards, but Linux connects them to the local host: to
/// the address that the socket is bound to, otherwise to 127.0.0.1 or ::1. As an address to bind, they mean every
/// address of the host: ask `is_unspecified` first.
constexpr bool is_loopback(std::uint64_t high, std::uint64_t low) noexcept {
    return is_unspecified(high, low) || (high == 0 && low == 1) || (is_ipv4(high, low) && (low >> 24 & 0xff) == 127);
}

namespace detail {

/// The IPv4 address inside an IPv6 address to which a gateway or a tunnel hands the packet: NAT64 (64:ff9b::/96, RFC
/// 6052), 6to4 (2002::/16, RFC 3056), and the deprecated IPv4-compatible addresses (::/96, RFC 4291). An unspecified
/// address where there is none.
constexpr IpAddress embedded_ipv4(std::uint64_t high, std::uint64_t low) noexcept {
    if (high == 0x0064'ff9b'0000'0000 && low >> 32 == 0) return ipv4(static_cast<std::uint32_t>(low));
    if (high >> 48 == 0x2002) return ipv4(static_cast<std::uint32_t>(high >> 16));
    if (high == 0 && low >> 32 == 0 && low > 1) return ipv4(static_cast<std::uint32_t>(low));
    return {};
}

inline constexpr Network private_networks[] = {
    parse_network("10.0.0.0/8").network,      // RFC 1918
    parse_network("172.16.0.0/12").network,   // RFC 1918
    parse_network("192.168.0.0/16").network,  // RFC 1918
    parse_network("100.64.0.0/10").network,   // RFC 6598
    parse_network("169.254.0.0/16").network,  // RFC 3927
    parse_network("fe80::/10").network,       // RFC 4291, 2.5.6
    parse_network("fc00::/7").network,        // RFC 4193
    parse_network("64:ff9b:1::/48").network,  // RFC 8215
};

constexpr bool is_in_private_network(std::uint64_t high, std::uint64_t low) noexcept {
    for (const Network& network : private_networks)
        if (network.contains(high, low)) return true;
    return false;
}

}  // namespace detail

/// Whether an address belongs to a network that the internet does not reach: the private networks of RFC 1918 and RFC
/// 4193, link-local addresses (where clouds keep their machines' credentials), the space that providers share behind
/// their NAT (RFC 6598), which clouds and overlay networks use as a private one, and the translators' own (RFC 8215).
///
/// Loopback is not private. IPv6 addresses that a gateway turns into IPv4 (NAT64, 6to4, IPv4-compatible) are private
/// where the IPv4 address inside is private or loopback: what looks global must not lead inside. Elsewhere they count
/// as what they are: `Network::contains` and `is_loopback` do not look into them. Multicast and broadcast addresses are
/// neither private nor loopback.
constexpr bool is_private(std::uint64_t high, std::uint64_t low) noexcept {
    const IpAddress inner = detail::embedded_ipv4(high, low);
    return detail::is_in_private_network(high, low) || detail::is_in_private_network(inner.high, inner.low) ||
           (is_ipv4(inner.high, inner.low) && is_loopback(inner.high, inner.low));
}

}  // namespace sysguard::policy
