#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <type_traits>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <ctime>

#include "support/reach.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

namespace {

/// What a body returns in a worker where one rule has a handler.
template <auto target, class Handler, class Body>
auto in_worker(Handler handler, Body body) {
    const sg::Policy policy{Rule<target>{}.handle(handler), sg::otherwise.allow()};
    auto result = sg::Sandbox{policy, {.most_read = 4096}}.call(body);
    CAPTURE(result.explain());
    REQUIRE(result);
    return *result;
}

}  // namespace

TEST_CASE("registers have the types that the kernel reads") {
    using Open = const Call<SYS_openat>&;
    using Lseek = const Call<SYS_lseek>&;
    using Mmap = const Call<SYS_mmap>&;
    static_assert(std::is_same_v<decltype(std::declval<Open>()[arg::dirfd]), std::int32_t>);
    static_assert(std::is_same_v<decltype(std::declval<Open>()[arg::flags]), std::uint32_t>);
    static_assert(std::is_same_v<decltype(std::declval<Open>()[arg::path]), sg::Path>);
    static_assert(std::is_same_v<decltype(std::declval<Lseek>()[arg::offset]), std::int64_t>);
    static_assert(std::is_same_v<decltype(std::declval<Mmap>()[arg::len]), std::uint64_t>);
    static_assert(
        std::is_same_v<decltype(std::declval<const Call<SYS_connect>&>()[arg::addr]), const sg::SocketAddress&>);
    static_assert(std::is_same_v<decltype(std::declval<const Call<SYS_write>&>()[arg::buf]), std::string_view>);
    CHECK(std::is_same_v<decltype(std::declval<const Call<SYS_read>&>()[arg::buf]), std::uint64_t>);
}

TEST_CASE("a register's value, without what the kernel does not read") {
    int dirfd = 0;
    unsigned mode = 0;
    in_worker<SYS_fchmodat>(
        [&](const Call<SYS_fchmodat>& call) {
            dirfd = call[arg::dirfd];
            mode = call[arg::mode];
            return call.fake(0);
        },
        [] { return ::syscall(SYS_fchmodat, 0xdeadbeefffffff9c, "x", 0xffffffffffff0fff); });
    CHECK(dirfd == AT_FDCWD);
    CHECK(mode == 07777);
}

TEST_CASE("who calls") {
    pid_t ids[3] = {};
    std::uint64_t place = 0;
    const auto own = in_worker<SYS_getpriority>(
        [&](const Call<SYS_getpriority>& call) {
            ids[0] = call.pid();
            ids[1] = call.thread();
            ids[2] = call.worker();
            place = call.instruction_pointer();
            CHECK(call.name() == "getpriority");
            CHECK(call.number() == SYS_getpriority);
            CHECK(call.registers()[1] == 7);
            CHECK(call.is_pending());
            CHECK(call.text() == "getpriority(which=0, who=7)");
            return call.fake(1);
        },
        [] {
            ::syscall(SYS_getpriority, 0, 7);
            return ::getpid();
        });
    for (const pid_t id : ids) CHECK(id == own);
    CHECK(place != 0);
}

TEST_CASE("proceed lets the kernel run a call") {
    CHECK(in_worker<SYS_getppid>([](const Call<SYS_getppid>& call) { return call.proceed(); },
                                 [] { return ::getppid(); }) == ::getpid());
}

TEST_CASE("deny and fake: all errnos, all values") {
    for (const int error : {1, 38, 4095}) {
        const auto deny = [error](const Call<SYS_getppid>& call) { return call.deny(error); };
        CHECK(in_worker<SYS_getppid>(deny, [] { return ::syscall(SYS_getppid) == -1 ? errno : 0; }) == error);
    }
    for (const long value : {0L, 1L, 1L << 40, -4096L}) {
        const auto fake = [value](const Call<SYS_getppid>& call) { return call.fake(value); };
        CHECK(in_worker<SYS_getppid>(fake, [] { return ::syscall(SYS_getppid); }) == value);
    }
}

TEST_CASE("an errno that is none is the handler's mistake, and refuses the call") {
    const sg::Policy policy{Rule<SYS_getppid>{}.handle([](const Call<SYS_getppid>& call) { return call.deny(0); }),
                            sg::otherwise.allow()};
    const auto result = sg::Sandbox{policy}.call([] { return ::syscall(SYS_getppid) == -1 ? errno : 0; });
    CHECK(*result == EPERM);
    CHECK(result.outcome().failed_handlers() == 1);
    CHECK(result.outcome().handler_message().find("no errno") != std::string::npos);
    CHECK(result.explain().find("1 of its calls were refused because a handler threw") != std::string::npos);
}

