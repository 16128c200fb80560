#pragma once

#include "arguments.hpp"
#include "messages.hpp"
#include "plan.hpp"
#include "times.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>

#include <linux/limits.h>

/// Mounting, and file systems.
namespace sysguard::supervise::render::detail {

/// MS_MGC_VAL|MS_RDONLY
inline void form_mount_flags(Walk& walk, const Item& item) {
    constexpr std::uint64_t magic = 0xc0ed0000;
    constexpr std::uint64_t magic_mask = 0xffff0000;
    std::uint64_t flags = item.value & 0xffffffff;
    Piece piece;
    if ((flags & magic_mask) == magic) {
        piece.add("MS_MGC_VAL");
        flags &= ~magic_mask;
    }
    if (flags != 0 || piece.empty()) {
        if (!piece.empty()) piece.add('|');
        Piece rest;
        add_flags(rest, abi::ConstantSet::mount, flags);
        piece.add(rest.view());
    }
    walk.show(Kind::symbol, item.value, piece);
}

/// What mount reads by its flags: where it only changes something, neither a file system's type nor data.
inline void plan_mount(Plan& plan) {
    constexpr std::uint64_t remount = 32;
    constexpr std::uint64_t bind = 4096;
    constexpr std::uint64_t move = 8192;
    constexpr std::uint64_t propagation = 0x1e0000;
    constexpr std::uint64_t magic_mask = 0xffff0000;
    std::uint64_t flags = plan.arguments[3];
    if ((flags & magic_mask) == 0xc0ed0000) flags &= ~magic_mask;
    const bool is_old = (flags & (bind | move | propagation)) != 0;
    if (is_old || (flags & remount) != 0) plan.items[2].form = form_address;
    if ((flags & (move | propagation)) != 0) plan.items[0].form = form_string;
    plan.items[4].form = is_old ? form_address : form_string;
}

inline void form_hex_string(Walk& walk, const Item& item) {
    show_bytes(walk, item.value, item.more, Quoting::hex);
}

inline void plan_fsconfig(Plan& plan) {
    enum : std::uint32_t { flag, string, binary, path, path_empty, descriptor, create, reconfigure };
    const std::uint32_t command = plan.low(1);
    Item& key = plan.items[2];
    Item& value = plan.items[3];
    Item& aux = plan.items[4];
    if (command >= create) {
        key.form = value.form = form_address;
        return;
    }
    if (command == string) value.form = form_string;
    if (command == binary) {
        value.form = form_hex_string;
        value.more = plan.low(4);
    }
    if (command == path || command == path_empty) {
        value.form = form_path;
        aux.form = form_dirfd;
    }
    if (command == descriptor) aux.form = form_fd;
}

/// SWAP_FLAG_PREFER|5
inline void plan_swap(Plan& plan) {
    plan.items[1].form = [](Walk& walk, const Item& item) {
        constexpr std::uint64_t priority = 0x7fff;
        const std::uint64_t flags = item.value & 0xffffffff;
        Piece piece;
        if ((flags & ~priority) != 0) {
            add_flags(piece, abi::ConstantSet::swap, flags & ~priority);
            piece.add('|');
        }
        walk.show(Kind::symbol, flags, piece.decimal(flags & priority));
    };
}

inline constexpr PlannerOf mount_planners[] = {
    {"mount", plan_mount},
    {"fsconfig", plan_fsconfig},
    {"swapon", plan_swap},
};

inline constexpr FormOf mount_forms[] = {
    {"mount", abi::ArgName::source, form_path},
    {"mount", abi::ArgName::filesystemtype, form_string},
};

}  // namespace sysguard::supervise::render::detail
