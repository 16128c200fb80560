#pragma once

#include "../text_sink.hpp"
#include "symbols.hpp"
#include "walk.hpp"

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include <linux/limits.h>

/// What arguments and fields have in common: descriptors, strings, buffers, times, and structures by their layouts.
namespace sysguard::supervise::render::detail {

inline void add_path_of(Walk& walk, std::string& to, int descriptor) {
    char path[PATH_MAX];
    const std::size_t length = walk.source().path(descriptor, path, sizeof path);
    if (length == 0) return;
    std::string_view text{path, length < sizeof path ? length : sizeof path};
    constexpr std::string_view deleted = " (deleted)";
    const bool is_deleted = text.size() > deleted.size() && text.substr(text.size() - deleted.size()) == deleted;
    if (is_deleted) text.remove_suffix(deleted.size());
    to += '<';
    add_escaped(to, text, Quoting::plain, "<>");
    to += is_deleted ? ">(deleted)" : ">";
}

/// 3</etc/passwd>
inline void show_descriptor(Walk& walk, std::int32_t descriptor) {
    Piece number;
    number.number(descriptor);
    std::string text{number.view()};
    if (walk.options.descriptor_paths && descriptor >= 0) add_path_of(walk, text, descriptor);
    walk.sink.value(Kind::number, static_cast<std::uint64_t>(std::int64_t{descriptor}), text);
}

/// AT_FDCWD</home>
inline void show_directory(Walk& walk, std::int32_t descriptor) {
    if (descriptor != Source::directory) return show_descriptor(walk, descriptor);
    std::string text{"AT_FDCWD"};
    if (walk.options.descriptor_paths) add_path_of(walk, text, descriptor);
    walk.sink.value(Kind::symbol, static_cast<std::uint64_t>(std::int64_t{descriptor}), text);
}

/// A string that ends with a null byte, no more than `most` bytes of it; its address where it cannot be read.
inline void show_string_of(Walk& walk, std::uint64_t address, std::size_t most) {
    if (address == 0) return walk.address(0);
    char room[Options::most_room + 1];
    if (most >= sizeof room) most = sizeof room - 1;
    constexpr std::size_t usual = 128;
    std::size_t got = 0;
    const void* end = nullptr;
    for (std::size_t wanted = most < usual ? most + 1 : usual; got <= most; wanted = most + 1 - got) {
        const std::size_t more = walk.source().read(address + got, room + got, wanted);
        end = __builtin_memchr(room + got, 0, more);
        got += more;
        if (end != nullptr || more < wanted) break;
    }
    if (end != nullptr)
        return walk.sink.string({room, static_cast<std::size_t>(static_cast<const char*>(end) - room)}, true,
                                Quoting::plain);
    if (got <= most) return walk.address(address);
    walk.sink.string({room, most}, false, Quoting::plain);
}

inline void show_string(Walk& walk, std::uint64_t address) {
    show_string_of(walk, address, walk.most_bytes());
}

inline void show_path(Walk& walk, std::uint64_t address) {
    show_string_of(walk, address, PATH_MAX - 1);
}

/// A buffer of so many bytes, as many of them as are wanted.
inline void show_bytes(Walk& walk, std::uint64_t address, std::uint64_t length, Quoting quoting = Quoting::plain) {
    if (address == 0) return walk.address(0);
    char room[Options::most_room];
    const std::size_t shown = length < walk.most_bytes() ? static_cast<std::size_t>(length) : walk.most_bytes();
    if (!walk.read(address, room, shown)) return walk.address(address);
    walk.sink.string({room, shown}, shown == length, quoting);
}

/// Of bytes that were read already, up to a null byte.
inline void show_text_in(Walk& walk, const unsigned char* bytes, std::size_t size) {
    const void* const end = __builtin_memchr(bytes, 0, size);
    const auto length =
        end == nullptr ? size : static_cast<std::size_t>(static_cast<const unsigned char*>(end) - bytes);
    const std::size_t shown = length < walk.most_bytes() ? length : walk.most_bytes();
    walk.sink.string({reinterpret_cast<const char*>(bytes), shown}, shown == length, Quoting::plain);
}

/// 2022-11-28T01:02:03+0000, in the host's time zone, with so many digits of a second behind the point; "" where there
/// is none.
inline void add_date(Piece& to, std::int64_t seconds, std::uint64_t part, unsigned digits) noexcept {
    const std::uint64_t parts = digits == 9 ? 1000000000 : digits == 6 ? 1000000 : 1;
    if ((seconds == 0 && part == 0) || part >= parts) return;
    const std::time_t time = seconds;
    std::tm broken{};
    if (::localtime_r(&time, &broken) == nullptr) return;
    char text[64];
    if (std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &broken) == 0) return;
    to.add(text);
    if (part > 0) to.add('.').padded(part, digits);
    if (std::strftime(text, sizeof text, "%z", &broken) != 0) to.add(text);
}

inline void note_date(Walk& walk, std::int64_t seconds, std::uint64_t part = 0, unsigned digits = 0) {
    Piece date;
    add_date(date, seconds, part, digits);
    if (!date.empty()) walk.sink.note(date.view());
}

/// 9 /* 0.09 s */
inline void show_ticks(Walk& walk, std::uint64_t ticks) {
    walk.count(ticks);
    if (ticks == 0) return;
    Piece note;
    walk.sink.note(note.decimal(ticks / 100).add('.').padded(ticks % 100, 2).add(" s").view());
}

