#pragma once

#include "../../../abi/foreign.hpp"
#include "../../../abi/table.hpp"
#include "../source.hpp"
#include "arguments.hpp"
#include "plan.hpp"
#include "plans.hpp"
#include "signals.hpp"
#include "times.hpp"
#include "walk.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Calls of i386: which native call each is, where its arguments lie, and which of its structures are others.
namespace sysguard::supervise::render::detail {

/// Words of 32 bits in the program's memory, in place of registers; zeroes where they cannot be read.
inline bool read_registers(Source& source, std::uint64_t address, unsigned count, std::uint64_t* to) noexcept {
    unsigned char bytes[24] = {};
    const std::size_t size = std::size_t{4} * count;
    if (size > sizeof bytes || address == 0 || source.read(address, bytes, size) != size) return false;
    for (unsigned i = 0; i < count; ++i) to[i] = number_at(bytes, std::size_t{4} * i, 4);
    return true;
}

/// 0xffff is -1, and no more of the register is read.
constexpr std::uint64_t wide_id(std::uint64_t id) noexcept {
    return (id & 0xffff) == 0xffff ? 0xffffffff : id & 0xffff;
}

inline bool has_wide_time(std::string_view name) noexcept {
    constexpr std::string_view files[] = {
        "fstat64",    "lstat64",     "stat64",     "fstatat64", "statfs64",   "fstatfs64", "pread64",      "pwrite64",
        "truncate64", "ftruncate64", "sendfile64", "fcntl64",   "getdents64", "fadvise64", "fadvise64_64", "prlimit64"};
    if (name == "epoll_pwait2" || name == "futex_waitv" || name == "futex_wait") return true;
    for (const std::string_view file : files)
        if (name == file) return false;
    return name.size() > 2 && name.substr(name.size() - 2) == "64";
}

/// handler of signal(2), in a register.
inline void form_handler(Walk& walk, const Item& item) {
    show_handler(walk, item.value);
}
inline void form_mask_value(Walk& walk, const Item& item) {
    show_signal_set(walk, item.value & 0xffffffff, 4);
}

inline void detail_handler(Walk& walk, const Item& item) {
    walk.sink.begin(Shape::details);
    walk.sink.element();
    show_handler(walk, item.value);
    walk.sink.end();
}

/// What a call by an older name has of its own. `registers`: those of the call.
inline void adjust_old(Plan& plan, std::string_view name, const std::uint64_t* registers) {
    const auto low = [&](unsigned i) { return registers[i] & 0xffffffff; };
    Item* const items = plan.items;
    if (name == "sigaction") {
        plan.count = 3;
        items[1].form = items[2].form = form_old_action;
    } else if (name == "signal") {
        plan.count = 1;
        plan.add("handler", form_handler, low(1));
        plan.result = Plan::Result::hex;
        plan.details = detail_handler;
    } else if (name == "sigprocmask") {
        plan.count = 3;
        items[1].form = items[2].form = form_old_set;
    } else if (name == "sigpending") {
        plan.count = 1;
        items[0].form = form_old_set;
    } else if (name == "sigsuspend") {
        plan.count = 0;
        plan.add("mask", form_mask_value, low(2));
    } else if (name == "ssetmask") {
        plan.count = 0;
        plan.add("mask", form_mask_value, low(0));
    } else if (name == "sgetmask") {
        plan.count = 0;
    } else if (name == "nice") {
        plan.count = 0;
        plan.add("inc", form_int, low(0));
    } else if (name == "stime") {
        plan.count = 0;
        plan.add("tloc", form_time_cell, low(0));
    } else if (name == "readdir") {
        plan.count = 2;
        items[1].form = form_address;
        plan.add("count", form_uint, low(2));
    } else if (name == "waitpid") {
        plan.count = 3;
    } else if (name == "umount") {
        plan.count = 1;
    } else if (name == "statfs64" || name == "fstatfs64") {
        items[2] = items[1];
        items[2].layout = abi::Layout::statfs64;
        items[1] = Item{};
        items[1].name = "size";
        items[1].form = form_ulong;
        items[1].value = low(1);
        plan.count = 3;
    } else if (name == "_llseek") {
        items[1].form = form_long;
        items[3] = items[2];
        items[2] = Item{};
        items[2].name = "result";
        items[2].form = form_offset_cell;
        items[2].when = When::exit;
        items[2].value = low(3);
        plan.count = 4;
    } else if (name == "stat" || name == "lstat" || name == "fstat") {
        items[1].layout = abi::Layout::old_stat;
    } else if (name == "oldstat" || name == "oldlstat" || name == "oldfstat") {
        items[1].layout = abi::Layout::oldest_stat;
    } else if (name == "oldolduname" || name == "olduname") {
        items[plan.count - 1].form = form_address;
    }
}

/// One that no native call does.
inline void plan_without_native(Plan& plan, std::string_view name, const std::uint64_t* registers) {
    constexpr std::string_view with_arguments[] = {"ipc", "bdflush", "vm86", "vm86old"};
    constexpr std::string_view names[] = {"arg0", "arg1", "arg2", "arg3", "arg4", "arg5"};
    plan.count = 0;
    if (name == "socketcall") {
        plan.add("call", form_int, registers[0]);
        plan.add("args", form_address, registers[1]);
    }
    for (const std::string_view each : with_arguments)
        for (unsigned i = 0; each == name && i < abi::max_arguments; ++i) plan.add(names[i], form_hex, registers[i]);
}

/// What is shown of a call of i386. Returns false where no call of the table is what it does. `name`: what it is called
/// there; of socketcall and ipc, what the call behind them is called.
inline bool plan_i386(Plan& plan, const TracedCall& call, Source& source, std::string_view& name) {
    if constexpr (abi::native_abi != abi::Abi::x86_64) return false;
    plan.word = plan.time_word = 4;
    std::uint64_t registers[abi::max_arguments];
    for (unsigned i = 0; i < abi::max_arguments; ++i) registers[i] = call.arguments[i] & 0xffffffff;
    name = abi::name_of(abi::Abi::i386, call.number);
    const int place = abi::foreign_place<abi::Abi::i386>(call.number, registers[0]);
    if (place < 0) {
        if (!name.empty()) plan_without_native(plan, name, registers);
        return !name.empty();
    }
    const abi::ForeignLayout& layout = abi::foreign_layout<abi::Abi::i386>(place);
    const abi::Syscall* const native = abi::find(layout.native);
    if (native == nullptr) return false;
    const auto count = static_cast<unsigned>(native->argument_count());
    using Places = abi::ForeignPlaces<abi::Abi::i386>;
    constexpr int first_of_socketcall = Places::multiplexers[0].place;
    constexpr int first_of_ipc = Places::multiplexers[1].place;
    const bool is_behind_socketcall = place >= first_of_socketcall && place < first_of_ipc;
    const bool is_behind_ipc = place >= first_of_ipc && place < Places::instead;
    if (is_behind_socketcall || name == "mmap" || name == "select") {
        const std::uint64_t at = registers[is_behind_socketcall ? 1 : 0];
        if (!read_registers(source, at, count, plan.arguments)) return false;
    } else {
        for (unsigned i = 0; i < count; ++i) {
            const abi::SourceValue value = abi::value_of(layout.sources[i], registers);
            const bool is_id =
                native->arguments[i].type == abi::Type::uid || native->arguments[i].type == abi::Type::gid;
            plan.arguments[i] = value.known ? value.bits : is_id ? wide_id(registers[i]) : registers[i];
        }
    }
    if (is_behind_ipc && native->name == "semctl") plan.arguments[2] = registers[3];
    if (is_behind_ipc && (native->name == "msgctl" || native->name == "shmctl")) plan.arguments[1] = registers[2];
    if (is_behind_ipc && native->name == "msgsnd") plan.arguments[2] = registers[2];
    if (name == "mmap2") plan.arguments[5] = registers[5] << 12;
    if (is_behind_socketcall || is_behind_ipc) name = native->name;
    if (has_wide_time(name)) plan.time_word = 8;
    plan_native(plan, *native);
    adjust_old(plan, name, registers);
    if (native->name == "semctl" && is_behind_ipc) plan.items[3].form = form_hex;
    return true;
}

}  // namespace sysguard::supervise::render::detail
