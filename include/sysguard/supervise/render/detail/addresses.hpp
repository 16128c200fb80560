#pragma once

#include "arguments.hpp"
#include "symbols.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/// Addresses of sockets, of every family that strace(1) knows.
namespace sysguard::supervise::render::detail {

inline constexpr std::size_t most_address = 128;  ///< struct sockaddr_storage

/// The bytes of an address that were read, behind its family.
struct AddressBytes {
    const unsigned char* bytes;
    std::size_t size;

    std::uint64_t get(std::size_t at, unsigned width) const noexcept {
        return at + width <= size ? number_at(bytes, at, width) : 0;
    }
    /// In the network's order.
    std::uint64_t swapped(std::size_t at, unsigned width) const noexcept {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < width; ++i) value = value << 8 | get(at + i, 1);
        return value;
    }
};

inline void show_swapped(Walk& walk, std::string_view function, std::uint64_t value, bool is_hex = false) {
    Piece piece;
    piece.add(function).add('(');
    is_hex ? piece.hex(value) : piece.decimal(value);
    walk.show(Kind::symbol, value, piece.add(')'));
}

/// inet_addr("127.0.0.1")
inline void show_inet(Walk& walk, std::uint64_t address) {
    Piece piece;
    piece.add("inet_addr(\"");
    for (unsigned i = 0; i < 4; ++i) {
        if (i > 0) piece.add('.');
        piece.decimal(address >> 8 * i & 0xff);
    }
    walk.show(Kind::symbol, address, piece.add("\")"));
}

/// inet_pton(AF_INET6, "::1", &sin6_addr), in the place of a field and its value.
inline void field_inet6(Walk& walk, std::string_view name, const unsigned char* bytes) {
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET6, bytes, text, sizeof text);
    walk.sink.field(name, false);
    Piece piece;
    piece.add("inet_pton(AF_INET6, \"").add(text).add("\", &").add(name).add(')');
    walk.sink.value(Kind::text, 0, piece.view());
}

inline void show_interface(Walk& walk, std::uint64_t index) {
    char name[16];
    Piece piece;
    if (index != 0 && walk.source().interface(static_cast<unsigned>(index), name))
        piece.add("if_nametoindex(\"").add(name).add("\")");
    else
        piece.decimal(index);
    walk.show(Kind::number, index, piece);
}

/// 00:11:22:33:44:55
inline void show_hardware_address(Walk& walk, const unsigned char* bytes, std::size_t size, bool is_reversed = false) {
    Piece piece;
    for (std::size_t i = 0; i < size; ++i) {
        if (i > 0) piece.add(':');
        piece.bare_hex(bytes[is_reversed ? size - 1 - i : i], 2);
    }
    walk.sink.value(Kind::text, 0, piece.view());
}

inline void show_unix(Walk& walk, const AddressBytes& address) {
    constexpr std::size_t most_path = 108;
    if (address.size <= 2) return;
    const std::size_t length = std::min(address.size - 2, most_path);
    const auto* const path = reinterpret_cast<const char*>(address.bytes + 2);
    walk.sink.field("sun_path");
    if (path[0] != 0) {
        const void* const end = __builtin_memchr(path, 0, length);
        const std::size_t size =
            end == nullptr ? length : static_cast<std::size_t>(static_cast<const char*>(end) - path);
        return walk.sink.string({path, size}, true, Quoting::plain);
    }
    std::string text{"@\""};
    add_escaped(text, {path + 1, length - 1}, Quoting::plain, {});
    walk.sink.value(Kind::text, 0, text += '"');
}

inline void show_packet(Walk& walk, const AddressBytes& address) {
    walk.field("sll_protocol");
    Piece protocol;
    add_choice(protocol, abi::ConstantSet::ethernet_protocol, address.swapped(2, 2));
    walk.show(Kind::symbol, address.swapped(2, 2), Piece{}.add("htons(").add(protocol.view()).add(')'));
    walk.field("sll_ifindex");
    show_interface(walk, address.get(4, 4));
    walk.field("sll_hatype");
    show_choice(walk, abi::ConstantSet::hardware_type, address.get(8, 2));
    walk.field("sll_pkttype");
    show_choice(walk, abi::ConstantSet::packet_type, address.get(10, 1));
    const std::uint64_t length = address.get(11, 1);
    walk.count("sll_halen", length);
    if (length == 0) return;
    walk.field("sll_addr");
    walk.sink.begin(Shape::array);
    for (std::size_t i = 0; i < std::min<std::uint64_t>(length, 8); ++i) {
        walk.sink.element();
        walk.hex(address.get(12 + i, 1));
    }
    if (length > 8) walk.sink.more();
    walk.sink.end();
}

