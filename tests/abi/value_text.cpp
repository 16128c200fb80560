#include <sysguard/abi/value_text.hpp>

#include <doctest/doctest.h>

#include <cstdint>

using sysguard::abi::bits_text;
using sysguard::abi::ConstantSet;
using sysguard::abi::number_text;
using sysguard::abi::Type;
using sysguard::abi::value_text;

TEST_CASE("values by their names") {
    CHECK(value_text(Type::socket_domain, ConstantSet::domain, 10) == "AF_INET6");
    CHECK(value_text(Type::socket_domain, ConstantSet::domain, 0xffffffff) == "-1");
    CHECK(value_text(Type::command, ConstantSet::fcntl, 3) == "F_GETFL");
    CHECK(value_text(Type::command, ConstantSet::fcntl, 0x4000) == "0x4000");
    CHECK(value_text(Type::dirfd, ConstantSet::at_dirfd, 0xffffff9c) == "AT_FDCWD");
    CHECK(value_text(Type::dirfd, ConstantSet::at_dirfd, 7) == "7");
    CHECK(value_text(Type::signal, ConstantSet::none, 9) == "SIGKILL");
    CHECK(value_text(Type::signal, ConstantSet::none, 0) == "0");
    CHECK(value_text(Type::signal, ConstantSet::none, 64) == "64");
}

TEST_CASE("flags and fields by their names") {
    CHECK(value_text(Type::open_flags, ConstantSet::open, 02000101) == "O_WRONLY|O_CREAT|O_CLOEXEC");
    CHECK(value_text(Type::open_flags, ConstantSet::open, 0) == "O_RDONLY");
    CHECK(value_text(Type::open_flags, ConstantSet::open, 03) == "3");
    CHECK(value_text(Type::open_flags, ConstantSet::open, 04010000) == "O_RDONLY|O_SYNC");
    CHECK(value_text(Type::map_flags, ConstantSet::map, 0x22) == "MAP_PRIVATE|MAP_ANONYMOUS");
    CHECK(value_text(Type::map_flags, ConstantSet::map, 0x20) == "MAP_ANONYMOUS");
    CHECK(value_text(Type::map_flags, ConstantSet::map, 0x400002) == "MAP_PRIVATE|0x400000");
    CHECK(value_text(Type::protection, ConstantSet::protection, 0) == "PROT_NONE");
    CHECK(value_text(Type::protection, ConstantSet::protection, 5) == "PROT_READ|PROT_EXEC");
    CHECK(value_text(Type::access_mode, ConstantSet::access, 0) == "F_OK");
    CHECK(value_text(Type::clone_flags, ConstantSet::clone, 0x4111) == "SIGCHLD|CLONE_VM|CLONE_VFORK");
    CHECK(value_text(Type::node_mode, ConstantSet::node_mode, 0100644) == "S_IFREG|0644");
    CHECK(value_text(Type::node_mode, ConstantSet::node_mode, 0644) == "0644");
    CHECK(value_text(Type::socket_type, ConstantSet::socket_type, 0x80001) == "SOCK_STREAM|SOCK_CLOEXEC");
    CHECK(value_text(Type::message_flags, ConstantSet::message, 0) == "0");
    CHECK(value_text(Type::flags32, ConstantSet::none, 0x40) == "0x40");
}

TEST_CASE("bits, each by a name of its own") {
    CHECK(bits_text(Type::open_flags, ConstantSet::open, 020200003) ==
          (sysguard::abi::native_abi == sysguard::abi::Abi::x86_64 ? "O_WRONLY|O_RDWR|__O_TMPFILE|O_DIRECTORY"
                                                                   : "O_WRONLY|O_RDWR|O_DIRECT|__O_TMPFILE"));
    CHECK(bits_text(Type::map_flags, ConstantSet::map, 0x2f) == "MAP_TYPE|MAP_ANONYMOUS");
    CHECK(bits_text(Type::map_flags, ConstantSet::map, 0x800001) == "MAP_SHARED|0x800000");
    CHECK(bits_text(Type::clone_flags, ConstantSet::clone, 0x1ff) == "CSIGNAL|CLONE_VM");
    CHECK(bits_text(Type::file_mode, ConstantSet::none, 07002) == "07002");
    CHECK(bits_text(Type::flags32, ConstantSet::none, 0) == "0");
}

TEST_CASE("numbers") {
    CHECK(number_text(Type::int32, 0xfffffffe) == "-2");
    CHECK(number_text(Type::int64, ~0ULL) == "-1");
    CHECK(number_text(Type::file_mode, 0644) == "0644");
    CHECK(number_text(Type::file_mode, 0) == "0");
    CHECK(number_text(Type::size, 0) == "0");
    CHECK(number_text(Type::size, 1000) == "1000");
    CHECK(number_text(Type::size, 1024) == "1 KiB");
    CHECK(number_text(Type::size, 3 << 20) == "3 MiB");
    CHECK(number_text(Type::size, (1ULL << 30) + 1024) == "1048577 KiB");
    CHECK(number_text(Type::size, 1ULL << 63) == "8 EiB");
    CHECK(number_text(Type::uid, 0xffffffff) == "-1");
    CHECK(number_text(Type::gid, 100) == "100");
    CHECK(number_text(Type::address, 0x1000) == "0x1000");
    CHECK(number_text(Type::uint32, 0x1000) == "4096");
    CHECK(number_text(Type::word, 12) == "0xc");
}
