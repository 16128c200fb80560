#pragma once

#include "arguments.hpp"
#include "messages.hpp"
#include "plan.hpp"
#include "times.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>

#include <linux/limits.h>

/// Opening, describing and listing files; file systems.
namespace sysguard::supervise::render::detail {

/// Drops the last argument, which only counts where a file may be made.
inline void drop_mode(Plan& plan, unsigned flags, unsigned mode) {
    constexpr std::uint64_t create = 0100;
    constexpr std::uint64_t temporary = 020000000;  // __O_TMPFILE
    if ((plan.arguments[flags] & (create | temporary)) == 0) plan.count = mode;
}

/// Flags of new descriptors: those of open, without the access mode.
inline void form_new_fd_flags(Walk& walk, const Item& item) {
    const std::uint64_t flags = item.value & 0xffffffff;
    std::uint64_t rest = flags;
    Piece piece;
    for (const abi::Constant& constant : abi::constants_in(abi::ConstantSet::open)) {
        if (constant.value < 4 || (rest & constant.value) != constant.value) continue;
        if (!piece.empty()) piece.add('|');
        piece.add(constant.name == "O_ASYNC" ? std::string_view{"FASYNC"} : constant.name);
        rest &= ~constant.value;
    }
    if (piece.empty()) {
        piece.hex(rest);
        if (rest != 0) add_unknown(piece, "O_???");
    } else if (rest != 0) {
        piece.add('|').hex(rest);
    }
    walk.show(Kind::symbol, flags, piece);
}

/// Bytes of a structure behind those that are known: /* bytes 24..31 */ "\x01\x00".
inline void show_bytes_behind(Walk& walk, std::uint64_t address, std::uint64_t known, std::uint64_t size) {
    if (size <= known) return;
    char room[Options::most_room];
    const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(size - known, sizeof room));
    if (!walk.read(address + known, room, length)) {
        walk.sink.more();
        return;
    }
    bool is_zero = true;
    for (std::size_t i = 0; i < length; ++i) is_zero = is_zero && room[i] == 0;
    if (is_zero) return;
    walk.sink.field("rest", false);
    Piece note;
    note.add("/* bytes ").decimal(known).add("..").decimal(size - 1).add(" */ ");
    const std::size_t shown = std::min<std::size_t>(length, walk.most_bytes());
    std::string text{note.view()};
    text += '"';
    add_escaped(text, {room, shown}, Quoting::hex, {});
    text += shown == length && length == size - known ? "\"" : "\"...";
    walk.sink.value(Kind::text, 0, text);
}

/// struct open_how; `more`: its size.
inline void form_open_how(Walk& walk, const Item& item) {
    constexpr std::uint64_t create = 0100;
    constexpr std::uint64_t temporary = 020000000;
    unsigned char bytes[24];
    if (item.more < sizeof bytes || item.more > 4096 || !walk.read(item.value, bytes, sizeof bytes))
        return walk.address(item.value);
    const std::uint64_t flags = number_at(bytes, 0, 8);
    const std::uint64_t mode = number_at(bytes, 8, 8);
    walk.sink.begin(Shape::structure);
    walk.field("flags");
    show_open_flags(walk, flags);
    if ((flags & (create | temporary)) != 0 || mode != 0) {
        walk.field("mode");
        walk.octal(mode);
    }
    walk.field("resolve");
    show_flags(walk, abi::ConstantSet::resolve, number_at(bytes, 16, 8));
    show_bytes_behind(walk, item.value, sizeof bytes, item.more);
    walk.sink.end();
}

/// How many entries a directory's bytes hold; the entries of getdents64 have their type in another place.
inline void form_entries(Walk& walk, const Item& item) {
    constexpr std::size_t at_once = 4096;
    const bool is_wide = item.more != 0;
    const std::uint64_t total = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    const std::size_t length_at = is_wide || walk.word == 8 ? 16 : 8;
    constexpr std::uint64_t most = 1 << 24;
    unsigned char room[at_once];
    std::uint64_t entries = 0;
    std::uint64_t at = 0;
    walk.address(item.value);
    if (total > most) return;
    while (at + length_at + 2 <= total) {  // reads each entry's head out of a piece of the buffer
        const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(total - at, sizeof room));
        if (!walk.read(item.value + at, room, wanted)) return;
        std::size_t in_room = 0;
        while (in_room + length_at + 2 <= wanted) {
            const std::uint64_t length = number_at(room, in_room + length_at, 2);
            if (length < length_at + 3)
                return walk.sink.note(Piece{}.decimal(entries).add(entries == 1 ? " entry" : " entries").view());
            ++entries;
            in_room += static_cast<std::size_t>(length);
        }
        at += in_room;
    }
    walk.sink.note(Piece{}.decimal(entries).add(entries == 1 ? " entry" : " entries").view());
}

/// AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH
inline void form_statx_flags(Walk& walk, const Item& item) {
    constexpr std::uint64_t sync_type = 0x6000;
    const std::uint64_t flags = item.value & 0xffffffff;
    Piece piece;
    if ((flags & sync_type) == sync_type)
        piece.add("AT_STATX_FORCE_SYNC|AT_STATX_DONT_SYNC");
    else
        add_choice(piece, abi::ConstantSet::at_statx_sync, flags & sync_type);
    if ((flags & ~sync_type) != 0) {
        piece.add('|');
        Piece rest;
        add_flags(rest, abi::ConstantSet::at_all, flags & ~sync_type);
        piece.add(rest.view().substr(0, rest.view().find(" /*")));
    }
    walk.show(Kind::symbol, flags, piece);
}

/// struct file_handle: how long it may be, and when the call has filled it in, what it is.
inline void show_handle(Walk& walk, const Item& item, bool is_filled) {
    unsigned char bytes[8 + 128];
    if (!walk.read(item.value, bytes, 8)) return walk.address(item.value);
    const std::uint64_t length = number_at(bytes, 0, 4);
    walk.sink.begin(Shape::structure);
    walk.count("handle_bytes", length);
    if (is_filled) {
        walk.number("handle_type", low_int(number_at(bytes, 4, 4)));
        if (length > 128) {
            walk.sink.more();
        } else {
            walk.field("f_handle");
            show_bytes(walk, item.value + 8, length, Quoting::hex);
        }
    }
    walk.sink.end();
}
inline void form_handle_in(Walk& walk, const Item& item) {
    show_handle(walk, item, true);
}
inline void keep_handle(Walk& walk, const Item& item) {
    std::uint64_t length = 0;
    walk.saved[walk.place] = walk.read_number(item.value, 4, length) ? length : ~0ULL;
}
/// {handle_bytes=128 => 8, handle_type=1, f_handle="\x01"}
inline void form_handle_out(Walk& walk, const Item& item) {
    constexpr std::uint64_t overflow = 75;
    const std::uint64_t given = walk.saved[walk.place];
    unsigned char bytes[8];
    if (given == ~0ULL || !walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    const std::uint64_t length = number_at(bytes, 0, 4);
    const bool has_overflown = walk.has_failed() && static_cast<std::uint64_t>(-walk.call.result) == overflow;
    walk.sink.begin(Shape::structure);
    walk.count("handle_bytes", given);
    if ((!walk.has_failed() || has_overflown) && length != given) {
        walk.sink.becomes();
        walk.count(length);
    }
    if (!walk.has_failed()) {
        walk.number("handle_type", low_int(number_at(bytes, 4, 4)));
        walk.field("f_handle");
        show_bytes(walk, item.value + 8, std::min<std::uint64_t>(length, 128), Quoting::hex);
    }
    walk.sink.end();
}

/// FAN_CLASS_CONTENT|FAN_CLOEXEC
inline void form_fanotify_flags(Walk& walk, const Item& item) {
    constexpr std::uint64_t classes = 0xc;
    const std::uint64_t flags = item.value & 0xffffffff;
    Piece piece;
    add_choice(piece, abi::ConstantSet::fanotify_class, flags & classes);
    if ((flags & ~classes) != 0) {
        Piece rest;
        add_flags(rest, abi::ConstantSet::fanotify_init, flags & ~classes);
        piece.add('|').add(rest.view());
    }
    walk.show(Kind::symbol, flags, piece);
}

/// [1] => [5]: what the call has read of an offset, and what it has made of it.
inline void keep_offset(Walk& walk, const Item& item) {
    std::uint64_t offset = 0;
    walk.saved[walk.place] = walk.read_number(item.value, 8, offset) ? offset : 0x8000000000000000;
}
inline void form_send_offset(Walk& walk, const Item& item) {
    const auto unread = static_cast<std::uint64_t>(0x8000000000000000);
    const std::uint64_t before = walk.saved[walk.place];
    if (before == unread) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    walk.sink.element();
    walk.count(before);
    walk.sink.end();
    std::uint64_t after = 0;
    if (walk.has_failed() || walk.call.result == 0 || !walk.read_number(item.value, walk.word, after)) return;
    walk.sink.becomes();
    walk.sink.begin(Shape::array);
    walk.sink.element();
    walk.count(after);
    walk.sink.end();
}

/// Both halves of the position of preadv: on 64 bits the upper one is not read.
inline void plan_positioned(Plan& plan) {
    plan.items[3].form = form_long;
    if (plan.count > 5) plan.items[4] = plan.items[5];
    plan.count = plan.count > 4 ? plan.count - 1 : plan.count;
}

inline void plan_mknod(Plan& plan) {
    const unsigned mode = plan.count - 2;
    const std::uint64_t type = plan.items[mode].value & 0170000;
    if (type != 020000 && type != 060000) plan.count = mode + 1;
}

inline constexpr PlannerOf file_planners[] = {
    {"open", [](Plan& plan) { drop_mode(plan, 1, 2); }},
    {"openat", [](Plan& plan) { drop_mode(plan, 2, 3); }},
    {"mq_open",
     [](Plan& plan) {
         if ((plan.arguments[1] & 0100) == 0) plan.count = 2;
     }},
    {"preadv", plan_positioned},
    {"pwritev", plan_positioned},
    {"preadv2", plan_positioned},
    {"pwritev2", plan_positioned},
    {"mknod", plan_mknod},
    {"mknodat", plan_mknod},
    {"getdents64", [](Plan& plan) { plan.items[1].more = 1; }},
    {"getdents", [](Plan& plan) { plan.items[1].more = 0; }},
    {"umask", [](Plan& plan) { plan.result = Plan::Result::octal; }},
    {"name_to_handle_at", [](Plan& plan) { plan.items[2].keep = keep_handle; }},
    {"sendfile", [](Plan& plan) { plan.items[2].keep = keep_offset; }},
    {"fadvise64", [](Plan& plan) { plan.items[2].form = form_long; }},
};

inline constexpr FormOf file_forms[] = {
    {"openat2", abi::ArgName::how, form_open_how},
    {"getdents", abi::ArgName::buf, form_entries, When::exit},
    {"getdents64", abi::ArgName::buf, form_entries, When::exit},
    {"getcwd", abi::ArgName::buf, form_path, When::exit},
    {"statx", abi::ArgName::flags, form_statx_flags},
    {"fanotify_init", abi::ArgName::flags, form_fanotify_flags},
    {"name_to_handle_at", abi::ArgName::handle, form_handle_out, When::always},
    {"open_by_handle_at", abi::ArgName::handle, form_handle_in},
    {"open_by_handle_at", abi::ArgName::mount_fd, form_fd},
    {"sendfile", abi::ArgName::offset, form_send_offset, When::always},
    {"copy_file_range", abi::ArgName::off_in, form_offset_cell},
    {"copy_file_range", abi::ArgName::off_out, form_offset_cell},
    {"splice", abi::ArgName::off_in, form_offset_cell},
    {"splice", abi::ArgName::off_out, form_offset_cell},
    {"copy_file_range", abi::ArgName::flags, form_uint},
    {"ustat", abi::ArgName::buf, form_address, When::exit},
    {"ftruncate", abi::ArgName::length, form_ulong},
    {"truncate", abi::ArgName::length, form_ulong},
    {"symlink", abi::ArgName::target, form_path},
    {"symlinkat", abi::ArgName::target, form_path},
    {"fanotify_mark", abi::ArgName::mask, form_flags64, When::entry, abi::ConstantSet::fanotify_event},
    {"delete_module", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::module_delete},
    {"pipe2", abi::ArgName::flags, form_new_fd_flags},
    {"dup3", abi::ArgName::flags, form_new_fd_flags},
    {"mount_setattr", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::at_all},
    {"linkat", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::at_all},
    {"fchownat", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::at_all},
    {"unlinkat", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::at_all},
    {"newfstatat", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::at_all},
    {"execveat", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::at_all},
    {"name_to_handle_at", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::at_handle},
    {"preadv", abi::ArgName::iov, form_vector_result, When::always},
    {"preadv2", abi::ArgName::iov, form_vector_result, When::always},
    {"readv", abi::ArgName::iov, form_vector_result, When::always},
};

}  // namespace sysguard::supervise::render::detail
