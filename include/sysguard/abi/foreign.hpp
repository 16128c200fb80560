#pragma once

#include "numbers.hpp"
#include "table.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::abi {

/// Where an argument of a native call lies in a call of a 32-bit ABI. Of a register the kernel reads 32 bits, whatever
/// seccomp_data shows above them: code of 64 bits that enters i386 by `int 0x80` brings all 64 (measured on
/// Linux 6.18).
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
    static constexpr std::int16_t none = -1;
    static constexpr std::int16_t always = -2;

    std::int16_t native = none;  ///< or `none`; or `always`: programs of 64 bits do this by instructions, unasked
    std::int16_t instead = -1;   ///< the place of the layout that holds where a policy has no rules for `native`; or -1
    Source sources[max_arguments]{};
};

/// Numbers that follow each other, and at which place the layout of the first is.
struct NumberRange {
    int first = 0;
    int count = 0;
    int place = 0;
};

/// A call whose first register says which call it is: by bits of it, up to a value; and at which place that of 0 is.
struct Multiplexer {
    int number = -1;
    std::uint32_t mask = 0;
    int last_part = 0;
    int place = 0;
};

namespace detail {

enum class I386Number : std::int32_t {
#define SYSGUARD_SYSCALL(name, x86_64, i386, ...) name##_ = i386,
#define SYSGUARD_FOREIGN_SYSCALL(name, i386, ...) name##_ = i386,
#include "syscalls.def"
#undef SYSGUARD_SYSCALL
#undef SYSGUARD_FOREIGN_SYSCALL
};

enum class ArmNumber : std::int32_t {
#define SYSGUARD_SYSCALL(name, x86_64, i386, aarch64, arm, ...) name##_ = arm,
#define SYSGUARD_FOREIGN_SYSCALL(name, i386, arm, ...) name##_ = arm,
#include "syscalls.def"
#undef SYSGUARD_SYSCALL
#undef SYSGUARD_FOREIGN_SYSCALL
};

}  // namespace detail

/// How the layouts of a 32-bit ABI are arranged: for its numbers, for the calls behind its multiplexers, and from
/// `instead` to `count` for what holds instead of others.
template <Abi abi>
struct ForeignPlaces;

template <>
struct ForeignPlaces<Abi::i386> {
    static constexpr NumberRange ranges[] = {{0, 472, 0}};
    static constexpr Multiplexer multiplexers[] = {
        {static_cast<int>(detail::I386Number::socketcall_), 0xffffffff, 20, 472},
        {static_cast<int>(detail::I386Number::ipc_), 0xffff, 24, 493},
    };
    static constexpr int instead = 518;
    static constexpr int count = instead + 4;
};

template <>
struct ForeignPlaces<Abi::arm> {
    static constexpr NumberRange ranges[] = {{0, 472, 0}, {static_cast<int>(detail::ArmNumber::breakpoint_), 6, 472}};
    static constexpr Multiplexer multiplexers[] = {{}};  ///< none: its EABI has neither socketcall nor ipc
    static constexpr int instead = 478;
    static constexpr int count = instead + 2;
};

