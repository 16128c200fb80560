#pragma once

#include "detail/group_index.hpp"
#include "table.hpp"
#include "types.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sysguard::abi {

/// Constants that belong together: those that some argument's value is made of.
enum class ConstantSet : std::uint16_t {
    none,
#define SYSGUARD_CONSTANT_SET(set, field, field_name) set,
#include "constants.def"
};

inline constexpr unsigned constant_set_count = 1
#define SYSGUARD_CONSTANT_SET(set, field, field_name) +1
#include "constants.def"
    ;

struct Constant {
    ConstantSet set;
    std::string_view name;
    std::uint64_t value;
};

namespace detail {

struct ConstantField {
    std::uint64_t bits;
    std::string_view name;
};

inline constexpr ConstantField constant_fields[] = {
    {0, {}},
#define SYSGUARD_CONSTANT_SET(set, field, field_name) {field, field_name},
#include "constants.def"
};

struct UnknownConstant {
    ConstantSet set;
    std::string_view text;
};

inline constexpr UnknownConstant unknown_constants[] = {
#define SYSGUARD_CONSTANT_UNKNOWN(set, text) {ConstantSet::set, text},
#include "constants.def"
};

struct ConstantsOfType {
    Type type;
    ConstantSet set;
};

inline constexpr ConstantsOfType constants_of_types[] = {
#define SYSGUARD_CONSTANTS_OF_TYPE(type, set) {Type::type, ConstantSet::set},
#include "constants.def"
};

struct ConstantsOfArgument {
    std::string_view call;
    ArgName argument;
    ConstantSet set;
};

inline constexpr ConstantsOfArgument constants_of_arguments[] = {
#define SYSGUARD_CONSTANTS_OF_ARGUMENT(call, argument, set) {#call, ArgName::argument, ConstantSet::set},
#include "constants.def"
};

}  // namespace detail

/// All constants that have a name here, set by set.
inline constexpr Constant constants[] = {
#define SYSGUARD_CONSTANT(set, name, value) {ConstantSet::set, #name, static_cast<std::uint64_t>(value)},
#include "constants.def"
};

/// Those of one set, in their order.
struct ConstantRange {
    const Constant* first;
    const Constant* last;

    constexpr const Constant* begin() const noexcept { return first; }
    constexpr const Constant* end() const noexcept { return last; }
};

namespace detail {

inline constexpr auto constant_index = index_groups<constant_set_count, &Constant::set>(constants);
static_assert(constant_index.first[constant_set_count] == sizeof constants / sizeof constants[0],
              "the constants of each set belong together, and the sets in order");

}  // namespace detail

constexpr ConstantRange constants_in(ConstantSet set) noexcept {
    const unsigned at = static_cast<unsigned>(set);
    return {constants + detail::constant_index.first[at], constants + detail::constant_index.first[at + 1]};
}

/// What stands for a value of a set that has no name ("AF_???"), or an empty text.
constexpr std::string_view unknown_text(ConstantSet set) noexcept {
    for (const detail::UnknownConstant& entry : detail::unknown_constants)
        if (entry.set == set) return entry.text;
    return {};
}

/// The bits that together hold one value of a set; each of the others is a flag.
constexpr std::uint64_t field_of(ConstantSet set) noexcept {
    return detail::constant_fields[static_cast<unsigned>(set)].bits;
}

/// What C headers call these bits ("O_ACCMODE"), or an empty text.
constexpr std::string_view field_name(ConstantSet set) noexcept {
    return detail::constant_fields[static_cast<unsigned>(set)].name;
}

/// The constants that values of a type are made of, whatever the call.
constexpr ConstantSet constants_of(Type type) noexcept {
    for (const detail::ConstantsOfType& entry : detail::constants_of_types)
        if (entry.type == type) return entry.set;
    return ConstantSet::none;
}

/// The constants that values of a call's argument are made of.
constexpr ConstantSet constants_of(const Syscall& call, const Argument& argument) noexcept {
    for (const detail::ConstantsOfArgument& entry : detail::constants_of_arguments)
        if (entry.argument == argument.name && entry.call == call.name) return entry.set;
    return constants_of(argument.type);
}

/// The constant that the field of a set has as its value in `bits`, or nullptr. Only bits of `width` count: an argument
/// of 32 bits has no more of a negative constant.
constexpr const Constant* find_constant(ConstantSet set, std::uint64_t bits, std::uint64_t width = ~0ULL) noexcept {
    const std::uint64_t field = field_of(set);
    for (const Constant& constant : constants_in(set))
        if ((constant.value & ~field) == 0 && ((constant.value ^ bits) & field & width) == 0) return &constant;
    return nullptr;
}

}  // namespace sysguard::abi
