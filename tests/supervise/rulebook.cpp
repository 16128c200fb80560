#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

namespace {

/// The errno of a call in a worker whose policy denies by one of several conditions, each with an errno of its own, and
/// else with ENOTTY.
template <class... Rules>
class Judge {
public:
    explicit Judge(const Rules&... rules) : box_{sg::Policy{rules..., sg::otherwise.allow()}} {}

    int open(const char* path, int flags = O_RDONLY) const {
        return *box_.call([=] { return ::syscall(SYS_openat, AT_FDCWD, path, flags, 0) == -1 ? errno : 0; });
    }

    int connect(const void* address, std::size_t size) const {
        return *box_.call([=] { return ::syscall(SYS_connect, 0, address, size) == -1 ? errno : 0; });
    }

    int connect(const char* ip, int port) const {
        if (std::strchr(ip, ':') != nullptr) {
            sockaddr_in6 address{};
            address.sin6_family = AF_INET6;
            address.sin6_port = htons(static_cast<std::uint16_t>(port));
            ::inet_pton(AF_INET6, ip, &address.sin6_addr);
            return connect(&address, sizeof address);
        }
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, ip, &address.sin_addr);
        return connect(&address, sizeof address);
    }

    int connect_unix(const std::string& name) const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.data(), name.size());
        return connect(&address, offsetof(sockaddr_un, sun_path) + name.size());
    }

private:
    sg::Sandbox box_;
};

}  // namespace

TEST_CASE("paths, as they lead") {
    const Judge judge{
        Rule<SYS_openat>{arg::path == "/etc/passwd"}.deny(1), Rule<SYS_openat>{arg::path.under("/usr/share")}.deny(2),
        Rule<SYS_openat>{arg::path.glob("/usr/*/no*h")}.deny(3),
        Rule<SYS_openat>{!arg::path.under("/usr") && arg::flags == O_PATH}.deny(4), Rule<SYS_openat>{}.deny(ENOTTY)};
    CHECK(judge.open("/etc/passwd") == 1);
    CHECK(judge.open("/usr/../etc/./passwd") == 1);
    CHECK(judge.open("/proc/self/root/etc/passwd") == 1);
    CHECK(judge.open("/usr/share") == 2);
    CHECK(judge.open("/usr/share/../share/doc") == 2);
    CHECK(judge.open("/usr/sharex") == ENOTTY);
    CHECK(judge.open("/usr/bin/nosuch", O_CREAT) == 3);
    CHECK(judge.open("/usr/bin/nosuch") == ENOTTY);  // leads nowhere
    CHECK(judge.open("/etc", O_PATH) == 4);
    CHECK(judge.open("/nowhere/at/all", O_PATH) == 4);
    CHECK(judge.open("/usr", O_PATH) == ENOTTY);
    CHECK(judge.open(nullptr) == EFAULT);
    CHECK(judge.open(std::string(5000, 'x').c_str()) == ENAMETOOLONG);
    const Judge anywhere{Rule<SYS_openat>{arg::path.glob("**")}.deny(1), Rule<SYS_openat>{}.deny(ENOTTY)};
    CHECK(anywhere.open("/etc/passwd") == 1);
    CHECK(anywhere.open("/nowhere/at/all") == ENOTTY);
}

