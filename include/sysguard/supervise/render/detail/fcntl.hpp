#pragma once

#include "arguments.hpp"
#include "control.hpp"
#include "plan.hpp"
#include "signals.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// fcntl, by its command.
namespace sysguard::supervise::render::detail {

inline void detail_fd_flags(Walk& walk, const Item& item) {
    if (item.value == 0) return;
    Piece piece;
    add_flags(piece, abi::ConstantSet::fd_flags, item.value);
    show_detail(walk, Piece{}.add("flags ").add(piece.view()).view());
}
inline void detail_open_flags(Walk& walk, const Item& item) {
    Piece piece;
    add_open_flags(piece.add("flags "), item.value);
    show_detail(walk, piece.view());
}
inline void detail_lease(Walk& walk, const Item& item) {
    Piece piece;
    add_choice(piece, abi::ConstantSet::lock_type, item.value);
    show_detail(walk, piece.view());
}
inline void detail_seals(Walk& walk, const Item& item) {
    if (item.value == 0) return;
    Piece piece;
    add_flags(piece.add("seals "), abi::ConstantSet::seals, item.value);
    show_detail(walk, piece.view());
}
inline void detail_signal_number(Walk& walk, const Item& item) {
    if (item.value == 0) return;
    Piece piece;
    add_signal(piece, low_int(item.value));
    show_detail(walk, piece.view());
}

inline void plan_fcntl(Plan& plan) {
    enum : std::uint32_t {
        dupfd,
        getfd,
        setfd,
        getfl,
        setfl,
        getlk,
        setlk,
        setlkw,
        setown,
        getown,
        setsig,
        getsig,
        getlk64,
        setlk64,
        setlkw64,
        setown_ex,
        getown_ex,
        getowner_uids,
        ofd_getlk = 36,
        ofd_setlk,
        ofd_setlkw,
        setlease = 1024,
        getlease,
        notify,
        dupfd_query,
        created_query,
        cancellk,
        dupfd_cloexec,
        setpipe,
        getpipe,
        add_seals,
        get_seals,
    };
    using abi::ConstantSet;
    using abi::Layout;
    Item& argument = plan.items[2];
    const bool is_64 = plan.word == 8;
    switch (plan.low(1)) {
        case dupfd:
        case dupfd_cloexec:
            argument.form = form_int;
            plan.result = Plan::Result::descriptor;
            return;
        case getfd:
            plan.count = 2;
            plan.result = Plan::Result::hex;
            plan.details = detail_fd_flags;
            return;
        case setfd: return set_flags(argument, ConstantSet::fd_flags);
        case getfl:
            plan.count = 2;
            plan.result = Plan::Result::hex;
            plan.details = detail_open_flags;
            return;
        case setfl: argument.form = form_open_flags; return;
        case getlk: return set_structure(argument, Layout::flock_owned, When::exit);
        case setlk:
        case setlkw: return set_structure(argument, Layout::flock, When::entry);
        case getlk64:
            if (!is_64) return set_structure(argument, Layout::flock64_owned, When::exit);
            argument.form = form_address;
            return;
        case setlk64:
        case setlkw64:
            if (!is_64) return set_structure(argument, Layout::flock64, When::entry);
            argument.form = form_address;
            return;
        case ofd_getlk: return set_structure(argument, Layout::flock64_owned, When::exit);
        case ofd_setlk:
        case ofd_setlkw: return set_structure(argument, Layout::flock64, When::entry);
        case setown:
        case setpipe: argument.form = form_int; return;
        case setsig: argument.form = form_signal; return;
        case getown:
        case getpipe: plan.count = 2; return;
        case getsig:
            plan.count = 2;
            plan.details = detail_signal_number;
            return;
        case setown_ex: return set_structure(argument, Layout::f_owner_ex, When::entry);
        case getown_ex: return set_structure(argument, Layout::f_owner_ex, When::exit);
        case getowner_uids:
            argument.form = form_users;
            argument.more = 2;
            argument.when = When::exit;
            return;
        case setlease: return set_choice(argument, ConstantSet::lock_type);
        case getlease:
            plan.count = 2;
            plan.result = Plan::Result::hex;
            plan.details = detail_lease;
            return;
        case notify: return set_flags(argument, ConstantSet::notify);
        case add_seals: return set_flags(argument, ConstantSet::seals);
        case get_seals:
            plan.count = 2;
            plan.result = Plan::Result::hex;
            plan.details = detail_seals;
            return;
        case dupfd_query: argument.form = form_fd; return;
        case created_query: plan.count = 2; return;
        default: argument.form = form_hex; return;
    }
}

inline constexpr PlannerOf fcntl_planners[] = {
    {"fcntl", plan_fcntl},
};

}  // namespace sysguard::supervise::render::detail
