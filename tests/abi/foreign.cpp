#include <sysguard/abi/foreign.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#if defined(__x86_64__)

namespace abi = sysguard::abi;
namespace sys = sysguard::sys;
using Kind = abi::Source::Kind;

namespace {

/// Names that i386.def decides something for.
const std::set<std::string_view> decided{
#define SYSGUARD_FOREIGN_SAME(name, ...) #name,
#define SYSGUARD_FOREIGN_LAYOUT(name, ...) #name,
#define SYSGUARD_FOREIGN_ELSE(name, ...) #name,
#define SYSGUARD_FOREIGN_PART(name, ...) #name,
#define SYSGUARD_FOREIGN_NONE(name) #name,
#include <sysguard/abi/i386.def>
#undef SYSGUARD_FOREIGN_SAME
#undef SYSGUARD_FOREIGN_LAYOUT
#undef SYSGUARD_FOREIGN_ELSE
#undef SYSGUARD_FOREIGN_PART
#undef SYSGUARD_FOREIGN_NONE
};

const abi::ForeignLayout& layout(int number, std::uint64_t first = 0) {
    const int place = abi::i386_place(number, first);
    REQUIRE(place >= 0);
    return abi::i386_layout(place);
}

std::uint64_t value(int number, int argument, const std::uint64_t (&registers)[6]) {
    const abi::SourceValue known = abi::value_of(layout(number, registers[0]).sources[argument], registers);
    REQUIRE(known.known);
    return known.bits;
}

bool knows(int number, int argument, const std::uint64_t (&registers)[6]) {
    return abi::value_of(layout(number, registers[0]).sources[argument], registers).known;
}

constexpr std::uint64_t above = 0xabcdef0000000000;

}  // namespace

TEST_CASE("every call that only i386 has is decided, and nothing that it lacks") {
    for (const abi::ForeignSyscall& call : abi::foreign_syscalls) {
        CAPTURE(std::string{call.name});
        CHECK(decided.contains(call.name) == (call.i386 >= 0));
    }
    for (const std::string_view name : decided) {
        CAPTURE(std::string{name});
        const abi::Syscall* const native = abi::find(name);
        bool is_there = native != nullptr && native->number(abi::Abi::i386) >= 0;
        for (const abi::ForeignSyscall& call : abi::foreign_syscalls) is_there = is_there || call.name == name;
        CHECK(is_there);
    }
}

TEST_CASE("calls of one name are one call") {
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number(abi::Abi::i386) < 0) continue;
        CAPTURE(std::string{call.name});
        const int place = abi::i386_place(call.number(abi::Abi::i386), 0);
        REQUIRE(place >= 0);
        CHECK(abi::i386_layout(place).native == call.number());
    }
}

TEST_CASE("arguments of more than 32 bits that one register of i386 has: each looked at") {
    std::set<std::string> names;
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number(abi::Abi::i386) < 0 || decided.contains(call.name)) continue;
        for (int i = 0; i < call.argument_count(); ++i) {
            const abi::Type type = call.arguments[i].type;
            const bool is_wide = type == abi::Type::offset || type == abi::Type::int64 || type == abi::Type::uint64 ||
                                 type == abi::Type::flags64;
            if (!is_wide) continue;
            CAPTURE(std::string{call.name});
            CHECK(abi::i386_layout(call.number(abi::Abi::i386)).sources[i].kind ==
                  (abi::info(type).is_signed ? Kind::sign_extended : Kind::zero_extended));
            names.insert(std::string{call.name});
        }
    }
    // All of them are `long` or `unsigned long` in the kernel, or their compat_ forms, which are read so.
    CHECK(names == std::set<std::string>{"futex_wait",
                                         "futex_wake",
                                         "get_mempolicy",
                                         "init_module",
                                         "io_cancel",
                                         "io_destroy",
                                         "io_getevents",
                                         "io_pgetevents",
                                         "io_submit",
                                         "ioperm",
                                         "kexec_load",
                                         "mbind",
                                         "migrate_pages",
                                         "modify_ldt",
                                         "move_pages",
                                         "mremap",
                                         "mseal",
                                         "perf_event_open",
                                         "pkey_alloc",
                                         "process_vm_readv",
                                         "process_vm_writev",
                                         "ptrace",
                                         "remap_file_pages",
                                         "lseek",
                                         "set_mempolicy",
                                         "set_mempolicy_home_node",
                                         "truncate",
                                         "unshare"});
}

