#include <sysguard/supervise/messages.hpp>
#include <sysguard/supervise/perform/sockets.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/performer.hpp"
#include "support/skip.hpp"
#include "support/sockets.hpp"

namespace perform = sysguard::supervise::perform;
using sysguard::process::Descriptor;
using namespace support;

TEST_CASE("connect by TCP") {
    const Receiver server{SOCK_STREAM};
    const Descriptor client = open_socket(AF_INET, SOCK_STREAM);
    Worker worker;
    REQUIRE(worker.make(SYS_connect, perform::connect, client.get(), at(&server.address), sizeof server.address) == 0);
    const Descriptor accepted{::accept(server.fd.get(), nullptr, nullptr)};
    CHECK(::send(client.get(), "hello", 5, 0) == 5);
    CHECK(received(accepted.get()) == "hello");
    CHECK(worker.make(SYS_connect, perform::connect, client.get(), at(&server.address), sizeof server.address) ==
          -EISCONN);
}

TEST_CASE("connect without waiting says so, as the worker's own would") {
    const Receiver server{SOCK_STREAM};
    const Descriptor client = open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    Worker worker;
    CHECK(worker.make(SYS_connect, perform::connect, client.get(), at(&server.address), sizeof server.address) ==
          -EINPROGRESS);
    pollfd writable{client.get(), POLLOUT, 0};
    CHECK(::poll(&writable, 1, 10000) == 1);
    int error = -1;
    socklen_t size = sizeof error;
    ::getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    CHECK(error == 0);
}

