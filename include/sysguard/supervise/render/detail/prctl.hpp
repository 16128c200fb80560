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

/// prctl and arch_prctl, by their option.
namespace sysguard::supervise::render::detail {

inline void detail_dumpable(Walk& walk, const Item& item) {
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::dumpable, item.value);
    if (known != nullptr) show_detail(walk, known->name);
}
inline void detail_secure_bits(Walk& walk, const Item& item) {
    if (item.value == 0) return;
    Piece piece;
    add_flags(piece, abi::ConstantSet::secure_bits, item.value);
    show_detail(walk, piece.view());
}
inline void detail_speculation(Walk& walk, const Item& item) {
    Piece piece;
    add_flags(piece, abi::ConstantSet::speculation_get, item.value);
    show_detail(walk, piece.view());
}
inline void detail_memory_error(Walk& walk, const Item& item) {
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::memory_error_policy, item.value);
    if (known != nullptr) show_detail(walk, known->name);
}
inline void form_pid_type(Walk& walk, const Item& item) {
    walk.count(item.value);
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::pid_type, item.value);
    walk.sink.note(known != nullptr ? known->name : std::string_view{"PIDTYPE_???"});
}
inline void form_hex_cell64(Walk& walk, const Item& item) {
    show_cell(walk, item.value, 8, [](Walk& shown, std::uint64_t value) { shown.hex(value); });
}

inline void plan_prctl(Plan& plan) {
    using abi::ConstantSet;
    Item* const items = plan.items;
    constexpr std::uint32_t set_vma = 0x53564d41;
    constexpr std::uint32_t set_ptracer = 0x59616d61;
    for (unsigned i = 1; i < plan.count; ++i) items[i].form = form_hex;
    switch (plan.low(0)) {
        case 1:  // PR_SET_PDEATHSIG
            items[1].form = form_signal;
            plan.count = 2;
            return;
        case 2:  // PR_GET_PDEATHSIG
            items[1].form = form_signal_cell;
            items[1].when = When::exit;
            plan.count = 2;
            return;
        case 3:  // PR_GET_DUMPABLE
            plan.details = detail_dumpable;
            plan.count = 1;
            return;
        case 4:  // PR_SET_DUMPABLE
            set_choice(items[1], ConstantSet::dumpable);
            plan.count = 2;
            return;
        case 5:   // PR_GET_UNALIGN
        case 9:   // PR_GET_FPEMU
        case 11:  // PR_GET_FPEXC
        case 19:  // PR_GET_ENDIAN
        case 37:  // PR_GET_CHILD_SUBREAPER
            items[1].form = form_uint_cell;
            items[1].when = When::exit;
            plan.count = 2;
            return;
        case 6:  // PR_SET_UNALIGN
            set_flags(items[1], ConstantSet::unalign);
            plan.count = 2;
            return;
        case 7:   // PR_GET_KEEPCAPS
        case 13:  // PR_GET_TIMING
        case 21:  // PR_GET_SECCOMP
        case 31:  // PR_TASK_PERF_EVENTS_DISABLE
        case 32:
        case 30:  // PR_GET_TIMERSLACK
        case 43:  // PR_MPX_ENABLE_MANAGEMENT
        case 44: plan.count = 1; return;
        case 8:   // PR_SET_KEEPCAPS
        case 14:  // PR_SET_TIMING
        case 29:  // PR_SET_TIMERSLACK
        case 36:  // PR_SET_CHILD_SUBREAPER
            items[1].form = plan.low(0) == 29 ? form_long : form_ulong;
            plan.count = 2;
            return;
        case 15:  // PR_SET_NAME
        case 16:  // PR_GET_NAME
            items[1].form = [](Walk& walk, const Item& item) { show_string_of(walk, item.value, 15); };
            if (plan.low(0) == 16) items[1].when = When::exit;
            plan.count = 2;
            return;
        case 22:  // PR_SET_SECCOMP
            set_choice(items[1], ConstantSet::seccomp_mode);
            if (plan.low(1) == 1) {
                plan.count = 2;
                return;
            }
            if (plan.low(1) == 2) {
                set_structure(items[2], abi::Layout::filter_program, When::entry);
                plan.count = 3;
            }
            return;
        case 23:  // PR_CAPBSET_READ
        case 24:
            set_choice(items[1], ConstantSet::capability);
            plan.count = 2;
            return;
        case 25:  // PR_GET_TSC
            items[1].form = form_choice_cell;
            items[1].set = ConstantSet::time_stamp_counter;
            items[1].when = When::exit;
            plan.count = 2;
            return;
        case 26:  // PR_SET_TSC
            set_choice(items[1], ConstantSet::time_stamp_counter);
            plan.count = 2;
            return;
        case 27:  // PR_GET_SECUREBITS
            plan.details = detail_secure_bits;
            plan.count = 1;
            return;
        case 28:  // PR_SET_SECUREBITS
            set_flags(items[1], ConstantSet::secure_bits);
            plan.count = 2;
            return;
        case 33:  // PR_MCE_KILL
            set_choice(items[1], ConstantSet::memory_error);
            if (plan.low(1) == 1) set_choice(items[2], ConstantSet::memory_error_policy);
            return;
        case 34: plan.details = detail_memory_error; return;  // PR_MCE_KILL_GET
        case 35:                                              // PR_SET_MM
            set_choice(items[1], ConstantSet::memory_map);
            return;
        case 38:  // PR_SET_NO_NEW_PRIVS
        case 41:  // PR_SET_THP_DISABLE
            items[1].form = form_ulong;
            return;
        case 40:  // PR_GET_TID_ADDRESS
            items[1].form = form_address_cell;
            items[1].when = When::exit;
            plan.count = 2;
            return;
        case 47:  // PR_CAP_AMBIENT
            set_choice(items[1], ConstantSet::ambient);
            if (plan.low(1) >= 1 && plan.low(1) <= 3) set_choice(items[2], ConstantSet::capability);
            return;
        case 52:  // PR_GET_SPECULATION_CTRL
            set_choice(items[1], ConstantSet::speculation);
            plan.count = 2;
            plan.details = detail_speculation;
            plan.result = Plan::Result::hex;
            return;
        case 53:  // PR_SET_SPECULATION_CTRL
            set_choice(items[1], ConstantSet::speculation);
            set_flags(items[2], ConstantSet::speculation_set);
            plan.count = 3;
            return;
        case 59:  // PR_SET_SYSCALL_USER_DISPATCH
            set_choice(items[1], ConstantSet::user_dispatch);
            items[4].form = form_address;
            return;
        case 62:  // PR_SCHED_CORE
            set_choice(items[1], ConstantSet::core_scheduling);
            items[2].form = form_int;
            items[3].form = form_pid_type;
            if (plan.low(1) == 0) {
                items[4].form = form_hex_cell64;
                items[4].when = When::exit;
            }
            return;
        case set_vma:
            set_choice(items[1], ConstantSet::vma_attribute);
            items[3].form = form_ulong;
            if (plan.low(1) == 0)
                items[4].form = [](Walk& walk, const Item& item) { show_string_of(walk, item.value, 80); };
            return;
        case set_ptracer:
            items[1].form = [](Walk& walk, const Item& item) {
                item.value == ~0ULL ? walk.symbol(item.value, "PR_SET_PTRACER_ANY")
                                    : walk.number(static_cast<std::int64_t>(item.value));
            };
            plan.count = 2;
            return;
        default: return;
    }
}

