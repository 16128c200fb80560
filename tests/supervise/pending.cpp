#include <sysguard/policy.hpp>
#include <sysguard/supervise/pending.hpp>
#include <sysguard/supervise/remote_descriptor.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"
#include "support/reach.hpp"

namespace sg = sysguard;
using sg::supervise::Copied;
using sg::supervise::Pending;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_getpriority>{}.kill(), sg::Rule<SYS_openat>{}.kill(),
                            sg::Rule<SYS_connect>{}.kill(),     sg::Rule<SYS_sendto>{}.kill(),
                            sg::Rule<SYS_readlinkat>{}.kill(),  sg::Rule<SYS_utimensat>{}.kill(),
                            sg::Rule<SYS_newfstatat>{}.kill(),  sg::Rule<SYS_openat2>{}.kill(),
                            sg::Rule<SYS_getcwd>{}.kill(),      sg::otherwise.allow()};

template <class... T>
int ask(long number, T... arguments) {
    return ::syscall(number, arguments...) < 0 ? errno : 0;
}

/// One call of a process, and its end.
template <class Look, class Body>
void with_call(Look&& look, Body&& body) {
    Supervised process{policy.program(), body};
    Pending call;
    process.receive(call);
    look(call, process);
    process.listener.answer(call.id, 0, 0);
    CHECK(process.exit_code() == 0);
}

}  // namespace

TEST_CASE("what the kernel says of a call") {
    with_call(
        [](const Pending& call, const Supervised& process) {
            CHECK(call.is_pending());
            CHECK(call.thread == process.pid);
            CHECK(call.number == SYS_getpriority);
            CHECK(call.call->name == "getpriority");
            CHECK(call.arguments[0] == 5);
            CHECK(call.arguments[1] == 6);
            CHECK(call.value(sg::abi::ArgName::which) == 5);
            CHECK(call.value(sg::abi::ArgName::path) == 0);
            CHECK(call.instruction_pointer != 0);
            CHECK(call.is_untouched());
        },
        [] { return ask(SYS_getpriority, 5, 6); });
}

TEST_CASE("what is read is read once") {
    auto* const path =
        static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::strcpy(path, "/etc/first");
    with_call(
        [path](Pending& call, const Supervised&) {
            CHECK(call.is_untouched());
            CHECK(call.copy(1).bytes == "/etc/first");
            CHECK_FALSE(call.is_untouched());
            std::strcpy(path, "/etc/other");
            CHECK(call.copy(1).bytes == "/etc/first");
            CHECK(call.copies[1].bytes == "/etc/first");
        },
        [path] { return ask(SYS_openat, AT_FDCWD, path, 0, 0); });
    ::munmap(path, 4096);
}

TEST_CASE("a new call in the same place has nothing of the one before") {
    Supervised process{policy.program(), [] {
                           const sockaddr_in address{AF_INET, ::htons(80), {::htonl(INADDR_LOOPBACK)}, {}};
                           return ask(SYS_connect, 0, &address, sizeof address) + ask(SYS_openat, 7, "name", 0, 0) +
                                  ask(SYS_openat, 8, nullptr, 0, 0);
                       }};
    Pending call;
    process.receive(call);
    CHECK(call.socket_address(1).port() == 80);
    CHECK_FALSE(call.write(1, "x", 1));
    CHECK(call.write_error == EFAULT);
    call.memory_decided = call.is_deferred = call.is_dropped = true;
    process.listener.answer(call.id, 0, 0);

    process.receive(call);
    CHECK(call.is_untouched());
    CHECK_FALSE(call.has_address);
    CHECK(call.write_error == 0);
    CHECK_FALSE(call.memory_decided);
    CHECK_FALSE(call.is_deferred);
    CHECK_FALSE(call.is_dropped);
    CHECK(call.copy(1).bytes == "name");
    process.listener.answer(call.id, 0, 0);

    process.receive(call);
    CHECK(call.copy(1).bytes.empty());
    CHECK(call.copy(1).error == EFAULT);
    process.listener.answer(call.id, 0, 0);
    CHECK(process.exit_code() == 0);
}

TEST_CASE("paths to PATH_MAX, buffers to what the host wants to read, and what cannot be read is said so") {
    const std::string longest(PATH_MAX - 1, 'a');
    const std::string too_long(PATH_MAX, 'a');
    const std::string payload(5000, 'p');
    with_call([&](Pending& call, const Supervised&) { CHECK(call.copy(1).bytes == longest); },
              [&] { return ask(SYS_openat, AT_FDCWD, longest.c_str(), 0, 0); });
    with_call([](Pending& call, const Supervised&) { CHECK(call.copy(1).error == ENAMETOOLONG); },
              [&] { return ask(SYS_openat, AT_FDCWD, too_long.c_str(), 0, 0); });
    with_call([](Pending& call, const Supervised&) { CHECK(call.copy(1).error == EFAULT); },
              [] { return ask(SYS_openat, AT_FDCWD, std::uint64_t{1}, 0, 0); });
    with_call(
        [](Pending& call, const Supervised& process) {
            process.line->most_read = 4096;
            const Copied& copied = call.copy(1);
            CHECK(copied.is_cut);
            CHECK(copied.error == 0);
            CHECK(copied.bytes == std::string(4096, 'p'));
        },
        [&] { return ask(SYS_sendto, 0, payload.data(), payload.size(), 0, nullptr, 0); });
    with_call(
        [](Pending& call, const Supervised&) {
            CHECK(call.copy(1).is_cut);  // the size that it claims is another
            CHECK(call.copy(1).error == EFAULT);
        },
        [&] { return ask(SYS_sendto, 0, payload.data(), ~std::uint64_t{0}, 0, nullptr, 0); });
}

