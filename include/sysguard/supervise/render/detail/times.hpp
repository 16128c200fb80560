#pragma once

#include "arguments.hpp"
#include "plan.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstdint>

/// Clocks, timers and sleeping.
namespace sysguard::supervise::render::detail {

/// [5 /* 1970-01-01T00:00:05+0000 */]
inline void form_time_cell(Walk& walk, const Item& item) {
    std::uint64_t value = 0;
    if (!walk.read_word(item.value, value)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    walk.sink.element();
    walk.number(with_sign(value, walk.word));
    note_date(walk, with_sign(value, walk.word));
    walk.sink.end();
}

/// What is left of a sleep: only where it was interrupted.
inline void form_remaining(Walk& walk, const Item& item) {
    constexpr std::int64_t restart_block = 516;
    const bool is_interrupted = walk.call.is_error && (-walk.call.result == 4 || -walk.call.result == restart_block);
    if (is_interrupted)
        form_time(walk, item);
    else
        walk.address(item.value);
}

/// [{tv_sec=1, tv_nsec=2} /* 1970-... */, UTIME_NOW]
inline void show_time_pair(Walk& walk, std::uint64_t address, abi::Layout layout) {
    constexpr std::uint64_t now = (1U << 30) - 1;
    constexpr std::uint64_t omit = (1U << 30) - 2;
    unsigned char pair[32];
    const unsigned word = walk.time_word;
    if (!walk.read(address, pair, std::size_t{4} * word)) return walk.address(address);
    walk.sink.begin(Shape::array);
    for (unsigned i = 0; i < 2; ++i) {
        const std::uint64_t seconds = number_at(pair, std::size_t{2} * i * word, word);
        const std::uint64_t part = number_at(pair, (std::size_t{2} * i + 1) * word, word);
        walk.sink.element();
        if (layout == abi::Layout::timespec && (part == now || part == omit)) {
            walk.symbol(part, part == now ? "UTIME_NOW" : "UTIME_OMIT");
            continue;
        }
        show_fields(walk, layout, pair + std::size_t{2} * i * word, word);
        note_date(walk, with_sign(seconds, word), part, layout == abi::Layout::timespec ? 9 : 6);
    }
    walk.sink.end();
}
inline void form_timespec_pair(Walk& walk, const Item& item) {
    show_time_pair(walk, item.value, abi::Layout::timespec);
}
inline void form_timeval_pair(Walk& walk, const Item& item) {
    show_time_pair(walk, item.value, abi::Layout::timeval);
}

/// What adjtimex answers: (TIME_OK).
inline void detail_clock_state(Walk& walk, const Item& item) {
    Piece piece;
    add_choice(piece, abi::ConstantSet::clock_state, item.value);
    const std::string_view text = piece.view();
    if (text.substr(0, 2) != "0x" && text != "0") show_detail(walk, text);
}

inline void detail_date(Walk& walk, const Item& item) {
    Piece date;
    add_date(date, static_cast<std::int64_t>(item.value), 0, 0);
    if (!date.empty()) show_detail(walk, date.view());
}

inline void plan_adjust(Plan& plan) {
    plan.details = detail_clock_state;
}

inline constexpr PlannerOf time_planners[] = {
    {"adjtimex", plan_adjust},
    {"clock_adjtime", plan_adjust},
    {"time", [](Plan& plan) { plan.details = detail_date; }},
};

inline constexpr FormOf time_forms[] = {
    {"nanosleep", abi::ArgName::rem, form_remaining, When::always, {}, abi::Layout::timespec},
    {"clock_nanosleep", abi::ArgName::rem, form_remaining, When::always, {}, abi::Layout::timespec},
    {"adjtimex", abi::ArgName::buf, form_time, When::exit, {}, abi::Layout::timex},
    {"clock_adjtime", abi::ArgName::buf, form_time, When::exit, {}, abi::Layout::timex},
    {"gettimeofday", abi::ArgName::tv, form_time, When::exit, {}, abi::Layout::timeval},
    {"timerfd_create", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::timer_fd},
};

}  // namespace sysguard::supervise::render::detail
