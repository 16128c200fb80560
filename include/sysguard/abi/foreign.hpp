#pragma once

#include "numbers.hpp"
#include "table.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::abi {

/// Where an argument of a native call lies in a call of a 32-bit ABI. Of a register the kernel reads 32 bits, whatever
/// seccomp_data shows above them: code of 64 bits that enters by `int 0x80` brings all 64 (measured on Linux 6.18).
struct Source {
    enum class Kind : std::uint8_t {
        unknown,        ///< in memory, or read otherwise than the native call reads it
        zero_extended,  ///< in one register
        sign_extended,  ///< in one register
        pair,           ///< in two registers
        constant,       ///< as if the native call had `value` there
        request,        ///< of ioctl, in one register: structures of other sizes make other numbers
        command,        ///< of fcntl64, in one register: `first_lock64` to `last_lock64` are none of the native call's
    };
    static constexpr std::uint32_t first_lock64 = 12;  ///< F_GETLK64 and, up to 14, its like (asm-generic/fcntl.h)
    static constexpr std::uint32_t last_lock64 = 14;

    Kind kind = Kind::unknown;
    std::uint8_t low = 0;   ///< which register
    std::uint8_t high = 0;  ///< of a pair: which register has the upper 32 bits
    std::int32_t value = 0;
};

/// Which native call's rules hold for a foreign call, and where that call's arguments lie.
struct ForeignLayout {
    std::int16_t native = 0;   ///< -1: none
    std::int16_t instead = 0;  ///< the place of the layout that holds where a policy has no rules for `native`; or -1
    Source sources[max_arguments]{};
};

/// The numbers of i386, and after them places for the calls behind socketcall and ipc, and for what holds instead.
inline constexpr int i386_limit = 472;
inline constexpr int i386_socketcall = i386_limit;
inline constexpr int most_socketcalls = 20;
inline constexpr int i386_ipc = i386_socketcall + most_socketcalls + 1;
inline constexpr int most_ipc_calls = 24;
inline constexpr int i386_instead = i386_ipc + most_ipc_calls + 1;
inline constexpr int i386_places = i386_instead + 4;

