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

/// Asynchronous input and output, filters, keys, performance counters, modules and other doors into the kernel.
namespace sysguard::supervise::render {

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

/// KEY_SPEC_SESSION_KEYRING, 5
inline void form_key(Walk& walk, const Item& item) {
    const std::int64_t key = low_int(item.value);
    for (const abi::Constant& constant : abi::constants_in(abi::ConstantSet::keyring))
        if (static_cast<std::int64_t>(constant.value) == key) return walk.symbol(constant.value, constant.name);
    walk.number(key);
}
inline void form_request_keyring(Walk& walk, const Item& item) {
    show_choice(walk, abi::ConstantSet::request_keyring, static_cast<std::uint64_t>(std::int64_t{low_int(item.value)}));
}
inline void form_errno(Walk& walk, const Item& item) {
    const std::string_view name = abi::errno_name(low_int(item.value));
    name.empty() ? walk.count(item.value & 0xffffffff) : walk.symbol(item.value, name);
}
/// A buffer that the call has filled, of no more than `more` bytes.
inline void form_filled(Walk& walk, const Item& item) {
    const std::uint64_t result = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    show_bytes(walk, item.value, std::min(result, item.more));
}
inline void form_description(Walk& walk, const Item& item) {
    const std::uint64_t result = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    const std::uint64_t size = std::min(result, item.more);
    char room[Options::most_room];
    const std::size_t shown =
        static_cast<std::size_t>(std::min<std::uint64_t>(size, walk.most_bytes() + std::uint64_t{1}));
    if (size == 0 || shown > sizeof room || !walk.read(item.value, room, shown))
        return show_bytes(walk, item.value, size);
    std::string_view text{room, shown};
    const std::size_t end = text.find('\0');
    if (end != text.npos) text = text.substr(0, end);
    const bool is_whole = text.size() <= walk.most_bytes();
    walk.sink.string(text.substr(0, walk.most_bytes()), is_whole, Quoting::plain);
}

inline void form_key_abilities(Walk& walk, const Item& item) {
    unsigned char bytes[2];
    const std::uint64_t result = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    const std::uint64_t size = std::min(std::min(result, item.more), std::uint64_t{2});
    if (!walk.read(item.value, bytes, size)) return walk.address(item.value);
    walk.sink.begin(Shape::array);
    for (unsigned i = 0; i < size; ++i) {
        walk.sink.element();
        show_flags(walk, i == 0 ? abi::ConstantSet::key_abilities_0 : abi::ConstantSet::key_abilities_1, bytes[i]);
    }
    walk.sink.end();
}

inline void plan_keyctl(Plan& plan) {
    Item* const items = plan.items;
    for (unsigned i = 1; i < 5; ++i) items[i].form = form_hex;
    const auto shown = [&](unsigned count, Form first = nullptr, Form second = nullptr, Form third = nullptr,
                           Form fourth = nullptr) {
        const Form forms[] = {first, second, third, fourth};
        for (unsigned i = 1; i < count; ++i) items[i].form = forms[i - 1];
        plan.count = count;
    };
    switch (plan.low(0)) {
        case 0: return shown(3, form_key, form_int);  // KEYCTL_GET_KEYRING_ID
        case 1: return shown(2, form_string);         // KEYCTL_JOIN_SESSION_KEYRING
        case 2:                                       // KEYCTL_UPDATE
            shown(4, form_key, form_bytes, form_ulong);
            items[2].more = plan.arguments[3];
            return;
        case 3:                                                   // KEYCTL_REVOKE
        case 7:                                                   // KEYCTL_CLEAR
        case 16:                                                  // KEYCTL_ASSUME_AUTHORITY
        case 21: return shown(2, form_key);                       // KEYCTL_INVALIDATE
        case 4: return shown(4, form_key, form_user, form_user);  // KEYCTL_CHOWN
        case 5:                                                   // KEYCTL_SETPERM
            shown(3, form_key, form_flags);
            items[2].set = abi::ConstantSet::key_permissions;
            return;
        case 6:   // KEYCTL_DESCRIBE
        case 17:  // KEYCTL_GET_SECURITY
            shown(4, form_key, form_description, form_ulong);
            items[2].more = plan.arguments[3];
            items[2].when = When::exit;
            return;
        case 11:  // KEYCTL_READ
            shown(4, form_key, form_filled, form_ulong);
            items[2].more = plan.arguments[3];
            items[2].when = When::exit;
            return;
        case 8:                                                                  // KEYCTL_LINK
        case 9: return shown(3, form_key, form_key);                             // KEYCTL_UNLINK
        case 10: return shown(5, form_key, form_string, form_string, form_key);  // KEYCTL_SEARCH
        case 12:                                                                 // KEYCTL_INSTANTIATE
            shown(5, form_key, form_bytes, form_ulong, form_key);
            items[2].more = plan.arguments[3];
            return;
        case 13: return shown(4, form_key, form_uint, form_key);              // KEYCTL_NEGATE
        case 14: return shown(2, form_request_keyring);                       // KEYCTL_SET_REQKEY_KEYRING
        case 15: return shown(3, form_key, form_uint);                        // KEYCTL_SET_TIMEOUT
        case 18: return shown(1);                                             // KEYCTL_SESSION_TO_PARENT
        case 19: return shown(5, form_key, form_uint, form_errno, form_key);  // KEYCTL_REJECT
        case 20:                                                              // KEYCTL_INSTANTIATE_IOV
            shown(5, form_key, form_vector, form_ulong, form_key);
            items[2].more = plan.arguments[3];
            return;
        case 22: return shown(3, form_user, form_key);  // KEYCTL_GET_PERSISTENT
        case 23:                                        // KEYCTL_DH_COMPUTE
            shown(5, form_structure, form_filled, form_ulong, form_address);
            items[1].layout = abi::Layout::dh_params;
            items[2].more = plan.arguments[3];
            items[2].when = When::exit;
            return;
        case 24: return shown(5, form_key, form_hex, form_string, form_address);  // KEYCTL_PKEY_QUERY
        case 29: return shown(4, form_key, form_string, form_string);             // KEYCTL_RESTRICT_KEYRING
        case 30:                                                                  // KEYCTL_MOVE
            shown(5, form_key, form_key, form_key, form_flags);
            items[4].set = abi::ConstantSet::key_move;
            return;
        case 31:  // KEYCTL_CAPABILITIES
            shown(3, form_key_abilities, form_ulong);
            items[1].more = plan.arguments[2];
            items[1].when = When::exit;
            return;
        default: return;
    }
}

/// union bpf_attr: a field of its, by what it is.
struct BpfField {
    enum class Show : std::uint8_t { count, hex64, flags, choice, fd, pointer, string, name, version, flags64 };

