#pragma once

#include "../../../abi/errno_names.hpp"
#include "addresses.hpp"
#include "arguments.hpp"
#include "events.hpp"
#include "messages.hpp"
#include "plan.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>

#include <netinet/in.h>
#include <sys/socket.h>

/// Calls on sockets, and their options.
namespace sysguard::supervise::render::detail {

inline abi::ConstantSet protocols_of(std::uint32_t domain) noexcept {
    switch (domain) {
        case AF_INET:
        case AF_INET6: return abi::ConstantSet::ip_protocol;
        case AF_NETLINK: return abi::ConstantSet::netlink_protocol;
        case AF_BLUETOOTH: return abi::ConstantSet::bluetooth_protocol;
        case AF_CAN: return abi::ConstantSet::can_protocol;
        case AF_AX25: return abi::ConstantSet::ax25_protocol;
        case AF_ISDN: return abi::ConstantSet::isdn_protocol;
        case AF_PHONET: return abi::ConstantSet::phonet_protocol;
        case AF_CAIF: return abi::ConstantSet::caif_protocol;
        case AF_NFC: return abi::ConstantSet::nfc_protocol;
        case AF_KCM: return abi::ConstantSet::kcm_protocol;
        case AF_SMC: return abi::ConstantSet::smc_protocol;
        default: return abi::ConstantSet::none;
    }
}

/// htons(ETH_P_ALL)
inline void form_ethernet_protocol(Walk& walk, const Item& item) {
    const std::uint64_t swapped = (item.value & 0xff) << 8 | (item.value >> 8 & 0xff);
    Piece piece;
    Piece name;
    add_choice(name, abi::ConstantSet::ethernet_protocol, swapped);
    walk.show(Kind::symbol, swapped, piece.add("htons(").add(name.view()).add(')'));
}

inline void plan_socket(Plan& plan) {
    const std::uint32_t domain = plan.low(0);
    Item& protocol = plan.items[2];
    protocol.set = protocols_of(domain);
    if (domain == AF_PACKET)
        protocol.form = form_ethernet_protocol;
    else
        protocol.form = protocol.set == abi::ConstantSet::none ? form_uint : form_choice;
}

/// The options that a level has.
inline abi::ConstantSet options_of(std::uint32_t level) noexcept {
    switch (level) {
        case SOL_SOCKET: return abi::ConstantSet::socket_option;
        case IPPROTO_IP: return abi::ConstantSet::ip_option;
        case IPPROTO_IPV6: return abi::ConstantSet::ipv6_option;
        case IPPROTO_TCP: return abi::ConstantSet::tcp_option;
        case IPPROTO_UDP:
        case IPPROTO_UDPLITE: return abi::ConstantSet::udp_option;
        case IPPROTO_SCTP: return abi::ConstantSet::sctp_option;
        case IPPROTO_RAW: return abi::ConstantSet::raw_option;
        case 263: return abi::ConstantSet::packet_option;     // SOL_PACKET
        case 269: return abi::ConstantSet::dccp_option;       // SOL_DCCP
        case 270: return abi::ConstantSet::netlink_option;    // SOL_NETLINK
        case 271: return abi::ConstantSet::tipc_option;       // SOL_TIPC
        case 274: return abi::ConstantSet::bluetooth_option;  // SOL_BLUETOOTH
        case 276: return abi::ConstantSet::rds_option;        // SOL_RDS
        case 279: return abi::ConstantSet::alg_option;        // SOL_ALG
        case 282: return abi::ConstantSet::tls_option;        // SOL_TLS
        case 283: return abi::ConstantSet::xdp_option;        // SOL_XDP
        case 101: return abi::ConstantSet::can_option;        // SOL_CAN_RAW
        case AF_VSOCK: return abi::ConstantSet::vsock_option;
        default: return abi::ConstantSet::none;
    }
}

enum class OptionShow : std::uint8_t {
    number,
    string,
    structure,
    membership,
    unknown,  ///< a number where it has the size of one
};

struct OptionForm {
    OptionShow show;
    abi::Layout layout = abi::Layout::none;
};

/// What the value of an option is. Of SOL_SOCKET, IP, IPv6, TCP and others most are an int.
inline OptionForm form_of_option(std::uint32_t level, std::uint32_t option) noexcept {
    if (level == SOL_SOCKET) {
        switch (option) {
            case SO_LINGER: return {OptionShow::structure, abi::Layout::linger};
            case SO_PEERCRED: return {OptionShow::structure, abi::Layout::credentials};
            case SO_ATTACH_FILTER:
            case 51:  // SO_ATTACH_REUSEPORT_CBPF
                return {OptionShow::structure, abi::Layout::filter_program};
            case 20:  // SO_RCVTIMEO_OLD
            case 21:
            case 22:  // SO_SECURITY_*
            case 23:
            case 24:
            case 25:  // SO_BINDTODEVICE
            case 28:  // SO_PEERNAME
            case 31:  // SO_PEERSEC
            case 55:  // SO_MEMINFO
            case 57:  // SO_COOKIE
            case 59:  // SO_PEERGROUPS
            case 61:  // SO_TXTIME
            case 66:  // SO_RCVTIMEO_NEW
            case 67: return {OptionShow::string};
            default:
                return {abi::find_constant(abi::ConstantSet::socket_option, option) != nullptr ? OptionShow::number
                                                                                               : OptionShow::unknown};
        }
    }
    if (level == IPPROTO_TCP) {
        const bool is_int = option <= 10 || option == 12 || (option >= 16 && option <= 25 && option != 22) ||
                            option == 30 || option == 34 || option == 36;
        return {is_int ? OptionShow::number : OptionShow::string};
    }
    if (level == IPPROTO_IP) {
        switch (option) {
            case 35:  // IP_ADD_MEMBERSHIP
            case 36: return {OptionShow::membership};
            case 4:   // IP_OPTIONS
            case 9:   // IP_PKTOPTIONS
            case 16:  // IP_IPSEC_POLICY
            case 17:
            case 32:  // IP_MULTICAST_IF
            case 37:
            case 38:
            case 39:
            case 40:
            case 41:
            case 42:
            case 43:
            case 44:
            case 45:
            case 46:
            case 47:
            case 48: return {OptionShow::string};
            default:
                return {abi::find_constant(abi::ConstantSet::ip_option, option) != nullptr ? OptionShow::number
                                                                                           : OptionShow::string};
        }
    }
    if (level == IPPROTO_IPV6) {
        switch (option) {
            case 2:
            case 3:
            case 4:
            case 5:
            case 6:
            case 7:
            case 8:
            case 9:
            case 11:
            case 16:
            case 17:
            case 18:
            case 19:
            case 22:
            case 23:
            case 24:
            case 25:
            case 26:
            case 27:
            case 29:
            case 36:
            case 49:
            case 51:
            case 53:
            case 56:
            case 58:
            case 60:
            case 62:
            case 63:
            case 64:
            case 66:
            case 67:
            case 70:
            case 72:
            case 73:
            case 74:
            case 75:
            case 76:
            case 78: return {OptionShow::number};
            default: return {OptionShow::string};
        }
    }
    if (level == 270) return {OptionShow::number};                                                 // SOL_NETLINK
    if (level == 263 && option != 1 && option != 2 && option != 5 && option != 6 && option != 13)  // SOL_PACKET
        return {OptionShow::number};
    if (level == IPPROTO_UDP) return {OptionShow::number};
    return {OptionShow::unknown};
}

/// The value of an option, of `length` bytes. `more` of the item: level and option.
inline void show_option(Walk& walk, std::uint64_t address, std::int64_t length, std::uint64_t level_and_option,
                        bool is_set) {
    const OptionForm form = form_of_option(static_cast<std::uint32_t>(level_and_option >> 32),
                                           static_cast<std::uint32_t>(level_and_option));
    if (length < 0 || address == 0) return walk.address(address);
    switch (form.show) {
        case OptionShow::number: {
            std::uint64_t value = 0;
            if (length < 4) {
                if (is_set || length == 0) return walk.address(address);
                return show_bytes(walk, address, static_cast<std::uint64_t>(length));
            }
            if (!walk.read_number(address, 4, value)) return walk.address(address);
            const bool is_error = level_and_option == (std::uint64_t{SOL_SOCKET} << 32 | SO_ERROR);
            const std::string_view name = is_error ? abi::errno_name(low_int(value)) : std::string_view{};
            walk.sink.begin(Shape::array);
            walk.sink.element();
            name.empty() ? walk.number(with_sign(value, 4)) : walk.symbol(value, name);
            return walk.sink.end();
        }
        case OptionShow::structure:
            if (length < abi::size_of(form.layout, walk.word)) return walk.address(address);
            show_structure(walk, form.layout, address, walk.word);
            return;
        case OptionShow::membership: {
            unsigned char bytes[12] = {};
            if (length < 8 || !walk.read(address, bytes, length >= 12 ? 12 : 8)) return walk.address(address);
            walk.sink.begin(Shape::structure);
            walk.field("imr_multiaddr");
            show_inet(walk, number_at(bytes, 0, 4));
            walk.field(length >= 12 ? "imr_address" : "imr_interface");
            show_inet(walk, number_at(bytes, 4, 4));
            if (length >= 12) {
                walk.field("imr_ifindex");
                show_interface(walk, number_at(bytes, 8, 4));
            }
            return walk.sink.end();
        }
        case OptionShow::unknown:
            if (is_set && length == 4) return form_int_cell(walk, Item{.value = address});
            return show_bytes(walk, address, static_cast<std::uint64_t>(length));
        case OptionShow::string: return show_bytes(walk, address, static_cast<std::uint64_t>(length));
    }
}

inline void form_option_in(Walk& walk, const Item& item) {
    show_option(walk, item.value, low_int(walk.arguments[4]), item.more, true);
}

inline void form_option_out(Walk& walk, const Item& item) {
    const std::uint64_t given = walk.saved[walk.place + 1];
    std::uint64_t length = 0;
    if (given == ~0ULL || !walk.read_number(walk.arguments[4], 4, length)) return walk.address(item.value);
    show_option(walk, item.value, std::min(low_int(length), low_int(given)), item.more, false);
}

inline void plan_options(Plan& plan, abi::ConstantSet own) {
    Item& option = plan.items[2];
    option.set = options_of(plan.low(1));
    if (option.set == abi::ConstantSet::socket_option && abi::find_constant(own, plan.low(2)) != nullptr)
        option.set = own;
    option.form = option.set == abi::ConstantSet::none ? form_int : form_choice;
    plan.items[3].more = std::uint64_t{plan.low(1)} << 32 | plan.low(2);
}

/// Where a socket's address is written: the next item is its length.
inline void plan_address_out(Plan& plan, unsigned address) {
    plan.items[address].form = form_address_out;
    plan.items[address].more = plan.arguments[address + 1];
    plan.items[address].when = When::exit;
    plan.items[address + 1].form = form_length_out;
    plan.items[address + 1].keep = keep_length;
    plan.items[address + 1].when = When::always;
}

inline void plan_receive_messages(Plan& plan) {
    plan.items[1].form = form_messages_out;
    plan.items[1].when = When::exit;
    plan.items[4].when = When::entry;
    plan.items[4].keep = keep_value;
    plan.details = [](Walk& walk, const Item&) {
        unsigned char bytes[16];
        const std::uint64_t at = walk.saved[4];
        if (at == 0 || !walk.read(at, bytes, std::size_t{2} * walk.time_word)) return;
        walk.sink.begin(Shape::details);
        show_left(walk, at, abi::Layout::timespec);
        walk.sink.end();
    };
}

inline constexpr PlannerOf socket_planners[] = {
    {"socket", plan_socket},
    {"socketpair", plan_socket},
    {"accept", [](Plan& plan) { plan_address_out(plan, 1); }},
    {"accept4", [](Plan& plan) { plan_address_out(plan, 1); }},
    {"getsockname", [](Plan& plan) { plan_address_out(plan, 1); }},
    {"getpeername", [](Plan& plan) { plan_address_out(plan, 1); }},
    {"recvfrom", [](Plan& plan) { plan_address_out(plan, 4); }},
    {"setsockopt",
     [](Plan& plan) {
         plan_options(plan, abi::ConstantSet::socket_set_option);
         plan.items[3].form = form_option_in;
     }},
    {"getsockopt",
     [](Plan& plan) {
         plan_options(plan, abi::ConstantSet::socket_get_option);
         plan.items[3].form = form_option_out;
         plan.items[3].when = When::exit;
         plan.items[4].form = form_length_out;
         plan.items[4].keep = keep_length;
         plan.items[4].when = When::always;
     }},
    {"recvmmsg", plan_receive_messages},
    {"recvmsg", [](Plan& plan) { plan.items[1].keep = keep_name_length; }},
};

inline constexpr FormOf socket_forms[] = {
    {"sendmsg", abi::ArgName::msg, form_message_in},
    {"recvmsg", abi::ArgName::msg, form_message_out, When::always},
    {"sendmmsg", abi::ArgName::msgvec, form_messages_in, When::always},
};

}  // namespace sysguard::supervise::render::detail
