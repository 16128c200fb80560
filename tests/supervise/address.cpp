#include <sysguard/process/descriptor.hpp>
#include <sysguard/supervise/address.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/skip.hpp"

using sysguard::SocketAddress;
using sysguard::process::Descriptor;
using Use = SocketAddress::Use;

namespace {

sockaddr_in four(const char* text, unsigned port = 0, int family = AF_INET) {
    sockaddr_in address{};
    address.sin_family = static_cast<sa_family_t>(family);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

sockaddr_in6 six(const char* text, unsigned port = 0) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET6, text, &address.sin6_addr);
    return address;
}

template <class T>
SocketAddress of(const T& address, Use use = Use::connect) {
    return {&address, sizeof address, use};
}

SocketAddress of_path(std::string_view path, std::size_t more = 0) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return {&address, offsetof(sockaddr_un, sun_path) + path.size() + more};
}

template <class T>
const sockaddr* plain(const T& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

/// A socket that waits for others at an address of this host, with a port of its own.
struct Receiver {
    template <class T>
    Receiver(int type, const T& address) : fd{::socket(plain(address)->sa_family, type | SOCK_CLOEXEC, 0)} {
        const timeval most{10, 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
        ok = ::bind(fd.get(), plain(address), sizeof address) == 0;
        if (type == SOCK_STREAM) ok = ok && ::listen(fd.get(), 4) == 0;
        sockaddr_in6 own{};
        socklen_t size = sizeof own;
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size);
        port = ntohs(own.sin6_port);  // where sin_port is, too
    }
    bool receives() const {
        char byte = 0;
        return ::recv(fd.get(), &byte, 1, 0) == 1;
    }
    Descriptor fd;
    bool ok = false;
    unsigned port = 0;
};

/// Who is at the other end, or "" where connecting fails.
template <class T>
std::string peer_of(int type, const T& address, const sockaddr_in* from = nullptr) {
    const Descriptor fd{::socket(plain(address)->sa_family, type | SOCK_CLOEXEC, 0)};
    if (from != nullptr && ::bind(fd.get(), plain(*from), sizeof *from) != 0) return "";
    if (::connect(fd.get(), plain(address), sizeof address) != 0) return "";
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    ::getpeername(fd.get(), reinterpret_cast<sockaddr*>(&peer), &size);
    const std::string text = SocketAddress{&peer, size}.text();
    return text.substr(0, text.rfind(':'));
}

template <class T>
long send_to(int family, int type, const T& address) {
    const Descriptor fd{::socket(family, type | SOCK_CLOEXEC, 0)};
    const long sent = ::sendto(fd.get(), "x", 1, 0, plain(address), sizeof address);
    return sent < 0 ? -errno : sent;
}

}  // namespace

TEST_CASE("an IPv4 address") {
    const SocketAddress address = of(four("127.0.0.1", 80));
    CHECK(address.family() == AF_INET);
    CHECK(address.is_ip());
    CHECK(address.port() == 80);
    CHECK(address.is_loopback());
    CHECK_FALSE(address.is_private());
    CHECK(address.in("127.0.0.0/8"));
    CHECK(address.in("127.0.0.0/8", 80));
    CHECK(address.in("127.0.0.0/8", 443, 80));
    CHECK_FALSE(address.in("127.0.0.0/8", 443));
    CHECK_FALSE(address.in("127.0.0.0/8", 80 + 65536));
    CHECK_FALSE(address.in("127.0.0.0/8", 80 - 65536));
    CHECK_FALSE(address.in("::/0"));
    CHECK(address.text() == "127.0.0.1:80");
    CHECK(of(four("10.1.2.3")).is_private());
    CHECK_FALSE(of(four("8.8.8.8")).is_loopback());
    CHECK_THROWS_AS(address.in("127.0.0.1/8"), sysguard::Error);
    CHECK_THROWS_AS(address.in("localhost"), sysguard::Error);
}

