#include <sysguard/abi/foreign.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace abi = sysguard::abi;
namespace sys = sysguard::sys;
using abi::Abi;
using Kind = abi::Source::Kind;

namespace {

/// Names that i386.def and arm.def decide something for.
#define SYSGUARD_FOREIGN_SAME(name, ...) #name,
#define SYSGUARD_FOREIGN_LAYOUT(name, ...) #name,
#define SYSGUARD_FOREIGN_ELSE(name, ...) #name,
#define SYSGUARD_FOREIGN_PART(name, ...) #name,
#define SYSGUARD_FOREIGN_ALWAYS(name) #name,
#define SYSGUARD_FOREIGN_NONE(name) #name,
const std::set<std::string_view> decided_for_i386{
#include <sysguard/abi/i386.def>
};
const std::set<std::string_view> decided_for_arm{
#include <sysguard/abi/arm.def>
};
#undef SYSGUARD_FOREIGN_SAME
#undef SYSGUARD_FOREIGN_LAYOUT
#undef SYSGUARD_FOREIGN_ELSE
#undef SYSGUARD_FOREIGN_PART
#undef SYSGUARD_FOREIGN_ALWAYS
#undef SYSGUARD_FOREIGN_NONE

template <Abi foreign>
const std::set<std::string_view>& decided() {
    return foreign == Abi::i386 ? decided_for_i386 : decided_for_arm;
}

template <Abi foreign>
const abi::ForeignLayout& layout(int number, std::uint64_t first = 0) {
    const int place = abi::foreign_place<foreign>(number, first);
    REQUIRE(place >= 0);
    return abi::foreign_layout<foreign>(place);
}

template <Abi foreign>
std::uint64_t value(int number, int argument, const std::uint64_t (&registers)[6]) {
    const abi::Source& source = layout<foreign>(number, registers[0]).sources[argument];
    const abi::SourceValue known = abi::value_of(source, registers);
    REQUIRE(known.known);
    return known.bits;
}

template <Abi foreign>
bool knows(int number, int argument, const std::uint64_t (&registers)[6]) {
    return abi::value_of(layout<foreign>(number, registers[0]).sources[argument], registers).known;
}

constexpr std::uint64_t above = 0xabcdef0000000000;

/// Each call is decided: by its name, which its host has, too, or in the ABI's own list; and nothing that it lacks.
template <Abi foreign>
void check_completeness() {
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number(foreign) < 0) continue;
        CAPTURE(std::string{call.name});
        CHECK((call.number(abi::host_of(foreign)) >= 0 || decided<foreign>().contains(call.name)));
    }
    for (const abi::ForeignSyscall& call : abi::foreign_syscalls) {
        CAPTURE(std::string{call.name});
        CHECK(decided<foreign>().contains(call.name) == (call.number(foreign) >= 0));
        if (call.number(foreign) >= 0) CHECK(abi::detail::place_of<foreign>(call.number(foreign)) >= 0);
    }
    for (const abi::NumberRange& range : abi::ForeignPlaces<foreign>::ranges)
        for (int number = range.first; number < range.first + range.count; ++number) {
            CAPTURE(number);
            if (abi::name_of(foreign, number).empty()) CHECK(abi::foreign_place<foreign>(number, 0) == -1);
        }
    for (const std::string_view name : decided<foreign>()) {
        CAPTURE(std::string{name});
        const abi::Syscall* const native = abi::find(name);
        bool is_there = native != nullptr && native->number(foreign) >= 0;
        for (const abi::ForeignSyscall& call : abi::foreign_syscalls)
            is_there = is_there || (call.name == name && call.number(foreign) >= 0);
        CHECK(is_there);
    }
}

template <Abi foreign>
void check_names() {
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number(foreign) < 0 || call.number(abi::host_of(foreign)) < 0) continue;
        CAPTURE(std::string{call.name});
        CHECK(layout<foreign>(call.number(foreign)).native == call.number());
    }
}

/// Names of calls that have one register for an argument of more than 32 bits: all, or where some of these are signed.
template <Abi foreign>
std::set<std::string> wide_calls(bool only_signed = false) {
    std::set<std::string> names;
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number(foreign) < 0 || decided<foreign>().contains(call.name)) continue;
        for (int i = 0; i < call.argument_count(); ++i) {
            const abi::Type type = call.arguments[i].type;
            const bool is_wide = type == abi::Type::offset || type == abi::Type::int64 || type == abi::Type::uint64 ||
                                 type == abi::Type::flags64;
            if (!is_wide) continue;
            const bool is_signed = abi::info(type).is_signed;
            CAPTURE(std::string{call.name});
            CHECK(abi::foreign_layout<foreign>(call.number(foreign)).sources[i].kind ==
                  (is_signed ? Kind::sign_extended : Kind::zero_extended));
            if (is_signed || !only_signed) names.insert(std::string{call.name});
        }
    }
    return names;
}

