#pragma once

#include "arguments.hpp"
#include "clone.hpp"
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

/// Starting, waiting for and scheduling processes; their credentials and limits.
namespace sysguard::supervise::render::detail {

/// [{WIFEXITED(s) && WEXITSTATUS(s) == 3}]
inline void form_wait_status(Walk& walk, const Item& item) {
    constexpr unsigned continued = 0xffff;
    std::uint64_t raw = 0;
    if (walk.call.result == 0 || !walk.read_number(item.value, 4, raw)) return walk.address(item.value);
    const auto status = static_cast<unsigned>(raw);
    Piece piece;
    unsigned left = status & ~0xffffU;
    if (status == continued) {
        piece.add("{WIFCONTINUED(s)");
    } else if ((status & 0xff) == 0x7f) {
        piece.add("{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        const unsigned stop = status >> 8 & 0xff;
        add_signal(piece, stop & 0x7f);
        if ((stop & 0x80) != 0) piece.add(" | 0x80");
    } else if ((status & 0x7f) != 0) {
        piece.add("{WIFSIGNALED(s) && WTERMSIG(s) == ");
        add_signal(piece, status & 0x7f);
        if ((status & 0x80) != 0) piece.add(" && WCOREDUMP(s)");
        left |= status & 0xff00;
    } else {
        piece.add("{WIFEXITED(s) && WEXITSTATUS(s) == ").decimal(status >> 8 & 0xff);
    }
    piece.add('}');
    if (left != 0) {
        if ((left >> 16) != 0 && (left >> 16) < 0xff && (status & 0xff) == 0x7f) {
            piece.add(" | ");
            Piece event;
            add_choice(event, abi::ConstantSet::ptrace_event, left >> 16);
            piece.add(event.view()).add("<<16");
        } else {
            piece.add(" | ").hex(left);
        }
    }
    walk.sink.begin(Shape::array);
    walk.sink.element();
    walk.show(Kind::symbol, status, piece);
    walk.sink.end();
}

inline void form_rusage(Walk& walk, const Item& item) {
    if (walk.call.result == 0 && item.more != 0) return walk.address(item.value);
    show_structure(walk, abi::Layout::rusage, item.value, walk.word);
}

/// [0 1]
inline void form_cpu_mask(Walk& walk, const Item& item) {
    show_bits(walk, item.value, item.more);
}
inline void form_cpu_mask_out(Walk& walk, const Item& item) {
    show_bits(walk, item.value, walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result));
}

/// struct sched_attr, as large as it says, or as `more` says.
inline void form_sched_attr(Walk& walk, const Item& item) {
    constexpr std::uint64_t first_size = 48;
    constexpr std::uint64_t clamped_size = 56;
    unsigned char bytes[clamped_size] = {};
    std::uint64_t given = 0;
    if (!walk.read_number(item.value, 4, given)) return walk.address(item.value);
    const bool is_set = item.more == 0;
    std::uint64_t size = given == 0 && is_set ? first_size : given;
    if (!is_set) size = std::min(item.more, given);
    walk.sink.begin(Shape::structure);
    walk.count("size", given);
    if (size < first_size || !walk.read(item.value, bytes, std::min<std::uint64_t>(size, sizeof bytes))) {
        if (size >= first_size) walk.sink.more();
        return walk.sink.end();
    }
    walk.field("sched_policy");
    show_choice(walk, abi::ConstantSet::scheduler, number_at(bytes, 4, 4), 0xffffffff);
    walk.field("sched_flags");
    show_flags(walk, abi::ConstantSet::scheduler_flags, number_at(bytes, 8, 8));
    walk.number("sched_nice", low_int(number_at(bytes, 16, 4)));
    walk.count("sched_priority", number_at(bytes, 20, 4));
    walk.count("sched_runtime", number_at(bytes, 24, 8));
    walk.count("sched_deadline", number_at(bytes, 32, 8));
    walk.count("sched_period", number_at(bytes, 40, 8));
    if (size >= clamped_size) {
        walk.count("sched_util_min", number_at(bytes, 48, 4));
        walk.count("sched_util_max", number_at(bytes, 52, 4));
    }
    if (size > clamped_size) show_bytes_behind(walk, item.value, clamped_size, size);
    walk.sink.end();
}

/// {version=_LINUX_CAPABILITY_VERSION_3, pid=0}
inline void form_cap_header(Walk& walk, const Item& item) {
    unsigned char bytes[8];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.field("version");
    show_choice(walk, abi::ConstantSet::capability_version, number_at(bytes, 0, 4), 0xffffffff);
    walk.number("pid", low_int(number_at(bytes, 4, 4)));
    walk.sink.end();
}

inline void keep_version(Walk& walk, const Item& item) {
    std::uint64_t version = 0;
    walk.saved[walk.place + 1] = walk.read_number(item.value, 4, version) ? version : 0;
}

/// {effective=1<<CAP_CHOWN, permitted=0, inheritable=0}: as much as the version that was given has.
inline void form_cap_data(Walk& walk, const Item& item) {
    constexpr std::uint64_t version_1 = 0x19980330;
    constexpr std::uint64_t version_2 = 0x20071026;
    constexpr std::uint64_t version_3 = 0x20080522;
    const std::uint64_t version = walk.saved[walk.place];
    const bool is_wide = version == version_2 || version == version_3;
    unsigned char bytes[24] = {};
    if ((!is_wide && version != version_1) || !walk.read(item.value, bytes, is_wide ? 24 : 12))
        return walk.address(item.value);
    constexpr std::string_view names[] = {"effective", "permitted", "inheritable"};
    walk.sink.begin(Shape::structure);
    for (unsigned i = 0; i < 3; ++i) {
        const std::uint64_t low = number_at(bytes, std::size_t{i} * 4, 4);
        const std::uint64_t high = number_at(bytes, 12 + std::size_t{i} * 4, 4);
        Piece piece;
        if (low != 0 || high == 0) add_flags(piece, abi::ConstantSet::capabilities_low, low);
        if (high != 0) {
            Piece upper;
            add_flags(upper, abi::ConstantSet::capabilities_high, high);
            if (!piece.empty()) piece.add('|');
            piece.add(upper.view());
        }
        walk.field(names[i]);
        walk.show(Kind::symbol, low | high << 32, piece);
    }
    walk.sink.end();
}

/// IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4)
inline void add_io_priority(Piece& to, std::uint64_t value) noexcept {
    to.add("IOPRIO_PRIO_VALUE(");
    Piece type;
    add_choice(type, abi::ConstantSet::io_class, value >> 13);
    to.add(type.view()).add(", ").decimal(value & 0x1fff).add(')');
}

inline void form_io_priority(Walk& walk, const Item& item) {
    Piece piece;
    add_io_priority(piece, item.value & 0xffffffff);
    walk.show(Kind::symbol, item.value, piece);
}

inline void detail_io_priority(Walk& walk, const Item& item) {
    Piece piece;
    add_io_priority(piece, item.value);
    show_detail(walk, piece.view());
}

inline void add_personality(Piece& to, std::uint64_t persona) noexcept {
    constexpr std::uint64_t type = 0xff;
    for (const abi::Constant& constant : abi::constants_in(abi::ConstantSet::personality))
        if (constant.value == persona) {
            to.add(constant.name);
            return;
        }
    Piece name;
    add_choice(name, abi::ConstantSet::personality, persona & type);
    to.add(name.view());
    Piece flags;
    add_flags(flags, abi::ConstantSet::personality_flags, persona & ~type);
    to.add('|').add(flags.view());
}

inline void form_personality(Walk& walk, const Item& item) {
    constexpr std::uint64_t ask = 0xffffffff;
    const std::uint64_t persona = item.value & 0xffffffff;
    Piece piece;
    if (persona == ask)
        piece.hex(persona);
    else
        add_personality(piece, persona);
    walk.show(Kind::symbol, persona, piece);
}

inline void detail_personality(Walk& walk, const Item& item) {
    Piece piece;
    add_personality(piece, item.value & 0xffffffff);
    show_detail(walk, piece.view());
}

inline void detail_scheduler(Walk& walk, const Item& item) {
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::scheduler, item.value & ~0x40000000ULL);
    if (known != nullptr) show_detail(walk, known->name);
}

