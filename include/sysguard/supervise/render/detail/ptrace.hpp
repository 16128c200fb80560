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

/// ptrace, by its request.
namespace sysguard::supervise::render::detail {

inline void form_user_offset(Walk& walk, const Item& item) {
    for (const abi::Constant& constant : abi::constants_in(abi::ConstantSet::user_offset))
        if (constant.value == item.value) return walk.symbol(item.value, constant.name);
    walk.hex(item.value);
}

/// {iov_base=0x5, iov_len=8}
inline void form_vector_of_one(Walk& walk, const Item& item) {
    unsigned char bytes[16];
    if (!walk.read(item.value, bytes, std::size_t{2} * walk.word)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.address("iov_base", number_at(bytes, 0, walk.word));
    walk.count("iov_len", number_at(bytes, walk.word, walk.word));
    walk.sink.end();
}

inline void plan_ptrace(Plan& plan) {
    constexpr std::uint64_t trace_me = 0;
    Item* const items = plan.items;
    const std::uint64_t request = plan.arguments[0];
    items[0].form = [](Walk& walk, const Item& item) { show_choice(walk, abi::ConstantSet::ptrace, item.value); };
    items[2].form = form_address;
    items[3].form = form_hex;
    switch (request) {
        case trace_me: plan.count = 1; return;
        case 8:       // PTRACE_KILL
        case 16:      // PTRACE_ATTACH
        case 0x4207:  // PTRACE_INTERRUPT
        case 0x4208: plan.count = 2; return;
        case 1:  // PTRACE_PEEKTEXT
        case 2:
            items[3].form = form_address_cell;
            items[3].when = When::exit;
            return;
        case 3:  // PTRACE_PEEKUSER
            items[2].form = form_user_offset;
            items[3].form = form_address_cell;
            items[3].when = When::exit;
            return;
        case 6: items[2].form = form_user_offset; return;
        case 7:   // PTRACE_CONT
        case 9:   // PTRACE_SINGLESTEP
        case 17:  // PTRACE_DETACH
        case 24:  // PTRACE_SYSCALL
        case 31:  // PTRACE_SYSEMU
        case 32:
        case 33: items[3].form = form_signal; return;
        case 12:  // PTRACE_GETREGS: the third argument is not read
        case 13:
        case 14:
        case 15:
        case 18:
        case 19:
            items[2] = items[3];
            items[2].form = form_address;
            plan.count = 3;
            return;
        case 0x4200:  // PTRACE_SETOPTIONS
        case 0x4206:  // PTRACE_SEIZE
            set_flags(items[3], abi::ConstantSet::ptrace_options);
            return;
        case 0x4201:  // PTRACE_GETEVENTMSG
            items[3].form = form_word_cell;
            items[3].when = When::exit;
            return;
        case 0x4202:  // PTRACE_GETSIGINFO
            items[3].form = form_signal_info;
            items[3].when = When::exit;
            return;
        case 0x4203: items[3].form = form_signal_info; return;
        case 0x4204:  // PTRACE_GETREGSET
        case 0x4205:
            set_choice(items[2], abi::ConstantSet::note_type);
            items[3].form = form_vector_of_one;
            if (request == 0x4204) items[3].when = When::exit;
            return;
        case 0x420a:  // PTRACE_GETSIGMASK
        case 0x420b:
            items[2].form = form_ulong;
            items[3].form = form_signal_set;
            items[3].more = plan.arguments[2];
            if (request == 0x420a) items[3].when = When::exit;
            return;
        case 0x420e:  // PTRACE_GET_SYSCALL_INFO
            items[2].form = form_ulong;
            items[3].form = form_address;
            return;
        default: return;
    }
}

inline constexpr PlannerOf ptrace_planners[] = {
    {"ptrace", plan_ptrace},
};

}  // namespace sysguard::supervise::render::detail