TEST_CASE("a structure's size is the call's to say, up to a page") {
    static const char structure[8192] = {};
    const auto copied = [](std::size_t size) {
        std::size_t bytes = 0;
        with_call([&](Pending& call, const Supervised&) { bytes = call.copy(2).bytes.size(); },
                  [=] { return ask(SYS_openat2, AT_FDCWD, "x", structure, size); });
        return bytes;
    };
    CHECK(copied(24) == 24);
    CHECK(copied(8192) == 4096);
}

TEST_CASE("a socket address is as long as the call says, and no longer than any") {
    sockaddr_in address{AF_INET, ::htons(443), {::htonl(INADDR_LOOPBACK)}, {}};
    const auto looked_at = [&](long size, auto look) {
        with_call([&](Pending& call, const Supervised&) { look(call.socket_address(1)); },
                  [&] { return ask(SYS_connect, 0, &address, size); });
    };
    looked_at(sizeof address, [](const sg::SocketAddress& seen) { CHECK(seen.port() == 443); });
    looked_at(4, [](const sg::SocketAddress& seen) { CHECK_FALSE(seen.is_ip()); });
    looked_at(-1, [](const sg::SocketAddress& seen) { CHECK(seen.family() == AF_UNSPEC); });
    looked_at(4096, [](const sg::SocketAddress& seen) { CHECK(seen.family() == AF_UNSPEC); });
}

TEST_CASE("nothing of a process that is gone counts as the call's") {
    Supervised process{policy.program(), [] { return ask(SYS_openat, AT_FDCWD, "/etc/passwd", 0, 0); }};
    Pending call;
    process.receive(call);
    const pid_t pid = process.pid;
    ::kill(pid, SIGKILL);
    CHECK(process.exit_code() == -SIGKILL);
    CHECK_FALSE(call.is_pending());
    CHECK(call.copy(1).bytes.empty());
    CHECK(call.copy(1).error == EFAULT);
    CHECK_FALSE(call.write(call.arguments[1], "x", 1));
}

TEST_CASE("a descriptor is what it was when somebody asked first") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    int made = 0;
    const auto duplicate = [&](const Pending& call, int fd) {
        ++made;
        return sg::supervise::duplicate_descriptor(call, fd);
    };
    const sg::process::Descriptor zero{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    with_call(
        [&](Pending& call, const Supervised&) {
            const int fd = call.descriptor(0, duplicate).get();
            CHECK(fd > 2);
            CHECK(call.descriptor(0, duplicate).get() == fd);
            CHECK(made == 1);
            char byte = 1;
            CHECK(::read(fd, &byte, 1) == 1);
            CHECK(byte == 0);
        },
        [&] { return ask(SYS_openat, zero.get(), "x", 0, 0); });
    with_call([&](Pending& call, const Supervised&) { CHECK_FALSE(call.descriptor(0, duplicate)); },
              [] { return ask(SYS_openat, 9999, "x", 0, 0); });
}

TEST_CASE("it writes to the process's memory, and remembers where it could not") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    auto* const buffer =
        static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(::mprotect(buffer + 4096, 4096, PROT_NONE) == 0);
    with_call(
        [&](Pending& call, const Supervised&) {
            CHECK(call.write(call.arguments[0], "/made/up", 9));
            CHECK(call.write_error == 0);
            CHECK(std::string{buffer} == "/made/up");
            CHECK_FALSE(call.write(call.arguments[0] + 4090, "/made/up", 9));
            CHECK(call.write_error == EFAULT);
        },
        [&] { return ask(SYS_getcwd, buffer, 4096); });
    ::munmap(buffer, 8192);
}

TEST_CASE("which paths may be empty or null, and stand for the descriptor before them") {
    struct Case {
        long number;
        const char* path;
        long third;
        long flags;
        bool may_be_empty;
        bool stands_for_descriptor;
    };
    for (const Case& each :
         {Case{SYS_newfstatat, "", 0, AT_EMPTY_PATH, true, false}, Case{SYS_newfstatat, "", 0, 0, false, false},
          Case{SYS_newfstatat, nullptr, 0, AT_EMPTY_PATH, true, true}, Case{SYS_readlinkat, "", 0, 0, true, false},
          Case{SYS_readlinkat, nullptr, 0, 0, true, false}, Case{SYS_utimensat, nullptr, 0, 0, false, true},
          Case{SYS_openat, nullptr, 0, 0, false, false}}) {
        CAPTURE(each.number);
        CAPTURE(each.flags);
        with_call(
            [&](Pending& call, const Supervised&) {
                CHECK(call.may_be_empty(1) == each.may_be_empty);
                CHECK(call.stands_for_descriptor(1) == each.stands_for_descriptor);
                CHECK(call.copy(1).error == (each.path == nullptr && !each.stands_for_descriptor ? EFAULT : 0));
            },
            [&] { return ask(each.number, 1, each.path, each.third, each.flags); });
    }
}

TEST_CASE("who has deferred a call finds nothing in its place") {
    with_call(
        [](Pending& call, const Supervised&) {
            call.is_deferred = true;
            CHECK_THROWS_AS((void)call.copy(1), sg::Error);
            CHECK_THROWS_AS((void)call.socket_address(1), sg::Error);
            CHECK_THROWS_AS((void)call.descriptor(0, sg::supervise::duplicate_descriptor), sg::Error);
            CHECK_FALSE(call.write(call.arguments[1], "x", 1));
        },
        [] { return ask(SYS_openat, AT_FDCWD, "/etc/passwd", 0, 0); });
}
