#pragma once

#include "../../../abi/errno_names.hpp"
#include "arguments.hpp"
#include "plan.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>

#include <csignal>

/// Signals: sets of them, what is done on one, and what is told of one.
namespace sysguard::supervise::render::detail {

inline constexpr unsigned signal_set_bytes = 8;

/// A set of signals whose size is `more`; any but the kernel's own size is no set to it.
inline void form_signal_set(Walk& walk, const Item& item) {
    std::uint64_t set = 0;
    if (item.more != signal_set_bytes || !walk.read_number(item.value, signal_set_bytes, set))
        return walk.address(item.value);
    show_signal_set(walk, set, signal_set_bytes);
}

/// One that the call fills in, whose size may be less.
inline void form_signal_set_out(Walk& walk, const Item& item) {
    const std::uint64_t size = std::min<std::uint64_t>(item.more, signal_set_bytes);
    std::uint64_t set = 0;
    if (!walk.read_number(item.value, static_cast<unsigned>(size), set) || size == 0) return walk.address(item.value);
    show_signal_set(walk, set, signal_set_bytes);
}

/// {sigmask=[INT], sigsetsize=8}: a pointer and a size that lie in memory together.
inline void form_signal_set_argument(Walk& walk, const Item& item) {
    unsigned char pair[16];
    if (!walk.read(item.value, pair, std::size_t{2} * walk.word)) return walk.address(item.value);
    Item set;
    set.value = number_at(pair, 0, walk.word);
    set.more = number_at(pair, walk.word, walk.word);
    walk.sink.begin(Shape::structure);
    walk.field("sigmask");
    form_signal_set(walk, set);
    walk.count("sigsetsize", set.more);
    walk.sink.end();
}

inline void show_handler(Walk& walk, std::uint64_t handler) {
    const bool is_error = handler == ~0ULL || (walk.word == 4 && handler == 0xffffffff);
    if (handler == 0)
        walk.symbol(handler, "SIG_DFL");
    else if (handler == 1)
        walk.symbol(handler, "SIG_IGN");
    else if (is_error)
        walk.symbol(handler, "SIG_ERR");
    else
        walk.address(handler);
}

/// struct sigaction of rt_sigaction: a handler, flags, a function to return by, and a set; `more`: the set's size.
inline void form_action(Walk& walk, const Item& item) {
    constexpr std::uint64_t restorer = 0x04000000;
    unsigned char bytes[32];
    const unsigned word = walk.word;
    const std::size_t size = std::size_t{3} * word + signal_set_bytes;
    if (item.more != signal_set_bytes || !walk.read(item.value, bytes, size)) return walk.address(item.value);
    const std::uint64_t flags = number_at(bytes, word, word);
    walk.sink.begin(Shape::structure);
    walk.field("sa_handler");
    show_handler(walk, number_at(bytes, 0, word));
    walk.field("sa_mask");
    show_signal_set(walk, number_at(bytes, std::size_t{3} * word, signal_set_bytes), signal_set_bytes);
    walk.field("sa_flags");
    show_flags(walk, abi::ConstantSet::action_flags, flags & 0xffffffff);
    if ((flags & restorer) != 0) walk.address("sa_restorer", number_at(bytes, std::size_t{2} * word, word));
    walk.sink.end();
}

/// struct sigaction of the older sigaction, of 32 bits.
inline void form_old_action(Walk& walk, const Item& item) {
    constexpr std::uint64_t restorer = 0x04000000;
    unsigned char bytes[16];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.field("sa_handler");
    show_handler(walk, number_at(bytes, 0, 4));
    walk.field("sa_mask");
    show_signal_set(walk, number_at(bytes, 4, 4), 4);
    walk.field("sa_flags");
    show_flags(walk, abi::ConstantSet::action_flags, number_at(bytes, 8, 4));
    if ((number_at(bytes, 8, 4) & restorer) != 0) walk.address("sa_restorer", number_at(bytes, 12, 4));
    walk.sink.end();
}

inline void form_old_set(Walk& walk, const Item& item) {
    std::uint64_t set = 0;
    if (!walk.read_number(item.value, 4, set)) return walk.address(item.value);
    show_signal_set(walk, set, 4);
}

constexpr abi::ConstantSet codes_of(int signal) noexcept {
    switch (signal) {
        case SIGTRAP: return abi::ConstantSet::trap_code;
        case SIGCHLD: return abi::ConstantSet::child_code;
        case SIGPOLL: return abi::ConstantSet::poll_code;
        case SIGSEGV: return abi::ConstantSet::segv_code;
        case SIGILL: return abi::ConstantSet::ill_code;
        case SIGFPE: return abi::ConstantSet::fpe_code;
        case SIGBUS: return abi::ConstantSet::bus_code;
        case SIGSYS: return abi::ConstantSet::sys_code;
        default: return abi::ConstantSet::none;
    }
}

inline constexpr std::size_t siginfo_bytes = 128;

/// The parts of a siginfo_t behind signal, error and code.
struct SignalInfo {
    const unsigned char* bytes;
    unsigned word;