    std::uint8_t command;
    std::string_view name;
    std::uint8_t at;
    std::uint8_t size;
    Show show = Show::count;
    abi::ConstantSet set = abi::ConstantSet::none;
    std::string_view group = {};
};

inline constexpr BpfField bpf_fields[] = {
    {0, "map_type", 0, 4, BpfField::Show::choice, abi::ConstantSet::bpf_map_type},
    {0, "key_size", 4, 4},
    {0, "value_size", 8, 4},
    {0, "max_entries", 12, 4},
    {0, "map_flags", 16, 4, BpfField::Show::flags, abi::ConstantSet::bpf_map_flags},
    {0, "inner_map_fd", 20, 4, BpfField::Show::fd},
    {0, "map_name", 28, 16, BpfField::Show::name},
    {0, "map_ifindex", 44, 4},
    {0, "btf_fd", 48, 4, BpfField::Show::fd},
    {0, "btf_key_type_id", 52, 4},
    {0, "btf_value_type_id", 56, 4},
    {0, "btf_vmlinux_value_type_id", 60, 4},
    {0, "map_extra", 64, 8},
    {1, "map_fd", 0, 4, BpfField::Show::fd},
    {1, "key", 8, 8, BpfField::Show::pointer},
    {1, "value", 16, 8, BpfField::Show::pointer},
    {1, "flags", 24, 8, BpfField::Show::flags, abi::ConstantSet::bpf_lookup},
    {2, "map_fd", 0, 4, BpfField::Show::fd},
    {2, "key", 8, 8, BpfField::Show::pointer},
    {2, "value", 16, 8, BpfField::Show::pointer},
    {2, "flags", 24, 8, BpfField::Show::choice, abi::ConstantSet::bpf_update},
    {3, "map_fd", 0, 4, BpfField::Show::fd},
    {3, "key", 8, 8, BpfField::Show::pointer},
    {4, "map_fd", 0, 4, BpfField::Show::fd},
    {4, "key", 8, 8, BpfField::Show::pointer},
    {4, "next_key", 16, 8, BpfField::Show::pointer},
    {5, "prog_type", 0, 4, BpfField::Show::choice, abi::ConstantSet::bpf_program_type},
    {5, "insn_cnt", 4, 4},
    {5, "insns", 8, 8, BpfField::Show::pointer},
    {5, "license", 16, 8, BpfField::Show::string},
    {5, "log_level", 24, 4},
    {5, "log_size", 28, 4},
    {5, "log_buf", 32, 8, BpfField::Show::pointer},
    {5, "kern_version", 40, 4, BpfField::Show::version},
    {5, "prog_flags", 44, 4, BpfField::Show::flags, abi::ConstantSet::bpf_load_flags},
    {5, "prog_name", 48, 16, BpfField::Show::name},
    {5, "prog_ifindex", 64, 4},
    {5, "expected_attach_type", 68, 4, BpfField::Show::choice, abi::ConstantSet::bpf_attach_type},
    {5, "prog_btf_fd", 72, 4, BpfField::Show::fd},
    {5, "func_info_rec_size", 76, 4},
    {5, "func_info", 80, 8, BpfField::Show::pointer},
    {5, "func_info_cnt", 88, 4},
    {5, "line_info_rec_size", 92, 4},
    {5, "line_info", 96, 8, BpfField::Show::pointer},
    {5, "line_info_cnt", 104, 4},
    {5, "attach_btf_id", 108, 4},
    {5, "attach_prog_fd", 112, 4, BpfField::Show::fd},
    {5, "fd_array", 120, 8, BpfField::Show::pointer},
    {6, "pathname", 0, 8, BpfField::Show::string},
    {6, "bpf_fd", 8, 4, BpfField::Show::fd},
    {6, "file_flags", 12, 4, BpfField::Show::flags, abi::ConstantSet::bpf_file_mode},
    {7, "pathname", 0, 8, BpfField::Show::string},
    {7, "bpf_fd", 8, 4, BpfField::Show::fd},
    {7, "file_flags", 12, 4, BpfField::Show::flags, abi::ConstantSet::bpf_file_mode},
    {8, "target_fd", 0, 4, BpfField::Show::fd},
    {8, "attach_bpf_fd", 4, 4, BpfField::Show::fd},
    {8, "attach_type", 8, 4, BpfField::Show::choice, abi::ConstantSet::bpf_attach_type},
    {8, "attach_flags", 12, 4, BpfField::Show::flags, abi::ConstantSet::bpf_attach_flags},
    {8, "replace_bpf_fd", 16, 4, BpfField::Show::fd},
    {9, "target_fd", 0, 4, BpfField::Show::fd},
    {9, "attach_type", 8, 4, BpfField::Show::choice, abi::ConstantSet::bpf_attach_type},
    {10, "prog_fd", 0, 4, BpfField::Show::fd, abi::ConstantSet::none, "test"},
    {10, "retval", 4, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "data_size_in", 8, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "data_size_out", 12, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "data_in", 16, 8, BpfField::Show::pointer, abi::ConstantSet::none, "test"},
    {10, "data_out", 24, 8, BpfField::Show::pointer, abi::ConstantSet::none, "test"},
    {10, "repeat", 32, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "duration", 36, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "ctx_size_in", 40, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "ctx_size_out", 44, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "ctx_in", 48, 8, BpfField::Show::pointer, abi::ConstantSet::none, "test"},
    {10, "ctx_out", 56, 8, BpfField::Show::pointer, abi::ConstantSet::none, "test"},
    {10, "flags", 64, 4, BpfField::Show::flags, abi::ConstantSet::bpf_test_run, "test"},
    {10, "cpu", 68, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {10, "batch_size", 72, 4, BpfField::Show::count, abi::ConstantSet::none, "test"},
    {11, "start_id", 0, 4},
    {11, "next_id", 4, 4},
    {11, "open_flags", 8, 4, BpfField::Show::flags, abi::ConstantSet::bpf_file_mode},
    {12, "start_id", 0, 4},
    {12, "next_id", 4, 4},
    {12, "open_flags", 8, 4, BpfField::Show::flags, abi::ConstantSet::bpf_file_mode},
    {13, "prog_id", 0, 4},
    {13, "next_id", 4, 4},
    {13, "open_flags", 8, 4, BpfField::Show::flags, abi::ConstantSet::bpf_file_mode},
    {14, "map_id", 0, 4},
    {14, "next_id", 4, 4},
    {14, "open_flags", 8, 4, BpfField::Show::flags, abi::ConstantSet::bpf_file_mode},
    {15, "bpf_fd", 0, 4, BpfField::Show::fd, abi::ConstantSet::none, "info"},
    {15, "info_len", 4, 4, BpfField::Show::count, abi::ConstantSet::none, "info"},
    {15, "info", 8, 8, BpfField::Show::pointer, abi::ConstantSet::none, "info"},
    {22, "map_fd", 0, 4, BpfField::Show::fd},
};

inline void show_bpf_field(Walk& walk, const BpfField& field, const unsigned char* at) {
    using Show = BpfField::Show;
    const std::uint64_t value = number_at(at, 0, field.size);
    switch (field.show) {
        case Show::count: return walk.count(value);
        case Show::hex64: return walk.hex(value);
        case Show::flags:
        case Show::flags64: return show_flags(walk, field.set, value);
        case Show::choice: return show_choice(walk, field.set, value, field.size == 8 ? ~0ULL : 0xffffffff);
        case Show::fd: return show_descriptor(walk, low_int(value));
        case Show::pointer: return walk.address(value);
        case Show::string: return show_string(walk, value);
        case Show::name: return show_text_in(walk, at, field.size);
        case Show::version:
            return walk.show(Kind::symbol, value,
                             Piece{}
                                 .add("KERNEL_VERSION(")
                                 .decimal(value >> 16)
                                 .add(", ")
                                 .decimal(value >> 8 & 0xff)
                                 .add(", ")
                                 .decimal(value & 0xff)
                                 .add(')'));
    }
}

/// What a command of bpf has of its union; `more`: the size that was given and, above it, the command.
inline void form_bpf(Walk& walk, const Item& item) {
    constexpr std::size_t most = 144;
    const std::uint64_t command = item.more >> 32;
    const std::uint64_t size = item.more & 0xffffffff;
    unsigned char bytes[most] = {};
    bool is_known = false;
    for (const BpfField& field : bpf_fields) is_known = is_known || field.command == command;
    if (!is_known || size == 0 || size > 4096 || !walk.read(item.value, bytes, std::min<std::uint64_t>(size, most)))
        return walk.address(item.value);
    walk.sink.begin(Shape::structure);
    bool is_in_group = false;
    std::uint64_t known = 0;
    constexpr std::uint64_t first_size_of[] = {16};
    for (const BpfField& field : bpf_fields) {
        if (field.command != command) continue;
        if (field.at >= size && (command != 0 || field.at >= first_size_of[0])) break;
        if (!is_in_group && !field.group.empty()) {
            walk.field(field.group);
            walk.sink.begin(Shape::structure);
            is_in_group = true;
        }
        known = field.at + field.size;
        walk.field(field.name);
        show_bpf_field(walk, field, bytes + field.at);
    }
    if (is_in_group) walk.sink.end();
    show_bytes_behind(walk, item.value, (known + 7) / 8 * 8, size);
    walk.sink.end();
}

inline void plan_bpf(Plan& plan) {
    plan.items[1].form = form_bpf;
    plan.items[1].when = When::entry;
    plan.items[1].more = std::uint64_t{plan.low(0)} << 32 | plan.low(2);
    const std::uint32_t command = plan.low(0);
    const bool makes_fd = command == 0 || command == 5 || command == 7 || command == 13 || command == 14 ||
                          command == 17 || command == 18 || command == 19 || command == 28 || command == 30 ||
                          command == 33;
    if (makes_fd) plan.result = Plan::Result::descriptor;
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

inline constexpr PlannerOf kernel_planners[] = {
    {"seccomp", plan_seccomp},
    {"keyctl", plan_keyctl},
    {"bpf", plan_bpf},
    {"io_uring_register", plan_ring_register},
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

}  // namespace sysguard::supervise::render
