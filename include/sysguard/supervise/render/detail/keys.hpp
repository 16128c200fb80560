#pragma once

#include "arguments.hpp"
#include "control.hpp"
#include "files.hpp"
#include "messages.hpp"
#include "plan.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

/// Keys and keyrings.
namespace sysguard::supervise::render::detail {

/// KEY_SPEC_SESSION_KEYRING, 5
inline void form_key(Walk& walk, const Item& item) {
    const std::int64_t key = low_int(item.value);
    for (const abi::Constant& constant : abi::constants_in(abi::ConstantSet::keyring))
        if (static_cast<std::int64_t>(constant.value) == key) return walk.symbol(constant.value, constant.name);
    walk.number(key);
}
inline void form_request_keyring(Walk& walk, const Item& item) {
    show_choice(walk, abi::ConstantSet::request_keyring, static_cast<std::uint64_t>(std::int64_t{low_int(item.value)}));
}
inline void form_errno(Walk& walk, const Item& item) {
    const std::string_view name = abi::errno_name(low_int(item.value));
    name.empty() ? walk.count(item.value & 0xffffffff) : walk.symbol(item.value, name);
}
/// A buffer that the call has filled, of no more than `more` bytes.
inline void form_filled(Walk& walk, const Item& item) {
    const std::uint64_t result = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    show_bytes(walk, item.value, std::min(result, item.more));
}
inline void form_description(Walk& walk, const Item& item) {
    const std::uint64_t result = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    const std::uint64_t size = std::min(result, item.more);
    char room[Options::most_room];
    const std::size_t shown =
        static_cast<std::size_t>(std::min<std::uint64_t>(size, walk.most_bytes() + std::uint64_t{1}));
    if (size == 0 || shown > sizeof room || !walk.read(item.value, room, shown))
        return show_bytes(walk, item.value, size);
    std::string_view text{room, shown};
    const std::size_t end = text.find('\0');
    if (end != text.npos) text = text.substr(0, end);
    const bool is_whole = text.size() <= walk.most_bytes();
    walk.sink.string(text.substr(0, walk.most_bytes()), is_whole, Quoting::plain);
}

inline void form_key_abilities(Walk& walk, const Item& item) {
    unsigned char bytes[2];
    const std::uint64_t result = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    const std::uint64_t size = std::min(std::min(result, item.more), std::uint64_t{2});
    if (!walk.read(item.value, bytes, size)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    for (unsigned i = 0; i < size; ++i) {
        walk.sink.element();
        show_flags(walk, i == 0 ? abi::ConstantSet::key_abilities_0 : abi::ConstantSet::key_abilities_1, bytes[i]);
    }
    walk.sink.end();
}

inline void plan_keyctl(Plan& plan) {
    Item* const items = plan.items;
    for (unsigned i = 1; i < 5; ++i) items[i].form = form_hex;
    const auto shown = [&](unsigned count, Form first = nullptr, Form second = nullptr, Form third = nullptr,
                           Form fourth = nullptr) {
        const Form forms[] = {first, second, third, fourth};
        for (unsigned i = 1; i < count; ++i) items[i].form = forms[i - 1];
        plan.count = count;
    };
    switch (plan.low(0)) {
        case 0: return shown(3, form_key, form_int);  // KEYCTL_GET_KEYRING_ID
        case 1: return shown(2, form_string);         // KEYCTL_JOIN_SESSION_KEYRING
        case 2:                                       // KEYCTL_UPDATE
            shown(4, form_key, form_bytes, form_ulong);
            items[2].more = plan.arguments[3];
            return;
        case 3:                                                   // KEYCTL_REVOKE
        case 7:                                                   // KEYCTL_CLEAR
        case 16:                                                  // KEYCTL_ASSUME_AUTHORITY
        case 21: return shown(2, form_key);                       // KEYCTL_INVALIDATE
        case 4: return shown(4, form_key, form_user, form_user);  // KEYCTL_CHOWN
        case 5:                                                   // KEYCTL_SETPERM
            shown(3, form_key, form_flags);
            items[2].set = abi::ConstantSet::key_permissions;
            return;
        case 6:   // KEYCTL_DESCRIBE
        case 17:  // KEYCTL_GET_SECURITY
            shown(4, form_key, form_description, form_ulong);
            items[2].more = plan.arguments[3];
            items[2].when = When::exit;
            return;
        case 11:  // KEYCTL_READ
            shown(4, form_key, form_filled, form_ulong);
            items[2].more = plan.arguments[3];
            items[2].when = When::exit;
            return;
        case 8:                                                                  // KEYCTL_LINK
        case 9: return shown(3, form_key, form_key);                             // KEYCTL_UNLINK
        case 10: return shown(5, form_key, form_string, form_string, form_key);  // KEYCTL_SEARCH
        case 12:                                                                 // KEYCTL_INSTANTIATE
            shown(5, form_key, form_bytes, form_ulong, form_key);
            items[2].more = plan.arguments[3];
            return;
        case 13: return shown(4, form_key, form_uint, form_key);              // KEYCTL_NEGATE
        case 14: return shown(2, form_request_keyring);                       // KEYCTL_SET_REQKEY_KEYRING
        case 15: return shown(3, form_key, form_uint);                        // KEYCTL_SET_TIMEOUT
        case 18: return shown(1);                                             // KEYCTL_SESSION_TO_PARENT
        case 19: return shown(5, form_key, form_uint, form_errno, form_key);  // KEYCTL_REJECT
        case 20:                                                              // KEYCTL_INSTANTIATE_IOV
            shown(5, form_key, form_vector, form_ulong, form_key);
            items[2].more = plan.arguments[3];
            return;
        case 22: return shown(3, form_user, form_key);  // KEYCTL_GET_PERSISTENT
        case 23:                                        // KEYCTL_DH_COMPUTE
            shown(5, form_structure, form_filled, form_ulong, form_address);
            items[1].layout = abi::Layout::dh_params;
            items[2].more = plan.arguments[3];
            items[2].when = When::exit;
            return;
        case 24: return shown(5, form_key, form_hex, form_string, form_address);  // KEYCTL_PKEY_QUERY
        case 29: return shown(4, form_key, form_string, form_string);             // KEYCTL_RESTRICT_KEYRING
        case 30:                                                                  // KEYCTL_MOVE
            shown(5, form_key, form_key, form_key, form_flags);
            items[4].set = abi::ConstantSet::key_move;
            return;
        case 31:  // KEYCTL_CAPABILITIES
            shown(3, form_key_abilities, form_ulong);
            items[1].more = plan.arguments[2];
            items[1].when = When::exit;
            return;
        default: return;
    }
}

inline constexpr PlannerOf key_planners[] = {
    {"keyctl", plan_keyctl},
};

}  // namespace sysguard::supervise::render::detail
