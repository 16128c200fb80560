#include <sysguard/abi/table.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <seccomp.h>
#include <sys/syscall.h>

namespace abi = sysguard::abi;

namespace {

constexpr std::size_t table_size = std::size(abi::syscalls);

std::uint32_t libseccomp_architecture(abi::Abi target) {
    switch (target) {
        case abi::Abi::x86_64: return SCMP_ARCH_X86_64;
        case abi::Abi::i386: return SCMP_ARCH_X86;
        case abi::Abi::aarch64: return SCMP_ARCH_AARCH64;
        case abi::Abi::arm: return SCMP_ARCH_ARM;
        case abi::Abi::riscv64: return SCMP_ARCH_RISCV64;
    }
    return 0;
}

/// Whether libseccomp knows a call at all, for any ABI.
bool libseccomp_knows(std::string_view name) {
    for (const abi::Abi target : abi::all_abis)
        if (seccomp_syscall_resolve_name_arch(libseccomp_architecture(target), std::string{name}.c_str()) !=
            __NR_SCMP_ERROR)
            return true;
    return false;
}

/// libseccomp's number for a name; -1 where the ABI has no such call. On i386 its name resolver always answers for the
/// calls behind socketcall and ipc with a number of its own below 0; their real ones it tells the other way round.
int libseccomp_number(abi::Abi target, std::string_view name, int expected) {
    const std::uint32_t architecture = libseccomp_architecture(target);
    const int number = seccomp_syscall_resolve_name_arch(architecture, std::string{name}.c_str());
    if (number >= 0) return number;
    char* const reverse = expected >= 0 ? seccomp_syscall_resolve_num_arch(architecture, expected) : nullptr;
    const bool same = reverse != nullptr && name == reverse;
    std::free(reverse);
    return same ? expected : -1;
}

/// Calls of the table that libseccomp 2.5.4 of Debian 12 does not know: Linux 6.5 and later, and uprobes' own.
const std::vector<std::string_view> unknown_to_libseccomp_2_5_4{
    "file_getattr",      "file_setattr",     "getxattrat",        "listmount", "listns",         "listxattrat",
    "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mseal",     "open_tree_attr", "removexattrat",
    "rseq_slice_yield",  "setxattrat",       "statmount",         "uprobe",    "uretprobe",
};

}  // namespace

TEST_CASE("the table is sorted by name, each name once") {
    for (std::size_t i = 1; i < table_size; ++i) CHECK(abi::syscalls[i - 1].name < abi::syscalls[i].name);
    for (std::size_t i = 1; i < std::size(abi::foreign_syscalls); ++i)
        CHECK(abi::foreign_syscalls[i - 1].name < abi::foreign_syscalls[i].name);
}

TEST_CASE("the table is complete: x86_64 has 0 to 336 and 424 to 471 without a gap") {
    std::set<int> numbers;
    for (const abi::Syscall& call : abi::syscalls)
        if (call.number(abi::Abi::x86_64) >= 0) CHECK(numbers.insert(call.number(abi::Abi::x86_64)).second);
    CHECK(numbers.size() == 385);
    for (int number = 0; number <= 336; ++number) CHECK(numbers.count(number) == 1);
    for (int number = 424; number <= 471; ++number) CHECK(numbers.count(number) == 1);
}

TEST_CASE("the table is complete: arm has 0 to 471 but for what its EABI dropped, and six numbers of its own") {
    std::set<int> numbers;
    for (const abi::Syscall& call : abi::syscalls)
        if (call.number(abi::Abi::arm) >= 0) numbers.insert(call.number(abi::Abi::arm));
    for (const abi::ForeignSyscall& call : abi::foreign_syscalls)
        if (call.arm >= 0) numbers.insert(call.arm);
    // arch/arm/tools/syscall.tbl: never assigned, reserved, or of the old ABI alone.
    const std::set<int> missing{7,   13,  17,  18,  22,  25,  27,  28,  30,  31,  32,  35,  44,  48,  53,  56,
                                58,  59,  68,  69,  76,  82,  84,  89,  90,  98,  101, 102, 109, 110, 112, 113,
                                117, 123, 127, 130, 137, 166, 167, 188, 189, 222, 223, 254, 255, 402, 415, 447};
    for (int number = 0; number <= 471; ++number) {
        CAPTURE(number);
        CHECK(numbers.contains(number) != missing.contains(number));
    }
    for (int number = 0x0f0001; number <= 0x0f0006; ++number) CHECK(numbers.contains(number));
    CHECK(numbers.size() == 472 - missing.size() + 6);
}