TEST_CASE("kill tells the call in the outcome: what it was, where, and by whom") {
    const sg::Policy policy{Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) { return call.kill(); }),
                            sg::otherwise.allow()};
    const auto result = sg::Sandbox{policy}.call([] { ::open("/no/such\x1bthing", O_RDONLY); });
    CHECK(result.outcome().kind() == sg::Outcome::Kind::violation);
    const sg::Violation* const violation = result.outcome().violation();
    REQUIRE(violation != nullptr);
    CHECK(violation->call == "openat(dirfd=-100, path=\"/no/such\\x1bthing\", flags=0, mode=0)");
    CHECK(violation->mapping.find("+0x") != std::string::npos);
    CHECK(violation->process == violation->thread);
    CHECK(result.explain().find(violation->mapping) != std::string::npos);
}

TEST_CASE("a path as it was written, also on the edge of what is mapped") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    std::string text;
    int error = -1;
    const auto handler = [&](const Call<SYS_openat>& call) {
        text = call[arg::path].text();
        error = call[arg::path].error();
        return call.fake(0);
    };
    in_worker<SYS_openat>(handler, [] { return ::syscall(SYS_openat, AT_FDCWD, "a/../b//", 0); });
    CHECK(text == "a/../b//");
    CHECK(error == 0);
    const auto on_edge = [](std::size_t length, bool ended) {
        return [=] {
            auto* const pages =
                static_cast<char*>(::mmap(nullptr, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
            ::mprotect(pages + 8192, 8192, PROT_NONE);
            char* const begin = pages + 8192 - length;
            std::memset(begin, 'x', length);
            if (ended) begin[length - 1] = 0;
            return ::syscall(SYS_openat, AT_FDCWD, begin, 0);
        };
    };
    for (const std::size_t length : {1U, 2U, 255U, 256U, 257U, 4095U, 4096U}) {
        CAPTURE(length);
        in_worker<SYS_openat>(handler, on_edge(length, true));
        CHECK(error == 0);
        CHECK(text == std::string(length - 1, 'x'));
        in_worker<SYS_openat>(handler, on_edge(length, false));
        CHECK(error == (length == 4096 ? ENAMETOOLONG : EFAULT));
    }
    in_worker<SYS_openat>(handler, on_edge(4097, true));
    CHECK(error == ENAMETOOLONG);
    in_worker<SYS_openat>(handler, [] { return ::syscall(SYS_openat, AT_FDCWD, nullptr, 0); });
    CHECK(error == EFAULT);
    in_worker<SYS_openat>(handler, [] { return ::syscall(SYS_openat, AT_FDCWD, ~0UL, 0); });
    CHECK(error == EFAULT);
}

TEST_CASE("where a path leads") {
    std::string place;
    const auto handler = [&](const Call<SYS_openat>& call) {
        const sg::Path path = call[arg::path];
        place = path.resolved();
        CHECK(path == place);
        CHECK(path.under("/"));
        CHECK(path.glob("**"));
        return call.fake(0);
    };
    const auto leads = [&](const char* path) {
        in_worker<SYS_openat>(handler, [path] {
            if (::chdir("/usr") != 0) return -1L;
            return ::syscall(SYS_openat, AT_FDCWD, path, O_CREAT);
        });
        return place;
    };
    CHECK(leads("/etc/../etc//passwd") == "/etc/passwd");
    CHECK(leads("../etc/./passwd") == "/etc/passwd");
    CHECK(leads("share") == "/usr/share");
    CHECK(leads("/proc/self/cwd/share") == "/usr/share");
    CHECK(leads("/proc/self/root/etc/passwd") == "/etc/passwd");
    CHECK(leads("/proc/thread-self/root/../../etc/new") == "/etc/new");
    CHECK(leads("/../../..") == "/");
}

TEST_CASE("a socket address, a string, a buffer, a structure") {
    std::string seen;
    in_worker<SYS_connect>(
        [&](const Call<SYS_connect>& call) {
            const sg::SocketAddress& address = call[arg::addr];
            seen = address.text();
            CHECK(address.is_loopback());
            CHECK(address.in("127.0.0.0/8", 80, 443));
            return call.fake(0);
        },
        [] {
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(443);
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            return ::syscall(SYS_connect, 3, &address, sizeof address);
        });
    CHECK(seen == "127.0.0.1:443");
    in_worker<SYS_memfd_create>(
        [&](const Call<SYS_memfd_create>& call) {
            seen = call[arg::name];
            return call.fake(0);
        },
        [] { return ::syscall(SYS_memfd_create, "a name", 0); });
    CHECK(seen == "a name");
    in_worker<SYS_write>(
        [&](const Call<SYS_write>& call) {
            if (call[arg::fd] != 77) return call.proceed_unchecked();
            seen = call[arg::buf];
            return call.fake(static_cast<std::int64_t>(call[arg::buf].size()));
        },
        [] { return ::syscall(SYS_write, 77, "ab\0cd", 5); });
    CHECK(seen == std::string("ab\0cd", 5));
    const long cut = in_worker<SYS_write>(
        [](const Call<SYS_write>& call) {
            if (call[arg::fd] != 77) return call.proceed_unchecked();
            return call.fake(static_cast<std::int64_t>(call[arg::buf].size()));
        },
        [] {
            static char large[10000];
            return ::syscall(SYS_write, 77, large, sizeof large);
        });
    CHECK(cut == 4096);  // Options::most_read
    const long seconds = in_worker<SYS_clock_nanosleep>(
        [](const Call<SYS_clock_nanosleep>& call) {
            const auto time = call.read<timespec>(arg::req);
            return call.fake(time ? time->tv_sec : -1);
        },
        [] {
            const timespec time{123, 0};
            return ::syscall(SYS_clock_nanosleep, 0, 0, &time, nullptr);
        });
    CHECK(seconds == 123);
}

TEST_CASE("write puts bytes into the worker's buffer, and no more than it has room for") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    const auto read = [](const Call<SYS_getrandom>& call) {
        const bool wrote = call.write(arg::buf, "1234");
        CHECK(wrote);
        return call.fake(4);
    };
    CHECK(in_worker<SYS_getrandom>(read, [] {
              char text[8] = {};
              ::syscall(SYS_getrandom, text, 8, 0);
              return std::string{text};
          }) == "1234");
    const sg::Policy policy{Rule<SYS_getrandom>{}.handle(read), sg::otherwise.allow()};
    const auto small = sg::Sandbox{policy}.call([] {
        char text[8] = {};
        return ::syscall(SYS_getrandom, text, 3, 0) == -1 ? errno : 0;
    });
    CHECK(*small == EPERM);
    CHECK(small.outcome().handler_message().find("room") != std::string::npos);
}