TEST_CASE("socket addresses") {
    const Judge judge{Rule<SYS_connect>{arg::addr.in("192.0.2.0/24", 80, 443)}.deny(1),
                      Rule<SYS_connect>{arg::addr.in("2001:db8::/32")}.deny(2),
                      Rule<SYS_connect>{arg::addr.is_loopback()}.deny(3),
                      Rule<SYS_connect>{arg::addr.is_private()}.deny(4),
                      Rule<SYS_connect>{arg::addr.unix_path() == "/etc/passwd"}.deny(5),
                      Rule<SYS_connect>{arg::addr.abstract_name().glob("x11-*")}.deny(6),
                      Rule<SYS_connect>{arg::addr.port().between(6000, 6063)}.deny(7),
                      Rule<SYS_connect>{arg::addr.family().in(AF_UNIX, AF_NETLINK)}.deny(8),
                      Rule<SYS_connect>{}.deny(ENOTTY)};
    CHECK(judge.connect("192.0.2.9", 443) == 1);
    CHECK(judge.connect("::ffff:192.0.2.9", 80) == 1);
    CHECK(judge.connect("192.0.2.9", 81) == ENOTTY);
    CHECK(judge.connect("2001:db8:1::", 1) == 2);
    CHECK(judge.connect("2001:db9::", 1) == ENOTTY);
    CHECK(judge.connect("127.9.9.9", 1) == 3);
    CHECK(judge.connect("::1", 1) == 3);
    CHECK(judge.connect("0.0.0.0", 1) == 3);
    CHECK(judge.connect("10.1.2.3", 1) == 4);
    CHECK(judge.connect("fd00::1", 1) == 4);
    CHECK(judge.connect_unix("/usr/../etc/passwd") == 5);
    CHECK(judge.connect_unix(std::string("\0x11-7", 6)) == 6);
    CHECK(judge.connect("198.51.100.1", 6063) == 7);
    CHECK(judge.connect("198.51.100.1", 6064) == ENOTTY);
    CHECK(judge.connect_unix("/run/other") == 8);
    const std::uint16_t netlink = AF_NETLINK;
    CHECK(judge.connect(&netlink, sizeof netlink) == 8);
    CHECK(judge.connect(static_cast<const void*>(nullptr), std::size_t{16}) == ENOTTY);  // none
    CHECK(judge.connect(reinterpret_cast<const void*>(8), std::size_t{16}) == EFAULT);
    CHECK(judge.connect(static_cast<const void*>(""), std::size_t{0}) ==
          ENOTTY);  // an address without a byte is of no family
}

TEST_CASE("buffers and strings") {
    const sg::Sandbox box{sg::Policy{Rule<SYS_write>{arg::fd == 99 && arg::buf.starts_with("GET ")}.deny(1),
                                     Rule<SYS_write>{arg::fd == 99 && arg::buf.size() > 6}.deny(2),
                                     Rule<SYS_write>{arg::fd == 99}.deny(3),
                                     Rule<SYS_memfd_create>{arg::name == "secret"}.deny(4),
                                     Rule<SYS_memfd_create>{}.deny(5), sg::otherwise.allow()}};
    const auto write = [&](const char* text, std::size_t size) {
        return *box.call([=] { return ::syscall(SYS_write, 99, text, size) == -1 ? errno : 0; });
    };
    CHECK(write("GET /", 5) == 1);
    CHECK(write("GET", 3) == 3);
    CHECK(write("PUT /index", 10) == 2);
    CHECK(write(nullptr, 10) == EFAULT);
    const auto create = [&](const char* name) {
        return *box.call([=] { return ::syscall(SYS_memfd_create, name, 0) == -1 ? errno : 0; });
    };
    CHECK(create("secret") == 4);
    CHECK(create("secrets") == 5);
}

TEST_CASE("a call that a rule on memory allows is performed, never let through") {
    const sg::Sandbox box{sg::Policy{Rule<SYS_openat>{arg::path.under("/etc")}.allow(),
                                     Rule<SYS_openat>{arg::path.under("/usr")}.deny(EACCES), sg::otherwise.allow()}};
    const auto open = [&](const char* path) {
        return *box.call([=] {
            const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
            const int error = fd < 0 ? errno : 0;
            return error;
        });
    };
    CHECK(open("/etc/passwd") == 0);
    CHECK(open("/etc/no such file") == ENOENT);
    CHECK(open("/usr/bin/env") == EACCES);
    CHECK(open("/proc/self/status") == 0);  // by what happens otherwise
}

TEST_CASE("the first rule that matches decides, in the host as in the kernel") {
    const sg::Sandbox box{sg::Policy{
        Rule<SYS_openat>{arg::path == "/etc/passwd" && arg::flags == O_RDONLY}.deny(1),
        Rule<SYS_openat>{arg::flags == O_RDONLY}.fake(70),
        Rule<SYS_openat>{arg::path == "/etc/passwd"}.handle([](const sg::AnyCall& call) { return call.fake(80); }),
        sg::otherwise.deny(3)}};
    const auto open = [&](const char* path, int flags) {
        return *box.call([=] {
            const long result = ::syscall(SYS_openat, AT_FDCWD, path, flags, 0);
            return result == -1 ? -errno : static_cast<int>(result);
        });
    };
    CHECK(box.call([] { return 1; }).outcome().kind() != sg::Outcome::Kind::exited);
    CHECK(open("/etc/passwd", O_RDONLY) == -1);
    CHECK(open("/etc/group", O_RDONLY) == 70);
    CHECK(open("/etc/passwd", O_RDWR) == 80);
    CHECK(open("/etc/group", O_RDWR) == -3);
}