TEST_CASE("no two calls of an ABI have one number, but for what the kernel itself gives two names") {
    for (const abi::Abi target : abi::all_abis) {
        std::set<int> numbers;
        for (const abi::Syscall& call : abi::syscalls)
            if (call.number(target) >= 0) {
                CAPTURE(std::string{call.name});
                CHECK(numbers.insert(call.number(target)).second);
            }
        for (const abi::ForeignSyscall& call : abi::foreign_syscalls) {
            CAPTURE(std::string{call.name});
            if (call.number(target) >= 0) CHECK(numbers.insert(call.number(target)).second);
        }
    }
}

TEST_CASE("numbers of all ABIs are libseccomp's") {
    std::vector<std::string_view> unknown;
    std::size_t compared = 0;
    for (const abi::Syscall& call : abi::syscalls) {
        if (!libseccomp_knows(call.name)) {
            unknown.push_back(call.name);
            MESSAGE("not known to this libseccomp: " << std::string{call.name});
            continue;
        }
        for (const abi::Abi target : abi::all_abis) {
            CAPTURE(std::string{call.name});
            CAPTURE(std::string{abi::name(target)});
            CHECK(call.number(target) == libseccomp_number(target, call.name, call.number(target)));
            ++compared;
        }
    }
    CHECK(compared >= abi::abi_count * 350);
    const scmp_version* version = seccomp_version();
    if (version->major == 2 && version->minor == 5 && version->micro == 4)
        CHECK(unknown == unknown_to_libseccomp_2_5_4);
}

TEST_CASE("numbers of foreign calls are libseccomp's") {
    for (const abi::ForeignSyscall& call : abi::foreign_syscalls) {
        CAPTURE(std::string{call.name});
        if (!libseccomp_knows(call.name)) {
            CHECK((call.name == "riscv_hwprobe" || call.name == "get_tls"));
            continue;
        }
        for (const abi::Abi target : {abi::Abi::i386, abi::Abi::arm, abi::Abi::riscv64}) {
            CAPTURE(std::string{abi::name(target)});
            CHECK(call.number(target) == libseccomp_number(target, call.name, call.number(target)));
        }
    }
}

TEST_CASE("native numbers are those of <sys/syscall.h>") {
    struct Known {
        const char* name;
        long number;
    };
    const Known header[] = {
#define SYSGUARD_KNOWN(name) {#name, SYS_##name},
#include "known_syscalls.def"
#undef SYSGUARD_KNOWN
    };
    CHECK(std::size(header) > 290);
    for (const Known& known : header) {
        CAPTURE(known.name);
        const abi::Syscall* call = abi::find(std::string_view{known.name});
        REQUIRE(call != nullptr);
        CHECK(call->number() == known.number);
    }
}

TEST_CASE("a call is found by number and by name") {
    for (const abi::Syscall& call : abi::syscalls) {
        CHECK(abi::find(call.name) == &call);
        if (call.number() >= 0) CHECK(abi::find(call.number()) == &call);
    }
    CHECK(abi::find(-1) == nullptr);
    CHECK(abi::find(abi::native_limit) == nullptr);
    CHECK(abi::find(0x7fffffff) == nullptr);
    CHECK(abi::find(-0x7fffffff - 1) == nullptr);
    CHECK(abi::find(std::string_view{"open_the_door"}) == nullptr);
    CHECK(abi::find(std::string_view{""}) == nullptr);
    CHECK(abi::find(std::string_view{"zzz"}) == nullptr);
}

TEST_CASE("the name of a number, in every ABI") {
    CHECK(abi::name_of(abi::Abi::x86_64, 42) == "connect");
    CHECK(abi::name_of(abi::Abi::i386, 362) == "connect");
    CHECK(abi::name_of(abi::Abi::aarch64, 203) == "connect");
    CHECK(abi::name_of(abi::Abi::riscv64, 203) == "connect");
    CHECK(abi::name_of(abi::Abi::arm, 283) == "connect");
    CHECK(abi::name_of(abi::Abi::arm, 289) == "send");
    CHECK(abi::name_of(abi::Abi::arm, 0x0f0005) == "set_tls");
    CHECK(abi::name_of(abi::Abi::arm, 102).empty());
    CHECK(abi::name_of(abi::Abi::i386, 102) == "socketcall");
    CHECK(abi::name_of(abi::Abi::i386, 17) == "break");
    CHECK(abi::name_of(abi::Abi::riscv64, 258) == "riscv_hwprobe");
    CHECK(abi::name_of(abi::Abi::x86_64, 400).empty());
    CHECK(abi::name_of(abi::Abi::aarch64, -1).empty());
    CHECK(abi::name_of(abi::Abi::i386, 100000).empty());
}

