#pragma once

#include "../../../abi/constants.hpp"
#include "../../../abi/signal_names.hpp"
#include "piece.hpp"
#include "walk.hpp"

#include <cstdint>
#include <string_view>

/// Numbers for which there are names.
namespace sysguard::supervise::render::detail {

inline void add_unknown(Piece& to, std::string_view text) noexcept {
    if (!text.empty()) to.add(" /* ").add(text).add(" */");
}

/// The name of a set's value, of which `width` has the bits that count; or its number.
inline void add_choice(Piece& to, abi::ConstantSet set, std::uint64_t value, std::uint64_t width = ~0ULL) noexcept {
    for (const abi::Constant& constant : abi::constants_in(set))
        if (((constant.value ^ value) & width) == 0) {
            to.add(constant.name);
            return;
        }
    to.hex(value & width);
    add_unknown(to, abi::unknown_text(set));
}

/// The names of flags, and what has none as a number.
inline void add_flags(Piece& to, abi::ConstantSet set, std::uint64_t flags) noexcept {
    std::uint64_t rest = flags;
    bool is_first = true;
    for (const abi::Constant& constant : abi::constants_in(set)) {
        if (constant.value == 0 ? flags != 0 : (rest & constant.value) != constant.value) continue;
        if (!is_first) to.add('|');
        to.add(constant.name);
        is_first = false;
        rest &= ~constant.value;
        if (rest == 0) return;
    }
    if (is_first && rest == 0) {
        to.add('0');
    } else if (is_first) {
        to.hex(rest);
        add_unknown(to, abi::unknown_text(set));
    } else {
        to.add('|').hex(rest);
    }
}

inline void show_choice(Walk& walk, abi::ConstantSet set, std::uint64_t value, std::uint64_t width = ~0ULL) {
    Piece piece;
    add_choice(piece, set, value, width);
    walk.show(Kind::symbol, value & width, piece);
}

inline void show_flags(Walk& walk, abi::ConstantSet set, std::uint64_t flags) {
    Piece piece;
    add_flags(piece, set, flags);
    walk.show(Kind::symbol, flags, piece);
}

inline void add_open_flags(Piece& to, std::uint64_t flags) noexcept {
    constexpr std::string_view modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    to.add(modes[flags & 3]);
    std::uint64_t rest = flags & ~3ULL;
    for (const abi::Constant& constant : abi::constants_in(abi::ConstantSet::open)) {
        if ((constant.value & 3) != 0 || constant.value == 0 || (rest & constant.value) != constant.value) continue;
        to.add('|').add(constant.name == "O_ASYNC" ? std::string_view{"FASYNC"} : constant.name);
        rest &= ~constant.value;
    }
    if (rest != 0) to.add('|').hex(rest);
}

inline void show_open_flags(Walk& walk, std::uint64_t flags) {
    Piece piece;
    add_open_flags(piece, flags);
    walk.show(Kind::symbol, flags, piece);
}

/// S_IFREG|0644; all of it octal where the type of the file is none.
inline void show_node_mode(Walk& walk, std::uint64_t mode) {
    Piece piece;
    const abi::Constant* const type = abi::find_constant(abi::ConstantSet::node_mode, mode);
    if (type != nullptr) {
        piece.add(type->name);
        for (const auto& [bit, name] :
             {std::pair<unsigned, std::string_view>{04000, "S_ISUID"}, {02000, "S_ISGID"}, {01000, "S_ISVTX"}})
            if ((mode & bit) != 0) piece.add('|').add(name);
        piece.add('|').octal(mode & 0777);
    } else {
        piece.octal(mode);
    }
    walk.show(Kind::symbol, mode, piece);
}

/// SIGINT, SIGRT_1; a number where there is no such signal.
inline void add_signal(Piece& to, std::int64_t signal) noexcept {
    constexpr int first_real_time = 32;
    constexpr int last = 64;
    const std::string_view name =
        signal > 0 && signal < 32 ? abi::signal_name(static_cast<int>(signal)) : std::string_view{};
    if (!name.empty())
        to.add(name);
    else if (signal >= first_real_time && signal <= last)
        signal == first_real_time ? to.add("SIGRTMIN")
                                  : to.add("SIGRT_").decimal(static_cast<std::uint64_t>(signal - first_real_time));
    else
        to.number(signal);
}

inline void show_signal(Walk& walk, std::int64_t signal) {
    Piece piece;
    add_signal(piece, signal);
    walk.show(Kind::symbol, static_cast<std::uint64_t>(signal), piece);
}

/// [INT TERM]; ~[INT] where most are in it.
inline void show_signal_set(Walk& walk, std::uint64_t set, unsigned bytes) {
    constexpr std::uint64_t most_in_set = 64 * 2 / 3;
    const unsigned bits = bytes < 8 ? bytes * 8 : 64;
    const std::uint64_t all = bits == 64 ? ~0ULL : (1ULL << bits) - 1;
    set &= all;
    const bool is_inverted = static_cast<unsigned>(__builtin_popcountll(set)) >= most_in_set;
    const std::uint64_t shown = is_inverted ? ~set & all : set;
    Piece piece;
    piece.add(is_inverted ? "~[" : "[");
    bool is_first = true;
    for (int signal = 1; signal <= 64; ++signal) {
        if ((shown >> (signal - 1) & 1) == 0) continue;
        if (!is_first) piece.add(' ');
        is_first = false;
        Piece name;
        add_signal(name, signal);
        piece.add(name.view().substr(name.view().substr(0, 3) == "SIG" ? 3 : 0));
    }
    piece.add(']');
    walk.show(Kind::symbol, set, piece);
}

inline void add_device(Piece& to, std::uint64_t device) noexcept {
    const std::uint64_t major = (device >> 8 & 0xfff) | (device >> 32 & ~0xfffULL);
    const std::uint64_t minor = (device & 0xff) | (device >> 12 & ~0xffULL);
    to.add("makedev(").hex(major & 0xffffffff).add(", ").hex(minor & 0xffffffff).add(')');
}

inline void show_device(Walk& walk, std::uint64_t device) {
    Piece piece;
    add_device(piece, device);
    walk.show(Kind::symbol, device, piece);
}

inline void show_user(Walk& walk, std::uint64_t id, unsigned bytes = 4) {
    const std::uint64_t none = bytes == 2 ? 0xffff : 0xffffffff;
    if ((id & none) == none)
        walk.number(-1);
    else
        walk.count(id & none);
}

}  // namespace sysguard::supervise::render::detail
