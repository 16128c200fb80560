#pragma once

#include "symbols.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstdint>
#include <string_view>

/// Arguments that are numbers, and those that lead to strings, buffers, single numbers or tabled structures.
namespace sysguard::supervise::render::detail {

inline std::int32_t low_int(std::uint64_t value) noexcept {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
}

// Numbers in registers. A program of 32 bits has no more of them than 32.
inline void form_int(Walk& walk, const Item& item) {
    walk.number(low_int(item.value));
}
inline void form_uint(Walk& walk, const Item& item) {
    walk.count(item.value & 0xffffffff);
}
inline void form_long(Walk& walk, const Item& item) {
    walk.number(static_cast<std::int64_t>(item.value));
}
inline void form_ulong(Walk& walk, const Item& item) {
    walk.count(item.value);
}
inline void form_hex(Walk& walk, const Item& item) {
    walk.hex(item.value);
}
inline void form_hex32(Walk& walk, const Item& item) {
    walk.hex(item.value & 0xffffffff);
}
inline void form_address(Walk& walk, const Item& item) {
    walk.address(item.value);
}
inline void form_octal(Walk& walk, const Item& item) {
    walk.octal(item.value & 0177777);
}
inline void form_fd(Walk& walk, const Item& item) {
    show_descriptor(walk, low_int(item.value));
}
inline void form_dirfd(Walk& walk, const Item& item) {
    show_directory(walk, low_int(item.value));
}
inline void form_user(Walk& walk, const Item& item) {
    show_user(walk, item.value);
}
inline void form_signal(Walk& walk, const Item& item) {
    show_signal(walk, low_int(item.value));
}
inline void form_device(Walk& walk, const Item& item) {
    show_device(walk, item.value & 0xffffffff);
}
inline void form_node_mode(Walk& walk, const Item& item) {
    show_node_mode(walk, item.value & 0177777);
}
inline void form_open_flags(Walk& walk, const Item& item) {
    show_open_flags(walk, item.value & 0xffffffff);
}
inline void form_choice(Walk& walk, const Item& item) {
    show_choice(walk, item.set, item.value & 0xffffffff, 0xffffffff);
}
inline void form_flags(Walk& walk, const Item& item) {
    show_flags(walk, item.set, item.value & 0xffffffff);
}
inline void form_flags64(Walk& walk, const Item& item) {
    show_flags(walk, item.set, item.value);
}

/// SOCK_STREAM|SOCK_CLOEXEC
inline void form_socket_type(Walk& walk, const Item& item) {
    const std::uint64_t type = item.value & 0xffffffff;
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::socket_type, type);
    Piece piece;
    if (known == nullptr) {
        add_choice(piece, abi::ConstantSet::socket_type, type);
    } else {
        piece.add(known->name);
        if ((type & ~0xfULL) != 0) {
            piece.add('|');
            Piece flags;
            add_flags(flags, abi::ConstantSet::socket_flags, type & ~0xfULL);
            const std::string_view text = flags.view();
            piece.add(text.substr(0, text.find(" /*")));
        }
    }
    walk.show(Kind::symbol, type, piece);
}

// Strings and buffers.
inline void form_path(Walk& walk, const Item& item) {
    show_path(walk, item.value);
}
inline void form_string(Walk& walk, const Item& item) {
    show_string(walk, item.value);
}
/// A buffer with as many bytes as `more` says.
inline void form_bytes(Walk& walk, const Item& item) {
    show_bytes(walk, item.value, item.more);
}
/// One that the call has filled with as many bytes as it answers.
inline void form_result_bytes(Walk& walk, const Item& item) {
    const std::uint64_t size = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    show_bytes(walk, item.value, size);
}
inline void form_result_bytes_hex(Walk& walk, const Item& item) {
    const std::uint64_t size = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    show_bytes(walk, item.value, size, Quoting::hex);
}

