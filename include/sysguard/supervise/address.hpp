#pragma once

#include "../abi/error.hpp"
#include "../policy/network.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace sysguard {

/// A socket address that a worker gave to a system call, copied once: any bytes, of which the questions below believe
/// only as much as the kernel would. A value; not a destination where the kernel would refuse it as malformed.
///
/// What an address means depends on the call:
///
/// * The family AF_UNSPEC dissolves an association in connect(2) and is no destination there. UDP and raw IPv4 sockets
///   send to it as if it said AF_INET (net/ipv4/udp.c, udp_sendmsg), and bind(2) takes it for AF_INET where the address
///   is 0.0.0.0 (net/ipv4/af_inet.c). So for `Use::send` and `Use::bind` it is an IPv4 address. UDP sockets of IPv6
///   ignore it and send to their peer.
/// * 0.0.0.0 and :: are the local host when one connects or sends to them: they count as 127.0.0.1 and ::1, also for
///   `in()`. (Where the socket is bound to an IPv4 address of the host, 0.0.0.0 is that address.) To bind them opens
///   the socket to everybody: then they are neither loopback nor in a network that does not hold just them.
/// * An IPv4-mapped IPv6 address is its IPv4 address.
class SocketAddress {
public:
    enum class Use : std::uint8_t { connect, send, bind };

    static constexpr std::size_t most = sizeof(sockaddr_storage);

    SocketAddress() noexcept = default;

    /// Copies the bytes. More than `most`, which every call refuses with EINVAL, make an empty address.
    SocketAddress(const void* data, std::size_t size, Use use = Use::connect) noexcept : use_{use} {
        if (size == 0 || size > most) return;
        std::memcpy(bytes_, data, size);
        size_ = static_cast<std::uint8_t>(size);
    }

    const char* data() const noexcept { return bytes_; }
    std::size_t size() const noexcept { return size_; }
    Use use() const noexcept { return use_; }

    /// As it was given: AF_INET, ... AF_UNSPEC also where there are less than two bytes.
    int family() const noexcept { return size_ < sizeof(sa_family_t) ? AF_UNSPEC : as<sockaddr>().sa_family; }

    /// Whether it is a complete address of IPv4 or IPv6.
    bool is_ip() const noexcept { return is_ipv4() || is_ipv6(); }

    /// The IP address that the call means; all zero where it is none (`is_ip`).
    policy::IpAddress ip() const noexcept {
        policy::IpAddress address = literal_ip();
        if (use_ == Use::bind || !is_ip() || !policy::is_unspecified(address.high, address.low)) return address;
        return address.low == 0 ? policy::IpAddress{0, 1} : policy::ipv4(INADDR_LOOPBACK);
    }

    /// In host order; 0 where there is none.
    unsigned port() const noexcept {
        if (is_ipv4()) return ntohs(as<sockaddr_in>().sin_port);
        return is_ipv6() ? ntohs(as<sockaddr_in6>().sin6_port) : 0;
    }

    bool is_loopback() const noexcept {
        const policy::IpAddress address = ip();
        return is_ip() && policy::is_loopback(address.high, address.low) &&
               !policy::is_unspecified(address.high, address.low);
    }

    /// What is private, policy/network.hpp says.
    bool is_private() const noexcept {
        const policy::IpAddress address = ip();
        return is_ip() && policy::is_private(address.high, address.low);
    }

    /// Whether it is an address in a network, and, where ports are given, has one of them.
    template <class... Ports>
    bool in(const policy::Network& network, Ports... ports) const noexcept {
        const policy::IpAddress address = ip();
        const bool has_port = sizeof...(ports) == 0 || ((static_cast<long long>(ports) == port()) || ...);
        return has_port && is_ip() && network.contains(address.high, address.low);
    }

    /// The same with a text: in("10.0.0.0/8", 443). Throws `Error` (EINVAL) where it is no network.
    template <class... Ports>
    bool in(std::string_view network, Ports... ports) const {
        const policy::ParsedNetwork parsed = policy::parse_network(network);
        if (!parsed.ok) throw Error{EINVAL, "read the network '" + std::string{network} + "'"};
        return in(parsed.network, ports...);
    }

    /// The path of an AF_UNIX address, as the kernel takes it: to the end or the first zero byte. Empty where it has
    /// none. Points into this object.
    std::string_view unix_path() const noexcept {
        if (!has_unix_name() || bytes_[unix_offset] == 0) return {};
        const char* const path = bytes_ + unix_offset;
        return {path, ::strnlen(path, size_ - unix_offset)};
    }

    /// Whether it is of Linux's abstract names for AF_UNIX sockets (unix(7)).
    bool is_abstract() const noexcept { return has_unix_name() && bytes_[unix_offset] == 0; }

    /// The abstract name without the zero byte before it: any bytes, zero ones too, perhaps none. Points into this
    /// object.
    std::string_view abstract_name() const noexcept {
        if (!is_abstract()) return {};
        return {bytes_ + unix_offset + 1, size_ - unix_offset - 1};
    }

    /// An AF_UNIX address without a name: bind(2) makes one up.
    bool is_unnamed() const noexcept { return family() == AF_UNIX && size_ == unix_offset; }

