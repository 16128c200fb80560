#pragma once

#include "arguments.hpp"
#include "control.hpp"
#include "files.hpp"
#include "messages.hpp"
#include "plan.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

/// Filters, performance counters, modules and other doors into the kernel.
namespace sysguard::supervise::render::detail {

/// SECCOMP_RET_ERRNO|0xd
inline void show_seccomp_action(Walk& walk, std::uint64_t value) {
    Piece piece;
    Piece name;
    add_choice(name, abi::ConstantSet::seccomp_action, value & 0xffff0000);
    piece.add(name.view());
    if ((value & 0xffff) != 0) piece.add('|').hex(value & 0xffff);
    walk.show(Kind::symbol, value, piece);
}

inline void plan_seccomp(Plan& plan) {
    enum : std::uint32_t { strict, filter, action, sizes };
    Item* const items = plan.items;
    switch (plan.low(0)) {
        case filter:
            set_structure(items[2], abi::Layout::filter_program, When::entry);
            if ((plan.arguments[1] & 8) != 0) plan.result = Plan::Result::descriptor;
            return;
        case action:
            items[1].form = form_hex32;
            items[2].form = [](Walk& walk, const Item& item) {
                std::uint64_t value = 0;
                if (!walk.read_number(item.value, 4, value)) return walk.address(item.value);
                walk.sink.begin(Shape::array);
                walk.sink.element();
                show_seccomp_action(walk, value);
                walk.sink.end();
            };
            return;
        case sizes:
            items[1].form = form_hex32;
            set_structure(items[2], abi::Layout::seccomp_sizes, When::exit);
            return;
        default: items[1].form = form_hex32; items[2].form = form_address;
    }
}

/// The first fields of struct perf_event_attr.
inline void form_perf_attr(Walk& walk, const Item& item) {
    constexpr std::size_t first_size = 64;
    constexpr std::uint64_t frequency = 1 << 10;
    unsigned char bytes[first_size];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    const std::uint64_t type = number_at(bytes, 0, 4);
    const std::uint64_t config = number_at(bytes, 8, 8);
    const std::uint64_t flags = number_at(bytes, 40, 8);
    walk.sink.begin(Shape::structure);
    walk.field("type");
    show_choice(walk, abi::ConstantSet::perf_type, type, 0xffffffff);
    walk.field("size");
    Piece size;
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::perf_size, number_at(bytes, 4, 4));
    known != nullptr ? size.add(known->name) : size.hex(number_at(bytes, 4, 4)).add(" /* PERF_ATTR_SIZE_??? */");
    walk.show(Kind::number, number_at(bytes, 4, 4), size);
    walk.field("config");
    if (type == 0)
        show_choice(walk, abi::ConstantSet::perf_hardware, config);
    else if (type == 1)
        show_choice(walk, abi::ConstantSet::perf_software, config);
    else if (type == 2)
        walk.count(config);
    else
        walk.hex(config);
    walk.count((flags & frequency) != 0 ? "sample_freq" : "sample_period", number_at(bytes, 16, 8));
    walk.field("sample_type");
    show_flags(walk, abi::ConstantSet::perf_sample, number_at(bytes, 24, 8));
    walk.field("read_format");
    show_flags(walk, abi::ConstantSet::perf_read, number_at(bytes, 32, 8));
    constexpr std::string_view flag_names[] = {"disabled",       "inherit",        "pinned",     "exclusive",
                                               "exclude_user",   "exclude_kernel", "exclude_hv", "exclude_idle",
                                               "mmap",           "comm",           "freq",       "inherit_stat",
                                               "enable_on_exec", "task",           "watermark"};
    for (unsigned i = 0; i < std::size(flag_names); ++i)
        if ((flags >> i & 1) != 0) walk.count(flag_names[i], 1);
    constexpr std::string_view skids[] = {"arbitrary skid", "constant skid", "requested to have 0 skid",
                                          "must have 0 skid"};
    walk.count("precise_ip", flags >> 15 & 3);
    walk.sink.note(skids[flags >> 15 & 3]);
    constexpr std::string_view later_names[] = {"mmap_data",
                                                "sample_id_all",
                                                "exclude_host",
                                                "exclude_guest",
                                                "exclude_callchain_kernel",
                                                "exclude_callchain_user",
                                                "mmap2",
                                                "comm_exec",
                                                "use_clockid",
                                                "context_switch",
                                                "write_backward",
                                                "namespaces",
                                                "ksymbol",
                                                "bpf_event",
                                                "aux_output",
                                                "cgroup",
                                                "text_poke",
                                                "build_id",
                                                "inherit_thread",
                                                "remove_on_exec",
                                                "sigtrap"};
    for (unsigned i = 0; i < std::size(later_names); ++i)
        if ((flags >> (17 + i) & 1) != 0) walk.count(later_names[i], 1);
    walk.sink.more();
    walk.sink.end();
}

