#pragma once

#include "arguments.hpp"
#include "messages.hpp"
#include "plan.hpp"
#include "times.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstdint>

/// Mapped memory, and waiting on words of it.
namespace sysguard::supervise::render::detail {

/// MAP_PRIVATE|MAP_ANONYMOUS, 21<<MAP_HUGE_SHIFT
inline void form_map_flags(Walk& walk, const Item& item) {
    constexpr std::uint64_t type = 15;
    constexpr std::uint64_t huge = 0xfc000000;
    constexpr unsigned huge_shift = 26;
    const std::uint64_t flags = item.value & 0xffffffff;
    Piece piece;
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::map, flags & type);
    if ((flags & type) == 0) {
        piece.add("MAP_FILE");
    } else if (known != nullptr) {
        piece.add(known->name);
    } else {
        piece.hex(flags & type);
        add_unknown(piece, "MAP_???");
    }
    std::uint64_t rest = flags & ~type;
    const bool has_huge = (flags & huge) != 0;
    if (has_huge) rest &= ~huge;
    for (const abi::Constant& constant : abi::constants_in(abi::ConstantSet::map)) {
        if ((constant.value & type) != 0 || constant.value == 0 || (rest & constant.value) != constant.value) continue;
        piece.add('|').add(constant.name);
        rest &= ~constant.value;
    }
    if (rest != 0) piece.add('|').hex(rest);
    if (has_huge) piece.add('|').decimal(flags >> huge_shift).add("<<MAP_HUGE_SHIFT");
    walk.show(Kind::symbol, item.value, piece);
}

/// MFD_CLOEXEC|MFD_HUGETLB|21<<MFD_HUGE_SHIFT
inline void form_memfd_flags(Walk& walk, const Item& item) {
    constexpr std::uint64_t huge = 0xfc000000;
    constexpr unsigned huge_shift = 26;
    const std::uint64_t flags = item.value & 0xffffffff;
    Piece piece;
    if ((flags & ~huge) != 0 || (flags & huge) == 0) add_flags(piece, abi::ConstantSet::memfd, flags & ~huge);
    if ((flags & huge) != 0) {
        if (!piece.empty()) piece.add('|');
        piece.decimal(flags >> huge_shift).add("<<MFD_HUGE_SHIFT");
    }
    walk.show(Kind::symbol, flags, piece);
}

/// [0, 1]: of each page of a range whether it is in memory; `more`: the bytes of the range.
inline void form_residency(Walk& walk, const Item& item) {
    constexpr std::uint64_t page = 4096;
    const std::uint64_t pages = item.more / page + (item.more % page != 0 ? 1 : 0);
    show_array(walk, item.value, pages, 1,
               [](Walk& shown, const unsigned char* bytes, std::uint64_t) { shown.count(number_at(bytes, 0, 1) & 1); });
}

inline void detail_membarrier(Walk& walk, const Item& item) {
    if (item.value == 0) return;
    Piece piece;
    add_flags(piece, abi::ConstantSet::membarrier, item.value);
    show_detail(walk, piece.view());
}

inline void plan_mremap(Plan& plan) {
    constexpr std::uint64_t fixed_or_dontunmap = 2 | 4;
    if ((plan.arguments[3] & fixed_or_dontunmap) == 0) plan.count = 4;
    plan.items[3].form = form_flags64;
}

/// FUTEX_OP_SET<<28|0<<12|FUTEX_OP_CMP_GT<<24|0x1
inline void form_wake_operation(Walk& walk, const Item& item) {
    const std::uint64_t value = item.value & 0xffffffff;
    Piece piece;
    Piece name;
    if ((value >> 28 & 8) != 0) piece.add("FUTEX_OP_OPARG_SHIFT<<28|");
    const std::uint64_t operation = value >> 28 & 7;
    const abi::Constant* const known = abi::find_constant(abi::ConstantSet::futex_operation, operation);
    known != nullptr ? name.add(known->name).add("<<28") : name.hex(operation).add("<<28 /* FUTEX_OP_??? */");
    piece.add(name.view()).add('|').hex(value >> 12 & 0xfff).add("<<12|");
    const std::uint64_t comparison = value >> 24 & 15;
    const abi::Constant* const compared = abi::find_constant(abi::ConstantSet::futex_compare, comparison);
    compared != nullptr ? piece.add(compared->name).add("<<24")
                        : piece.hex(comparison).add("<<24 /* FUTEX_OP_CMP_??? */");
    walk.show(Kind::symbol, value, piece.add('|').hex(value & 0xfff));
}