inline void show_bluetooth(Walk& walk, const AddressBytes& address, std::size_t given) {
    constexpr std::size_t rfcomm = 10;
    constexpr std::size_t sco = 8;
    constexpr std::size_t hci = 6;
    if (given == hci) {
        walk.field("hci_dev");
        walk.show(Kind::symbol, address.get(2, 2), Piece{}.add("htobs(").decimal(address.get(2, 2)).add(')'));
        walk.field("hci_channel");
        show_choice(walk, abi::ConstantSet::hci_channel, address.get(4, 2));
    } else if (given == rfcomm || given == sco) {
        walk.field(given == sco ? "sco_bdaddr" : "rc_bdaddr");
        show_hardware_address(walk, address.bytes + 2, 6, true);
        if (given == rfcomm) walk.count("rc_channel", address.get(8, 1));
    } else if (given >= 12) {
        walk.field("l2_psm");
        Piece port;
        port.add("htobs(");
        add_choice(port, abi::ConstantSet::l2cap_port, address.get(2, 2));
        walk.show(Kind::symbol, address.get(2, 2), port.add(')'));
        walk.field("l2_bdaddr");
        show_hardware_address(walk, address.bytes + 4, 6, true);
        walk.field("l2_cid");
        Piece channel;
        channel.add("htobs(");
        add_choice(channel, abi::ConstantSet::l2cap_channel, address.get(10, 2));
        walk.show(Kind::symbol, address.get(10, 2), channel.add(')'));
        if (given > 12) {
            walk.field("l2_bdaddr_type");
            show_choice(walk, abi::ConstantSet::bluetooth_address_type, address.get(12, 1));
        }
    }
}

/// Behind its family, what an address of one says. `size`: of what was read, padded with null bytes. Returns false
/// where it is too short for its family.
inline bool show_address_of(Walk& walk, unsigned family, const AddressBytes& address) {
    switch (family) {
        case AF_UNIX: show_unix(walk, address); return true;
        case AF_INET:
            if (address.size < 8) return false;
            walk.field("sin_port");
            show_swapped(walk, "htons", address.swapped(2, 2));
            walk.field("sin_addr");
            show_inet(walk, address.get(4, 4));
            return true;
        case AF_INET6: {
            if (address.size < 24) return false;
            walk.field("sin6_port");
            show_swapped(walk, "htons", address.swapped(2, 2));
            walk.field("sin6_flowinfo");
            show_swapped(walk, "htonl", address.swapped(4, 4));
            field_inet6(walk, "sin6_addr", address.bytes + 8);
            if (address.size >= 28) {
                walk.field("sin6_scope_id");
                const bool is_link_local = address.get(8, 1) == 0xfe && (address.get(9, 1) & 0xc0) == 0x80;
                const bool is_multicast = address.get(8, 1) == 0xff && (address.get(9, 1) & 0x0f) == 2;
                if (is_link_local || is_multicast)
                    show_interface(walk, address.get(24, 4));
                else
                    walk.count(address.get(24, 4));
            }
            return true;
        }
        case AF_NETLINK:
            if (address.size < 12) return false;
            walk.number("nl_pid", with_sign(address.get(4, 4), 4));
            walk.field("nl_groups");
            walk.show(
                Kind::number, address.get(8, 4),
                address.get(8, 4) == 0 ? Piece{}.add("00000000") : Piece{}.add("0x").bare_hex(address.get(8, 4), 6));
            return true;
        case AF_PACKET:
            if (address.size < 12) return false;
            show_packet(walk, address);
            return true;
        case AF_VSOCK:
            if (address.size < 16) return false;
            walk.field("svm_cid");
            show_choice(walk, abi::ConstantSet::vsock_cid, address.get(8, 4), 0xffffffff);
            walk.field("svm_port");
            show_choice(walk, abi::ConstantSet::vsock_port, address.get(4, 4), 0xffffffff);
            walk.field("svm_flags");
            show_flags(walk, abi::ConstantSet::vsock_flags, address.get(12, 1));
            return true;
        case AF_ALG:
            if (address.size < 88) return false;
            walk.field("salg_type");
            show_text_in(walk, address.bytes + 2, 14);
            walk.hex("salg_feat", address.get(16, 4));
            walk.field("salg_mask");
            show_flags(walk, abi::ConstantSet::alg_flags, address.get(20, 4));
            walk.field("salg_name");
            show_text_in(walk, address.bytes + 24, 64);
            return true;
        case AF_XDP:
            if (address.size < 16) return false;
            walk.field("sxdp_flags");
            show_flags(walk, abi::ConstantSet::xdp_flags, address.get(2, 2));
            walk.field("sxdp_ifindex");
            show_interface(walk, address.get(4, 4));
            walk.count("sxdp_queue_id", address.get(8, 4));
            walk.field("sxdp_shared_umem_fd");
            show_descriptor(walk, low_int(address.get(12, 4)));
            return true;
        case AF_BLUETOOTH: show_bluetooth(walk, address, address.size); return true;
        case AF_IPX:
            if (address.size < 16) return false;
            walk.field("sipx_port");
            show_swapped(walk, "htons", address.swapped(2, 2));
            walk.field("sipx_network");
            walk.show(Kind::number, address.swapped(4, 4),
                      Piece{}.add("htonl(0x").bare_hex(address.swapped(4, 4), 8).add(')'));
            walk.field("sipx_node");
            walk.sink.begin(Shape::array);
            for (std::size_t i = 0; i < 6; ++i) {
                walk.sink.element();
                walk.hex(address.get(8 + i, 1));
            }
            walk.sink.end();
            walk.field("sipx_type");
            walk.show(Kind::number, address.get(14, 1), Piece{}.bare_hex(address.get(14, 1), 2));
            return true;
        default: return false;
    }
}