inline void plan_arch_prctl(Plan& plan) {
    Item& argument = plan.items[1];
    switch (plan.low(0)) {
        case 0x1001:  // ARCH_SET_GS
        case 0x1002: argument.form = form_hex; return;
        case 0x1003:  // ARCH_GET_FS
        case 0x1004:
            argument.form = form_address_cell;
            argument.when = When::exit;
            return;
        case 0x1011: plan.count = 1; return;  // ARCH_GET_CPUID
        case 0x1012: argument.form = form_uint; return;
        case 0x1021:  // ARCH_GET_XCOMP_SUPP
        case 0x1022:
        case 0x1024:
            argument.form = [](Walk& walk, const Item& item) {
                std::uint64_t mask = 0;
                if (!walk.read_number(item.value, 8, mask)) return walk.address(item.value);
                walk.sink.begin(Shape::array);
                walk.sink.element();
                show_flags(walk, abi::ConstantSet::xfeatures, mask);
                walk.sink.end();
            };
            argument.when = When::exit;
            return;
        case 0x1023:  // ARCH_REQ_XCOMP_PERM
        case 0x1025: return set_choice(argument, abi::ConstantSet::xfeature);
        default: argument.form = form_hex; return;
    }
}

inline constexpr PlannerOf prctl_planners[] = {
    {"prctl", plan_prctl},
    {"arch_prctl", plan_arch_prctl},
};

}  // namespace sysguard::supervise::render::detail