TEST_CASE("an IPv6 address") {
    const SocketAddress address = of(six("::1", 443));
    CHECK(address.family() == AF_INET6);
    CHECK(address.port() == 443);
    CHECK(address.is_loopback());
    CHECK(address.in("::1", 443));
    CHECK(address.text() == "[::1]:443");
    CHECK(of(six("::ffff:127.0.0.1", 1)).is_loopback());
    CHECK(of(six("::ffff:10.0.0.1", 1)).in("10.0.0.0/8"));
    CHECK(of(six("::ffff:10.0.0.1", 1)).is_private());
    CHECK(of(six("fd00::1")).is_private());
    sockaddr_in6 zoned = six("fe80::1", 22);
    zoned.sin6_scope_id = 2;
    CHECK(of(zoned).text() == "[fe80::1%2]:22");
    const SocketAddress old{&zoned, 24};
    CHECK(old.is_ip());
    CHECK(old.text() == "[fe80::1]:22");
}

TEST_CASE("an address that is cut short is none") {
    const sockaddr_in a = four("127.0.0.1", 80);
    for (std::size_t size = 0; size < sizeof a; ++size) {
        const SocketAddress address{&a, size};
        CHECK(address.family() == (size < 2 ? AF_UNSPEC : AF_INET));
        CHECK_FALSE(address.is_ip());
        CHECK_FALSE(address.is_loopback());
        CHECK_FALSE(address.in("0.0.0.0/0"));
        CHECK(address.port() == 0);
    }
    const sockaddr_in6 b = six("::1", 80);
    for (std::size_t size = 0; size < 24; ++size) CHECK_FALSE(SocketAddress{&b, size}.is_loopback());
    CHECK(SocketAddress{&a, 8}.text() == "AF_INET (8 bytes)");
    CHECK(SocketAddress{}.text() == "AF_UNSPEC (0 bytes)");

    const char many[SocketAddress::most + 1] = {AF_INET};
    CHECK(SocketAddress{many, SocketAddress::most}.is_ip());
    CHECK(SocketAddress{many, SocketAddress::most + 1}.size() == 0);
}

TEST_CASE("an AF_UNIX address") {
    CHECK(of_path("/run/x").unix_path() == "/run/x");
    CHECK(of_path("/run/x", 1).unix_path() == "/run/x");
    CHECK(of_path({"/run\0/x", 7}).unix_path() == "/run");
    CHECK(of_path("/run/x").text() == "unix:/run/x");
    CHECK_FALSE(of_path("/run/x").is_abstract());
    CHECK(of_path(std::string(108, 'x')).unix_path().size() == 108);
    CHECK(of_path("a\n\x1b[31m\\\xff").text() == "unix:a\\x0a\\x1b[31m\\\\\\xff");

    const SocketAddress abstract = of_path({"\0na\0me", 6});
    CHECK(abstract.is_abstract());
    CHECK(abstract.abstract_name() == std::string_view{"na\0me", 5});
    CHECK(abstract.unix_path().empty());
    CHECK(abstract.text() == "unix:@na\\x00me");
    CHECK(of_path({"\0", 1}).is_abstract());
    CHECK(of_path({"\0", 1}).abstract_name().empty());

    CHECK(of_path("").is_unnamed());
    CHECK(of_path("").text() == "unix:");
    CHECK_FALSE(of_path("").is_abstract());
    CHECK_FALSE(of_path("x").is_unnamed());

    char large[SocketAddress::most] = {AF_UNIX, 0, 'x'};
    CHECK(SocketAddress{large, sizeof(sockaddr_un)}.unix_path() == "x");
    CHECK(SocketAddress{large, sizeof(sockaddr_un) + 1}.unix_path().empty());
    CHECK(SocketAddress{large, sizeof(sockaddr_un) + 1}.text() == "AF_UNIX (111 bytes)");
    CHECK_FALSE(of(four("127.0.0.1")).is_unnamed());
    CHECK(of(four("127.0.0.1")).unix_path().empty());
}

TEST_CASE("addresses of other families") {
    sockaddr_nl netlink{};
    netlink.nl_family = AF_NETLINK;
    netlink.nl_groups = 1;
    CHECK(of(netlink).text() == "AF_NETLINK pid=0 groups=0x1");
    sockaddr_ll packet{};
    packet.sll_family = AF_PACKET;
    packet.sll_protocol = htons(0x0800);
    packet.sll_ifindex = 2;
    CHECK(of(packet).text() == "AF_PACKET protocol=0x0800 interface=2");
    CHECK_FALSE(of(packet).is_ip());
    CHECK(SocketAddress{&packet, 4}.text() == "AF_PACKET (4 bytes)");
    const sockaddr_in unknown = four("127.0.0.1", 1, 77);
    CHECK(of(unknown).text() == "AF_77 (16 bytes)");
    CHECK_FALSE(of(unknown, Use::send).is_loopback());
}