TEST_CASE("arguments are well-formed") {
    for (const abi::Syscall& call : abi::syscalls) {
        CAPTURE(std::string{call.name});
        for (int i = 0; i < call.argument_count(); ++i) {
            const abi::Argument& argument = call.arguments[i];
            CAPTURE(abi::name(argument.name));
            CHECK(abi::is_pointer(argument.type) == (argument.direction != abi::Direction::none));
            if (argument.length != abi::ArgName::none) {
                CHECK(abi::is_pointer(argument.type));
                const int length = call.position(argument.length);
                REQUIRE(length >= 0);
                const abi::Type type = call.arguments[length].type;
                CHECK((!abi::is_pointer(type) || type == abi::Type::socklen || type == abi::Type::uint_cell));
            }
            for (int j = 0; j < i; ++j) CHECK(call.arguments[j].name != argument.name);
        }
        for (int i = call.argument_count(); i < abi::max_arguments; ++i)
            CHECK(call.arguments[i].name == abi::ArgName::none);
    }
}

TEST_CASE("buffers and socket addresses know their length") {
    for (const abi::Syscall& call : abi::syscalls)
        for (int i = 0; i < call.argument_count(); ++i) {
            CAPTURE(std::string{call.name});
            const abi::Type type = call.arguments[i].type;
            if (type == abi::Type::bytes && call.name != "mincore")  // one byte for each page of `len`
                CHECK(call.arguments[i].length != abi::ArgName::none);
            if (type == abi::Type::socket_address) CHECK(call.arguments[i].length == abi::ArgName::addrlen);
            if (type == abi::Type::iovec) CHECK(call.arguments[i].length != abi::ArgName::none);
        }
}

TEST_CASE("one thing has one name") {
    const auto argument = [](const char* call, const char* name) {
        const abi::Syscall* found = abi::find(std::string_view{call});
        REQUIRE(found != nullptr);
        for (int i = 0; i < found->argument_count(); ++i)
            if (std::strcmp(abi::name(found->arguments[i].name), name) == 0) return true;
        return false;
    };
    for (const char* call : {"open", "openat", "openat2", "creat", "chmod", "unlinkat", "execve", "execveat", "statx",
                             "inotify_add_watch", "fanotify_mark", "swapon", "setxattr", "mount_setattr"})
        CHECK(argument(call, "path"));
    for (const char* call : {"openat", "openat2", "fchmodat2", "unlinkat", "execveat", "statx", "file_setattr"})
        CHECK(argument(call, "dirfd"));
    for (const char* call : {"open", "openat", "mmap", "clone", "accept4", "unlinkat", "fchownat", "sendto", "mount"})
        CHECK(argument(call, "flags"));
    for (const char* call : {"connect", "bind", "accept", "sendto", "recvfrom", "getpeername"}) {
        CHECK(argument(call, "addr"));
        CHECK(argument(call, "addrlen"));
    }
    for (const char* call :
         {"read", "write", "pread64", "sendto", "recvfrom", "getrandom", "getdents64", "readlinkat"}) {
        CHECK(argument(call, "buf"));
        CHECK(argument(call, "count"));
    }
    for (const char* call : {"kill", "tgkill", "rt_sigaction", "pidfd_send_signal"}) CHECK(argument(call, "sig"));
    for (const char* call : {"socket", "socketpair"})
        for (const char* name : {"domain", "type", "protocol"}) CHECK(argument(call, name));
}

TEST_CASE("clone has its arguments in the order of the architecture") {
    const abi::Syscall& clone = *abi::find(std::string_view{"clone"});
    const bool backwards = abi::native_abi == abi::Abi::aarch64;  // CONFIG_CLONE_BACKWARDS
    CHECK(clone.position(abi::ArgName::tls) == (backwards ? 3 : 4));
    CHECK(clone.position(abi::ArgName::child_tid) == (backwards ? 4 : 3));
}