template <Abi foreign>
void check_instead() {
    using Places = abi::ForeignPlaces<foreign>;
    int count = 0;
    for (int place = 0; place < Places::instead; ++place) {
        const abi::ForeignLayout& first = abi::foreign_layout<foreign>(place);
        if (first.instead < 0) continue;
        ++count;
        CHECK(first.instead >= Places::instead);
        CHECK(abi::foreign_layout<foreign>(first.instead).instead == -1);
        CHECK(abi::foreign_layout<foreign>(first.instead).native != first.native);
    }
    CHECK(count == Places::count - Places::instead);
}

}  // namespace

TEST_CASE("every call of arm is decided, and nothing that it lacks") {
    check_completeness<Abi::arm>();
}

TEST_CASE("calls of one name on arm and aarch64 are one call") {
    check_names<Abi::arm>();
}

TEST_CASE("arguments of more than 32 bits that one register of arm has: each looked at") {
    // All of them are `long` or `unsigned long` in the kernel, or in its compat_ forms.
    CHECK(wide_calls<Abi::arm>() == std::set<std::string>{"futex_wait",
                                                          "futex_wake",
                                                          "get_mempolicy",
                                                          "init_module",
                                                          "io_cancel",
                                                          "io_destroy",
                                                          "io_getevents",
                                                          "io_pgetevents",
                                                          "io_submit",
                                                          "kexec_file_load",
                                                          "kexec_load",
                                                          "lseek",
                                                          "mbind",
                                                          "migrate_pages",
                                                          "move_pages",
                                                          "mremap",
                                                          "mseal",
                                                          "perf_event_open",
                                                          "pkey_alloc",
                                                          "process_vm_readv",
                                                          "process_vm_writev",
                                                          "remap_file_pages",
                                                          "set_mempolicy",
                                                          "set_mempolicy_home_node",
                                                          "truncate",
                                                          "unshare"});
    // Without such a form the kernel would read the whole register of a `long`, whose upper half is zeros. All these
    // have one that extends the sign, or reads an `int` (io_getevents).
    CHECK(wide_calls<Abi::arm>(true) ==
          std::set<std::string>{"io_getevents", "io_pgetevents", "io_submit", "lseek", "truncate"});
}

TEST_CASE("arm's numbers of 64 bits: in an even register and the next, but for some") {
    constexpr Abi arm = Abi::arm;
    CHECK(value<arm>(180, 3, {0, 0, 0, 9, above | 7, above | 5}) == 0x500000007);  // pread64
    CHECK(value<arm>(181, 3, {0, 0, 0, 9, 7, 5}) == 0x500000007);                  // pwrite64
    CHECK(value<arm>(193, 1, {0, 9, 7, 5}) == 0x500000007);                        // truncate64
    CHECK(value<arm>(194, 1, {0, 9, 7, 5}) == 0x500000007);                        // ftruncate64
    CHECK(value<arm>(225, 1, {0, 9, 7, 5, 3}) == 0x500000007);                     // readahead
    CHECK(value<arm>(225, 2, {0, 9, 7, 5, 3}) == 3);
    CHECK(layout<arm>(270).native == sys::fadvise64);
    CHECK(value<arm>(270, 1, {0, 9, 7, 5, 3, 1}) == 0x500000007);
    CHECK(value<arm>(270, 2, {0, 9, 7, 5, 3, 1}) == 0x100000003);
    CHECK(value<arm>(270, 3, {0, 9, 7, 5, 3, 1}) == 9);
    CHECK(layout<arm>(341).native == sys::sync_file_range);
    CHECK(value<arm>(341, 1, {0, 9, 7, 5, 3, 1}) == 0x500000007);
    CHECK(value<arm>(341, 2, {0, 9, 7, 5, 3, 1}) == 0x100000003);
    CHECK(value<arm>(341, 3, {0, 9, 7, 5, 3, 1}) == 9);
    CHECK(value<arm>(352, 2, {0, 9, 7, 5, 3, 1}) == 0x500000007);  // fallocate
    CHECK(value<arm>(352, 3, {0, 9, 7, 5, 3, 1}) == 0x100000003);
    CHECK(value<arm>(361, 3, {0, 0, 0, 7, 5, 3}) == 0x500000007);  // preadv: two arguments of its own
    CHECK(value<arm>(368, 2, {0, 9, 7, 5, 3, 1}) == 0x500000007);  // fanotify_mark
    CHECK(value<arm>(368, 3, {0, 9, 7, 5, 3, 1}) == 3);
    CHECK(value<arm>(140, 1, {0, 5, 7}) == 0x500000007);  // _llseek
    CHECK(value<arm>(393, 5, {0, 0, 0, 7, 5, 3}) == 3);   // pwritev2
}

