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

/// Asynchronous input and output: contexts of aio, rings of io_uring.
namespace sysguard::supervise::render::detail {

/// One of io_submit's: {aio_data=0x7, aio_lio_opcode=IOCB_CMD_PWRITE, ...}
inline void show_iocb(Walk& walk, const unsigned char* bytes, bool is_whole) {
    enum : std::uint64_t { pread, pwrite, fsync, fdsync, preadx, poll, noop, preadv, pwritev };
    constexpr std::uint64_t has_event_fd = 1;
    const std::uint64_t operation = number_at(bytes, 16, 2);
    walk.sink.begin(Shape::structure);
    if (number_at(bytes, 0, 8) != 0) walk.hex("aio_data", number_at(bytes, 0, 8));
    if (number_at(bytes, 8, 4) != 0) walk.hex("aio_key", number_at(bytes, 8, 4));
    if (number_at(bytes, 12, 4) != 0) {
        walk.field("aio_rw_flags");
        show_flags(walk, abi::ConstantSet::read_write_flags, number_at(bytes, 12, 4));
    }
    walk.field("aio_lio_opcode");
    show_choice(walk, abi::ConstantSet::aio_command, operation, 0xffff);
    const std::int64_t priority = with_sign(number_at(bytes, 18, 2), 2);
    if (priority != 0) walk.number("aio_reqprio", priority);
    walk.field("aio_fildes");
    show_descriptor(walk, low_int(number_at(bytes, 20, 4)));
    if (is_whole) {
        const std::uint64_t buffer = number_at(bytes, 24, 8);
        const std::uint64_t length = number_at(bytes, 32, 8);
        const bool is_vector = operation == preadv || operation == pwritev;
        if (operation <= pwrite || is_vector) {
            walk.field("aio_buf");
            if (is_vector)
                show_vector(walk, buffer, length, operation == pwritev ? BufferShow::contents : BufferShow::address);
            else if (operation == pwrite)
                show_bytes(walk, buffer, length);
            else
                walk.address(buffer);
            if (!is_vector) walk.count("aio_nbytes", length);
            walk.number("aio_offset", static_cast<std::int64_t>(number_at(bytes, 40, 8)));
        } else if (operation == poll) {
            walk.field("aio_buf");
            show_flags(walk, abi::ConstantSet::poll, buffer);
        }
        const std::uint64_t flags = number_at(bytes, 56, 4);
        if (flags != 0) {
            walk.field("aio_flags");
            show_flags(walk, abi::ConstantSet::aio_flags, flags);
        }
        if ((flags & has_event_fd) != 0) {
            walk.field("aio_resfd");
            show_descriptor(walk, low_int(number_at(bytes, 60, 4)));
        }
    }
    walk.sink.end();
}

inline constexpr std::size_t iocb_bytes = 64;

inline void form_iocb(Walk& walk, const Item& item) {
    unsigned char bytes[iocb_bytes];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    show_iocb(walk, bytes, false);
}

/// Pointers to them; `more`: how many.
inline void form_iocbs(Walk& walk, const Item& item) {
    show_array(walk, item.value, static_cast<std::int64_t>(item.more) < 0 ? 0 : item.more, walk.word,
               [](Walk& shown, const unsigned char* pointer, std::uint64_t) {
                   unsigned char bytes[iocb_bytes];
                   const std::uint64_t at = number_at(pointer, 0, shown.word);
                   if (!shown.read(at, bytes, sizeof bytes)) return shown.address(at);
                   show_iocb(shown, bytes, true);
               });
}

/// Those that have ended: as many as the call answers.
inline void form_io_events(Walk& walk, const Item& item) {
    Item shown = item;
    shown.layout = abi::Layout::io_event;
    shown.more = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    form_structures(walk, shown);
}

/// struct io_uring_params: what is asked for; when the call has succeeded, what it gives.
inline void form_ring_params(Walk& walk, const Item& item) {
    constexpr std::uint64_t attach = 1 << 5;
    constexpr std::uint64_t cq_size = 1 << 3;
    unsigned char bytes[120];
    if (!walk.read(item.value, bytes, sizeof bytes)) return walk.address(item.value);
    const std::uint64_t flags = number_at(bytes, 8, 4);
    walk.sink.begin(Shape::structure);
    walk.field("flags");
    show_flags(walk, abi::ConstantSet::io_uring_setup, flags);
    if (walk.has_failed() && (flags & cq_size) != 0) walk.count("cq_entries", number_at(bytes, 4, 4));
    walk.count("sq_thread_cpu", number_at(bytes, 12, 4));
    walk.count("sq_thread_idle", number_at(bytes, 16, 4));
    if ((flags & attach) != 0) {
        walk.field("wq_fd");
        show_descriptor(walk, low_int(number_at(bytes, 24, 4)));
    }
    if (!walk.has_failed()) {
        walk.count("sq_entries", number_at(bytes, 0, 4));
        walk.count("cq_entries", number_at(bytes, 4, 4));
        walk.field("features");
        show_flags(walk, abi::ConstantSet::io_uring_features, number_at(bytes, 20, 4));
        walk.field("sq_off");
        show_fields(walk, abi::Layout::submission_offsets, bytes + 40, 8);
        walk.field("cq_off");
        show_fields(walk, abi::Layout::completion_offsets, bytes + 80, 8);
    }
    walk.sink.end();
}

inline void plan_ring_register(Plan& plan) {
    enum : std::uint32_t {
        buffers,
        unregister_buffers,
        files,
        unregister_files,
        event_fd,
        unregister_event_fd,
        files_update,
        event_fd_async
    };
    Item& argument = plan.items[2];
    argument.form = form_address;
    argument.more = plan.low(3);
    switch (plan.low(1)) {
        case buffers: argument.form = form_vector_addresses; return;
        case files:
            argument.form = [](Walk& walk, const Item& item) {
                show_array(walk, item.value, item.more, 4, [](Walk& shown, const unsigned char* bytes, std::uint64_t) {
                    show_descriptor(shown, low_int(number_at(bytes, 0, 4)));
                });
            };
            return;
        case event_fd:
        case event_fd_async:
            argument.form = [](Walk& walk, const Item& item) {
                show_cell(walk, item.value, 4,
                          [](Walk& shown, std::uint64_t value) { show_descriptor(shown, low_int(value)); });
            };
            return;
        default: return;
    }
}

inline constexpr PlannerOf ring_planners[] = {
    {"io_uring_register", plan_ring_register},
};

inline constexpr FormOf ring_forms[] = {
    {"io_submit", abi::ArgName::iocbpp, form_iocbs},
    {"io_submit", abi::ArgName::ctx_id, form_address},
    {"io_destroy", abi::ArgName::ctx_id, form_address},
    {"io_cancel", abi::ArgName::ctx_id, form_address},
    {"io_getevents", abi::ArgName::ctx_id, form_address},
    {"io_pgetevents", abi::ArgName::ctx_id, form_address},
    {"io_cancel", abi::ArgName::iocb, form_iocb},
    {"io_cancel", abi::ArgName::result, form_structure, When::exit, {}, abi::Layout::io_event},
    {"io_getevents", abi::ArgName::events, form_io_events, When::exit},
    {"io_pgetevents", abi::ArgName::events, form_io_events, When::exit},
    {"io_setup", abi::ArgName::ctx_idp, form_address_cell, When::exit},
    {"io_uring_setup", abi::ArgName::params, form_ring_params, When::always},
};

}  // namespace sysguard::supervise::render::detail