TEST_CASE("AF_UNSPEC is an IPv4 address where one sends or binds") {
    const sockaddr_in address = four("127.0.0.1", 53, AF_UNSPEC);
    CHECK_FALSE(of(address).is_ip());
    CHECK_FALSE(of(address).is_loopback());
    CHECK(of(address, Use::send).is_loopback());
    CHECK(of(address, Use::send).in("127.0.0.1", 53));
    CHECK(of(address, Use::send).family() == AF_UNSPEC);
    CHECK(of(address, Use::send).text() == "127.0.0.1:53 (AF_UNSPEC)");
    CHECK(of(four("8.8.8.8", 53, AF_UNSPEC), Use::send).in("8.8.8.8", 53));
    CHECK(of(four("0.0.0.0", 80, AF_UNSPEC), Use::bind).in("0.0.0.0", 80));
}

TEST_CASE("the unspecified addresses are this host to connect to, and everybody to bind") {
    for (const SocketAddress& any : {of(four("0.0.0.0")), of(six("::ffff:0.0.0.0")), of(four("0.0.0.0"), Use::send)}) {
        CHECK(any.is_loopback());
        CHECK(any.in("127.0.0.0/8"));
        CHECK_FALSE(any.in("0.0.0.0"));
    }
    CHECK(of(six("::")).is_loopback());
    CHECK(of(six("::")).in("::1"));
    for (const SocketAddress& any : {of(four("0.0.0.0"), Use::bind), of(six("::"), Use::bind)}) {
        CHECK_FALSE(any.is_loopback());
        CHECK_FALSE(any.in("127.0.0.0/8"));
        CHECK_FALSE(any.in("::1"));
    }
    CHECK(of(four("0.0.0.0"), Use::bind).in("0.0.0.0"));
    CHECK(of(six("::"), Use::bind).in("::"));
    CHECK(of(four("127.0.0.1"), Use::bind).is_loopback());
}

TEST_CASE("any bytes of any length are an address") {
    std::mt19937 random{1};
    char bytes[SocketAddress::most + 8];
    for (int round = 0; round < 100'000; ++round) {
        for (char& byte : bytes) byte = static_cast<char>(random());
        if (round % 2 == 0) bytes[1] = 0, bytes[0] = static_cast<char>(random() % 46);
        const std::size_t size = random() % sizeof bytes;
        const SocketAddress address{bytes, size, static_cast<Use>(round % 3)};
        CHECK(address.size() <= SocketAddress::most);
        CHECK(address.is_ip() >= address.is_loopback());
        CHECK(address.is_ip() >= address.is_private());
        CHECK(address.unix_path().size() <= 108);
        CHECK(address.abstract_name().size() <= 107);
        for (const char c : address.text()) CHECK((c >= ' ' && c <= '~'));
    }
}

TEST_CASE("live: the unspecified addresses reach loopback") {
    const Receiver tcp{SOCK_STREAM, four("127.0.0.1")};
    REQUIRE(tcp.ok);
    CHECK(peer_of(SOCK_STREAM, four("0.0.0.0", tcp.port)) == "127.0.0.1");
    const Receiver udp{SOCK_DGRAM, four("127.0.0.1")};
    REQUIRE(udp.ok);
    CHECK(peer_of(SOCK_DGRAM, four("0.0.0.0", udp.port)) == "127.0.0.1");
    CHECK(send_to(AF_INET, SOCK_DGRAM, four("0.0.0.0", udp.port)) == 1);
    CHECK(udp.receives());

    const Receiver other{SOCK_STREAM, four("127.0.0.2")};
    REQUIRE(other.ok);
    const sockaddr_in from = four("127.0.0.2");
    CHECK(peer_of(SOCK_STREAM, four("0.0.0.0", other.port), &from) == "127.0.0.2");
}