TEST_CASE("what arm has two calls for where aarch64 has one") {
    constexpr Abi arm = Abi::arm;
    constexpr std::uint64_t here = static_cast<std::uint64_t>(-100);  // AT_FDCWD
    CHECK(layout<arm>(5).native == sys::openat);
    CHECK(value<arm>(5, 0, {1, 2, 3}) == here);
    CHECK(value<arm>(5, 1, {1, 2, 3}) == 1);
    CHECK(value<arm>(5, 2, {1, 2, 3}) == 2);
    CHECK(value<arm>(5, 3, {1, 2, 3}) == 3);
    CHECK(layout<arm>(8).native == sys::openat);  // creat
    CHECK(value<arm>(8, 2, {1, 2}) == 0x241);
    CHECK(value<arm>(8, 3, {1, 2}) == 2);
    CHECK(layout<arm>(40).native == sys::unlinkat);  // rmdir
    CHECK(value<arm>(40, 2, {1}) == 0x200);
    CHECK(value<arm>(10, 2, {1}) == 0);  // unlink
    CHECK(layout<arm>(196).native == sys::newfstatat);
    CHECK(value<arm>(196, 3, {1, 2}) == 0x100);  // lstat64
    CHECK(value<arm>(195, 3, {1, 2}) == 0);
    CHECK(value<arm>(9, 2, {1, 2}) == here);  // link
    CHECK(value<arm>(9, 3, {1, 2}) == 2);
    CHECK(value<arm>(83, 1, {1, 2}) == here);       // symlink
    CHECK(value<arm>(198, 4, {1, 2, 3}) == 0x100);  // lchown32
    CHECK(value<arm>(198, 3, {1, 2, 3}) == 3);
    CHECK_FALSE(knows<arm>(16, 3, {1, 2, 3}));  // lchown: half of the register
    CHECK(layout<arm>(63).native == sys::dup3);
    CHECK(value<arm>(63, 2, {1, 2, 3}) == 0);
    CHECK(layout<arm>(2).native == sys::clone);  // fork
    CHECK(value<arm>(2, 0, {1, 2}) == 17);
    CHECK(layout<arm>(190).native == sys::clone);  // vfork
    CHECK(value<arm>(190, 0, {}) == 0x4111);
    CHECK(layout<arm>(289).native == sys::sendto);  // send
    CHECK(value<arm>(289, 5, {1, 2, 3, 4, 5, 6}) == 0);
    CHECK(layout<arm>(29).native == sys::ppoll);  // pause
    CHECK(layout<arm>(168).native == sys::ppoll);
    CHECK_FALSE(knows<arm>(168, 2, {}));
    CHECK_FALSE(knows<arm>(192, 5, {}));  // mmap2
    CHECK_FALSE(knows<arm>(26, 0, {}));   // ptrace
    CHECK_FALSE(knows<arm>(221, 1, {0, above | 13}));
    CHECK(knows<arm>(221, 1, {0, 15}));
}

TEST_CASE("arm's own calls: two that need none natively, and four that aarch64's kernel does not have") {
    constexpr Abi arm = Abi::arm;
    for (const int number : {0x0f0002 /* cacheflush */, 0x0f0005 /* set_tls */})
        CHECK(layout<arm>(number).native == abi::ForeignLayout::always);
    for (const int number : {0x0f0000, 0x0f0001, 0x0f0003, 0x0f0004, 0x0f0006, 0x0f0007, 0x0f0800, 0xf0005 - 0x10000})
        CHECK(abi::foreign_place<arm>(number, 0) == -1);
}

TEST_CASE("numbers of no call of arm, and of none that there is natively") {
    // socketcall and ipc are of the old ABI alone: one with their numbers is unknown.
    for (const int number : {-1, -2, 7, 86, 102, 117, 134, 135, 149, 222, 402, 447, 472, 500, 0x40000004, 0x7fffffff})
        for (const std::uint64_t first : {0U, 1U, 17U}) CHECK(abi::foreign_place<Abi::arm>(number, first) == -1);
    CHECK(abi::foreign_place<Abi::arm>(471, 0) == 471);
    CHECK(abi::foreign_place<Abi::arm>(0, 0) == 0);
}

TEST_CASE("a layout of arm that holds instead of another is at a place of its own") {
    check_instead<Abi::arm>();
}

TEST_CASE("clone of arm has its arguments where aarch64's has them") {
    if (abi::native_abi == Abi::aarch64)
        for (int i = 0; i < 5; ++i) CHECK(value<Abi::arm>(120, i, {1, 2, 3, 4, 5}) == static_cast<unsigned>(i) + 1);
}

#if defined(__x86_64__)

