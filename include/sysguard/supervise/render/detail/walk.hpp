#pragma once

#include "../../../abi/constants.hpp"
#include "../../../abi/layouts.hpp"
#include "../../traced_call.hpp"
#include "../options.hpp"
#include "../sink.hpp"
#include "../source.hpp"
#include "piece.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <linux/limits.h>

namespace sysguard::supervise::render::detail {

class Walk;
struct Item;

/// Shows an item.
using Form = void (*)(Walk&, const Item&);

/// When an item is shown.
enum class When : std::uint8_t {
    entry,   ///< before the call is done
    exit,    ///< when it has succeeded; its address where it has failed
    both,    ///< before, and again behind that
    always,  ///< when it has returned, whatever it answers
};

/// One argument, or what is shown in its place.
struct Item {
    std::string_view name{};
    Form form = nullptr;
    When when = When::entry;
    std::uint64_t value = 0;
    std::uint64_t more = 0;  ///< what the form needs besides: the length of a buffer
    Form keep = nullptr;     ///< called at the entry, and shows nothing
    abi::ConstantSet set{};
    abi::Type type{};
    abi::Layout layout{};
    bool is_named = false;  ///< its name stands in front of it: clone's arguments
};

inline constexpr unsigned most_items = 8;

/// One pass over a call, at its entry or its return: reads what it leads to, and tells a sink of it.
class Walk {
public:
    Walk(const TracedCall& of, Source& from, Sink& to, const Options& how, std::uint64_t* kept) noexcept
        : call{of},
          sink{to},
          options{how},
          saved{kept},
          word{of.abi == abi::Abi::i386 ? 4U : 8U},
          time_word{word},
          source_{from} {}

    const TracedCall& call;
    Sink& sink;
    const Options& options;
    const std::uint64_t* arguments = nullptr;  ///< of the native call
    std::uint64_t* const saved;                ///< kept from the entry to the return, one for each item
    unsigned word;                             ///< bytes of an address and a `long` of the program
    unsigned time_word;                        ///< bytes of a `time_t` of this call
    unsigned place = 0;                        ///< of the item that is being shown

    bool is_returned() const noexcept { return call.phase == TracedCall::Phase::returned; }
    bool has_failed() const noexcept { return is_returned() && call.is_error; }
    unsigned most_bytes() const noexcept {
        return options.most_bytes < Options::most_room ? options.most_bytes : Options::most_room;
    }

    Source& source() noexcept { return source_; }

    /// All of it, or false.
    bool read(std::uint64_t address, void* to, std::size_t size) noexcept {
        return size == 0 || (address != 0 && source_.read(address, to, size) == size);
    }

    /// A number of 1 to 8 bytes.
    bool read_number(std::uint64_t address, unsigned size, std::uint64_t& to) noexcept {
        to = 0;
        return read(address, &to, size);
    }

    bool read_word(std::uint64_t address, std::uint64_t& to) noexcept { return read_number(address, word, to); }

    // Values.
    void number(std::int64_t value) { show(Kind::number, static_cast<std::uint64_t>(value), Piece{}.number(value)); }
    void count(std::uint64_t value) { show(Kind::number, value, Piece{}.decimal(value)); }
    void hex(std::uint64_t value) { show(Kind::number, value, Piece{}.hex(value)); }
    void octal(std::uint64_t value) { show(Kind::number, value, Piece{}.octal(value)); }
    void address(std::uint64_t value) {
        if (value == 0)
            sink.value(Kind::address, 0, "NULL");
        else
            show(Kind::address, value, Piece{}.hex(value));
    }
    void symbol(std::uint64_t value, std::string_view text) { sink.value(Kind::symbol, value, text); }
    void text(std::string_view text) { sink.value(Kind::text, 0, text); }
    void show(Kind kind, std::uint64_t value, const Piece& piece) { sink.value(kind, value, piece.view()); }

    // Fields, with their values.
    void field(std::string_view name) { sink.field(name); }
    void number(std::string_view name, std::int64_t value) {
        sink.field(name);
        number(value);
    }
    void count(std::string_view name, std::uint64_t value) {
        sink.field(name);
        count(value);
    }
    void hex(std::string_view name, std::uint64_t value) {
        sink.field(name);
        hex(value);
    }
    void address(std::string_view name, std::uint64_t value) {
        sink.field(name);
        address(value);
    }

private:
    Source& source_;
};

/// The number at a place of bytes that were read.
inline std::uint64_t number_at(const void* bytes, std::size_t at, unsigned size) noexcept {
    std::uint64_t value = 0;
    __builtin_memcpy(&value, static_cast<const char*>(bytes) + at, size < sizeof value ? size : sizeof value);
    return value;
}

/// With the sign of a number of so many bytes.
constexpr std::int64_t with_sign(std::uint64_t value, unsigned size) noexcept {
    switch (size) {
        case 1: return static_cast<std::int8_t>(static_cast<std::uint8_t>(value));
        case 2: return static_cast<std::int16_t>(static_cast<std::uint16_t>(value));
        case 4: return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
        default: return static_cast<std::int64_t>(value);
    }
}

}  // namespace sysguard::supervise::render::detail
