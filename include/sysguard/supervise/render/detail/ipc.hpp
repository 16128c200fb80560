#pragma once

#include "arguments.hpp"
#include "plan.hpp"
#include "signals.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstdint>

/// System V's and POSIX' messages, semaphores and shared memory.
namespace sysguard::supervise::render::detail {

/// IPC_PRIVATE, 0x123
inline void form_ipc_key(Walk& walk, const Item& item) {
    const std::uint64_t key = item.value & 0xffffffff;
    key == 0 ? walk.symbol(0, "IPC_PRIVATE") : walk.hex(key);
}

/// IPC_CREAT|0600
inline void form_ipc_mode(Walk& walk, const Item& item) {
    constexpr std::uint64_t mode = 0777;
    const std::uint64_t flags = item.value & 0xffffffff;
    Piece piece;
    if ((flags & ~mode) != 0) {
        add_flags(piece, item.set, flags & ~mode);
        if (piece.view().substr(0, 2) == "0x") return walk.hex(flags);
        piece.add('|');
    }
    walk.show(Kind::symbol, flags, piece.octal(flags & mode));
}

/// struct msgbuf: {mtype=5, mtext="hello"}; `more`: the bytes of its text.
inline void form_message_buffer(Walk& walk, const Item& item) {
    std::uint64_t type = 0;
    if (!walk.read_word(item.value, type)) return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    walk.number("mtype", with_sign(type, walk.word));
    walk.field("mtext");
    show_bytes(walk, item.value + walk.word, item.more);
    walk.sink.end();
}

inline constexpr std::uint32_t ipc_remove = 0;
inline constexpr std::uint32_t ipc_set = 1;
inline constexpr std::uint32_t ipc_stat = 2;
inline constexpr std::uint32_t ipc_info = 3;

/// IPC_64 may be in a command; it says nothing here.
inline std::uint32_t ipc_command(const Plan& plan, unsigned argument) noexcept {
    constexpr std::uint32_t ipc_64 = 0x100;
    return plan.low(argument) & ~ipc_64;
}

inline void form_ipc_command(Walk& walk, const Item& item) {
    constexpr std::uint64_t ipc_64 = 0x100;
    const std::uint64_t command = item.value & 0xffffffff;
    Piece piece;
    if ((command & ipc_64) != 0) piece.add("IPC_64|");
    Piece name;
    add_choice(name, item.set, command & ~ipc_64);
    walk.show(Kind::symbol, command, piece.add(name.view()));
}

/// The commands of one kind's control call beside those that all have, and what each leads to.
struct IpcControl {
    unsigned argument;  ///< which one is the command
    std::uint32_t stat;
    std::uint32_t info;
    std::uint32_t stat_any;
    abi::Layout of_set;
    abi::Layout of_ipc_info;
    abi::Layout of_info;
    abi::Layout of_stat;

    constexpr abi::Layout layout(std::uint32_t command) const noexcept {
        if (command == ipc_set) return of_set;
        if (command == ipc_info) return of_ipc_info;
        if (command == info) return of_info;
        const bool is_stat = command == ipc_stat || command == stat || command == stat_any;
        return is_stat ? of_stat : abi::Layout::none;
    }
};

/// Shows the structure of a command by its layout, or what it leads to as an address.
inline Item& plan_ipc_control(Plan& plan, const IpcControl& control) {
    const std::uint32_t command = ipc_command(plan, control.argument);
    plan.items[control.argument].form = form_ipc_command;
    Item& item = plan.items[control.argument + 1];
    item.layout = control.layout(command);
    item.form = item.layout == abi::Layout::none ? form_address : form_structure;
    item.when = item.layout == abi::Layout::none || command == ipc_set ? When::entry : When::exit;
    return item;
}

inline void plan_shared_control(Plan& plan) {
    using abi::Layout;
    constexpr IpcControl control{1, 13, 14, 15, Layout::shmid_set, Layout::shminfo, Layout::shm_info, Layout::shmid_ds};
    plan_ipc_control(plan, control);
}

inline void plan_message_control(Plan& plan) {
    using abi::Layout;
    constexpr IpcControl control{1, 11, 12, 13, Layout::msqid_set, Layout::msginfo, Layout::msginfo, Layout::msqid_ds};
    plan_ipc_control(plan, control);
}

inline void plan_semaphore_control(Plan& plan) {
    using abi::Layout;
    constexpr IpcControl control{2, 18, 19, 20, Layout::semid_set, Layout::seminfo, Layout::seminfo, Layout::semid_ds};
    Item& item = plan_ipc_control(plan, control);
    if (item.layout == Layout::none) item.form = form_hex;
}

inline constexpr PlannerOf ipc_planners[] = {
    {"shmctl", plan_shared_control},
    {"msgctl", plan_message_control},
    {"semctl", plan_semaphore_control},
};

inline constexpr FormOf ipc_forms[] = {
    {"shmget", abi::ArgName::key, form_ipc_key},
    {"msgget", abi::ArgName::key, form_ipc_key},
    {"semget", abi::ArgName::key, form_ipc_key},
    {"shmget", abi::ArgName::shmflg, form_ipc_mode, When::entry, abi::ConstantSet::shared_get},
    {"msgget", abi::ArgName::msgflg, form_ipc_mode, When::entry, abi::ConstantSet::ipc_flags},
    {"semget", abi::ArgName::semflg, form_ipc_mode, When::entry, abi::ConstantSet::ipc_flags},
    {"mq_notify", abi::ArgName::sevp, form_event},
};

}  // namespace sysguard::supervise::render::detail
