#include <sysguard/policy/network.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace policy = sysguard::policy;
using policy::IpAddress;

namespace {

constexpr IpAddress address(std::string_view text) {
    const policy::ParsedNetwork parsed = policy::parse_network(text);
    if (!parsed.ok || parsed.network.prefix != 128) throw "no address";
    return {parsed.network.high, parsed.network.low};
}

constexpr bool contains(std::string_view network, std::string_view text) {
    const policy::ParsedNetwork parsed = policy::parse_network(network);
    if (!parsed.ok) throw "no network";
    return parsed.network.contains(address(text).high, address(text).low);
}

constexpr bool is(std::string_view text, std::uint64_t high, std::uint64_t low, unsigned prefix) {
    const policy::ParsedNetwork parsed = policy::parse_network(text);
    return parsed.ok && parsed.network.high == high && parsed.network.low == low && parsed.network.prefix == prefix;
}

constexpr bool is_loopback(std::string_view text) {
    return policy::is_loopback(address(text).high, address(text).low);
}

constexpr bool is_private(std::string_view text) {
    return policy::is_private(address(text).high, address(text).low);
}

static_assert(is("127.0.0.1", 0, 0xffff7f000001, 128));
static_assert(is("10.0.0.0/8", 0, 0xffff0a000000, 104));
static_assert(is("0.0.0.0/0", 0, 0xffff00000000, 96));
static_assert(is("255.255.255.255/32", 0, 0xffffffffffff, 128));
static_assert(is("::", 0, 0, 128));
static_assert(is("::/0", 0, 0, 0));
static_assert(is("::1", 0, 1, 128));
static_assert(is("fc00::/7", 0xfc00000000000000, 0, 7));
static_assert(is("2001:db8::/32", 0x20010db800000000, 0, 32));
static_assert(is("2001:DB8:0:1::/64", 0x20010db800000001, 0, 64));
static_assert(is("1:2:3:4:5:6:7:8", 0x0001000200030004, 0x0005000600070008, 128));
static_assert(is("1::8", 0x0001000000000000, 8, 128));
static_assert(is("1:2:3:4:5:6:7::", 0x0001000200030004, 0x0005000600070000, 128));
static_assert(is("::2:3:4:5:6:7:8", 0x0000000200030004, 0x0005000600070008, 128));
static_assert(is("::ffff:1.2.3.4", 0, 0xffff01020304, 128));
static_assert(is("::ffff:10.0.0.0/104", 0, 0xffff0a000000, 104));
static_assert(is("64:ff9b::1.2.3.4", 0x0064ff9b00000000, 0x01020304, 128));

static_assert(contains("10.0.0.0/8", "10.255.255.255") && !contains("10.0.0.0/8", "11.0.0.0"));
static_assert(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
static_assert(contains("192.168.1.128/25", "192.168.1.128") && !contains("192.168.1.128/25", "192.168.1.127"));
static_assert(contains("fc00::/7", "fdff::1") && !contains("fc00::/7", "fe00::"));
static_assert(contains("2001:db8::/65", "2001:db8::7fff:0:0:0") && !contains("2001:db8::/65", "2001:db8::8000:0:0:0"));
static_assert(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1.2.3.4"));
static_assert(contains("::/0", "::1") && contains("::/0", "ffff::"));
static_assert(!contains("::/0", "1.2.3.4") && !contains("::/64", "127.0.0.1"));

static_assert(is_loopback("127.0.0.1") && is_loopback("127.255.255.255") && is_loopback("::1"));
static_assert(is_loopback("::ffff:127.0.0.1") && is_loopback("0.0.0.0") && is_loopback("::"));
static_assert(is_loopback("::ffff:0.0.0.0"));
static_assert(!is_loopback("126.255.255.255") && !is_loopback("128.0.0.0") && !is_loopback("0.0.0.1"));
static_assert(!is_loopback("::2") && !is_loopback("::127.0.0.1") && !is_loopback("64:ff9b::127.0.0.1"));
static_assert(!is_loopback("1::1") && !is_loopback("1::ffff:127.0.0.1"));

static_assert(is_private("10.0.0.1") && is_private("172.16.0.1") && is_private("172.31.255.255"));
static_assert(is_private("192.168.0.1") && is_private("100.64.0.1") && is_private("100.127.255.255"));
static_assert(is_private("169.254.169.254") && is_private("fe80::1") && is_private("febf::1"));
static_assert(is_private("fc00::1") && is_private("fd00:ec2::254") && is_private("64:ff9b:1::8.8.8.8"));
static_assert(is_private("::ffff:10.0.0.1"));
static_assert(!is_private("9.255.255.255") && !is_private("11.0.0.0") && !is_private("172.15.0.1"));
static_assert(!is_private("172.32.0.0") && !is_private("192.167.0.1") && !is_private("192.169.0.1"));
static_assert(!is_private("100.63.255.255") && !is_private("100.128.0.0") && !is_private("8.8.8.8"));
static_assert(!is_private("127.0.0.1") && !is_private("::1") && !is_private("::") && !is_private("0.0.0.0"));
static_assert(!is_private("fec0::1") && !is_private("fe7f::1") && !is_private("2001:db8::1"));
static_assert(!is_private("224.0.0.1") && !is_private("255.255.255.255") && !is_private("ff02::1"));

// What a gateway turns into an address inside.
static_assert(is_private("64:ff9b::10.0.0.1") && is_private("64:ff9b::127.0.0.1") && !is_private("64:ff9b::8.8.8.8"));
static_assert(is_private("2002:a00:1::1") && is_private("2002:7f00:1::") && !is_private("2002:808:808::1"));
static_assert(is_private("::192.168.0.1") && !is_private("::8.8.8.8"));
static_assert(!contains("10.0.0.0/8", "64:ff9b::10.0.0.1"));

}  // namespace

TEST_CASE("a text that is no network is refused") {
    for (const std::string_view text : {"",
                                        "/",
                                        "/8",
                                        "10",
                                        "10.0.0",
                                        "10.0.0.0.0",
                                        "10.0.0.256",
                                        "10.0.0.-1",
                                        "10.0.0.01",
                                        "010.0.0.1",
                                        "10.0.0.0x1",
                                        " 10.0.0.1",
                                        "10.0.0.1 ",
                                        "10..0.1",
                                        "10.0.0.",
                                        ".10.0.0.1",
                                        "10.0.0.0/",
                                        "10.0.0.0/33",
                                        "10.0.0.0/08",
                                        "10.0.0.0/+8",
                                        "10.0.0.0/8/8",
                                        "10.0.0.0/255.0.0.0",
                                        "10.0.0.0/4294967304",
                                        ":",
                                        ":::",
                                        ":::1",
                                        "1:",
                                        "1:2",
                                        ":1",
                                        "::1:",
                                        "1::2::3",
                                        "::g",
                                        "::12345",
                                        "1:2:3:4:5:6:7:8:9",
                                        "1:2:3:4:5:6:7:8::",
                                        "::1:2:3:4:5:6:7:8",
                                        "1:2:3:4::5:6:7:8",
                                        "::1.2.3",
                                        "::1.2.3.4:5",
                                        "1:2:3:4:5:6:7:1.2.3.4",
                                        "1.2.3.4::",
                                        "fe80::1%eth0",
                                        "[::1]",
                                        "::/129",
                                        "::/-1",
                                        "::1/",
                                        "localhost",
                                        "0x7f000001",
                                        "2130706433",
                                        "127.1"}) {
        CAPTURE(text);
        CHECK_FALSE(policy::parse_network(text).ok);
    }
}

TEST_CASE("an address with bits set behind its prefix is refused") {
    for (const std::string_view text : {"10.1.2.3/8", "10.0.0.1/31", "0.0.0.1/0", "128.0.0.0/0", "::1/127", "::1/0",
                                        "fe00::/6", "2001:db8::1/32", "1::8000:0:0:0/64", "::ffff:10.0.0.0/95"}) {
        CAPTURE(text);
        CHECK_FALSE(policy::parse_network(text).ok);
    }
}

TEST_CASE("addresses are read as the C library reads them") {
    std::mt19937 random{1};
    constexpr std::string_view alphabet = "0123456789abcF:::::...";
    int valid = 0;
    for (int round = 0; round < 200'000; ++round) {
        std::string text = round % 3 == 0 ? "::" : round % 3 == 1 ? "1.2.3" : "1:2:3:4:5";
        for (auto i = random() % 9; i > 0; --i) text += alphabet[random() % alphabet.size()];
        in6_addr six{};
        in_addr four{};
        const bool is_six = ::inet_pton(AF_INET6, text.c_str(), &six) == 1;
        const bool is_four = ::inet_pton(AF_INET, text.c_str(), &four) == 1;
        const policy::ParsedNetwork parsed = policy::parse_network(text);
        CAPTURE(text);
        REQUIRE(parsed.ok == (is_six || is_four));
        if (!parsed.ok) continue;
        ++valid;
        IpAddress expected = policy::ipv4(ntohl(four.s_addr));
        if (is_six) {
            expected = {};
            for (int i = 0; i < 16; ++i) {
                std::uint64_t& word = i < 8 ? expected.high : expected.low;
                word = word << 8 | six.s6_addr[i];
            }
        }
        REQUIRE(parsed.network.high == expected.high);
        REQUIRE(parsed.network.low == expected.low);
    }
    CHECK(valid > 1000);
}

TEST_CASE("a network contains what shares its first bits") {
    std::mt19937_64 random{2};
    for (unsigned prefix = 0; prefix <= 128; ++prefix) {
        const std::uint64_t high = random() | 1;  // never an IPv4 address
        const std::uint64_t low = random();
        const policy::Network network{high & policy::Network::mask(prefix),
                                      low & policy::Network::mask(prefix < 64 ? 0 : prefix - 64), prefix};
        CAPTURE(prefix);
        CHECK(network.contains(high, low));
        for (unsigned bit = 0; bit < 128; ++bit) {
            const std::uint64_t other_high = bit < 64 ? high ^ (std::uint64_t{1} << (63 - bit)) : high;
            const std::uint64_t other_low = bit < 64 ? low : low ^ (std::uint64_t{1} << (127 - bit));
            CHECK(network.contains(other_high, other_low) == (bit >= prefix));
        }
    }
}
