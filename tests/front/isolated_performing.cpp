#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "support/attempts.hpp"
#include "support/performed.hpp"
#include "support/reach.hpp"
#include "support/sockets.hpp"
#include "support/workers.hpp"

/// Calls that the host performs for workers: Landlock holds them as it holds the worker's own.
namespace sg = sysguard;
using support::errno_of;
using support::in_worker;
using support::Tree;
using support::try_open;

TEST_CASE("outside of what a worker is given, nothing is performed") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const auto free = [](const Tree&) { return sg::Sandbox{support::performed}; };
    const auto isolated = [](const Tree& tree) {
        return sg::Sandbox{support::performed, support::powerful({sg::read_write(tree.in())})};
    };
    const auto decided = [](const Tree& tree) {
        return sg::Sandbox{support::decided, {.files = {sg::read_write(tree.in())}}};
    };
    for (const support::Attempt& each : support::attempts_outside) {
        CAPTURE(each.name);
        CHECK(support::attempt(each, free) == 0);
        CHECK(support::attempt(each, isolated) == each.refused);
        const int refused = support::attempt(each, decided);
        CHECK((refused == each.refused || refused == 1000));  // what it begins with may be refused already
    }
}

TEST_CASE("inside of it, all is") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const auto isolated = [](const Tree& tree) {
        return sg::Sandbox{support::performed, {.files = {sg::read_write(tree.in())}}};
    };
    for (const support::Attempt& each : support::attempts_inside) {
        CAPTURE(each.name);
        CHECK(support::attempt(each, isolated) == 0);
    }
}

TEST_CASE("a directory that is only looked at does not come opened for reading") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string out = tree.out();
    const auto look = [&] { return try_open(out, O_PATH | O_DIRECTORY); };
    CHECK(in_worker(sg::Sandbox{support::decided}, look) == 0);
    CHECK(in_worker(sg::Sandbox{support::decided, {.files = {sg::read_write(tree.in())}}}, look) == EACCES);
}

TEST_CASE("device nodes") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const auto make = [](const sg::Sandbox& box, const Tree& tree) {
        return in_worker(
            box, [&] { return errno_of(::mknod((tree.in() + "/node").c_str(), S_IFCHR | 0600, makedev(1, 3))); });
    };
    const auto box = [](sg::Files files) {
        return sg::Sandbox{support::performed, support::powerful(std::move(files))};
    };
    const Tree free, plain, refined;
    if (make(box({}), free) != 0) SYSGUARD_SKIP("this user may not make device nodes");
    CHECK(make(box({sg::read_write(plain.in())}), plain) == EACCES);
    CHECK(make(box({sg::read_write(refined.in()).with_devices()}), refined) == 0);
}

TEST_CASE("a file that was opened for a worker is held as one it opened") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string in = tree.in();
    const sg::Sandbox box{support::performed, {.files = {sg::read_only(in)}}};
    CHECK(in_worker(box, [&] {
              const int fd = ::open((in + "/file").c_str(), O_RDONLY | O_CLOEXEC);
              char text[4];
              return ::read(fd, text, 4) == 4 ? 0 : errno;
          }) == 0);
    CHECK(in_worker(box, [&] { return try_open(in + "/file", O_RDWR); }) == EACCES);
}

TEST_CASE("TCP ports") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_NEED_LANDLOCK(tcp_ports);
    const support::Receiver one{SOCK_STREAM};
    const support::Receiver other{SOCK_STREAM};
    const auto connect_to = [](const sg::Sandbox& box, const sockaddr_in& address) {
        return in_worker(box, [&] {
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            return errno_of(::connect(fd, support::plain(&address), sizeof address));
        });
    };
    const auto bind_any = [] {
        const sockaddr_in address = support::loopback();
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return errno_of(::bind(fd, support::plain(&address), sizeof address));
    };
    const sg::Sandbox free{support::performed};
    const sg::Sandbox box{support::performed,
                          {.network = sg::Network::tcp({.connect = {ntohs(one.address.sin_port)}})}};
    CHECK(connect_to(free, other.address) == 0);
    CHECK(connect_to(box, other.address) == EACCES);
    CHECK(connect_to(box, one.address) == 0);
    CHECK(in_worker(free, bind_any) == 0);
    CHECK(in_worker(box, bind_any) == EACCES);
}

