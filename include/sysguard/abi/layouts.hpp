#pragma once

#include "constants.hpp"
#include "detail/group_index.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sysguard::abi {

/// Structures of the kernel's whose fields are tabled (layouts.def).
enum class Layout : std::uint8_t {
    none,
#define SYSGUARD_LAYOUT(layout, size64, size32) layout,
#include "layouts.def"
};

/// What is to be read in the bytes of a field.
enum class FieldShow : std::uint8_t {
    number,  ///< signed
    count,   ///< unsigned
    hex,
    address,    ///< NULL for 0
    mode,       ///< permissions, octal
    node_mode,  ///< with the type of the file
    choice,     ///< one of a set's constants
    flags,      ///< several of them
    descriptor,
    user,  ///< -1 for none
    device,
    file_size,    ///< unless the structure's mode is of a device
    file_device,  ///< only where it is
    date,         ///< seconds since 1970
    ticks,        ///< of the 100 that user space has in a second
    limit,        ///< of a resource
    text,         ///< in the structure itself, up to a null byte
    words,        ///< an array of words
    halves,       ///< an array of words of 32 bits, in hexadecimal
    structure,
};

struct Field {
    Layout layout;
    std::string_view name;
    std::uint16_t at[2];    ///< for programs of 64 bits, and of 32
    std::uint16_t size[2];  ///< likewise
    FieldShow show;
    ConstantSet set;
    Layout nested;
    bool is_more;  ///< left out where not all is wanted
};

/// All fields, layout by layout.
inline constexpr Field fields[] = {
#define SYSGUARD_FIELD_ROW(layout, name, at64, size64, at32, size32, show, set, nested, more) \
    {Layout::layout, name, {at64, at32}, {size64, size32}, FieldShow::show, ConstantSet::set, Layout::nested, more},
#include "layouts.def"
};

namespace detail {

struct LayoutSize {
    std::uint16_t size[2];
};

inline constexpr LayoutSize layout_sizes[] = {
    {{0, 0}},
#define SYSGUARD_LAYOUT(layout, size64, size32) {{size64, size32}},
#include "layouts.def"
};

inline constexpr unsigned layout_count = sizeof layout_sizes / sizeof layout_sizes[0];

inline constexpr auto layout_index = index_groups<layout_count, &Field::layout>(fields);
static_assert(layout_index.first[layout_count] == sizeof fields / sizeof fields[0],
              "the fields of each layout belong together, and the layouts in order");

}  // namespace detail

struct FieldRange {
    const Field* first;
    const Field* last;

    constexpr const Field* begin() const noexcept { return first; }
    constexpr const Field* end() const noexcept { return last; }
};

constexpr FieldRange fields_of(Layout layout) noexcept {
    const unsigned at = static_cast<unsigned>(layout);
    return {fields + detail::layout_index.first[at], fields + detail::layout_index.first[at + 1]};
}

/// The bytes of a structure in a program whose words have 8 or 4 bytes.
constexpr unsigned size_of(Layout layout, unsigned word) noexcept {
    return detail::layout_sizes[static_cast<unsigned>(layout)].size[word == 8 ? 0 : 1];
}

/// The largest of them: a buffer of this size has room for any.
constexpr unsigned most_layout_bytes() noexcept {
    unsigned most = 0;
    for (const detail::LayoutSize& entry : detail::layout_sizes)
        for (const std::uint16_t size : entry.size)
            if (size > most) most = size;
    return most;
}

}  // namespace sysguard::abi
