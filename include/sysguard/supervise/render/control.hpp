#pragma once

#include "arguments.hpp"
#include "plan.hpp"
#include "signals.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// fcntl, prctl, arch_prctl and ptrace: what their arguments are depends on a command.
namespace sysguard::supervise::render {

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

inline void set_flags(Item& item, abi::ConstantSet set) {
    item.form = form_flags;
    item.set = set;
}
inline void set_choice(Item& item, abi::ConstantSet set) {
    item.form = form_choice;
    item.set = set;
}
inline void set_structure(Item& item, abi::Layout layout, When when) {
    item.form = form_structure;
    item.layout = layout;
    item.when = when;
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

inline constexpr PlannerOf control_planners[] = {
    {"fcntl", plan_fcntl},
    {"prctl", plan_prctl},
    {"arch_prctl", plan_arch_prctl},
    {"ptrace", plan_ptrace},
};

}  // namespace sysguard::supervise::render