TEST_CASE("of a register the low half counts") {
    CHECK(value(3, 2, {0, 0, above | 7}) == 7);
    CHECK(value(19, 1, {0, above | 0xffffffff}) == ~0ULL);
    CHECK(value(19, 1, {0, above | 0x7fffffff}) == 0x7fffffff);
    CHECK(value(125, 1, {0, above | 0xffffffff}) == 0xffffffff);
}

TEST_CASE("numbers of 64 bits in two registers") {
    CHECK(value(180, 3, {0, 0, 0, above | 7, above | 5}) == 0x500000007);
    CHECK(value(140, 1, {0, 5, 7}) == 0x500000007);
    CHECK(value(250, 1, {0, 7, 5, 9, 3}) == 0x500000007);
    CHECK(value(250, 2, {0, 7, 5, 9, 3}) == 9);
    CHECK(value(272, 2, {0, 7, 5, 9, 3, 1}) == 0x300000009);
    CHECK(value(272, 3, {0, 7, 5, 9, 3, 1}) == 1);
    CHECK(value(339, 2, {0, 1, 7, 5, 9, 3}) == 0x500000007);
    CHECK(value(339, 3, {0, 1, 7, 5, 9, 3}) == 9);
    CHECK(value(334, 3, {0, 1, 7, 5, 9}) == 0x900000005);
}

TEST_CASE("arguments in other places, and those that are none") {
    CHECK(value(120, 4, {1, 2, 3, 4, 5}) == 4);
    CHECK(value(120, 3, {1, 2, 3, 4, 5}) == 5);
    CHECK(value(268, 1, {1, 2, 3}) == 3);
    CHECK(value(22, 1, {1, 2, 3}) == 0);
    CHECK_FALSE(knows(192, 5, {}));
    CHECK_FALSE(knows(90, 2, {}));
    CHECK_FALSE(knows(23, 0, {}));
    CHECK(knows(213, 0, {}));
    CHECK(knows(221, 1, {0, 11}));
    for (const unsigned lock : {12U, 13U, 14U}) CHECK_FALSE(knows(221, 1, {0, above | lock}));
    CHECK(knows(221, 1, {0, 15}));
    CHECK(knows(55, 1, {0, 13}));  // the old call fails with those
}

TEST_CASE("socketcall and ipc are the calls that their first register says") {
    CHECK(layout(102, above | 1).native == sys::socket);
    CHECK(layout(102, 20).native == sys::sendmmsg);
    CHECK(abi::i386_place(102, 0) == -1);
    CHECK(abi::i386_place(102, 21) == -1);
    CHECK(abi::i386_place(102, 0x10001) == -1);
    CHECK(layout(117, above | 1).native == sys::semop);
    CHECK(layout(117, 0x70017).native == sys::shmget);
    CHECK(value(117, 1, {0x17, 5, 6, 7}) == 6);
    CHECK(abi::i386_place(117, 0) == -1);
    CHECK(abi::i386_place(117, 5) == -1);
    CHECK(abi::i386_place(117, 25) == -1);
    CHECK(layout(102, 9).sources[5].kind == Kind::constant);
}

TEST_CASE("numbers of no call, and of none that there is natively") {
    for (const int number : {-1, 166, 222, 223, 251, 285, 472, 500, 0x40000004})
        CHECK(abi::i386_place(number, 0) == -1);
    CHECK(abi::i386_place(471, 0) == 471);
}

TEST_CASE("a layout that holds instead of another is at a place of its own") {
    int count = 0;
    for (int place = 0; place < abi::i386_instead; ++place) {
        const abi::ForeignLayout& first = abi::i386_layout(place);
        if (first.instead < 0) continue;
        ++count;
        CHECK(first.instead >= abi::i386_instead);
        CHECK(abi::i386_layout(first.instead).instead == -1);
        CHECK(abi::i386_layout(first.instead).native != first.native);
    }
    CHECK(count == abi::i386_places - abi::i386_instead);
}

#endif
