#pragma once

#include <cstdint>

namespace sysguard::abi {

/// What an argument of a system call is: what the kernel reads of its register, and what that means.
enum class Type : std::uint8_t {
#define SYSGUARD_VALUE_TYPE(name, kind, sign, compared, tested, meaning) name,
#define SYSGUARD_WORD_TYPE(name, meaning) name,
#define SYSGUARD_POINTER_TYPE(name, meaning) name,
#include "types.def"
#undef SYSGUARD_VALUE_TYPE
#undef SYSGUARD_WORD_TYPE
#undef SYSGUARD_POINTER_TYPE
};

/// Whether the kernel reads or writes what a pointer argument points to.
enum class Direction : std::uint8_t { none, in, out, inout };

/// What a system call returns when it succeeds.
enum class Return : std::uint8_t {
    none,
    status,
    fd,
    bytes,
    count,
    pid,
    uid,
    gid,
    mode,
    key,
    address,
    offset,
    time,
    ticks,
    value,
};

struct TypeInfo {
    enum class Kind : std::uint8_t {
        number,   ///< ordered
        bits,     ///< flags or an identifier: a negative C constant stands for its bit pattern
        word,     ///< a number or a pointer, as another argument says
        pointer,  ///< never compared: the filter sees the address, not what is there
    };

    const char* name;
    Kind kind;
    bool is_signed;
    std::uint64_t compared;  ///< bits that take part in a comparison; the kernel reads no others
    std::uint64_t tested;    ///< bits that a mask may look at
    const char* meaning;
};

inline constexpr TypeInfo type_infos[] = {
#define SYSGUARD_VALUE_TYPE(name, kind, sign, compared, tested, meaning) \
    {#name, TypeInfo::Kind::kind, #sign[3] == 's', compared, tested, meaning},
#define SYSGUARD_WORD_TYPE(name, meaning) {#name, TypeInfo::Kind::word, false, ~0ULL, ~0ULL, meaning},
#define SYSGUARD_POINTER_TYPE(name, meaning) {#name, TypeInfo::Kind::pointer, false, ~0ULL, ~0ULL, meaning},
#include "types.def"
#undef SYSGUARD_VALUE_TYPE
#undef SYSGUARD_WORD_TYPE
#undef SYSGUARD_POINTER_TYPE
};

constexpr const TypeInfo& info(Type type) noexcept {
    return type_infos[static_cast<unsigned>(type)];
}

/// Of the bits that are compared, those that the kernel reads where the argument has this value: mmap reads a size of
/// huge pages (MAP_HUGE_MASK) beside MAP_HUGETLB only.
constexpr std::uint64_t compared_beside(Type type, std::uint64_t value) noexcept {
    constexpr std::uint64_t huge_pages = 0x40000;
    constexpr std::uint64_t size_of_huge_pages = 0xfc000000;
    const bool reads_no_size = type == Type::map_flags && (value & huge_pages) == 0;
    return info(type).compared & ~(reads_no_size ? size_of_huge_pages : 0);
}

constexpr bool is_pointer(Type type) noexcept {
    return info(type).kind == TypeInfo::Kind::pointer;
}

}  // namespace sysguard::abi
