#pragma once

#include "../../../abi/table.hpp"
#include "addresses.hpp"
#include "arguments.hpp"
#include "bpf.hpp"
#include "clone.hpp"
#include "events.hpp"
#include "fcntl.hpp"
#include "files.hpp"
#include "ioctl.hpp"
#include "ipc.hpp"
#include "kernel.hpp"
#include "keys.hpp"
#include "mappings.hpp"
#include "messages.hpp"
#include "mounts.hpp"
#include "plan.hpp"
#include "prctl.hpp"
#include "processes.hpp"
#include "ptrace.hpp"
#include "rings.hpp"
#include "signals.hpp"
#include "sockets.hpp"
#include "times.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

/// What is shown of each call: by the table, by types, and by what single calls have of their own.
namespace sysguard::supervise::render::detail {

/// How an argument of a type is shown, whatever the call.
struct TypeForm {
    Form form = nullptr;
    abi::Layout layout = abi::Layout::none;
};

inline TypeForm form_of(abi::Type type) noexcept {
    using abi::Layout;
    using abi::Type;
    switch (type) {
        case Type::int32:
        case Type::pid:
        case Type::timer: return {form_int};
        case Type::uint32:
        case Type::port: return {form_uint};
        case Type::int64:
        case Type::offset: return {form_long};
        case Type::uint64:
        case Type::size: return {form_ulong};
        case Type::address: return {form_address};
        case Type::fd: return {form_fd};
        case Type::dirfd: return {form_dirfd};
        case Type::uid:
        case Type::gid: return {form_user};
        case Type::signal: return {form_signal};
        case Type::clock:
        case Type::socket_domain: return {form_choice};
        case Type::key: return {form_key};
        case Type::device: return {form_device};
        case Type::command: return {form_hex32};
        case Type::flags32:
        case Type::at_flags:
        case Type::socket_flags:
        case Type::message_flags:
        case Type::access_mode: return {form_flags};
        case Type::flags64:
        case Type::map_protection:
        case Type::protection: return {form_flags64};
        case Type::open_flags: return {form_open_flags};
        case Type::new_fd_flags: return {form_new_fd_flags};
        case Type::map_flags:
        case Type::remap_flags: return {form_map_flags};
        case Type::mount_flags: return {form_mount_flags};
        case Type::clone_flags: return {form_clone_flags};
        case Type::file_mode:
        case Type::directory_mode:
        case Type::creation_mask: return {form_octal};
        case Type::node_mode: return {form_node_mode};
        case Type::socket_type: return {form_socket_type};
        case Type::word: return {form_hex};
        case Type::path: return {form_path};
        case Type::string: return {form_string};
        case Type::string_array: return {form_string_array};
        case Type::bytes: return {form_bytes};
        case Type::socket_address: return {form_address_in};
        case Type::socklen: return {form_int_cell};
        case Type::address_array: return {form_addresses};
        case Type::address_cell:
        case Type::aio_context_cell: return {form_address_cell};
        case Type::bpf_attr: return {form_bpf};
        case Type::cachestat: return {form_structure, Layout::cachestat};
        case Type::cachestat_range: return {form_structure, Layout::cachestat_range};
        case Type::cap_data: return {form_cap_data};
        case Type::cap_header: return {form_cap_header};
        case Type::clone_args: return {form_clone3};
        case Type::cpu_mask: return {form_cpu_mask};
        case Type::dirent:
        case Type::dirent64: return {form_entries};
        case Type::epoll_event: return {form_epoll_event};
        case Type::fd_pair: return {form_fd_pair};
        case Type::fd_set: return {form_fd_set};
        case Type::file_attr: return {form_structure, Layout::file_attr};
        case Type::file_handle: return {form_handle_in};
        case Type::futex_waitv: return {form_structures, Layout::futex_waitv};
        case Type::gid_array: return {form_users};
        case Type::gid_cell:
        case Type::uid_cell: return {form_user_cell};
        case Type::int_array: return {form_ints};
        case Type::int_cell:
        case Type::tid_cell:
        case Type::timer_cell: return {form_int_cell};
        case Type::io_event: return {form_structures, Layout::io_event};
        case Type::io_uring_params: return {form_ring_params};
        case Type::iocb: return {form_iocb};
        case Type::iocb_array: return {form_iocbs};
        case Type::iovec: return {form_vector};
        case Type::itimerspec: return {form_time, Layout::itimerspec};
        case Type::itimerval: return {form_time, Layout::itimerval};
        case Type::kexec_segment: return {form_structures, Layout::kexec_segment};
        case Type::landlock_ruleset_attr: return {form_landlock_ruleset};
        case Type::mmsghdr: return {form_messages_in};
        case Type::mnt_id_req: return {form_structure, Layout::mnt_id_req};
        case Type::mount_attr: return {form_structure, Layout::mount_attr};
        case Type::mq_attr: return {form_structure, Layout::mq_attr};
        case Type::msgbuf: return {form_message_buffer};
        case Type::msghdr: return {form_message_in};
        case Type::msqid_ds: return {form_structure, Layout::msqid_ds};
        case Type::node_mask: return {form_node_mask};
        case Type::ns_id_req: return {form_structure, Layout::ns_id_req};
        case Type::offset_cell: return {form_offset_cell};
        case Type::open_how: return {form_open_how};
        case Type::perf_event_attr: return {form_perf_attr};
        case Type::pollfd: return {form_poll};
        case Type::rlimit: return {form_structure, Layout::rlimit};
        case Type::rusage: return {form_structure, Layout::rusage};
        case Type::sched_attr: return {form_sched_attr};
        case Type::sched_param: return {form_int_cell};
        case Type::sembuf: return {form_structures, Layout::sembuf};
        case Type::shmid_ds: return {form_structure, Layout::shmid_ds};
        case Type::sigaction: return {form_action};
        case Type::sigevent: return {form_event};
        case Type::siginfo: return {form_signal_info};
        case Type::sigset: return {form_signal_set};
        case Type::sigset_argument: return {form_signal_set_argument};
        case Type::size_cell: return {form_word_cell};
        case Type::stack: return {form_structure, Layout::stack};
        case Type::stat: return {form_structure, Layout::stat};
        case Type::statfs: return {form_structure, Layout::statfs};
        case Type::statx: return {form_structure, Layout::statx};
        case Type::sysinfo: return {form_structure, Layout::sysinfo};
        case Type::time_cell: return {form_time_cell};
        case Type::timespec: return {form_time, Layout::timespec};
        case Type::timespec_pair: return {form_timespec_pair};
        case Type::timeval: return {form_time, Layout::timeval};
        case Type::timeval_pair: return {form_timeval_pair};
        case Type::timex: return {form_structure, Layout::timex};
        case Type::timezone: return {form_structure, Layout::timezone};
        case Type::tms: return {form_structure, Layout::tms};
        case Type::uint64_array: return {form_numbers64};
        case Type::uint_cell: return {form_uint_cell};
        case Type::user_desc: return {form_user_desc};
        case Type::utimbuf: return {form_structure, Layout::utimbuf};
        case Type::utsname: return {form_structure, Layout::utsname};
        case Type::xattr_args: return {form_structure, Layout::xattr_args};
        case Type::opaque:
        case Type::futex_cell:
        case Type::robust_list:
        case Type::rseq:
        case Type::statmount:
        case Type::lsm_ctx:
        case Type::ustat: return {form_address};
    }
    return {form_hex};
}

constexpr When when_of(const abi::Argument& argument) noexcept {
    switch (argument.direction) {
        case abi::Direction::out: return When::exit;
        case abi::Direction::inout: return When::entry;
        default: return When::entry;
    }
}

/// What is shown of a call before its registers are known, and what then changes that.
struct Template {
    Item items[abi::max_arguments];
    signed char lengths[abi::max_arguments];  ///< which argument has an item's length, or -1
    Plan::Result result = Plan::Result::number;
    Planner planner = nullptr;
};

/// One for each call of the native table, by its row.
class Templates {
public:
    static const Templates& get() {
        static const Templates all;
        return all;
    }