    /// For people: "127.0.0.1:80", "[::1]:443", "unix:/run/x", "unix:@name", "AF_NETLINK pid=0 groups=0x1". In one
    /// line, whatever the bytes are; literally, without what 0.0.0.0 and AF_UNSPEC come to.
    std::string text() const {
        if (is_ipv4()) return ipv4_text() + (family() == AF_INET ? "" : " (AF_UNSPEC)");
        if (is_ipv6()) return ipv6_text();
        if (is_unnamed()) return "unix:";
        if (has_unix_name())
            return is_abstract() ? "unix:@" + printable(abstract_name()) : "unix:" + printable(unix_path());
        char text[96];
        if (family() == AF_NETLINK && size_ >= sizeof(sockaddr_nl)) {
            const auto address = as<sockaddr_nl>();
            std::snprintf(text, sizeof text, "AF_NETLINK pid=%u groups=0x%x", address.nl_pid, address.nl_groups);
        } else if (family() == AF_PACKET && size_ >= sizeof(sockaddr_ll)) {
            const auto address = as<sockaddr_ll>();
            std::snprintf(text, sizeof text, "AF_PACKET protocol=0x%04x interface=%d", ntohs(address.sll_protocol),
                          address.sll_ifindex);
        } else if (family() == AF_VSOCK && size_ >= sizeof(sockaddr_vm)) {
            const auto address = as<sockaddr_vm>();
            std::snprintf(text, sizeof text, "AF_VSOCK cid=%u port=%u", address.svm_cid, address.svm_port);
        } else if (const char* const name = family_name(); name != nullptr) {
            std::snprintf(text, sizeof text, "%s (%zu bytes)", name, size());
        } else {
            std::snprintf(text, sizeof text, "AF_%d (%zu bytes)", family(), size());
        }
        return text;
    }

private:
    static constexpr std::size_t unix_offset = offsetof(sockaddr_un, sun_path);
    static constexpr std::size_t least_ipv6 = offsetof(sockaddr_in6, sin6_scope_id);  // SIN6_LEN_RFC2133

    /// What is not there reads as zero.
    template <class T>
    T as() const noexcept {
        static_assert(sizeof(T) <= most);
        T address;
        std::memcpy(&address, bytes_, sizeof address);
        return address;
    }

    bool is_ipv4() const noexcept {
        const bool counts = family() == AF_INET || (family() == AF_UNSPEC && use_ != Use::connect);
        return counts && size_ >= sizeof(sockaddr_in);
    }

    bool is_ipv6() const noexcept { return family() == AF_INET6 && size_ >= least_ipv6; }

    bool has_unix_name() const noexcept {
        return family() == AF_UNIX && size_ > unix_offset && size_ <= sizeof(sockaddr_un);
    }

    policy::IpAddress literal_ip() const noexcept {
        if (is_ipv4()) return policy::ipv4(ntohl(as<sockaddr_in>().sin_addr.s_addr));
        policy::IpAddress address;
        if (!is_ipv6()) return address;
        const in6_addr bytes = as<sockaddr_in6>().sin6_addr;
        for (int i = 0; i < 16; ++i) {
            std::uint64_t& word = i < 8 ? address.high : address.low;
            word = word << 8 | bytes.s6_addr[i];
        }
        return address;
    }

    std::string ipv4_text() const {
        char text[INET_ADDRSTRLEN] = "";
        const in_addr address = as<sockaddr_in>().sin_addr;
        ::inet_ntop(AF_INET, &address, text, sizeof text);
        return text + (":" + std::to_string(port()));
    }

    std::string ipv6_text() const {
        char text[INET6_ADDRSTRLEN] = "";
        const auto address = as<sockaddr_in6>();
        ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
        const std::string zone = address.sin6_scope_id == 0 ? "" : "%" + std::to_string(address.sin6_scope_id);
        return "[" + (text + zone) + "]:" + std::to_string(port());
    }

    const char* family_name() const noexcept {
        switch (family()) {
            case AF_UNSPEC: return "AF_UNSPEC";
            case AF_UNIX: return "AF_UNIX";
            case AF_INET: return "AF_INET";
            case AF_INET6: return "AF_INET6";
            case AF_NETLINK: return "AF_NETLINK";
            case AF_PACKET: return "AF_PACKET";
            case AF_ALG: return "AF_ALG";
            case AF_BLUETOOTH: return "AF_BLUETOOTH";
            case AF_CAN: return "AF_CAN";
            case AF_VSOCK: return "AF_VSOCK";
            default: return nullptr;
        }
    }

    /// Escapes what would not show, or would act on a terminal.
    static std::string printable(std::string_view name) {
        std::string text;
        for (const char c : name) {
            const auto byte = static_cast<unsigned char>(c);
            char escaped[8] = {c, 0};
            if (c == '\\') std::snprintf(escaped, sizeof escaped, "\\\\");
            if (byte < 0x20 || byte >= 0x7f) std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
            text += escaped;
        }
        return text;
    }

    char bytes_[most]{};
    std::uint8_t size_ = 0;
    Use use_ = Use::connect;
};

}  // namespace sysguard