/// A descriptor of another process: its path is not the caller's.
inline void form_compared_fd(Walk& walk, const Item& item) {
    if (item.more == static_cast<std::uint32_t>(walk.call.thread))
        form_fd(walk, item);
    else
        form_int(walk, item);
}

/// kcmp: what the two numbers are depends on what is compared.
inline void plan_kcmp(Plan& plan) {
    enum : std::uint32_t { file, vm, files, fs, sighand, io, sysvsem, epoll };
    const std::uint32_t type = plan.low(2);
    if (type == file) {
        plan.items[3].form = plan.items[4].form = form_compared_fd;
        plan.items[3].more = plan.low(0);
        plan.items[4].more = plan.low(1);
    } else if (type == epoll) {
        plan.items[3].form = form_fd;
        plan.items[4].form = form_structure;
        plan.items[4].layout = abi::Layout::epoll_target;
    } else if (type < epoll) {
        plan.count = 3;
    }
}

inline constexpr PlannerOf process_planners[] = {
    {"wait4", [](Plan& plan) { plan.items[3].more = 1; }},
    {"capget", [](Plan& plan) { plan.items[0].keep = keep_version; }},
    {"capset", [](Plan& plan) { plan.items[0].keep = keep_version; }},
    {"ioprio_get", [](Plan& plan) { plan.details = detail_io_priority; }},
    {"personality",
     [](Plan& plan) {
         plan.details = detail_personality;
         plan.result = Plan::Result::hex;
     }},
    {"sched_getscheduler", [](Plan& plan) { plan.details = detail_scheduler; }},
    {"kcmp", plan_kcmp},
    {"sched_getattr", [](Plan& plan) { plan.items[1].more = plan.low(2); }},
    {"execve", [](Plan& plan) { plan.items[2].form = form_environment; }},
    {"execveat", [](Plan& plan) { plan.items[3].form = form_environment; }},
};