/// ["ls", "-l"]
inline void form_string_array(Walk& walk, const Item& item) {
    std::uint64_t string = 0;
    if (!walk.read_word(item.value, string)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    for (unsigned i = 0;; ++i) {
        if (i > 0 && !walk.read_word(item.value + std::uint64_t{i} * walk.word, string)) {
            walk.sink.more();
            walk.sink.note(Piece{}.hex(item.value + std::uint64_t{i} * walk.word).view());
            break;
        }
        if (string == 0) break;
        if (i >= walk.most_bytes()) {
            walk.sink.more();
            break;
        }
        walk.sink.element();
        show_string(walk, string);
    }
    walk.sink.end();
}

/// 0x7ffd12345678 /* 37 vars */
inline void form_environment(Walk& walk, const Item& item) {
    walk.address(item.value);
    if (item.value == 0) return;
    constexpr unsigned most = 1 << 20;
    constexpr unsigned at_once = 256;
    unsigned char words[at_once * 8];
    unsigned count = 0;
    bool is_ended = false;
    while (!is_ended && count < most) {
        const std::size_t got =
            walk.source().read(item.value + std::uint64_t{count} * walk.word, words, at_once * walk.word);
        for (unsigned i = 0; i < at_once && !is_ended; ++i) {
            if ((i + 1) * walk.word > got) {
                Piece note;
                if (count + i == 0) return;
                note.decimal(count + i).add(count + i == 1 ? " var, unterminated" : " vars, unterminated");
                return walk.sink.note(note.view());
            }
            if (number_at(words, i * walk.word, walk.word) == 0) {
                is_ended = true;
                count += i;
            }
        }
        if (!is_ended) count += at_once;
    }
    walk.sink.note(Piece{}.decimal(count).add(count == 1 ? " var" : " vars").view());
}

// Single numbers in memory: [5].
inline void show_cell(Walk& walk, std::uint64_t address, unsigned size, void (*show)(Walk&, std::uint64_t)) {
    std::uint64_t value = 0;
    if (!walk.read_number(address, size, value)) return walk.address(address);
    walk.sink.begin(Shape::array);
    walk.sink.element();
    show(walk, value);
    walk.sink.end();
}
inline void form_int_cell(Walk& walk, const Item& item) {
    show_cell(walk, item.value, 4, [](Walk& shown, std::uint64_t value) { shown.number(with_sign(value, 4)); });
}
inline void form_uint_cell(Walk& walk, const Item& item) {
    show_cell(walk, item.value, 4, [](Walk& shown, std::uint64_t value) { shown.count(value); });
}
inline void form_word_cell(Walk& walk, const Item& item) {
    show_cell(walk, item.value, walk.word, [](Walk& shown, std::uint64_t value) { shown.count(value); });
}
inline void form_offset_cell(Walk& walk, const Item& item) {
    show_cell(walk, item.value, 8, [](Walk& shown, std::uint64_t value) { shown.number(with_sign(value, 8)); });
}
inline void form_address_cell(Walk& walk, const Item& item) {
    show_cell(walk, item.value, walk.word, [](Walk& shown, std::uint64_t value) { shown.address(value); });
}
inline void form_user_cell(Walk& walk, const Item& item) {
    show_cell(walk, item.value, 4, [](Walk& shown, std::uint64_t value) { show_user(shown, value); });
}
inline void form_signal_cell(Walk& walk, const Item& item) {
    show_cell(walk, item.value, 4, [](Walk& shown, std::uint64_t value) { show_signal(shown, with_sign(value, 4)); });
}
inline void form_choice_cell(Walk& walk, const Item& item) {
    std::uint64_t value = 0;
    if (!walk.read_number(item.value, 4, value)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    walk.sink.element();
    show_choice(walk, item.set, value);
    walk.sink.end();
}
inline void form_flags_cell(Walk& walk, const Item& item) {
    std::uint64_t value = 0;
    if (!walk.read_number(item.value, 4, value)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    walk.sink.element();
    show_flags(walk, item.set, value);
    walk.sink.end();
}

/// [3<pipe:[5]>, 4<pipe:[5]>]
inline void form_fd_pair(Walk& walk, const Item& item) {
    unsigned char pair[8];
    if (!walk.read(item.value, pair, sizeof pair)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    for (unsigned at = 0; at < sizeof pair; at += 4) {
        walk.sink.element();
        show_descriptor(walk, low_int(number_at(pair, at, 4)));
    }
    walk.sink.end();
}

/// A tabled structure.
inline void form_structure(Walk& walk, const Item& item) {
    show_structure(walk, item.layout, item.value, walk.word);
}
/// One of times, whose words another ABI may have wider than its others.
inline void form_time(Walk& walk, const Item& item) {
    show_structure(walk, item.layout, item.value, walk.time_word);
}

/// An array of tabled structures, with as many elements as `more` says.
inline void form_structures(Walk& walk, const Item& item) {
    struct Local {
        static void show(Walk& shown, const unsigned char* bytes, std::uint64_t layout) {
            show_fields(shown, static_cast<abi::Layout>(layout), bytes, shown.word);
        }
    };
    show_array(walk, item.value, item.more, abi::size_of(item.layout, walk.word), Local::show,
               static_cast<std::uint64_t>(item.layout));
}

/// [1, -1]
inline void form_users(Walk& walk, const Item& item) {
    show_array(walk, item.value, item.more, 4, [](Walk& shown, const unsigned char* bytes, std::uint64_t) {
        show_user(shown, number_at(bytes, 0, 4));
    });
}
/// As many as the call answers.
inline void form_result_users(Walk& walk, const Item& item) {
    Item shown = item;
    shown.more = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    if (item.more == 0) return walk.address(item.value);
    form_users(walk, shown);
}
inline void form_ints(Walk& walk, const Item& item) {
    show_array(walk, item.value, item.more, 4, [](Walk& shown, const unsigned char* bytes, std::uint64_t) {
        shown.number(with_sign(number_at(bytes, 0, 4), 4));
    });
}
inline void form_addresses(Walk& walk, const Item& item) {
    show_array(walk, item.value, item.more, walk.word, [](Walk& shown, const unsigned char* bytes, std::uint64_t) {
        shown.address(number_at(bytes, 0, shown.word));
    });
}
inline void form_numbers64(Walk& walk, const Item& item) {
    show_array(walk, item.value, item.more, 8,
               [](Walk& shown, const unsigned char* bytes, std::uint64_t) { shown.hex(number_at(bytes, 0, 8)); });
}

/// [0 1 5]: the bits that are set in so many bytes.
inline void show_bits(Walk& walk, std::uint64_t address, std::uint64_t bytes) {
    constexpr unsigned most = 1024;
    unsigned char room[most];
    const std::size_t size = bytes < most ? static_cast<std::size_t>(bytes) : most;
    if (!walk.read(address, room, size)) return walk.address(address);
    walk.sink.begin(Shape::set);
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
        if ((room[bit / 8] >> bit % 8 & 1) == 0) continue;
        walk.sink.element();
        walk.count(bit);
    }
    walk.sink.end();
}

/// [0x00000000000001]: words of a mask of NUMA nodes, `more` bits in all.
inline void form_node_mask(Walk& walk, const Item& item) {
    const std::uint64_t bits = item.more;
    constexpr std::uint64_t most_bits = 4096 * 8;
    if (bits == 0 || bits > most_bits) return walk.address(item.value);
    const std::uint64_t words = (bits + walk.word * 8 - 1) / (walk.word * 8);
    show_array(walk, item.value, words, walk.word, [](Walk& shown, const unsigned char* bytes, std::uint64_t) {
        const std::uint64_t mask = number_at(bytes, 0, shown.word);
        shown.show(Kind::number, mask, Piece{}.add("0x").bare_hex(mask, shown.word * 2 - 2));
    });
}

}  // namespace sysguard::supervise::render::detail
