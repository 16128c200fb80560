#pragma once

#include "arguments.hpp"
#include "files.hpp"
#include "plan.hpp"
#include "signals.hpp"
#include "times.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <tuple>

/// Starting processes and threads.
namespace sysguard::supervise::render::detail {

/// CLONE_VM|CLONE_VFORK|SIGCHLD
inline void show_clone_flags(Walk& walk, std::uint64_t flags, std::uint64_t signal) {
    Piece piece;
    if (flags != 0) {
        add_flags(piece, abi::ConstantSet::clone3, flags);
        if (signal != 0) piece.add('|');
    }
    if (signal != 0 || piece.empty())
        signal == 0 ? piece.add('0') : (add_signal(piece, static_cast<std::int64_t>(signal)), piece);
    walk.show(Kind::symbol, flags | signal, piece);
}

inline void form_clone_flags(Walk& walk, const Item& item) {
    constexpr std::uint64_t signal = 0xff;
    show_clone_flags(walk, item.value & 0xffffffff & ~signal, item.value & signal);
}

inline void form_parent_tid(Walk& walk, const Item& item) {
    constexpr std::uint64_t pidfd = 0x1000;
    if ((item.more & pidfd) != 0 && walk.is_returned() && !walk.call.is_error)
        show_cell(walk, item.value, 4,
                  [](Walk& shown, std::uint64_t value) { show_descriptor(shown, low_int(value)); });
    else if (walk.is_returned() && !walk.call.is_error)
        form_int_cell(walk, item);
    else
        walk.address(item.value);
}

/// clone(child_stack=NULL, flags=..., parent_tid=[5], tls=0x5, child_tidptr=0x5): what its flags say that it reads.
inline void plan_clone(Plan& plan) {
    constexpr std::uint64_t settls = 0x80000;
    constexpr std::uint64_t parent = 0x100000 | 0x1000;    // CLONE_PARENT_SETTID, CLONE_PIDFD
    constexpr std::uint64_t child = 0x1000000 | 0x200000;  // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
    const std::uint64_t flags = plan.arguments[0];
    const bool is_native = abi::native_abi == abi::Abi::x86_64;
    const std::uint64_t tls = plan.arguments[is_native ? 4 : 3];
    const std::uint64_t child_tid = plan.arguments[is_native ? 3 : 4];
    plan.count = 0;
    plan.add("child_stack", form_address, plan.arguments[1]).is_named = true;
    plan.add("flags", form_clone_flags, flags).is_named = true;
    if ((flags & parent) != 0) {
        Item& item = plan.add("parent_tid", form_parent_tid, plan.arguments[2], When::always);
        item.is_named = true;
        item.more = flags;
    }
    if ((flags & settls) != 0) plan.add("tls", form_address, tls, When::always).is_named = true;
    if ((flags & child) != 0) plan.add("child_tidptr", form_address, child_tid, When::always).is_named = true;
}

/// struct clone_args; `more`: its size.
inline void form_clone_args(Walk& walk, const Item& item) {
    constexpr std::uint64_t first_size = 64;
    constexpr std::uint64_t pidfd = 0x1000;
    constexpr std::uint64_t settls = 0x80000;
    constexpr std::uint64_t parent = 0x100000;
    constexpr std::uint64_t child = 0x1200000;
    constexpr std::uint64_t cgroup = 0x200000000;
    unsigned char bytes[88] = {};
    const std::uint64_t size = std::min<std::uint64_t>(item.more, sizeof bytes);
    if (item.more < first_size || item.more > 4096 || !walk.read(item.value, bytes, size))
        return walk.address(item.value);
    const auto get = [&](unsigned place) { return number_at(bytes, std::size_t{place} * 8, 8); };
    const std::uint64_t flags = get(0);
    walk.sink.begin(Shape::structure);
    walk.field("flags");
    show_flags(walk, abi::ConstantSet::clone3, flags);
    if ((flags & pidfd) != 0) walk.address("pidfd", get(1));
    if ((flags & child) != 0) walk.address("child_tid", get(2));
    if ((flags & parent) != 0) walk.address("parent_tid", get(3));
    walk.field("exit_signal");
    show_signal(walk, static_cast<std::int64_t>(get(4)));
    walk.address("stack", get(5));
    walk.hex("stack_size", get(6));
    if ((flags & settls) != 0) walk.address("tls", get(7));
    if (size > 64 && (get(8) != 0 || get(9) != 0)) {
        walk.field("set_tid");
        Item tids;
        tids.value = get(8);
        tids.more = std::min<std::uint64_t>(get(9), 32);
        form_ints(walk, tids);
        walk.count("set_tid_size", get(9));
    }
    if (size > 80 && ((flags & cgroup) != 0 || get(10) != 0)) {
        walk.field("cgroup");
        show_descriptor(walk, low_int(get(10)));
    }
    show_bytes_behind(walk, item.value, sizeof bytes, item.more);
    walk.sink.end();
}

/// What clone3 has written where its structure said: => {parent_tid=[5]}.
inline void form_clone_result(Walk& walk, const Item& item) {
    constexpr std::uint64_t pidfd = 0x1000;
    constexpr std::uint64_t parent = 0x100000;
    if (walk.call.is_error) return;
    unsigned char bytes[32];
    if (item.more < 64 || !walk.read(item.value, bytes, sizeof bytes)) return;
    const std::uint64_t flags = number_at(bytes, 0, 8);
    if ((flags & (pidfd | parent)) == 0) return;
    walk.sink.becomes();
    walk.sink.begin(Shape::structure);
    for (const auto& [flag, name, at] :
         {std::tuple<std::uint64_t, std::string_view, unsigned>{pidfd, "pidfd", 8}, {parent, "parent_tid", 24}}) {
        if ((flags & flag) == 0) continue;
        walk.field(name);
        const std::uint64_t where = number_at(bytes, at, 8);
        if (flag == pidfd)
            show_cell(walk, where, 4, [](Walk& shown, std::uint64_t value) { show_descriptor(shown, low_int(value)); });
        else
            show_cell(walk, where, 4, [](Walk& shown, std::uint64_t value) { shown.number(with_sign(value, 4)); });
    }
    walk.sink.end();
}

inline void form_clone3(Walk& walk, const Item& item) {
    walk.is_returned() ? form_clone_result(walk, item) : form_clone_args(walk, item);
}

inline constexpr PlannerOf clone_planners[] = {
    {"clone", plan_clone},
    {"clone3",
     [](Plan& plan) {
         plan.items[0].form = form_clone3;
         plan.items[0].when = When::both;
         plan.items[0].more = plan.arguments[1];
     }},
};

}  // namespace sysguard::supervise::render::detail