    const Template& of(const abi::Syscall& call) const noexcept {
        return rows_[static_cast<std::size_t>(&call - abi::syscalls)];
    }

private:
    static constexpr std::size_t count = sizeof abi::syscalls / sizeof abi::syscalls[0];

    Templates() : rows_{new Template[count]} {
        for (std::size_t i = 0; i < count; ++i) fill(rows_[i], abi::syscalls[i]);
        const auto take = [&](const auto& planners) {
            for (const PlannerOf& entry : planners)
                if (Template* const row = find(entry.call)) row->planner = entry.planner;
        };
        take(time_planners);
        take(signal_planners);
        take(event_planners);
        take(file_planners);
        take(process_planners);
        take(mapping_planners);
        take(ipc_planners);
        take(socket_planners);
        take(fcntl_planners);
        take(prctl_planners);
        take(ptrace_planners);
        take(clone_planners);
        take(mount_planners);
        take(ring_planners);
        take(key_planners);
        take(bpf_planners);
        take(ioctl_planners);
        take(kernel_planners);
        const auto shape = [&](const auto& forms) {
            for (const FormOf& entry : forms) apply(entry);
        };
        shape(time_forms);
        shape(signal_forms);
        shape(event_forms);
        shape(file_forms);
        shape(process_forms);
        shape(mapping_forms);
        shape(ipc_forms);
        shape(socket_forms);
        shape(kernel_forms);
        shape(ring_forms);
        shape(mount_forms);
    }

