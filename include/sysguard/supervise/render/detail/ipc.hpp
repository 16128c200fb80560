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

/// Shows the structure of a command by its layout, or what it leads to as an address.
inline void plan_ipc_control(Item& item, abi::Layout layout, bool is_in) {
    item.form = layout == abi::Layout::none ? form_address : form_structure;
    item.layout = layout;
    item.when = layout == abi::Layout::none || is_in ? When::entry : When::exit;
}

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

inline void plan_shared_control(Plan& plan) {
    constexpr std::uint32_t stat = 13;
    constexpr std::uint32_t info = 14;
    constexpr std::uint32_t stat_any = 15;
    const std::uint32_t command = ipc_command(plan, 1);
    plan.items[1].form = form_ipc_command;
    using abi::Layout;
    const Layout layout = command == ipc_set                                              ? Layout::shmid_set
                          : command == ipc_info                                           ? Layout::shminfo
                          : command == info                                               ? Layout::shm_info
                          : command == ipc_stat || command == stat || command == stat_any ? Layout::shmid_ds
                                                                                          : Layout::none;
    plan_ipc_control(plan.items[2], layout, command == ipc_set);
}

inline void plan_message_control(Plan& plan) {
    constexpr std::uint32_t stat = 11;
    constexpr std::uint32_t info = 12;
    constexpr std::uint32_t stat_any = 13;
    const std::uint32_t command = ipc_command(plan, 1);
    plan.items[1].form = form_ipc_command;
    using abi::Layout;
    const Layout layout = command == ipc_set                                              ? Layout::msqid_set
                          : command == ipc_info || command == info                        ? Layout::msginfo
                          : command == ipc_stat || command == stat || command == stat_any ? Layout::msqid_ds
                                                                                          : Layout::none;
    plan_ipc_control(plan.items[2], layout, command == ipc_set);
}

inline void plan_semaphore_control(Plan& plan) {
    constexpr std::uint32_t stat = 18;
    constexpr std::uint32_t info = 19;
    constexpr std::uint32_t stat_any = 20;
    const std::uint32_t command = ipc_command(plan, 2);
    plan.items[2].form = form_ipc_command;
    using abi::Layout;
    const Layout layout = command == ipc_set                                              ? Layout::semid_set
                          : command == ipc_info || command == info                        ? Layout::seminfo
                          : command == ipc_stat || command == stat || command == stat_any ? Layout::semid_ds
                                                                                          : Layout::none;
    plan_ipc_control(plan.items[3], layout, command == ipc_set);
    if (layout == Layout::none) plan.items[3].form = form_hex;
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