    std::int32_t signal() const noexcept { return low_int(number_at(bytes, 0, 4)); }
    std::int32_t error() const noexcept { return low_int(number_at(bytes, 4, 4)); }
    std::int32_t code() const noexcept { return low_int(number_at(bytes, 8, 4)); }
    std::size_t start() const noexcept { return word == 8 ? 16 : 12; }
    std::uint64_t get(std::size_t at, unsigned size) const noexcept { return number_at(bytes, start() + at, size); }
};

inline void show_sender(Walk& walk, const SignalInfo& info) {
    walk.number("si_pid", low_int(info.get(0, 4)));
    walk.field("si_uid");
    show_user(walk, info.get(4, 4));
}

inline void show_signal_value(Walk& walk, const SignalInfo& info, std::size_t at) {
    walk.number("si_int", low_int(info.get(at, 4)));
    walk.address("si_ptr", info.get(at, info.word));
}

inline void show_child(Walk& walk, const SignalInfo& info) {
    constexpr std::int32_t exited = 1;
    show_sender(walk, info);
    walk.field("si_status");
    if (info.code() == exited)
        walk.number(low_int(info.get(8, 4)));
    else
        show_signal(walk, low_int(info.get(8, 4)));
    const std::size_t times = info.word == 8 ? 16 : 12;
    walk.field("si_utime");
    show_ticks(walk, info.get(times, info.word));
    walk.field("si_stime");
    show_ticks(walk, info.get(times + info.word, info.word));
}

inline void show_signal_parts(Walk& walk, const SignalInfo& info) {
    constexpr std::int32_t user = 0;
    constexpr std::int32_t timer = -2;
    constexpr std::int32_t kernel = 0x80;
    const std::int32_t code = info.code();
    if (code > 0 && code != kernel) {
        switch (info.signal()) {
            case SIGCHLD: return show_child(walk, info);
            case SIGILL:
            case SIGFPE:
            case SIGSEGV:
            case SIGBUS:
            case SIGTRAP: return walk.address("si_addr", info.get(0, info.word));
            case SIGPOLL:
                walk.number("si_band", with_sign(info.get(0, info.word), info.word));
                walk.field("si_fd");
                return show_descriptor(walk, low_int(info.get(info.word, 4)));
            case SIGSYS: {
                walk.address("si_call_addr", info.get(0, info.word));
                walk.field("si_syscall");
                const auto number = low_int(info.get(info.word, 4));
                const std::string_view name = abi::name_of(walk.call.abi, number);
                walk.show(Kind::symbol, static_cast<std::uint64_t>(std::int64_t{number}),
                          name.empty() ? Piece{}.number(number) : Piece{}.add("__NR_").add(name));
                walk.field("si_arch");
                return show_choice(walk, abi::ConstantSet::audit_arch, info.get(info.word + std::size_t{4}, 4),
                                   0xffffffff);
            }
            default: break;
        }
    }
    if (code == user || code == -6) {  // SI_TKILL
        show_sender(walk, info);
    } else if (code == timer) {
        walk.hex("si_timerid", info.get(0, 4));
        walk.number("si_overrun", low_int(info.get(4, 4)));
        show_signal_value(walk, info, 8);
    } else if (code != kernel) {
        show_sender(walk, info);
        if (info.get(8, info.word) != 0) show_signal_value(walk, info, 8);
    }
}

/// What is told of a signal, of which the bytes were read.
inline void show_signal_info(Walk& walk, const unsigned char* bytes) {
    const SignalInfo info{bytes, walk.word};
    if (info.signal() == 0) {
        walk.sink.begin(Shape::structure);
        return walk.sink.end();
    }
    walk.sink.begin(Shape::structure);
    walk.field("si_signo");
    show_signal(walk, info.signal());
    walk.field("si_code");
    const std::uint64_t code = static_cast<std::uint32_t>(info.code());
    const abi::ConstantSet own = codes_of(info.signal());
    const bool is_own = own != abi::ConstantSet::none && abi::find_constant(own, code) != nullptr;
    show_choice(walk, is_own ? own : abi::ConstantSet::signal_code, code, 0xffffffff);
    if (info.error() != 0) {
        const std::string_view name = abi::errno_name(info.error());
        walk.field("si_errno");
        name.empty() ? walk.number(info.error()) : walk.symbol(static_cast<std::uint32_t>(info.error()), name);
    }
    show_signal_parts(walk, info);
    walk.sink.end();
}

inline void form_signal_info(Walk& walk, const Item& item) {
    unsigned char bytes[siginfo_bytes];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    show_signal_info(walk, bytes);
}

/// struct sigevent
inline void form_event(Walk& walk, const Item& item) {
    constexpr std::uint64_t thread = 2;
    constexpr std::uint64_t thread_id = 4;
    constexpr std::size_t most = 64;
    unsigned char bytes[most] = {};
    const unsigned word = walk.word;
    const std::size_t head = word + std::size_t{8};
    if (!walk.read(item.value, bytes, most)) return walk.address(item.value);
    const std::uint64_t notify = number_at(bytes, word + std::size_t{4}, 4);
    walk.sink.begin(Shape::structure);
    walk.field("sigev_value");
    walk.sink.begin(Shape::structure);
    walk.number("sival_int", low_int(number_at(bytes, 0, 4)));
    walk.address("sival_ptr", number_at(bytes, 0, word));
    walk.sink.end();
    walk.field("sigev_signo");
    constexpr std::uint64_t none = 1;
    if (notify == none)
        walk.count(number_at(bytes, word, 4));
    else
        show_signal(walk, low_int(number_at(bytes, word, 4)));
    walk.field("sigev_notify");
    show_choice(walk, abi::ConstantSet::signal_event, notify, 0xffffffff);
    if (notify == thread_id) walk.number("sigev_notify_thread_id", low_int(number_at(bytes, head, 4)));
    if (notify == thread) {
        walk.address("sigev_notify_function", number_at(bytes, head, word));
        walk.address("sigev_notify_attributes", number_at(bytes, head + word, word));
    }
    walk.sink.end();
}

/// {mask=[INT]}: what the signal frame says will be blocked.
inline void form_return_mask(Walk& walk, const Item& item) {
    std::uint64_t set = 0;
    if (!walk.read_number(item.value, signal_set_bytes, set)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.field("mask");
    show_signal_set(walk, set, signal_set_bytes);
    walk.sink.end();
}

inline void detail_signal(Walk& walk, const Item& item) {
    Piece piece;
    add_signal(piece, low_int(item.value));
    show_detail(walk, piece.view());
}

/// The set that rt_sigreturn restores lies in the frame of the signal's handler (struct rt_sigframe in
/// arch/x86/include/asm/sigframe.h and arch/arm64/kernel/signal.c).
inline void plan_return(Plan& plan) {
    constexpr std::uint64_t mask_at = abi::native_abi == abi::Abi::x86_64 ? 296 : 168;
    if (plan.stack_pointer != 0 && plan.word == 8) plan.add("mask", form_return_mask, plan.stack_pointer + mask_at);
}

inline constexpr PlannerOf signal_planners[] = {
    {"rt_sigreturn", plan_return},
    {"rt_sigtimedwait", [](Plan& plan) { plan.details = detail_signal; }},
};

inline constexpr FormOf signal_forms[] = {
    {"rt_sigpending", abi::ArgName::set, form_signal_set_out, When::exit},
    {"pidfd_send_signal", abi::ArgName::info, form_signal_info},
    {"rt_sigqueueinfo", abi::ArgName::info, form_signal_info},
    {"rt_tgsigqueueinfo", abi::ArgName::info, form_signal_info},
};

}  // namespace sysguard::supervise::render::detail