/// struct user_desc
inline void form_user_desc(Walk& walk, const Item& item) {
    unsigned char bytes[16];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    const auto padded = [&](std::string_view name, std::uint64_t value) {
        walk.field(name);
        walk.show(Kind::number, value, value == 0 ? Piece{}.add("00000000") : Piece{}.add("0x").bare_hex(value, 6));
    };
    const std::uint64_t flags = number_at(bytes, 12, 4);
    walk.sink.begin(Shape::structure);
    walk.number("entry_number", low_int(number_at(bytes, 0, 4)));
    padded("base_addr", number_at(bytes, 4, 4));
    padded("limit", number_at(bytes, 8, 4));
    walk.count("seg_32bit", flags & 1);
    walk.count("contents", flags >> 1 & 3);
    walk.count("read_exec_only", flags >> 3 & 1);
    walk.count("limit_in_pages", flags >> 4 & 1);
    walk.count("seg_not_present", flags >> 5 & 1);
    walk.count("useable", flags >> 6 & 1);
    if (walk.word == 8) walk.count("lm", flags >> 7 & 1);
    walk.sink.end();
}

/// QCMD(Q_GETQUOTA, USRQUOTA)
inline void form_quota_command(Walk& walk, const Item& item) {
    const std::uint64_t command = item.value & 0xffffffff;
    Piece piece;
    Piece name;
    Piece type;
    add_choice(name, abi::ConstantSet::quota_command, command >> 8);
    add_choice(type, abi::ConstantSet::quota_type, command & 0xff);
    walk.show(Kind::symbol, command, piece.add("QCMD(").add(name.view()).add(", ").add(type.view()).add(')'));
}

inline void plan_quota(Plan& plan, unsigned command, unsigned id) {
    constexpr std::uint32_t sync = 0x800001;
    constexpr std::uint32_t on = 0x800002;
    constexpr std::uint32_t off = 0x800003;
    constexpr std::uint32_t format = 0x800004;
    constexpr std::uint32_t x_first = 0x5801;
    constexpr std::uint32_t x_last = 0x5809;
    Item* const items = plan.items;
    const std::uint32_t operation = plan.low(command) >> 8;
    items[command].form = form_quota_command;
    items[id].form = form_user;
    items[id + 1].form = form_address;
    if (operation == off || operation == sync) {
        plan.count = id;
    } else if (operation == on) {
        set_choice(items[id], abi::ConstantSet::quota_format);
        items[id + 1].form = form_path;
    } else if (operation == format ||
               (operation >= x_first && operation <= x_last && operation != 0x5803 && operation != 0x5804)) {
        items[id] = items[id + 1];
        plan.count = id + 1;
    }
}

inline void form_syslog(Walk& walk, const Item& item) {
    walk.count(item.value & 0xffffffff);
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::syslog, item.value, 0xffffffff);
    walk.sink.note(known != nullptr ? known->name : std::string_view{"SYSLOG_ACTION_???"});
}

inline void plan_syslog(Plan& plan) {
    enum : std::uint32_t { read = 2, read_all = 3, read_clear = 4, console_level = 8 };
    const std::uint32_t action = plan.low(0);
    plan.items[0].form = form_syslog;
    const bool has_no_buffer = action < read || (action > read_clear && action < console_level);
    if (has_no_buffer || action == 9 || action == 10) plan.count = 1;  // SYSLOG_ACTION_SIZE_UNREAD, SIZE_BUFFER
    if (action < read || action > read_clear) {
        plan.items[1].form = form_address;
        plan.items[1].when = When::entry;
    }
    if (action == console_level)
        plan.items[2].form = [](Walk& walk, const Item& item) {
            walk.count(item.value & 0xffffffff);
            const abi::Constant* const known = abi::find_constant(abi::ConstantSet::log_level, item.value, 0xffffffff);
            walk.sink.note(known != nullptr ? known->name : std::string_view{"LOGLEVEL_???"});
        };
}

/// KEXEC_ARCH_X86_64|KEXEC_ON_CRASH
inline void form_kexec_flags(Walk& walk, const Item& item) {
    Piece piece;
    Piece name;
    add_choice(name, abi::ConstantSet::kexec_arch, item.value & 0xffff0000);
    piece.add(name.view());
    if ((item.value & 0xffff) != 0) {
        Piece flags;
        add_flags(flags, abi::ConstantSet::kexec, item.value & 0xffff);
        piece.add('|').add(flags.view());
    }
    walk.show(Kind::symbol, item.value, piece);
}

inline void plan_reboot(Plan& plan) {
    constexpr std::uint32_t restart_2 = 0xa1b2c3d4;
    if (plan.low(2) != restart_2)
        plan.count = 3;
    else
        plan.items[3].form = form_string;
}