inline void form_futex_bits(Walk& walk, const Item& item) {
    constexpr std::uint64_t any = 0xffffffff;
    const std::uint64_t bits = item.value & any;
    bits == any ? walk.symbol(bits, "FUTEX_BITSET_MATCH_ANY") : walk.hex(bits);
}

/// Which of its arguments futex reads, and as what, depends on its operation.
inline void plan_futex(Plan& plan) {
    enum : std::uint32_t {
        wait,
        wake,
        descriptor,
        requeue,
        compare_requeue,
        wake_operation,
        lock,
        unlock,
        try_lock,
        wait_bits,
        wake_bits,
        wait_requeue,
        compare_requeue_lock,
        lock_2,
    };
    constexpr std::uint32_t command_mask = ~(128U | 256U);
    const std::uint32_t command = plan.low(1) & command_mask;
    Item* const items = plan.items;
    items[1].set = abi::ConstantSet::futex_call;
    items[1].form = form_choice;
    const bool has_count_in_timeout = command == requeue || command == compare_requeue || command == wake_operation ||
                                      command == compare_requeue_lock;
    if (has_count_in_timeout) items[3].form = form_uint;
    switch (command) {
        case wait: plan.count = 4; return;
        case wake:
        case descriptor: plan.count = 3; return;
        case requeue: plan.count = 5; return;
        case compare_requeue:
        case compare_requeue_lock: return;
        case wake_operation: items[5].form = form_wake_operation; return;
        case lock:
        case lock_2:
            items[2] = items[3];
            plan.count = 3;
            return;
        case unlock:
        case try_lock: plan.count = 2; return;
        case wait_bits:
            items[4] = items[5];
            items[4].form = form_futex_bits;
            plan.count = 5;
            return;
        case wake_bits:
            items[3] = items[5];
            items[3].form = form_futex_bits;
            plan.count = 4;
            return;
        case wait_requeue: plan.count = 5; return;
        default:
            for (unsigned i = 3; i < plan.count; ++i) items[i].form = form_hex;
    }
}

inline constexpr PlannerOf mapping_planners[] = {
    {"mremap", plan_mremap},
    {"futex", plan_futex},
    {"mincore", [](Plan& plan) { plan.items[2].more = plan.arguments[1]; }},
    {"membarrier",
     [](Plan& plan) {
         plan.details = detail_membarrier;
         plan.result = Plan::Result::hex;
         constexpr std::uint32_t cpu = 1;
         if ((plan.low(1) & cpu) == 0) plan.count = 2;
     }},
    {"move_pages",
     [](Plan& plan) { plan.items[2].more = plan.items[3].more = plan.items[4].more = plan.arguments[1]; }},
};

inline constexpr FormOf mapping_forms[] = {
    {"mmap", abi::ArgName::offset, form_hex},
    {"membarrier", abi::ArgName::cmd, form_choice},
    {"memfd_create", abi::ArgName::flags, form_memfd_flags},
    {"mincore", abi::ArgName::vec, form_residency, When::exit},
    {"get_mempolicy", abi::ArgName::mode, form_choice_cell, When::exit, abi::ConstantSet::memory_policy},
    {"process_madvise", abi::ArgName::iov, form_vector_addresses},
    {"process_madvise", abi::ArgName::flags, form_hex32},
    {"process_vm_readv", abi::ArgName::local_iov, form_vector_result, When::always},
    {"process_vm_readv", abi::ArgName::remote_iov, form_vector_addresses},
    {"process_vm_writev", abi::ArgName::remote_iov, form_vector_addresses},
    {"process_vm_readv", abi::ArgName::flags, form_ulong},
    {"process_vm_writev", abi::ArgName::flags, form_ulong},
    {"mlock2", abi::ArgName::flags, form_flags, When::entry, abi::ConstantSet::lock_memory},
    {"mprotect", abi::ArgName::prot, form_flags64, When::entry, abi::ConstantSet::protection},
};

}  // namespace sysguard::supervise::render::detail
