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

/// bpf: what its union has, by command.
namespace sysguard::supervise::render::detail {

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

inline constexpr PlannerOf bpf_planners[] = {
    {"bpf", plan_bpf},
};

}  // namespace sysguard::supervise::render::detail