TEST_CASE("a refused connection is refused") {
    const Descriptor bound = open_socket(AF_INET, SOCK_STREAM);
    sockaddr_in address = loopback();
    REQUIRE(::bind(bound.get(), plain(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    ::getsockname(bound.get(), reinterpret_cast<sockaddr*>(&address), &size);
    const Descriptor client = open_socket(AF_INET, SOCK_STREAM);
    Worker worker;
    CHECK(worker.make(SYS_connect, perform::connect, client.get(), at(&address), sizeof address) == -ECONNREFUSED);
}

TEST_CASE("connect and bind fail as the kernel's own do") {
    const Descriptor tcp = open_socket(AF_INET, SOCK_STREAM);
    const Descriptor udp = open_socket(AF_INET, SOCK_DGRAM);
    const Descriptor local = open_socket(AF_UNIX, SOCK_STREAM);
    const Descriptor file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    char bytes[256] = {};
    const UnixAddress missing{"/nonexistent/s"};
    const UnixAddress file_path{"/dev/null"};
    const UnixAddress none{std::string_view{"\0sysguard-nobody", 16}};
    sockaddr_in six = loopback(1);
    six.sin_family = AF_INET6;
    Worker worker;
    for (const int number : {SYS_connect, SYS_bind}) {
        const perform::Performer performer = number == SYS_connect ? perform::connect : perform::bind;
        for (const int fd : {tcp.get(), udp.get(), local.get(), file.get(), 999}) {
            const auto check = [&](std::uint64_t address, long size) {
                const long expected = natively(number, fd, address, size);
                CAPTURE(number);
                CAPTURE(fd);
                CAPTURE(size);
                CHECK(worker.make(number, performer, fd, address, size) == expected);
            };
            check(at(bytes), 0);
            check(at(bytes), 1);
            check(at(&six), 15);
            check(at(&six), sizeof six);
            check(at(bytes), 129);
            check(at(bytes), -1);
            check(0, 16);
            check(16, 16);
            check(at(&missing.address), missing.size);
            check(at(&missing.address), 111);
            if (number == SYS_connect) check(at(&file_path.address), file_path.size);
            if (number == SYS_connect) check(at(&none.address), none.size);
            if (number == SYS_bind && fd != tcp.get() && fd != udp.get()) check(at(&file_path.address), file_path.size);
        }
    }
}

TEST_CASE("connect to an abstract name, and to a path") {
    const Directory directory;
    const std::string path = directory.path + "/s";
    std::string abstract{'\0'};
    abstract += path;
    ::symlink("s", (directory.path + "/link").c_str());
    const std::string working_directory = directory.path;
    for (const std::string& name : {abstract, path}) {
        const UnixAddress address{name};
        const Descriptor server = open_socket(AF_UNIX, SOCK_STREAM);
        REQUIRE(::bind(server.get(), plain(&address.address), address.size) == 0);
        REQUIRE(::listen(server.get(), 8) == 0);
        std::vector<std::string> ways{name};
        if (name == path) ways = {path, "s", "./s", "link", directory.path + "/link", "/proc/self/cwd/s"};
        for (const std::string& way : ways) {
            CAPTURE(way);
            const UnixAddress there{way};
            const Descriptor client = open_socket(AF_UNIX, SOCK_STREAM);
            Worker here{[&] { return ::chdir(working_directory.c_str()) == 0; }};
            CHECK(here.make(SYS_connect, perform::connect, client.get(), at(&there.address), there.size) == 0);
            const Descriptor accepted{::accept(server.get(), nullptr, nullptr)};
            CHECK(::send(client.get(), "x", 1, 0) == 1);
            CHECK(received(accepted.get()) == "x");
        }
    }
    const UnixAddress there{path};
    const Descriptor client = open_socket(AF_UNIX, SOCK_STREAM);
    Worker decided;
    decided.decided = "/elsewhere/s";
    CHECK(decided.make(SYS_connect, perform::connect, client.get(), at(&there.address), there.size) == -EACCES);
    decided.decided = path.c_str();
    CHECK(decided.make(SYS_connect, perform::connect, client.get(), at(&there.address), there.size) == -ECONNREFUSED);
}

TEST_CASE("bind makes a socket file where the worker would, with its umask") {
    const Directory directory;
    ::mkdir((directory.path + "/d").c_str(), 0700);
    ::symlink("d", (directory.path + "/link").c_str());
    const std::string working_directory = directory.path;
    for (const std::string& way : {std::string{"s"}, directory.path + "/s", std::string{"link/s"}}) {
        for (const bool is_decided : {false, true}) {
            CAPTURE(way);
            CAPTURE(is_decided);
            const std::string real = directory.path + (way == "link/s" ? "/d/s" : "/s");
            const UnixAddress address{way};
            const Descriptor server = open_socket(AF_UNIX, SOCK_STREAM);
            const Descriptor other = open_socket(AF_UNIX, SOCK_STREAM);
            Worker worker{[&] { return ::chdir(working_directory.c_str()) == 0; }};
            worker.umask = 027;
            if (is_decided) worker.decided = real.c_str();
            CHECK(worker.make(SYS_bind, perform::bind, server.get(), at(&address.address), address.size) == 0);
            struct stat status {};
            REQUIRE(::lstat(real.c_str(), &status) == 0);
            CHECK(S_ISSOCK(status.st_mode));
            CHECK((status.st_mode & 0777) == 0750);
            sockaddr_un own{};
            socklen_t size = sizeof own;
            ::getsockname(server.get(), reinterpret_cast<sockaddr*>(&own), &size);
            CHECK(std::string{own.sun_path} == (is_decided ? "s" : way));
            CHECK(worker.make(SYS_bind, perform::bind, other.get(), at(&address.address), address.size) == -EADDRINUSE);
            ::unlink(real.c_str());
            worker.decided = "/elsewhere";
            CHECK(worker.make(SYS_bind, perform::bind, other.get(), at(&address.address), address.size) == -EACCES);
        }
    }
    const UnixAddress slash{"s/"};
    for (const UnixAddress& address : {slash, UnixAddress{"/"}, UnixAddress{"."}, UnixAddress{".."}}) {
        const Descriptor one = open_socket(AF_UNIX, SOCK_STREAM);
        const Descriptor other = open_socket(AF_UNIX, SOCK_STREAM);
        Worker worker;
        CAPTURE(address.address.sun_path);
        CHECK(worker.make(SYS_bind, perform::bind, one.get(), at(&address.address), address.size) ==
              natively(SYS_bind, other.get(), &address.address, address.size));
    }
}

TEST_CASE("paths are those of a worker in another root") {
    if (::geteuid() != 0) SYSGUARD_SKIP("only with CAP_SYS_CHROOT");
    const Directory directory;
    const std::string root = directory.path;
    ::symlink("/../s", (root + "/link").c_str());
    const Descriptor server = open_socket(AF_UNIX, SOCK_STREAM);
    const Descriptor client = open_socket(AF_UNIX, SOCK_STREAM);
    const UnixAddress absolute{"/s"};
    const UnixAddress climbing{"../../link"};
    Worker worker{[&] { return ::chroot(root.c_str()) == 0 && ::chdir("/") == 0; }};
    CHECK(worker.make(SYS_bind, perform::bind, server.get(), at(&absolute.address), absolute.size) == 0);
    CHECK(::access((root + "/s").c_str(), F_OK) == 0);
    REQUIRE(::listen(server.get(), 8) == 0);
    worker.decided = "/s";
    CHECK(worker.make(SYS_connect, perform::connect, client.get(), at(&climbing.address), climbing.size) == 0);
}

TEST_CASE("datagrams go to paths and names") {
    const Directory directory;
    const UnixAddress path{directory.path + "/s"};
    const UnixAddress name{std::string{'\0'} + directory.path};
    const Descriptor client = open_socket(AF_UNIX, SOCK_DGRAM);
    const Descriptor stream = open_socket(AF_UNIX, SOCK_STREAM);
    char data[] = "hello";
    iovec piece{data, 5};
    for (const UnixAddress& address : {path, name}) {
        const Descriptor server = open_socket(AF_UNIX, SOCK_DGRAM);
        REQUIRE(::bind(server.get(), plain(&address.address), address.size) == 0);
        sockaddr_un copy = address.address;
        msghdr message{&copy, address.size, &piece, 1, nullptr, 0, 0};
        Worker worker;
        CHECK(worker.make(SYS_sendmsg, perform::sendmsg, client.get(), at(&message), 0) == 5);
        CHECK(received(server.get()) == "hello");
        CHECK(worker.make(SYS_sendto, perform::sendto, client.get(), at(data), 5, 0, at(&address.address),
                          address.size) == 5);
        CHECK(received(server.get()) == "hello");
        CHECK(worker.make(SYS_connect, perform::connect, stream.get(), at(&address.address), address.size) ==
              natively(SYS_connect, stream.get(), &address.address, address.size));
        CHECK(worker.make(SYS_connect, perform::connect, client.get(), at(&address.address), address.size) == 0);
        CHECK(::send(client.get(), "x", 1, 0) == 1);
        CHECK(received(server.get()) == "x");
    }
}

TEST_CASE("a socket file that the worker may not write to is not connected to") {
    const Directory directory;
    const UnixAddress path{directory.path + "/s"};
    const Descriptor server = open_socket(AF_UNIX, SOCK_STREAM);
    REQUIRE(::bind(server.get(), plain(&path.address), path.size) == 0);
    REQUIRE(::listen(server.get(), 8) == 0);
    ::chmod((directory.path + "/s").c_str(), 0);
    const Descriptor one = open_socket(AF_UNIX, SOCK_STREAM);
    const Descriptor other = open_socket(AF_UNIX, SOCK_STREAM);
    Worker worker;
    CHECK(worker.make(SYS_connect, perform::connect, one.get(), at(&path.address), path.size) ==
          natively(SYS_connect, other.get(), &path.address, path.size));
}

TEST_CASE("a path fills its whole field") {
    const Directory directory;
    const std::string working_directory = directory.path;
    const UnixAddress path{"s" + std::string(107, 'x')};
    const Descriptor server = open_socket(AF_UNIX, SOCK_STREAM);
    const Descriptor client = open_socket(AF_UNIX, SOCK_STREAM);
    Worker worker{[&] { return ::chdir(working_directory.c_str()) == 0; }};
    const std::string real = directory.path + "/s" + std::string(107, 'x');
    worker.decided = real.c_str();
    CHECK(worker.make(SYS_bind, perform::bind, server.get(), at(&path.address), path.size) == 0);
    REQUIRE(::listen(server.get(), 8) == 0);
    CHECK(worker.make(SYS_connect, perform::connect, client.get(), at(&path.address), path.size) == 0);
    ::unlink(real.c_str());
}

TEST_CASE("sendto connects with MSG_FASTOPEN as the kernel does") {
    const Receiver server{SOCK_STREAM};
    sockaddr_in unspecified = server.address;
    unspecified.sin_family = AF_UNSPEC;
    const Descriptor one = open_socket(AF_INET, SOCK_STREAM);
    const Descriptor other = open_socket(AF_INET, SOCK_STREAM);
    char data[] = "hello";
    for (const sockaddr_in& address : {unspecified, server.address}) {
        Worker worker;
        CHECK(worker.make(SYS_sendto, perform::sendto, one.get(), at(data), 5, MSG_FASTOPEN, at(&address),
                          sizeof address) ==
              natively(SYS_sendto, other.get(), data, 5, MSG_FASTOPEN, &address, sizeof address));
    }
}

TEST_CASE("bind by port, and without a name") {
    const sockaddr_in address = loopback();
    const UnixAddress unnamed{""};
    const Descriptor tcp = open_socket(AF_INET, SOCK_STREAM);
    const Descriptor local = open_socket(AF_UNIX, SOCK_STREAM);
    Worker worker;
    CHECK(worker.make(SYS_bind, perform::bind, tcp.get(), at(&address), sizeof address) == 0);
    CHECK(worker.make(SYS_bind, perform::bind, local.get(), at(&unnamed.address), unnamed.size) == 0);
    CHECK(worker.make(SYS_bind, perform::bind, tcp.get(), at(&address), sizeof address) == -EINVAL);
}

TEST_CASE("sendto") {
    const Receiver server{SOCK_DGRAM};
    const Descriptor client = open_socket(AF_INET, SOCK_DGRAM);
    const Pair stream{SOCK_STREAM};
    sockaddr_in unspecified = server.address;
    unspecified.sin_family = AF_UNSPEC;
    char data[] = "hello";
    Worker worker;
    const auto send = [&](int fd, std::uint64_t flags, const void* to, std::size_t size) {
        return worker.make(SYS_sendto, perform::sendto, fd, at(data), 5, flags, at(to), size);
    };
    CHECK(send(client.get(), 0, &server.address, sizeof server.address) == 5);
    CHECK(received(server.fd.get()) == "hello");
    CHECK(send(client.get(), 0, &unspecified, sizeof unspecified) == 5);
    CHECK(received(server.fd.get()) == "hello");
    CHECK(send(client.get(), 0, nullptr, 0) == -EDESTADDRREQ);
    CHECK(send(client.get(), 0, &server.address, 15) == -EINVAL);
    CHECK(send(stream.a.get(), 0, nullptr, 0) == 5);
    CHECK(received(stream.b.get()) == "hello");
    CHECK(send(stream.a.get(), 0, &server.address, sizeof server.address) ==
          natively(SYS_sendto, stream.a.get(), data, 5, 0, &server.address, sizeof server.address));
    CHECK(worker.make(SYS_sendto, perform::sendto, stream.a.get(), 16, 5, 0, 0, 0) == -EFAULT);

    worker.most = 3;
    CHECK(send(stream.a.get(), 0, nullptr, 0) == 3);
    CHECK(send(client.get(), 0, &server.address, sizeof server.address) == -EMSGSIZE);
}

TEST_CASE("a broken pipe is an error without a signal") {
    char data[] = "hello";
    iovec piece{data, 5};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        Pair pair{type};
        pair.b.reset();
        Worker here;
        CHECK(here.make(SYS_sendto, perform::sendto, pair.a.get(), at(data), 5, 0, 0, 0) == -EPIPE);
        CHECK(here.make(SYS_sendmsg, perform::sendmsg, pair.a.get(), at(&message), 0) == -EPIPE);
        CHECK(here.performer_was_killed == false);
        namespace supervise = sysguard::supervise;
        CHECK(supervise::owes_sigpipe(pair.a.get(), 0, EPIPE) == (type == SOCK_STREAM));
        CHECK_FALSE(supervise::owes_sigpipe(pair.a.get(), MSG_NOSIGNAL, EPIPE));
        CHECK_FALSE(supervise::owes_sigpipe(pair.a.get(), 0, EAGAIN));
    }
}

TEST_CASE("sends that would read the copy later are refused") {
    const Receiver server{SOCK_DGRAM};
    const Descriptor client = open_socket(AF_INET, SOCK_DGRAM);
    char data[] = "hello";
    Worker worker;
    const auto send = [&] {
        return worker.make(SYS_sendto, perform::sendto, client.get(), at(data), 5, MSG_ZEROCOPY, at(&server.address),
                           sizeof server.address);
    };
    CHECK(send() == 5);
    const int on = 1;
    if (::setsockopt(client.get(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0) SYSGUARD_SKIP("no SO_ZEROCOPY");
    CHECK(send() == -ENOBUFS);
}

TEST_CASE("an address that means another thing to its socket is refused") {
    const Descriptor raw{::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6)};
    if (!raw) SYSGUARD_SKIP("only with CAP_NET_RAW, and IPv6");
    const Descriptor udp = open_socket(AF_INET6, SOCK_DGRAM);
    sockaddr_in6 address{};
    address.sin6_addr = IN6ADDR_LOOPBACK_INIT;
    char data[8] = {};
    Worker worker;
    const auto send = [&](int fd) {
        return worker.make(SYS_sendto, perform::sendto, fd, at(data), 8, 0, at(&address), sizeof address);
    };
    CHECK(natively(SYS_sendto, raw.get(), data, 8, 0, &address, sizeof address) == 8);
    CHECK(send(raw.get()) == -EAFNOSUPPORT);
    CHECK(send(udp.get()) == natively(SYS_sendto, udp.get(), data, 8, 0, &address, sizeof address));
    CHECK(worker.make(SYS_connect, perform::connect, udp.get(), at(&address), sizeof address) == 0);
}