inline constexpr FormOf process_forms[] = {
    {"prlimit64", abi::ArgName::new_limit, form_structure, When::entry, {}, abi::Layout::rlimit64},
    {"prlimit64", abi::ArgName::old_limit, form_structure, When::exit, {}, abi::Layout::rlimit64},
    {"wait4", abi::ArgName::wstatus, form_wait_status, When::exit},
    {"wait4", abi::ArgName::rusage, form_rusage, When::exit},
    {"waitid", abi::ArgName::rusage, form_rusage, When::exit},
    {"capget", abi::ArgName::hdrp, form_cap_header},
    {"capset", abi::ArgName::hdrp, form_cap_header},
    {"capget", abi::ArgName::datap, form_cap_data, When::exit},
    {"capset", abi::ArgName::datap, form_cap_data},
    {"sched_setaffinity", abi::ArgName::mask, form_cpu_mask},
    {"sched_getaffinity", abi::ArgName::mask, form_cpu_mask_out, When::exit},
    {"sched_getattr", abi::ArgName::attr, form_sched_attr, When::exit},
    {"sched_setattr", abi::ArgName::attr, form_sched_attr},
    {"sched_getattr", abi::ArgName::flags, form_uint},
    {"sched_setattr", abi::ArgName::flags, form_uint},
    {"ioprio_set", abi::ArgName::ioprio, form_io_priority},
    {"personality", abi::ArgName::persona, form_personality},
    {"getgroups", abi::ArgName::list, form_result_users, When::exit},
    {"pidfd_getfd", abi::ArgName::targetfd, form_int},
    {"setns", abi::ArgName::nstype, form_flags, When::entry, abi::ConstantSet::setns},
    {"set_tid_address", abi::ArgName::tidptr, form_address},
    {"set_robust_list", abi::ArgName::head, form_address},
    {"rseq", abi::ArgName::rseq, form_hex},
    {"rseq", abi::ArgName::rseq_len, form_hex32},
    {"rseq", abi::ArgName::flags, form_hex32},
    {"rseq", abi::ArgName::signature, form_hex32},
    {"ioperm", abi::ArgName::from, form_hex},
    {"ioperm", abi::ArgName::num, form_hex},
    {"sethostname", abi::ArgName::len, form_uint},
    {"setdomainname", abi::ArgName::len, form_uint},
};

}  // namespace sysguard::supervise::render::detail
