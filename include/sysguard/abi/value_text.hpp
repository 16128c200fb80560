#pragma once

#include "constants.hpp"
#include "signal_names.hpp"
#include "types.hpp"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace sysguard::abi {

/// Whether people write values of a type in octal.
constexpr bool is_mode(Type type) noexcept {
    return type == Type::file_mode || type == Type::directory_mode || type == Type::node_mode ||
           type == Type::creation_mask;
}

namespace detail {

inline std::string number_text(std::uint64_t value, const char* format) {
    char text[32];
    std::snprintf(text, sizeof text, format, static_cast<unsigned long long>(value));
    return text;
}

inline std::string octal_text(std::uint64_t value) {
    return number_text(value, "%#llo");
}

inline std::string hex_text(std::uint64_t value) {
    return number_text(value, value < 10 ? "%llu" : "%#llx");
}

inline void add(std::string& flags, std::string_view next) {
    if (!flags.empty()) flags += '|';
    flags += next;
}

inline std::string rest_text(Type type, std::uint64_t bits) {
    return is_mode(type) ? octal_text(bits) : hex_text(bits);
}

/// 4 MiB for 4194304; other numbers as they are.
inline std::string size_text(std::uint64_t bytes) {
    constexpr const char* units[] = {" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    if (bytes == 0 || bytes % 1024 != 0) return std::to_string(bytes);
    const int unit = (std::countr_zero(bytes) - 10) / 10;
    return std::to_string(bytes >> (10 * (unit + 1))) + units[unit];
}

inline std::string signed_text(std::uint64_t compared, std::uint64_t bits) {
    if (compared == 0xffffffff) return std::to_string(static_cast<std::int32_t>(static_cast<std::uint32_t>(bits)));
    return std::to_string(static_cast<std::int64_t>(bits));
}

}  // namespace detail

/// Bits by the names of the flags that they are: "O_WRONLY|O_CREAT", and what has no name as a number. Only names of
/// single bits are used, but for the set's field (field_of), so that the text names each bit that is set.
inline std::string bits_text(Type type, ConstantSet set, std::uint64_t bits) {
    std::string text;
    const std::uint64_t field = field_of(set);
    const std::uint64_t in_field = bits & field;
    std::uint64_t named = 0;
    for (const Constant& constant : constants_in(set))
        if (std::has_single_bit(constant.value)) named |= constant.value;
    if (field != ~0ULL && in_field == field && (field & ~named) != 0 && !field_name(set).empty()) {
        detail::add(text, field_name(set));
        bits &= ~field;
    }
    for (const Constant& constant : constants_in(set)) {
        if (!std::has_single_bit(constant.value) || (bits & constant.value) == 0) continue;
        detail::add(text, constant.name);
        bits &= ~constant.value;
    }
    if (bits != 0 || text.empty()) detail::add(text, detail::rest_text(type, bits));
    return text;
}

/// The value of an argument for people, without names: "-1", "0644", "4 MiB", "0x40".
inline std::string number_text(Type type, std::uint64_t bits) {
    const TypeInfo& type_info = info(type);
    if (type_info.is_signed) return detail::signed_text(type_info.compared, bits);
    if (is_mode(type)) return detail::octal_text(bits);
    if (type == Type::size) return detail::size_text(bits);
    if ((type == Type::uid || type == Type::gid) && bits == 0xffffffff) return "-1";
    if (type == Type::uid || type == Type::gid) return std::to_string(bits);
    const bool is_number = type_info.kind == TypeInfo::Kind::number && type != Type::address;
    return is_number ? std::to_string(bits) : detail::hex_text(bits);
}

/// The value of an argument for people, as its type says: "O_WRONLY|O_CREAT", "AF_INET", "SIGKILL", "0644", "-1",
/// "4 MiB". `bits`: the bits of it that the kernel reads; none of the others is set.
inline std::string value_text(Type type, ConstantSet set, std::uint64_t bits) {
    if (type == Type::signal) {
        const std::string_view name = signal_name(static_cast<int>(static_cast<std::uint32_t>(bits)));
        if (!name.empty()) return std::string{name};
    }
    if (set != ConstantSet::none) {
        const std::uint64_t field = field_of(set);
        std::string text;
        const Constant* const value = find_constant(set, bits, info(type).tested);
        if (value != nullptr && (field != 0 || bits == 0)) {
            detail::add(text, value->name);
            bits &= ~field;
        }
        for (const Constant& constant : constants_in(set)) {
            if (constant.value == 0 || (constant.value & field) != 0 || (bits & constant.value) != constant.value)
                continue;
            detail::add(text, constant.name);
            bits &= ~constant.value;
        }
        if (!text.empty()) {
            if (bits != 0) detail::add(text, detail::rest_text(type, bits));
            return text;
        }
    }
    return number_text(type, bits);
}

}  // namespace sysguard::abi