TEST_CASE("abstract sockets") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_NEED_LANDLOCK(scopes);
    const support::UnixAddress address{std::string(1, '\0') + "sysguard.performed." + std::to_string(::getpid())};
    const sg::process::Descriptor stream = support::open_socket(AF_UNIX, SOCK_STREAM);
    const sg::process::Descriptor datagram = support::open_socket(AF_UNIX, SOCK_DGRAM);
    REQUIRE(::bind(stream.get(), support::plain(&address.address), address.size) == 0);
    REQUIRE(::listen(stream.get(), 8) == 0);
    REQUIRE(::bind(datagram.get(), support::plain(&address.address), address.size) == 0);
    const auto connect_to = [&] {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return errno_of(::connect(fd, support::plain(&address.address), address.size));
    };
    const auto send_to = [&] {
        const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return errno_of(::sendto(fd, "x", 1, 0, support::plain(&address.address), address.size));
    };
    const auto send_message_to = [&] {
        const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char data[] = "x";
        iovec piece{data, 1};
        support::UnixAddress copy = address;
        msghdr message{};
        message.msg_name = &copy.address;
        message.msg_namelen = copy.size;
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        return errno_of(::sendmsg(fd, &message, 0));
    };
    const sg::Sandbox free{support::performed};
    const sg::Sandbox box{support::performed, {.scopes = {.abstract_sockets = true}}};
    CHECK(in_worker(free, connect_to) == 0);
    CHECK(in_worker(free, send_to) == 0);
    CHECK(in_worker(free, send_message_to) == 0);
    CHECK(in_worker(box, connect_to) == EPERM);
    CHECK(in_worker(box, send_to) == EPERM);
    CHECK(in_worker(box, send_message_to) == EPERM);
}

TEST_CASE("what the performing process cannot know for the worker's own is refused") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_NEED_LANDLOCK(scopes);
    const sg::Sandbox box{support::performed,
                          {.files = {sg::read_only("/proc")}, .scopes = {.abstract_sockets = true}}};
    const auto open_memory = [] { return try_open("/proc/self/mem", O_RDONLY); };
    CHECK(in_worker(sg::Sandbox{support::performed}, open_memory) == 0);
    CHECK(in_worker(box, open_memory) == EACCES);
    CHECK(in_worker(box, [] { return try_open("/proc/self/status", O_RDONLY); }) == 0);
    const auto connect_to_own = [] {
        const support::UnixAddress own{std::string(1, '\0') + "sysguard.own." + std::to_string(::getpid())};
        const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::bind(listening, support::plain(&own.address), own.size) != 0 || ::listen(listening, 1) != 0) return 1000;
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return errno_of(::connect(fd, support::plain(&own.address), own.size));
    };
    CHECK(in_worker(sg::Sandbox{support::performed}, connect_to_own) == 0);
    CHECK(in_worker(box, connect_to_own) == EPERM);
}

TEST_CASE("rules that decide on paths in the host are held, too") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    namespace arg = sysguard::arg;
    constexpr static sg::Policy policy{sg::Rule<SYS_openat>{arg::path.under("/")}.allow(),
                                       sg::Rule<SYS_openat>{}.deny(EXFULL), sg::otherwise.allow()};
    const Tree tree;
    const std::string in = tree.in() + "/file";
    const std::string out = tree.out() + "/file";
    const sg::Sandbox box{policy, {.files = {sg::read_only(tree.in())}}};
    CHECK(in_worker(sg::Sandbox{policy}, [&] { return try_open(out, O_RDONLY); }) == 0);
    CHECK(in_worker(box, [&] { return try_open(out, O_RDONLY); }) == EACCES);
    CHECK(in_worker(box, [&] { return try_open(in, O_RDONLY); }) == 0);
}