namespace detail {

/// Where a number's layout is, or -1.
template <Abi abi>
constexpr int place_of(int number) noexcept {
    for (const NumberRange& range : ForeignPlaces<abi>::ranges)
        if (number >= range.first && number < range.first + range.count) return range.place + (number - range.first);
    return -1;
}

/// Which of the multiplexers has a number, or -1.
template <Abi abi>
constexpr int multiplexer_of(int number) noexcept {
    int index = 0;
    for (const Multiplexer& each : ForeignPlaces<abi>::multiplexers) {
        if (number >= 0 && each.number == number) return index;
        ++index;
    }
    return -1;
}

/// Of each argument of a native call its own register, by what the kernel makes of one of 32 bits: a `long` is
/// extended with its sign.
constexpr ForeignLayout layout_of(int native) noexcept {
    ForeignLayout layout;
    layout.native = static_cast<std::int16_t>(native);
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

/// The layouts of all calls of a 32-bit ABI, each at its place.
template <Abi abi>
class ForeignLayouts {
    using Places = ForeignPlaces<abi>;

public:
    /// Those of the calls that the ABI and its host have by one name.
    constexpr ForeignLayouts() noexcept {
        for (ForeignLayout& layout : places_)
            layout = layout_of(ForeignLayout::none);  // GCC 12 forgets its initializers
        for (const Syscall& call : syscalls)
            if (call.number(abi) >= 0 && call.number(host_of(abi)) >= 0)
                set(call.number(abi), layout_of(call.number()));
    }

    constexpr const ForeignLayout& operator[](int place) const noexcept { return places_[place]; }

    constexpr void set(int number, const ForeignLayout& layout) noexcept { places_[place_of<abi>(number)] = layout; }
    constexpr void set_part(int number, int part, const ForeignLayout& layout) noexcept {
        places_[Places::multiplexers[multiplexer_of<abi>(number)].place + part] = layout;
    }
    constexpr void set_instead(int number, const ForeignLayout& layout) noexcept {
        places_[place_of<abi>(number)].instead = static_cast<std::int16_t>(next_);
        places_[next_++] = layout;
    }

private:
    ForeignLayout places_[Places::count]{};
    int next_ = Places::instead;
};

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

#define SYSGUARD_FOREIGN_SAME(name, native) layouts.set(static_cast<int>(Number::name##_), layout_of(sys::native));
#define SYSGUARD_FOREIGN_LAYOUT(name, native, ...) \
    layouts.set(static_cast<int>(Number::name##_), layout_of(sys::native, {__VA_ARGS__}));
#define SYSGUARD_FOREIGN_PART(name, part, native, ...) \
    layouts.set_part(static_cast<int>(Number::name##_), part, layout_of(sys::native, {__VA_ARGS__}));
#define SYSGUARD_FOREIGN_ELSE(name, native, ...) \
    layouts.set_instead(static_cast<int>(Number::name##_), layout_of(sys::native, {__VA_ARGS__}));
#define SYSGUARD_FOREIGN_ALWAYS(name) layouts.set(static_cast<int>(Number::name##_), layout_of(ForeignLayout::always));
#define SYSGUARD_FOREIGN_NONE(name) layouts.set(static_cast<int>(Number::name##_), layout_of(ForeignLayout::none));

constexpr ForeignLayouts<Abi::i386> layouts_of_i386() noexcept {
    using Number = I386Number;
    ForeignLayouts<Abi::i386> layouts;
#include "i386.def"
    return layouts;
}

constexpr ForeignLayouts<Abi::arm> layouts_of_arm() noexcept {
    using Number = ArmNumber;
    ForeignLayouts<Abi::arm> layouts;
#include "arm.def"
    return layouts;
}

#undef SYSGUARD_FOREIGN_SAME
#undef SYSGUARD_FOREIGN_LAYOUT
#undef SYSGUARD_FOREIGN_PART
#undef SYSGUARD_FOREIGN_ELSE
#undef SYSGUARD_FOREIGN_ALWAYS
#undef SYSGUARD_FOREIGN_NONE

}  // namespace where

/// Made for those that are asked for.
template <Abi abi>
inline constexpr ForeignLayouts<abi> foreign_layouts = [] {
    if constexpr (abi == Abi::i386)
        return where::layouts_of_i386();
    else
        return where::layouts_of_arm();
}();

}  // namespace detail

/// The low 32 bits: what the kernel reads of a 32-bit call's register.
constexpr std::uint32_t low_half(std::uint64_t value) noexcept {
    return static_cast<std::uint32_t>(value);
}

/// The layout at a place of `ForeignPlaces`. Those of the ABI whose host is not the native one are for tests: its calls
/// as this table's numbers would have them.
template <Abi abi>
constexpr const ForeignLayout& foreign_layout(int place) noexcept {
    return detail::foreign_layouts<abi>[place];
}

/// Where the layout of a call of a 32-bit ABI is, or -1: no native call does what it does. Of a multiplexer the first
/// register says which call it is.
template <Abi abi>
constexpr int foreign_place(int number, std::uint64_t first_register) noexcept {
    int place = detail::place_of<abi>(number);
    const int index = detail::multiplexer_of<abi>(number);
    if (index >= 0) {
        const Multiplexer& multiplexer = ForeignPlaces<abi>::multiplexers[index];
        const std::uint32_t part = low_half(first_register) & multiplexer.mask;
        if (part > static_cast<std::uint32_t>(multiplexer.last_part)) return -1;
        place = multiplexer.place + static_cast<int>(part);
    }
    return place < 0 || foreign_layout<abi>(place).native == ForeignLayout::none ? -1 : place;
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