/// {handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE}; `more`: the size that was given.
inline void form_landlock_ruleset(Walk& walk, const Item& item) {
    unsigned char bytes[24] = {};
    if (item.more < 8 || item.more > 4096 ||
        !walk.read(item.value, bytes, std::min<std::uint64_t>(item.more, sizeof bytes)))
        return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.field("handled_access_fs");
    show_flags(walk, abi::ConstantSet::landlock_access, number_at(bytes, 0, 8));
    if (item.more >= 16) walk.hex("handled_access_net", number_at(bytes, 8, 8));
    if (item.more >= 24) walk.hex("scoped", number_at(bytes, 16, 8));
    show_bytes_behind(walk, item.value, std::min<std::uint64_t>(item.more, sizeof bytes), item.more);
    walk.sink.end();
}

inline void plan_modify_ldt(Plan& plan) {
    constexpr std::uint64_t whole = 16;
    Item& argument = plan.items[1];
    argument.form = plan.arguments[2] == whole ? form_user_desc : form_address;
    argument.when = plan.low(0) == 1 || plan.low(0) == 0x11 ? When::entry : When::always;
    if (argument.form == form_address) argument.when = When::entry;
}

inline void keep_pointer(Walk& walk, const Item& item) {
    walk.saved[walk.place] = item.value;
}

/// (entry_number=12): which entry set_thread_area has taken, where it was to choose.
inline void detail_entry(Walk& walk, const Item&) {
    std::uint64_t entry = 0;
    if (!walk.read_number(walk.saved[0], 4, entry)) return;
    show_detail(walk, Piece{}.add("entry_number=").number(with_sign(entry, 4)).view());
}

/// One that no kernel has, of so many arguments.
template <unsigned count>
void plan_missing(Plan& plan) {
    constexpr std::string_view names[] = {"arg0", "arg1", "arg2", "arg3", "arg4"};
    for (unsigned i = 0; i < count; ++i) plan.add(names[i], form_hex, plan.arguments[i]);
}

inline constexpr PlannerOf kernel_planners[] = {
    {"afs_syscall", plan_missing<5>},
    {"getpmsg", plan_missing<5>},
    {"putpmsg", plan_missing<5>},
    {"vserver", plan_missing<5>},
    {"security", plan_missing<3>},
    {"tuxcall", plan_missing<3>},
    {"epoll_ctl_old", plan_missing<4>},
    {"epoll_wait_old", plan_missing<4>},
    {"landlock_create_ruleset",
     [](Plan& plan) {
         if ((plan.low(2) & 3) != 0) plan.result = Plan::Result::number;
     }},
    {"set_thread_area",
     [](Plan& plan) {
         plan.items[0].keep = keep_pointer;
         plan.details = detail_entry;
     }},
    {"seccomp", plan_seccomp},
    {"quotactl", [](Plan& plan) { plan_quota(plan, 0, 2); }},
    {"quotactl_fd", [](Plan& plan) { plan_quota(plan, 1, 2); }},
    {"syslog", plan_syslog},
    {"reboot", plan_reboot},
    {"modify_ldt", plan_modify_ldt},
    {"landlock_add_rule",
     [](Plan& plan) {
         if (plan.low(1) == 1) set_structure(plan.items[2], abi::Layout::path_beneath, When::entry);
     }},
};

inline constexpr FormOf kernel_forms[] = {
    {"perf_event_open", abi::ArgName::attr, form_perf_attr},
    {"set_thread_area", abi::ArgName::u_info, form_user_desc},
    {"get_thread_area", abi::ArgName::u_info, form_user_desc, When::exit},
    {"kexec_load", abi::ArgName::flags, form_kexec_flags},
    {"kexec_load", abi::ArgName::entry, form_address},
    {"kexec_file_load", abi::ArgName::flags, form_flags64, When::entry, abi::ConstantSet::kexec_file},
    {"landlock_create_ruleset", abi::ArgName::attr, form_landlock_ruleset},
    {"getrandom", abi::ArgName::buf, form_result_bytes_hex, When::exit},
    {"init_module", abi::ArgName::module_image, form_address},
    {"lookup_dcookie", abi::ArgName::buf, form_result_bytes, When::exit},
    {"userfaultfd", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::user_fault_fd},
    {"create_module", abi::ArgName::name, form_hex},
    {"create_module", abi::ArgName::size, form_hex},
    {"query_module", abi::ArgName::name, form_hex},
    {"query_module", abi::ArgName::which, form_hex},
    {"query_module", abi::ArgName::buf, form_hex},
    {"query_module", abi::ArgName::count, form_hex},
    {"query_module", abi::ArgName::ret, form_hex},
    {"_sysctl", abi::ArgName::args, form_hex},
    {"nfsservctl", abi::ArgName::argp, form_hex},
    {"nfsservctl", abi::ArgName::resp, form_hex},
};

}  // namespace sysguard::supervise::render::detail