TEST_CASE("every call of i386 is decided, and nothing that it lacks") {
    check_completeness<Abi::i386>();
}

TEST_CASE("calls of one name on i386 and x86_64 are one call") {
    check_names<Abi::i386>();
}

TEST_CASE("arguments of more than 32 bits that one register of i386 has: each looked at") {
    // All of them are `long` or `unsigned long` in the kernel, or their compat_ forms, which are read so.
    CHECK(wide_calls<Abi::i386>() == std::set<std::string>{"futex_wait",
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
    CHECK(value<Abi::i386>(3, 2, {0, 0, above | 7}) == 7);
    CHECK(value<Abi::i386>(19, 1, {0, above | 0xffffffff}) == ~0ULL);
    CHECK(value<Abi::i386>(19, 1, {0, above | 0x7fffffff}) == 0x7fffffff);
    CHECK(value<Abi::i386>(125, 1, {0, above | 0xffffffff}) == 0xffffffff);
}

TEST_CASE("numbers of 64 bits in two registers") {
    CHECK(value<Abi::i386>(180, 3, {0, 0, 0, above | 7, above | 5}) == 0x500000007);
    CHECK(value<Abi::i386>(140, 1, {0, 5, 7}) == 0x500000007);
    CHECK(value<Abi::i386>(250, 1, {0, 7, 5, 9, 3}) == 0x500000007);
    CHECK(value<Abi::i386>(250, 2, {0, 7, 5, 9, 3}) == 9);
    CHECK(value<Abi::i386>(272, 2, {0, 7, 5, 9, 3, 1}) == 0x300000009);
    CHECK(value<Abi::i386>(272, 3, {0, 7, 5, 9, 3, 1}) == 1);
    CHECK(value<Abi::i386>(339, 2, {0, 1, 7, 5, 9, 3}) == 0x500000007);
    CHECK(value<Abi::i386>(339, 3, {0, 1, 7, 5, 9, 3}) == 9);
    CHECK(value<Abi::i386>(334, 3, {0, 1, 7, 5, 9}) == 0x900000005);
}

TEST_CASE("arguments in other places, and those that are none") {
    CHECK(value<Abi::i386>(120, 4, {1, 2, 3, 4, 5}) == 4);
    CHECK(value<Abi::i386>(120, 3, {1, 2, 3, 4, 5}) == 5);
    CHECK(value<Abi::i386>(268, 1, {1, 2, 3}) == 3);
    CHECK(value<Abi::i386>(22, 1, {1, 2, 3}) == 0);
    CHECK_FALSE(knows<Abi::i386>(192, 5, {}));
    CHECK_FALSE(knows<Abi::i386>(90, 2, {}));
    CHECK_FALSE(knows<Abi::i386>(23, 0, {}));
    CHECK(knows<Abi::i386>(213, 0, {}));
    CHECK(knows<Abi::i386>(221, 1, {0, 11}));
    for (const unsigned lock : {12U, 13U, 14U}) CHECK_FALSE(knows<Abi::i386>(221, 1, {0, above | lock}));
    CHECK(knows<Abi::i386>(221, 1, {0, 15}));
    CHECK(knows<Abi::i386>(55, 1, {0, 13}));  // the old call fails with those
}

TEST_CASE("socketcall and ipc are the calls that their first register says") {
    CHECK(layout<Abi::i386>(102, above | 1).native == sys::socket);
    CHECK(layout<Abi::i386>(102, 20).native == sys::sendmmsg);
    CHECK(abi::foreign_place<Abi::i386>(102, 0) == -1);
    CHECK(abi::foreign_place<Abi::i386>(102, 21) == -1);
    CHECK(abi::foreign_place<Abi::i386>(102, 0x10001) == -1);
    CHECK(layout<Abi::i386>(117, above | 1).native == sys::semop);
    CHECK(layout<Abi::i386>(117, 0x70017).native == sys::shmget);
    CHECK(value<Abi::i386>(117, 1, {0x17, 5, 6, 7}) == 6);
    CHECK(abi::foreign_place<Abi::i386>(117, 0) == -1);
    CHECK(abi::foreign_place<Abi::i386>(117, 5) == -1);
    CHECK(abi::foreign_place<Abi::i386>(117, 25) == -1);
    CHECK(layout<Abi::i386>(102, 9).sources[5].kind == Kind::constant);
}

TEST_CASE("numbers of no call, and of none that there is natively") {
    for (const int number : {-1, 166, 222, 223, 251, 285, 472, 500, 0x40000004})
        CHECK(abi::foreign_place<Abi::i386>(number, 0) == -1);
    CHECK(abi::foreign_place<Abi::i386>(471, 0) == 471);
}

TEST_CASE("a layout of i386 that holds instead of another is at a place of its own") {
    check_instead<Abi::i386>();
}

#endif