TEST_CASE("live: the unspecified addresses reach loopback from IPv6 sockets") {
    const Receiver tcp{SOCK_STREAM, six("::1")};
    if (!tcp.ok) SYSGUARD_SKIP("no IPv6 here");
    CHECK(peer_of(SOCK_STREAM, six("::", tcp.port)) == "[::1]");
    const Receiver four_tcp{SOCK_STREAM, four("127.0.0.1")};
    CHECK(peer_of(SOCK_STREAM, six("::ffff:0.0.0.0", four_tcp.port)) == "[::ffff:127.0.0.1]");
    const Receiver udp{SOCK_DGRAM, six("::1")};
    CHECK(send_to(AF_INET6, SOCK_DGRAM, six("::", udp.port)) == 1);
    CHECK(udp.receives());
    const Receiver four_udp{SOCK_DGRAM, four("127.0.0.1")};
    CHECK(send_to(AF_INET6, SOCK_DGRAM, six("::ffff:127.0.0.1", four_udp.port)) == 1);
    CHECK(four_udp.receives());
    CHECK(send_to(AF_INET6, SOCK_DGRAM, four("127.0.0.1", four_udp.port)) == 1);  // a family of another socket's
    CHECK(four_udp.receives());
    CHECK(send_to(AF_INET6, SOCK_DGRAM, four("127.0.0.1", four_udp.port, AF_UNSPEC)) == -EDESTADDRREQ);
}

TEST_CASE("live: UDP sends to AF_UNSPEC as to AF_INET, and connecting to it dissolves") {
    const Receiver udp{SOCK_DGRAM, four("127.0.0.1")};
    REQUIRE(udp.ok);
    CHECK(send_to(AF_INET, SOCK_DGRAM, four("127.0.0.1", udp.port, AF_UNSPEC)) == 1);
    CHECK(udp.receives());

    const Descriptor fd{::socket(AF_INET, SOCK_DGRAM, 0)};
    const sockaddr_in there = four("127.0.0.1", udp.port);
    const sockaddr_in unspecified = four("127.0.0.1", udp.port, AF_UNSPEC);
    CHECK(::connect(fd.get(), plain(there), sizeof there) == 0);
    CHECK(::send(fd.get(), "x", 1, 0) == 1);
    CHECK(::connect(fd.get(), plain(unspecified), sizeof unspecified) == 0);
    CHECK(::send(fd.get(), "x", 1, 0) == -1);
    CHECK(errno == EDESTADDRREQ);
}

TEST_CASE("live: bind takes AF_UNSPEC for AF_INET where the address is unspecified") {
    const Descriptor fd{::socket(AF_INET, SOCK_STREAM, 0)};
    const sockaddr_in loopback = four("127.0.0.1", 0, AF_UNSPEC);
    CHECK(::bind(fd.get(), plain(loopback), sizeof loopback) == -1);
    CHECK(errno == EAFNOSUPPORT);
    const sockaddr_in any = four("0.0.0.0", 0, AF_UNSPEC);
    CHECK(::bind(fd.get(), plain(any), sizeof any) == 0);
}

TEST_CASE("live: the kernel refuses what is no address here") {
    const Receiver udp{SOCK_DGRAM, four("127.0.0.1")};
    const sockaddr_in address = four("127.0.0.1", udp.port);
    const sockaddr_in6 address6 = six("::1", udp.port);
    const Descriptor fd{::socket(AF_INET, SOCK_DGRAM, 0)};
    for (socklen_t size = 2; size < sizeof address; ++size) CHECK(::connect(fd.get(), plain(address), size) == -1);
    CHECK(::connect(fd.get(), plain(address), sizeof address) == 0);
    const Descriptor fd6{::socket(AF_INET6, SOCK_DGRAM, 0)};
    if (!fd6) SYSGUARD_SKIP("no IPv6 here");
    CHECK(::connect(fd6.get(), plain(address6), 23) == -1);
    CHECK(::connect(fd6.get(), plain(address6), 24) == 0);
    sockaddr_storage large{};
    std::memcpy(&large, &address, sizeof address);
    CHECK(::connect(fd.get(), plain(large), sizeof large) == 0);
    CHECK(::connect(fd.get(), plain(large), sizeof large + 1) == -1);
}