/// An address whose bytes were read.
inline void show_address_bytes(Walk& walk, const unsigned char* bytes, std::size_t size) {
    const unsigned family = static_cast<unsigned>(number_at(bytes, 0, 2));
    walk.sink.begin(Shape::structure);
    walk.field("sa_family");
    show_choice(walk, abi::ConstantSet::domain, family, 0xffff);
    if (size > 2 && !show_address_of(walk, family, {bytes, size})) {
        walk.field("sa_data");
        walk.sink.string({reinterpret_cast<const char*>(bytes) + 2, std::min<std::size_t>(size - 2, walk.most_bytes())},
                         size - 2 <= walk.most_bytes(), Quoting::plain);
    }
    walk.sink.end();
}

/// An address of so many bytes in the program's memory.
inline void show_address(Walk& walk, std::uint64_t address, std::int64_t length) {
    unsigned char bytes[most_address + 8] = {};
    const auto size = static_cast<std::size_t>(std::clamp<std::int64_t>(length, 0, most_address));
    if (size < 2 || !walk.read(address, bytes, size)) return walk.address(address);
    show_address_bytes(walk, bytes, size);
}

/// An address that the call takes; `more`: its length.
inline void form_address_in(Walk& walk, const Item& item) {
    show_address(walk, item.value, low_int(item.more));
}

/// The length that the caller gave for an address or an option: kept at the entry, for this place and the one before.
inline void keep_length(Walk& walk, const Item& item) {
    std::uint64_t length = 0;
    walk.saved[walk.place] = walk.read_number(item.value, 4, length) ? length : ~0ULL;
}

/// An address that the call fills in; `more`: where its length is. The place of that is the next one.
inline void form_address_out(Walk& walk, const Item& item) {
    const std::uint64_t given = walk.saved[walk.place + 1];
    std::uint64_t length = 0;
    if (given == ~0ULL || !walk.read_number(item.more, 4, length)) return walk.address(item.value);
    show_address(walk, item.value, low_int(length < given ? length : given));
}

/// [128 => 16]; with `keep_length` at the entry.
inline void form_length_out(Walk& walk, const Item& item) {
    const std::uint64_t given = walk.saved[walk.place];
    std::uint64_t length = 0;
    if (given == ~0ULL || !walk.read_number(item.value, 4, length)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    walk.sink.element();
    walk.number(low_int(given));
    if (length != given && !walk.has_failed()) {
        walk.sink.becomes();
        walk.number(low_int(length));
    }
    walk.sink.end();
}

}  // namespace sysguard::supervise::render::detail