TEST_CASE("what could not be written is no success, and memory that the worker may not write stays as it is") {
    const auto handler = [](const Call<SYS_getrandom>& call) {
        call.write(arg::buf, "1234");
        return call.fake(4);
    };
    CHECK(in_worker<SYS_getrandom>(handler, [] {
              auto* const page =
                  static_cast<char*>(::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
              const long result = ::syscall(SYS_getrandom, page, 8, 0);
              return result == -1 && page[0] == 0 ? errno : 0;
          }) == EFAULT);
    CHECK(in_worker<SYS_getrandom>(handler, [] { return ::syscall(SYS_getrandom, 8, 8, 0) == -1 ? errno : 0; }) ==
          EFAULT);
}

TEST_CASE("a duplicate of the worker's descriptor is the same open file") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    bool same = false;
    bool none = true;
    in_worker<SYS_fsync>(
        [&](const Call<SYS_fsync>& call) {
            const sg::process::Descriptor fd = call.fd(arg::fd);
            if (call[arg::fd] == 900) {
                none = !fd;
                return call.fake(0);
            }
            char text[4] = {};
            same = ::pread(fd.get(), text, 3, 0) == 3 && std::string{text} == "abc";
            return call.fake(0);
        },
        [] {
            const int fd = static_cast<int>(::syscall(SYS_memfd_create, "x", 0));
            if (::write(fd, "abc", 3) != 3) return -1L;
            ::syscall(SYS_fsync, 900);
            return ::syscall(SYS_fsync, fd);
        });
    CHECK(same);
    CHECK(none);
}

TEST_CASE("return_fd gives the worker a descriptor for the host's open file") {
    for (const bool close_on_exec : {true, false}) {
        const auto handler = [close_on_exec](const Call<SYS_memfd_create>& call) {
            const sg::process::Descriptor fd{static_cast<int>(::syscall(SYS_memfd_create, "host", MFD_CLOEXEC))};
            CHECK(::write(fd.get(), "of the host", 11) == 11);
            return call.return_fd(fd.get(), close_on_exec);
        };
        const auto text = in_worker<SYS_memfd_create>(handler, [close_on_exec] {
            const int lowest = ::dup(0);
            ::close(lowest);
            const int fd = static_cast<int>(::syscall(SYS_memfd_create, "x", 0));
            char got[12] = {};
            const bool flags = (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
            return std::string(got, ::pread(fd, got, 11, 0) == 11 ? 11 : 0) + (flags == close_on_exec ? "" : "!") +
                   (lowest < 0 || fd == lowest ? "" : "?");
        });
        CHECK(text == "of the host");
    }
}

TEST_CASE("a family has the arguments that all of its calls have") {
    const sg::Policy policy{Rule<sg::family::chmod>{}.handle(
                                [](const Call<sg::family::chmod>& call) { return call.fake(call[arg::mode]); }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    CHECK(*box.call([] { return ::syscall(SYS_fchmod, 0, 0640); }) == 0640);
    CHECK(*box.call([] { return ::syscall(SYS_fchmodat, 0, "x", 0640); }) == 0640);
}