    Template* find(std::string_view name) const noexcept {
        const abi::Syscall* const call = abi::find(name);
        return call == nullptr ? nullptr : &rows_[static_cast<std::size_t>(call - abi::syscalls)];
    }

    void apply(const FormOf& entry) const noexcept {
        Template* const row = find(entry.call);
        if (row == nullptr) return;
        const int at = abi::find(entry.call)->position(entry.argument);
        if (at < 0) return;
        Item& item = row->items[at];
        item.form = entry.form;
        item.when = entry.when;
        if (entry.set != abi::ConstantSet::none) item.set = entry.set;
        if (entry.layout != abi::Layout::none) item.layout = entry.layout;
    }

    static void fill(Template& row, const abi::Syscall& call) noexcept {
        for (int i = 0; i < abi::max_arguments; ++i) {
            const abi::Argument& argument = call.arguments[i];
            row.lengths[i] = -1;
            if (argument.name == abi::ArgName::none) continue;
            Item& item = row.items[i];
            const TypeForm by_type = form_of(argument.type);
            item.name = abi::name(argument.name);
            item.type = argument.type;
            item.form = by_type.form;
            item.layout = by_type.layout;
            item.when = when_of(argument);
            item.set = abi::constants_of(call, argument);
            if (argument.length != abi::ArgName::none)
                row.lengths[i] = static_cast<signed char>(call.position(argument.length));
            const bool is_filled = argument.type == abi::Type::bytes && argument.direction == abi::Direction::out;
            if (is_filled && call.returns == abi::Return::bytes) item.form = form_result_bytes;
            if (argument.type == abi::Type::sigset || argument.type == abi::Type::sigaction)
                row.lengths[i] = static_cast<signed char>(call.position(abi::ArgName::sigsetsize));
            const bool has_names = item.set != abi::ConstantSet::none;
            if (has_names && (item.form == form_hex32 || item.form == form_int || item.form == form_uint))
                item.form = form_choice;
            const bool is_flags = has_names && abi::field_of(item.set) == 0;
            if (is_flags && item.form == form_choice) item.form = form_flags;
            if (item.form == form_choice && abi::field_of(item.set) == ~0ULL && argument.type == abi::Type::flags32)
                item.form = form_choice;
        }
        using abi::Return;
        row.result = call.returns == Return::address || call.name == "brk" ? Plan::Result::hex
                     : call.returns == Return::fd                          ? Plan::Result::descriptor
                     : call.returns == Return::mode                        ? Plan::Result::octal
                                                                           : Plan::Result::number;
    }

    std::unique_ptr<Template[]> rows_;
};

/// Of a call of the native table, with its arguments.
inline void plan_native(Plan& plan, const abi::Syscall& call) {
    const Template& row = Templates::get().of(call);
    plan.count = static_cast<unsigned>(call.argument_count());
    plan.result = row.result;
    for (unsigned i = 0; i < plan.count; ++i) {
        Item& item = plan.items[i];
        item = row.items[i];
        item.value = plan.arguments[i];
        if (row.lengths[i] >= 0) {
            item.more = plan.arguments[row.lengths[i]];
            const abi::Type type = call.arguments[row.lengths[i]].type;
            if (abi::info(type).compared == 0xffffffff) item.more &= 0xffffffff;
        }
    }
    if (row.planner != nullptr) row.planner(plan);
}

}  // namespace sysguard::supervise::render::detail