/// 8192*1024, RLIM64_INFINITY
inline void show_limit(Walk& walk, std::uint64_t limit, unsigned size) {
    if (size == 4 ? limit == 0xffffffff : limit == ~0ULL)
        walk.symbol(limit, size == 4 ? "RLIM_INFINITY" : "RLIM64_INFINITY");
    else if (limit > 1024 && limit % 1024 == 0)
        walk.show(Kind::number, limit, Piece{}.decimal(limit / 1024).add("*1024"));
    else
        walk.count(limit);
}

void show_fields(Walk& walk, abi::Layout layout, const unsigned char* bytes, unsigned word);

constexpr bool is_device(std::uint64_t mode) noexcept {
    return (mode & 0170000) == 020000 || (mode & 0170000) == 060000;
}

/// The mode in the bytes of a structure that has one.
inline std::uint64_t mode_in(abi::Layout layout, const unsigned char* bytes, unsigned column) noexcept {
    for (const abi::Field& field : abi::fields_of(layout))
        if (field.show == abi::FieldShow::node_mode) return number_at(bytes, field.at[column], field.size[column]);
    return 0;
}

inline void show_field(Walk& walk, const abi::Field& field, const unsigned char* bytes, unsigned word) {
    using abi::FieldShow;
    const unsigned column = word == 8 ? 0 : 1;
    const unsigned size = field.size[column];
    const unsigned char* const at = bytes + field.at[column];
    const std::uint64_t value = number_at(at, 0, size);
    switch (field.show) {
        case FieldShow::number: return walk.number(with_sign(value, size));
        case FieldShow::count:
        case FieldShow::file_size: return walk.count(value);
        case FieldShow::hex: return walk.hex(value);
        case FieldShow::address: return walk.address(value);
        case FieldShow::mode: return walk.octal(value);
        case FieldShow::node_mode: return show_node_mode(walk, value);
        case FieldShow::choice: return show_choice(walk, field.set, value, size >= 8 ? ~0ULL : (1ULL << size * 8) - 1);
        case FieldShow::flags: return show_flags(walk, field.set, value);
        case FieldShow::descriptor: return show_descriptor(walk, static_cast<std::int32_t>(value));
        case FieldShow::user: return show_user(walk, value, size);
        case FieldShow::device:
        case FieldShow::file_device: return show_device(walk, value);
        case FieldShow::date: walk.number(with_sign(value, size)); return note_date(walk, with_sign(value, size));
        case FieldShow::ticks: return show_ticks(walk, value);
        case FieldShow::limit: return show_limit(walk, value, size);
        case FieldShow::text: return show_text_in(walk, at, size);
        case FieldShow::words:
        case FieldShow::halves: {
            const unsigned step = field.show == FieldShow::words ? word : 4;
            walk.sink.begin(Shape::array);
            for (unsigned i = 0; i + step <= size; i += step) {
                walk.sink.element();
                field.show == FieldShow::words ? walk.count(number_at(at, i, step)) : walk.hex(number_at(at, i, step));
            }
            return walk.sink.end();
        }
        case FieldShow::structure: return show_fields(walk, field.nested, at, word);
    }
}

/// A structure whose bytes were read.
inline void show_fields(Walk& walk, abi::Layout layout, const unsigned char* bytes, unsigned word) {
    using abi::FieldShow;
    walk.sink.begin(Shape::structure);
    bool is_abridged = false;
    for (const abi::Field& field : abi::fields_of(layout)) {
        if (field.is_more && !walk.options.all_fields) {
            is_abridged = true;
            continue;
        }
        if ((field.show == FieldShow::file_size || field.show == FieldShow::file_device) &&
            is_device(mode_in(layout, bytes, word == 8 ? 0 : 1)) != (field.show == FieldShow::file_device))
            continue;
        walk.sink.field(field.name);
        show_field(walk, field, bytes, word);
    }
    if (is_abridged) walk.sink.more();
    walk.sink.end();
}

/// A structure of the program's, or its address where it cannot be read. Returns whether it could.
inline bool show_structure(Walk& walk, abi::Layout layout, std::uint64_t address, unsigned word) {
    unsigned char bytes[abi::most_layout_bytes()] = {};
    if (!walk.read(address, bytes, abi::size_of(layout, word))) {
        walk.address(address);
        return false;
    }
    show_fields(walk, layout, bytes, word);
    return true;
}

/// An array of the program's: as many elements as are wanted, each shown by `show(bytes)`. Its address where not even
/// the first can be read.
template <class Show>
void show_each(Walk& walk, std::uint64_t address, std::uint64_t count, unsigned size, const Show& show) {
    unsigned char bytes[256];
    if (address == 0 || size > sizeof bytes) return walk.address(address);
    if (count == 0) {
        walk.sink.begin(Shape::array);
        return walk.sink.end();
    }
    if (!walk.read(address, bytes, size)) return walk.address(address);
    walk.sink.begin(Shape::array);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (i >= walk.most_bytes()) {
            walk.sink.more();
            break;
        }
        if (i > 0 && !walk.read(address + i * size, bytes, size)) {
            walk.sink.more();
            walk.sink.note(Piece{}.hex(address + i * size).view());
            break;
        }
        walk.sink.element();
        show(static_cast<const unsigned char*>(bytes));
    }
    walk.sink.end();
}

/// Shows an element from its bytes.
using ElementForm = void (*)(Walk&, const unsigned char*, std::uint64_t more);

inline void show_array(Walk& walk, std::uint64_t address, std::uint64_t count, unsigned size, ElementForm form,
                       std::uint64_t more = 0) {
    show_each(walk, address, count, size, [&](const unsigned char* bytes) { form(walk, bytes, more); });
}

}  // namespace sysguard::supervise::render::detail