namespace detail {

enum class I386Number : std::int16_t {
#define SYSGUARD_SYSCALL(name, x86_64, i386, ...) name##_ = i386,
#define SYSGUARD_FOREIGN_SYSCALL(name, i386, ...) name##_ = i386,
#include "syscalls.def"
#undef SYSGUARD_SYSCALL
#undef SYSGUARD_FOREIGN_SYSCALL
};

struct I386Layouts {
    ForeignLayout places[i386_places];
};

/// Of each argument of a native call its own register, by what the kernel makes of one of 32 bits: a `long` is
/// extended with its sign.
constexpr ForeignLayout layout_of(int native) noexcept {
    ForeignLayout layout;
    layout.native = static_cast<std::int16_t>(native);
    layout.instead = -1;
    if (!is_known(native)) return layout;
    for (int i = 0; i < find(native)->argument_count(); ++i) {
        const Type type = find(native)->arguments[i].type;
        Source& source = layout.sources[i];
        source.kind = native == sys::ioctl && i == 1                ? Source::Kind::request
                      : type == Type::int64 || type == Type::offset ? Source::Kind::sign_extended
                                                                    : Source::Kind::zero_extended;
        source.low = static_cast<std::uint8_t>(i);
    }
    return layout;
}

/// `where` says which register has an argument, or what else there is to it.
constexpr ForeignLayout layout_of(int native, const Source (&where)[max_arguments]) noexcept {
    ForeignLayout layout = layout_of(native);
    for (int i = 0; i < max_arguments; ++i) {
        const Source::Kind by_type = layout.sources[i].kind;
        layout.sources[i] = where[i];
        if (where[i].kind == Source::Kind::zero_extended) layout.sources[i].kind = by_type;
    }
    return layout;
}

namespace where {

constexpr Source R(std::uint8_t n) noexcept {
    return {Source::Kind::zero_extended, n, 0, 0};
}
constexpr Source P(std::uint8_t low, std::uint8_t high) noexcept {
    return {Source::Kind::pair, low, high, 0};
}
constexpr Source K(std::int32_t value) noexcept {
    return {Source::Kind::constant, 0, 0, value};
}
constexpr Source COMMAND(std::uint8_t n) noexcept {
    return {Source::Kind::command, n, 0, 0};
}
inline constexpr Source U{Source::Kind::unknown, 0, 0, 0};

constexpr I386Layouts layouts_of_i386() noexcept {
    I386Layouts layouts{};
    for (ForeignLayout& layout : layouts.places) layout.native = layout.instead = -1;
    for (const Syscall& call : syscalls)
        if (call.number(Abi::i386) >= 0 && call.number(Abi::x86_64) >= 0)
            layouts.places[call.number(Abi::i386)] = layout_of(call.number());
    int next = i386_instead;
#define SYSGUARD_FOREIGN_SAME(name, native) \
    layouts.places[static_cast<int>(I386Number::name##_)] = layout_of(sys::native);
#define SYSGUARD_FOREIGN_LAYOUT(name, native, ...) \
    layouts.places[static_cast<int>(I386Number::name##_)] = layout_of(sys::native, {__VA_ARGS__});
#define SYSGUARD_FOREIGN_PART(name, part, native, ...) \
    layouts.places[i386_##name + part] = layout_of(sys::native, {__VA_ARGS__});
#define SYSGUARD_FOREIGN_ELSE(name, native, ...)                                                     \
    layouts.places[static_cast<int>(I386Number::name##_)].instead = static_cast<std::int16_t>(next); \
    layouts.places[next++] = layout_of(sys::native, {__VA_ARGS__});
#define SYSGUARD_FOREIGN_NONE(name)
#include "i386.def"
#undef SYSGUARD_FOREIGN_SAME
#undef SYSGUARD_FOREIGN_LAYOUT
#undef SYSGUARD_FOREIGN_PART
#undef SYSGUARD_FOREIGN_ELSE
#undef SYSGUARD_FOREIGN_NONE
    return layouts;
}

}  // namespace where

inline constexpr I386Layouts i386_layouts = where::layouts_of_i386();

}  // namespace detail

/// The low 32 bits: what the kernel reads of a 32-bit call's register.
constexpr std::uint32_t low_half(std::uint64_t value) noexcept {
    return static_cast<std::uint32_t>(value);
}

inline constexpr int i386_socketcall_number = static_cast<int>(detail::I386Number::socketcall_);
inline constexpr int i386_ipc_number = static_cast<int>(detail::I386Number::ipc_);

/// Where in the table of layouts a call of i386 is, or -1: no native call does what it does. Of socketcall and ipc the
/// first register says which call it is.
constexpr int i386_place(int number, std::uint64_t first_register) noexcept {
    if (number < 0 || number >= i386_limit) return -1;
    int place = number;
    if (number == i386_socketcall_number || number == i386_ipc_number) {
        const bool sockets = number == i386_socketcall_number;
        const std::uint32_t part = low_half(first_register) & (sockets ? 0xffffffff : 0xffff);
        if (part > static_cast<std::uint32_t>(sockets ? most_socketcalls : most_ipc_calls)) return -1;
        place = (sockets ? i386_socketcall : i386_ipc) + static_cast<int>(part);
    }
    return detail::i386_layouts.places[place].native < 0 ? -1 : place;
}

/// The layout at a place.
constexpr const ForeignLayout& i386_layout(int place) noexcept {
    return detail::i386_layouts.places[place];
}

/// An argument of the native call, as far as it can be told from the registers of a foreign one.
struct SourceValue {
    bool known = false;
    std::uint64_t bits = 0;
};

constexpr SourceValue value_of(const Source& source, const std::uint64_t* registers) noexcept {
    const std::uint64_t low = low_half(registers[source.low]);
    switch (source.kind) {
        case Source::Kind::unknown: return {};
        case Source::Kind::zero_extended:
        case Source::Kind::request: return {true, low};
        case Source::Kind::command: return {low < Source::first_lock64 || low > Source::last_lock64, low};
        case Source::Kind::sign_extended:
            return {true, static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(low_half(low))})};
        case Source::Kind::pair: return {true, low | std::uint64_t{low_half(registers[source.high])} << 32};
        case Source::Kind::constant: return {true, static_cast<std::uint64_t>(std::int64_t{source.value})};
    }
    return {};
}

}  // namespace sysguard::abi
