#pragma once

#include "arguments.hpp"
#include "plan.hpp"
#include "signals.hpp"
#include "times.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>

/// Waiting for descriptors: poll, select, epoll.
namespace sysguard::supervise::render::detail {

/// [{fd=0, events=POLLIN}]; `more`: how many.
inline void form_poll(Walk& walk, const Item& item) {
    show_array(walk, item.value, item.more, 8, [](Walk& shown, const unsigned char* bytes, std::uint64_t) {
        const std::int32_t fd = low_int(number_at(bytes, 0, 4));
        shown.sink.begin(Shape::structure);
        shown.field("fd");
        show_descriptor(shown, fd);
        if (fd >= 0) {
            shown.field("events");
            show_flags(shown, abi::ConstantSet::poll, number_at(bytes, 4, 2));
        }
        shown.sink.end();
    });
}

/// [{fd=0, revents=POLLIN}]: those that something was told of. Read piece by piece, so that it takes little room.
inline void show_polled(Walk& walk, std::uint64_t address, std::uint64_t count) {
    constexpr unsigned most = 1 << 16;
    unsigned shown = 0;
    walk.sink.begin(Shape::array);
    for (std::uint64_t i = 0; i < count && i < most; ++i) {
        unsigned char bytes[8];
        if (!walk.read(address + i * sizeof bytes, bytes, sizeof bytes)) {
            walk.sink.more();
            break;
        }
        if (number_at(bytes, 6, 2) == 0) continue;
        if (shown++ >= walk.most_bytes()) {
            walk.sink.more();
            break;
        }
        walk.sink.element();
        walk.sink.begin(Shape::structure);
        walk.number("fd", low_int(number_at(bytes, 0, 4)));
        walk.field("revents");
        show_flags(walk, abi::ConstantSet::poll, number_at(bytes, 6, 2));
        walk.sink.end();
    }
    walk.sink.end();
}

/// What is left of the time that a call may have waited; `layout`: of which kind it is.
inline void show_left(Walk& walk, std::uint64_t address, abi::Layout layout) {
    unsigned char bytes[16];
    if (address == 0 || !walk.read(address, bytes, std::size_t{2} * walk.time_word)) return;
    walk.sink.field("left");
    show_fields(walk, layout, bytes, walk.time_word);
}

inline void detail_poll(Walk& walk, const Item& item) {
    if (item.value == 0) return show_detail(walk, "Timeout");
    walk.sink.begin(Shape::details);
    walk.sink.element();
    show_polled(walk, walk.saved[0], walk.saved[1]);
    show_left(walk, walk.saved[2], abi::Layout::timespec);
    walk.sink.end();
}

inline void keep_value(Walk& walk, const Item& item) {
    walk.saved[walk.place] = item.value;
}

inline void plan_poll(Plan& plan) {
    plan.details = detail_poll;
    plan.items[0].when = plan.items[2].when = When::entry;
    plan.items[0].keep = plan.items[1].keep = keep_value;
    plan.items[0].more = plan.low(1);
    if (plan.items[2].name == "timeout" && plan.items[2].layout != abi::Layout::none) plan.items[2].keep = keep_value;
}

/// How many bytes a set of so many descriptors takes.
inline std::uint64_t fd_set_bytes(std::uint64_t descriptors, unsigned word) noexcept {
    constexpr std::int32_t most = 1024 * 1024;
    const std::int32_t count = std::clamp(low_int(descriptors), 0, most);
    return (static_cast<std::uint64_t>(count) + word * 8 - 1) / (word * 8) * word;
}

inline constexpr unsigned most_fd_set = 8192;

/// [3<pipe:[5]> 4]; `more`: how many descriptors are looked at.
inline void form_fd_set(Walk& walk, const Item& item) {
    unsigned char bits[most_fd_set];
    const std::uint64_t size = std::min<std::uint64_t>(fd_set_bytes(item.more, walk.word), sizeof bits);
    if (item.value == 0 || size == 0 || !walk.read(item.value, bits, size)) return walk.address(item.value);
    const std::int32_t count =
        std::clamp<std::int32_t>(low_int(item.more), 0, static_cast<std::int32_t>(sizeof bits) * 8);
    walk.sink.begin(Shape::set);
    unsigned shown = 0;
    for (std::int32_t fd = 0; fd < count; ++fd) {
        if ((bits[fd / 8] >> fd % 8 & 1) == 0) continue;
        constexpr unsigned most_shown = 1024;
        if (++shown > most_shown) {
            walk.sink.more();
            break;
        }
        walk.sink.element();
        show_descriptor(walk, fd);
    }
    walk.sink.end();
}

/// (in [3], left {tv_sec=0, tv_usec=5}): saved are the three sets, the time, and how many descriptors there are.
inline void show_selected(Walk& walk, std::int64_t answer, abi::Layout layout) {
    if (answer == 0) return show_detail(walk, "Timeout");
    const std::uint64_t descriptors = walk.saved[0];
    constexpr std::string_view names[] = {"in", "out", "except"};
    unsigned char bits[most_fd_set];
    const std::uint64_t size = std::min<std::uint64_t>(fd_set_bytes(descriptors, walk.word), sizeof bits);
    const std::int32_t count =
        std::clamp<std::int32_t>(low_int(descriptors), 0, static_cast<std::int32_t>(sizeof bits) * 8);
    walk.sink.begin(Shape::details);
    std::int64_t left = answer;
    for (unsigned i = 0; i < 3 && left > 0; ++i) {
        if (walk.saved[i + 1] == 0 || !walk.read(walk.saved[i + 1], bits, size)) continue;
        bool is_begun = false;
        for (std::int32_t fd = 0; fd < count && left > 0; ++fd) {
            if ((bits[fd / 8] >> fd % 8 & 1) == 0) continue;
            if (!is_begun) {
                walk.sink.field(names[i]);
                walk.sink.begin(Shape::set);
                is_begun = true;
            }
            walk.sink.element();
            walk.number(fd);
            --left;
        }
        if (is_begun) walk.sink.end();
    }
    show_left(walk, walk.saved[4], layout);
    walk.sink.end();
}
inline void detail_select(Walk& walk, const Item& item) {
    show_selected(walk, static_cast<std::int64_t>(item.value), abi::Layout::timeval);
}
inline void detail_pselect(Walk& walk, const Item& item) {
    show_selected(walk, static_cast<std::int64_t>(item.value), abi::Layout::timespec);
}

inline void plan_select(Plan& plan) {
    for (unsigned i = 0; i < 5; ++i) {
        plan.items[i].when = When::entry;
        plan.items[i].keep = keep_value;
    }
    for (unsigned i = 1; i < 4; ++i) plan.items[i].more = plan.arguments[0];
    plan.details = plan.items[4].layout == abi::Layout::timeval ? detail_select : detail_pselect;
}

inline void show_epoll_event(Walk& walk, const unsigned char* bytes, unsigned data) {
    walk.sink.begin(Shape::structure);
    walk.field("events");
    show_flags(walk, abi::ConstantSet::epoll, number_at(bytes, 0, 4));
    walk.field("data");
    walk.sink.begin(Shape::structure);
    walk.count("u32", number_at(bytes, data, 4));
    walk.count("u64", number_at(bytes, data, 8));
    walk.sink.end();
    walk.sink.end();
}

/// struct epoll_event is packed on x86 only (EPOLL_PACKED in include/uapi/linux/eventpoll.h).
constexpr unsigned epoll_data_at(abi::Abi abi) noexcept {
    return abi == abi::Abi::x86_64 || abi == abi::Abi::i386 ? 4 : 8;
}

inline void form_epoll_event(Walk& walk, const Item& item) {
    unsigned char bytes[16];
    const unsigned data = epoll_data_at(walk.call.abi);
    if (!walk.read(item.value, bytes, data + std::size_t{8})) return walk.address(item.value);
    show_epoll_event(walk, bytes, data);
}

/// Those that the call answers to have written.
inline void form_epoll_events(Walk& walk, const Item& item) {
    const unsigned data = epoll_data_at(walk.call.abi);
    const std::uint64_t count = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    show_array(
        walk, item.value, count, data + 8,
        [](Walk& shown, const unsigned char* bytes, std::uint64_t at) {
            show_epoll_event(shown, bytes, static_cast<unsigned>(at));
        },
        data);
}

inline constexpr PlannerOf event_planners[] = {
    {"poll", plan_poll},
    {"ppoll", plan_poll},
    {"select", plan_select},
    {"pselect6", plan_select},
    {"epoll_ctl",
     [](Plan& plan) {
         constexpr std::uint32_t remove = 2;
         if (plan.low(1) == remove) plan.items[3].form = form_address;
     }},
};

inline constexpr FormOf event_forms[] = {
    {"epoll_wait", abi::ArgName::events, form_epoll_events, When::exit},
    {"epoll_pwait", abi::ArgName::events, form_epoll_events, When::exit},
    {"epoll_pwait2", abi::ArgName::events, form_epoll_events, When::exit},
};

}  // namespace sysguard::supervise::render::detail
