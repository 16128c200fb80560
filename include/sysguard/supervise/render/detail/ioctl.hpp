#pragma once

#include "../../../abi/ioctl_names.hpp"
#include "addresses.hpp"
#include "arguments.hpp"
#include "control.hpp"
#include "plan.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// ioctl: the names of requests, and what the more common ones lead to.
namespace sysguard::supervise::render::detail {

/// TCGETS; "A or B" where drivers share a number; _IOC(_IOC_READ, 0x12, 0x34, 0x10) where it has no name.
inline void form_request(Walk& walk, const Item& item) {
    const auto request = static_cast<std::uint32_t>(item.value);
    const abi::IoctlName* name = abi::find_ioctl(request);
    Piece piece;
    if (name == nullptr) {
        constexpr std::string_view directions[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"};
        piece.add("_IOC(")
            .add(directions[request >> 30])
            .add(", ")
            .hex(request >> 8 & 0xff)
            .add(", ")
            .hex(request & 0xff);
        piece.add(", ").hex(request >> 16 & 0x3fff).add(')');
    }
    for (bool is_first = true; name != nullptr && name != abi::end_of_ioctls && name->request == request; ++name) {
        if (!is_first) piece.add(" or ");
        piece.add(name->name);
        is_first = false;
    }
    walk.show(Kind::symbol, request, piece);
}

/// struct termios: {B38400 opost isig icanon echo ...}, or all its fields.
inline void form_terminal(Walk& walk, const Item& item) {
    unsigned char bytes[36];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    const std::uint64_t input = number_at(bytes, 0, 4);
    const std::uint64_t output = number_at(bytes, 4, 4);
    const std::uint64_t control = number_at(bytes, 8, 4);
    const std::uint64_t local = number_at(bytes, 12, 4);
    const auto show = [&](std::string_view name, std::uint64_t value, Piece& piece) {
        walk.field(name);
        walk.show(Kind::symbol, value, piece);
    };
    const auto add_part = [](Piece& to, abi::ConstantSet set, std::uint64_t value) {
        Piece name;
        add_choice(name, set, value);
        to.add(name.view()).add('|');
    };
    const auto add_rest = [](Piece& to, abi::ConstantSet set, std::uint64_t value) {
        if (value == 0) return;
        Piece names;
        add_flags(names, set, value);
        to.add(names.view());
    };
    walk.sink.begin(Shape::structure);
    Piece of_input;
    add_rest(of_input, abi::ConstantSet::terminal_input, input);
    show("c_iflag", input, of_input);
    Piece of_output;
    constexpr std::uint64_t delays = 0400 | 03000 | 014000 | 020000 | 040000 | 0100000;
    add_part(of_output, abi::ConstantSet::terminal_nl, output & 0400);
    add_part(of_output, abi::ConstantSet::terminal_cr, output & 03000);
    add_part(of_output, abi::ConstantSet::terminal_tab, output & 014000);
    add_part(of_output, abi::ConstantSet::terminal_bs, output & 020000);
    add_part(of_output, abi::ConstantSet::terminal_vt, output & 040000);
    add_part(of_output, abi::ConstantSet::terminal_ff, output & 0100000);
    add_rest(of_output, abi::ConstantSet::terminal_output, output & ~delays);
    show("c_oflag", output, of_output);
    Piece of_control;
    constexpr std::uint64_t speed = 010017;
    constexpr std::uint64_t size = 060;
    constexpr std::uint64_t input_speed = 002003600000;
    add_part(of_control, abi::ConstantSet::terminal_speed, control & speed);
    if ((control & input_speed) != 0) {
        Piece name;
        add_choice(name, abi::ConstantSet::terminal_speed, (control & input_speed) >> 16);
        of_control.add(name.view()).add("<<IBSHIFT|");
    }
    add_part(of_control, abi::ConstantSet::terminal_size, control & size);
    add_rest(of_control, abi::ConstantSet::terminal_control, control & ~(speed | size | input_speed));
    show("c_cflag", control, of_control);
    Piece of_local;
    add_rest(of_local, abi::ConstantSet::terminal_local, local);
    show("c_lflag", local, of_local);
    walk.sink.more();
    walk.sink.end();
}

/// struct ifreq: a name, and what the request reads or writes behind it.
inline void form_interface_request(Walk& walk, const Item& item) {
    enum : std::uint64_t { name_only, index, flags, mtu, address, hardware, metric, queue };
    constexpr std::uint64_t is_get = 0x100;
    unsigned char bytes[40];
    const std::size_t size = walk.word == 8 ? 40 : 32;
    if (!walk.read(item.value, bytes, size)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.field("ifr_name");
    const auto show_name = [&] {
        const void* const end = __builtin_memchr(bytes, 0, 16);
        const std::size_t length =
            end == nullptr ? 15 : static_cast<std::size_t>(static_cast<const unsigned char*>(end) - bytes);
        walk.sink.string({reinterpret_cast<const char*>(bytes), length < 15 ? length : 15}, true, Quoting::plain);
    };
    show_name();
    if ((item.more & is_get) != 0 && (!walk.is_returned() || walk.call.is_error)) return walk.sink.end();
    const unsigned char* const value = bytes + 16;
    switch (item.more & 0xff) {
        case index: walk.number("ifr_ifindex", low_int(number_at(value, 0, 4))); break;
        case flags:
            walk.field("ifr_flags");
            show_flags(walk, abi::ConstantSet::interface_flags, number_at(value, 0, 2));
            break;
        case mtu: walk.number("ifr_mtu", low_int(number_at(value, 0, 4))); break;
        case metric: walk.number("ifr_metric", low_int(number_at(value, 0, 4))); break;
        case queue: walk.number("ifr_qlen", low_int(number_at(value, 0, 4))); break;
        case address:
            walk.field("ifr_addr");
            show_address_bytes(walk, value, 16);
            break;
        case hardware: {
            walk.field("ifr_hwaddr");
            walk.sink.begin(Shape::structure);
            walk.field("sa_family");
            show_choice(walk, abi::ConstantSet::hardware_type, number_at(value, 0, 2));
            walk.field("sa_data");
            show_hardware_address(walk, value + 2, 6);
            walk.sink.end();
            break;
        }
        default: break;
    }
    walk.sink.end();
}

/// {ifr_index=1, ifr_name="lo"}
inline void form_interface_name(Walk& walk, const Item& item) {
    unsigned char bytes[20];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.number("ifr_ifindex", low_int(number_at(bytes, 16, 4)));
    if (walk.is_returned() && !walk.call.is_error) {
        walk.field("ifr_name");
        show_text_in(walk, bytes, 16);
    }
    walk.sink.end();
}

/// {ifc_len=80 /* 2 * sizeof(struct ifreq) */, ifc_buf=NULL}
inline void form_interface_list(Walk& walk, const Item& item) {
    unsigned char bytes[16];
    if (!walk.read(item.value, bytes, std::size_t{2} * walk.word)) return walk.address(item.value);
    const std::int32_t length = low_int(number_at(bytes, 0, 4));
    const std::uint64_t buffer = number_at(bytes, walk.word, walk.word);
    const std::int32_t each = walk.word == 8 ? 40 : 32;
    walk.sink.begin(Shape::structure);
    walk.number("ifc_len", length);
    if (length != 0 && length % each == 0 && length > 0)
        walk.sink.note(
            Piece{}.decimal(static_cast<std::uint64_t>(length / each)).add(" * sizeof(struct ifreq)").view());
    walk.address("ifc_buf", buffer);
    walk.sink.end();
}

inline void form_inode_flags(Walk& walk, const Item& item) {
    std::uint64_t value = 0;
    if (!walk.read_number(item.value, 4, value)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    walk.sink.element();
    show_flags(walk, abi::ConstantSet::inode_flags, value);
    walk.sink.end();
}

inline void form_fiemap(Walk& walk, const Item& item) {
    unsigned char bytes[32];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.count("fm_start", number_at(bytes, 0, 8));
    walk.count("fm_length", number_at(bytes, 8, 8));
    walk.field("fm_flags");
    show_flags(walk, abi::ConstantSet::fiemap_flags, number_at(bytes, 16, 4));
    walk.count("fm_extent_count", number_at(bytes, 24, 4));
    walk.sink.end();
}

/// TIOCSTI's byte.
inline void form_byte(Walk& walk, const Item& item) {
    show_bytes(walk, item.value, 1);
}

inline void plan_ioctl(Plan& plan) {
    using abi::ConstantSet;
    Item& argument = plan.items[2];
    constexpr std::uint64_t is_get = 0x100;
    plan.items[1].form = form_request;
    const auto interface = [&](std::uint64_t what, bool gets) {
        argument.form = form_interface_request;
        argument.more = what | (gets ? is_get : 0);
        argument.when = gets ? When::always : When::entry;
    };
    const auto out = [&](Form form) {
        argument.form = form;
        argument.when = When::exit;
    };
    switch (plan.low(1)) {
        case 0x5401:  // TCGETS
        case 0x802c542a: return out(form_terminal);
        case 0x5402:  // TCSETS
        case 0x5403:
        case 0x5404:
        case 0x402c542b:
        case 0x402c542c:
        case 0x402c542d: argument.form = form_terminal; return;
        case 0x5409:  // TCSBRK
        case 0x5425:
        case 0x540e: argument.form = form_int; return;  // TIOCSCTTY
        case 0x540a: return set_choice(argument, ConstantSet::terminal_flow);
        case 0x540b: return set_choice(argument, ConstantSet::terminal_flush);
        case 0x540c:  // TIOCEXCL
        case 0x540d:
        case 0x5422:
        case 0x5437:
        case 0x541d:  // TIOCCONS
        case 0x5450:  // FIONCLEX
        case 0x5451: plan.count = 2; return;
        case 0x540f:                             // TIOCGPGRP
        case 0x5429: return out(form_int_cell);  // TIOCGSID
        case 0x5410: argument.form = form_int_cell; return;
        case 0x5411:      // TIOCOUTQ
        case 0x541b:      // FIONREAD
        case 0x5424:      // TIOCGETD
        case 0x80045430:  // TIOCGPTN
        case 0x80045438:  // TIOCGPKT
        case 0x80045439:
        case 0x80045440:
        case 0x8905: return out(form_int_cell);          // SIOCATMARK
        case 0x5412: argument.form = form_byte; return;  // TIOCSTI
        case 0x5413: argument.layout = abi::Layout::winsize; return out(form_structure);
        case 0x5414: return set_structure(argument, abi::Layout::winsize, When::entry);
        case 0x5415: argument.set = ConstantSet::modem; return out(form_flags_cell);
        case 0x5416:
        case 0x5417:
        case 0x5418:
            argument.set = ConstantSet::modem;
            argument.form = form_flags_cell;
            return;
        case 0x5420:  // TIOCPKT
        case 0x5421:  // FIONBIO
        case 0x5423:  // TIOCSETD
        case 0x5452:  // FIOASYNC
        case 0x40045431: argument.form = form_int_cell; return;
        case 0x40049409: argument.form = form_fd; return;  // FICLONE
        case 0x80086601:
        case 0x80046601: return out(form_inode_flags);
        case 0x40086602:
        case 0x40046602: argument.form = form_inode_flags; return;
        case 0xc020660b: argument.form = form_fiemap; return;
        case 0x8912:
            argument.form = form_interface_list;
            argument.when = When::always;
            return;
        case 0x8910:
            argument.form = form_interface_name;
            argument.when = When::always;
            return;
        case 0x8933: return interface(1, true);
        case 0x8913: return interface(2, true);
        case 0x8914: return interface(2, false);
        case 0x8921: return interface(3, true);
        case 0x8922: return interface(3, false);
        case 0x8915: return interface(4, true);
        case 0x8916: return interface(4, false);
        case 0x8927: return interface(5, true);
        case 0x891d: return interface(6, true);
        case 0x8942: return interface(7, true);
        case 0xae00: argument.form = form_hex; return;
        default: argument.form = form_hex; return;
    }
}

inline constexpr PlannerOf ioctl_planners[] = {
    {"ioctl", plan_ioctl},
};

}  // namespace sysguard::supervise::render::detail
